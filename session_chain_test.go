package whimbrel_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// settled is what a file says about its session, and what the session must then say of
// itself; {role} stands for a role of the test's.
var settled = map[string]struct{ before, say, want string }{
	"search_path": {"", "SET search_path = tenant, public;",
		"SELECT current_setting('search_path') = 'tenant, public'"},
	"role":                  {"", "SET ROLE {role};", "SELECT current_user = '{role}'"},
	"session authorization": {"", "SET SESSION AUTHORIZATION {role};", "SELECT session_user = '{role}'"},
	"session authorization, role": {"", "SET SESSION AUTHORIZATION {role}; SET ROLE {role};",
		"SELECT session_user = '{role}' AND current_setting('role') = '{role}'"},
	"statement_timeout": {"", "SET statement_timeout = '77s';",
		"SELECT current_setting('statement_timeout') = '77s'"},
	"standard_conforming_strings": {"", "SET standard_conforming_strings = off;",
		`SELECT length('a\'; DROP TABLE seen; --') = 23`},
	"TimeZone": {"", "SET TIME ZONE 'Asia/Tokyo';",
		"SELECT current_setting('timezone') = 'Asia/Tokyo'"},
	"session_replication_role": {"", "SET session_replication_role = replica;",
		"SELECT current_setting('session_replication_role') = 'replica'"},
	"set_config": {"", "SELECT set_config('search_path', 'tenant, public', false);",
		"SELECT current_setting('search_path') = 'tenant, public'"},
	"a function": {"CREATE FUNCTION public.tenant() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM " +
		"set_config('search_path', 'tenant, public', false); END $$;",
		"SELECT public.tenant();", "SELECT current_setting('search_path') = 'tenant, public'"},
	"a custom setting":     {"", "SET app.tenant = 'x';", "SELECT current_setting('app.tenant') = 'x'"},
	"a temporary table":    {"", "CREATE TEMP TABLE kept AS SELECT 7 AS n;", "SELECT n = 7 FROM kept"},
	"lock_timeout, lower":  {"", "SET lock_timeout = '7ms';", "SELECT current_setting('lock_timeout') = '7ms'"},
	"lock_timeout, lifted": {"", "SET lock_timeout = 0;", "SELECT current_setting('lock_timeout') = '100ms'"},
	"isolation": {"", "SET default_transaction_isolation = 'repeatable read';",
		"SELECT current_setting('default_transaction_isolation') = 'repeatable read'"},
	"row_security": {"", "SET row_security = off;", "SELECT current_setting('row_security') = 'off'"},
	"the head of a dump": {"", "SET statement_timeout = 0; SET lock_timeout = 0; SET client_encoding = 'UTF8'; " +
		"SELECT pg_catalog.set_config('search_path', '', false); SET check_function_bodies = false;",
		"SELECT current_setting('search_path') IN ('', '\"\"')"},
	"a quick end of waiting": {"", "SET idle_in_transaction_session_timeout = '7s';",
		"SELECT current_setting('idle_in_transaction_session_timeout') = '7s'"},
}

// kinds are files in which steps follow on what is said. Of a kind the look is put
// where it must hold.
var kinds = map[string]string{
	"a chain": "{say}\nCREATE INDEX CONCURRENTLY {name} ON public.big (id);\n{look}\n" +
		"CREATE INDEX CONCURRENTLY {name}b ON public.big (id);\n{look}",
	"a chain, said in its middle": "{look0}\n{say}\n{look}\nVACUUM public.quick;\n{look}",
	"notransaction":               "-- +migrate {Up} notransaction\n{say}\n{look}\nCALL public.nothing();\n{look}",
	"batch": "{say}\n-- +migrate Batch public.big by id size=2\n" +
		"UPDATE public.big SET seen = seen + 1 WHERE id > :from AND id <= :to AND ({want});\n{look}\n{full}",
	// Each range takes long enough for the other worker to have some of them.
	"batch, 2 workers": "{say}\n-- +migrate Batch public.big by id size=1 workers=2\n" +
		"UPDATE public.big SET seen = seen + 1 WHERE id > :from AND id <= :to AND ({want}) AND pg_catalog.pg_sleep(0.03) " +
		"IS NOT NULL;\n{look}\n{full}",
}

func TestWhatAFileSaysAboutItsSessionHoldsToTheEndOfItsDirection(t *testing.T) {
	t.Parallel()
	for said, s := range settled {
		t.Run(said, func(t *testing.T) {
			b := setup(t)
			sayings := saying{bundle: b, said: s.say, want: s.want, role: b.role()}
			sayings.prepare(s.before)
			for _, direction := range []string{"up", "down", "stored down", "repeatable", "hook"} {
				if said == "standard_conforming_strings" && direction == "hook" {
					continue // which is refused
				}
				sayings.holds(direction)
			}
		})
	}
}

// saying is one thing that files say about their session.
type saying struct {
	*bundle
	said, want, role string
}

func (s saying) prepare(before string) {
	s.Helper()
	s.exec("CREATE SCHEMA tenant; CREATE TABLE big (id int PRIMARY KEY, seen int DEFAULT 0); INSERT INTO big SELECT " +
		"generate_series(1, 9); CREATE TABLE quick ();" +
		"CREATE TABLE looked (at text, held bool); CREATE PROCEDURE nothing() LANGUAGE plpgsql AS $$ BEGIN END $$; CREATE " +
		"TABLE seen ();" + before +
		s.fill("GRANT ALL ON SCHEMA tenant, public TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; ALTER "+
			"TABLE big OWNER TO {role}; ALTER TABLE quick OWNER TO {role}", ""))
}

// fill puts into a text what is said, and looks that write down whether it holds.
func (s saying) fill(text, name string) string {
	text = strings.NewReplacer("{say}", s.said, "{look}", "INSERT INTO public.looked SELECT '{name}', ({want});",
		"{look0}", "INSERT INTO public.looked SELECT '{name}', true;",
		"{full}", "INSERT INTO public.looked SELECT '{name}', count(*) = 9 AND min(seen) = 1 FROM public.big;").Replace(text)
	return strings.NewReplacer("{role}", s.role, "{name}", name).Replace(strings.ReplaceAll(text, "{want}", s.want))
}

// unsaid is a file that looks whether anything of what is said has leaked into it.
const unsaid = "UPDATE public.big SET seen = 0; INSERT INTO public.looked SELECT 'behind {name}', current_user = " +
	"session_user AND current_setting('search_path') = '\"$user\", public' " +
	"AND current_setting('statement_timeout') = '0' AND current_setting('standard_conforming_strings') = 'on' AND " +
	"current_setting('row_security') = 'on' " +
	"AND coalesce(current_setting('app.tenant', true), '') = '' AND to_regclass('pg_temp.kept') IS NULL AND " +
	"current_setting('session_replication_role') = 'origin' " +
	"AND current_setting('timezone') <> 'Asia/Tokyo' AND current_setting('default_transaction_isolation') = 'read " +
	"committed' AND session_user <> '{role}';"

// holds runs files of all kinds in one direction and requires that what they say held, that
// they came to their ends, and that nothing of it has leaked.
func (s saying) holds(direction string) {
	s.Helper()
	f, looks := files{}, 0
	down := strings.HasSuffix(direction, "down")
	for i, kind := range slices.Sorted(maps.Keys(kinds)) {
		name := fmt.Sprintf("%s_%d", strings.ReplaceAll(direction, " ", "_"), i)
		text, behind := s.fill(strings.ReplaceAll(kinds[kind], "{Up}", map[bool]string{true: "Down", false: "Up"}[down]),
			name), s.fill(unsaid, name)
		looks += strings.Count(text, "INTO public.looked")
		switch {
		case down:
			if !strings.HasPrefix(text, "-- +migrate Down") {
				text = "-- +migrate Down\n" + text
			}
			f[fmt.Sprintf("%d_unsaid.sql", 10*i+1)] = behind + "\n-- +migrate Down\n" + behind
			f[fmt.Sprintf("%d_said.sql", 10*i+2)] = "SELECT 1;\n" + text
			looks += 2
		case direction == "hook":
			f[fmt.Sprintf("%d_again.sql", 10*i+1)] = "UPDATE public.big SET seen = 0;"
			f[fmt.Sprintf("%d_said.sql", 10*i+2)] = strings.Replace(text, s.fill(s.said, name)+"\n", "", 1)
		default:
			f[fmt.Sprintf("%d_said.sql", 10*i+1)], f[fmt.Sprintf("%d_unsaid.sql", 10*i+2)] = text, behind
			looks++
		}
	}
	if direction == "repeatable" {
		f, looks = files{"R__a.sql": s.fill("{say}\n{look}", direction), "R__b.sql": s.fill(unsaid, direction)}, 2
	}
	change := []func(*whimbrel.Config){func(c *whimbrel.Config) {
		c.Table = "history_" + strings.ReplaceAll(direction,
			" ", "_")
	}}
	if direction == "hook" {
		local := strings.NewReplacer("SET ", "SET LOCAL ", ", false)", ", true)").Replace(s.fill(s.said, ""))
		for _, such := range []string{"SESSION AUTHORIZATION", "TIME ZONE"} { // which is said for the session
			if strings.Contains(s.said, such) {
				local = s.fill(s.said, "")
			}
		}
		change = append(change, withHooks(s, map[string]string{"before_each": local}))
	}
	s.exec("DELETE FROM looked; UPDATE big SET seen = 0")
	_, err := s.migrator(f, change...).Up(s.Context(), whimbrel.UpOptions{})
	require.NoError(s, err, direction)
	if down {
		if direction == "stored down" {
			f = files{"1_unsaid.sql": f["1_unsaid.sql"]}
		}
		_, err := s.migrator(f, change...).Down(s.Context(), whimbrel.DownOptions{Steps: 2 * len(kinds)})
		require.NoError(s, err, direction)
	}
	require.Equal(s, "NULL", s.text("SELECT string_agg(at, ', ') FROM looked WHERE held IS NOT TRUE"), direction)
	require.Equal(s, fmt.Sprint(looks), s.text("SELECT count(*) FROM looked"), direction)
}

// threwAway is a file that throws away prepared statements and settings wherever it can, in
// both directions.
var threwAway = "CREATE TABLE a (id int PRIMARY KEY, n int DEFAULT 0); INSERT INTO a (id) SELECT generate_series(1, " +
	"20);\nDEALLOCATE ALL;\nCREATE INDEX CONCURRENTLY a_n ON a (n);\n" + throwing +
	"-- +migrate Down\nDISCARD ALL;\n" + throwing + "DROP INDEX CONCURRENTLY a_n;\nDEALLOCATE ALL;\nDROP TABLE a;\n"

const throwing = "DISCARD ALL;\n-- +migrate Batch a by id size=7 workers=2\n" +
	"UPDATE a SET n = n + 1 WHERE id > :from AND id <= :to;\n-- +migrate Assert all of them\n" +
	"SELECT min(n) = max(n) FROM a;\n" +
	"DISCARD ALL;\nVACUUM a;\nDEALLOCATE ALL;\nINSERT INTO log SELECT n FROM a WHERE id = 1;\nDISCARD ALL;\n"

func TestAFileThatThrowsPreparedStatementsAwayTakesNoneOfOurs(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE log (n int)")
	f := files{"1_a.sql": threwAway, "2_b.sql": "DISCARD ALL;\nINSERT INTO log VALUES (100);\n-- +migrate Down\n" +
		"DEALLOCATE ALL; SELECT 1;"}
	broken := files{"1_a.sql": strings.Replace(threwAway, "INSERT INTO log", "SELECT 1 / 0; INSERT INTO log", 1),
		"2_b.sql": f["2_b.sql"]}
	_, err := b.migrator(broken).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err, "goes on")
	require.Equal(t, "1 100", b.text("SELECT string_agg(n::text, ' ') FROM log"))
	_, err = b.migrator(f).Redo(t.Context(), whimbrel.RedoOptions{Steps: 2})
	require.NoError(t, err)
	_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{Steps: 2})
	require.NoError(t, err)
	require.Equal(t, "1 100 2 1 100 2", b.text("SELECT string_agg(n::text, ' ') FROM log"))
	require.Empty(t, b.applied())
}

// Code outside a transaction is in a chain where hooks are around it.
func TestWhatAHookAndCodeSayHoldsForTheRestOfTheChain(t *testing.T) {
	const look = "INSERT INTO looked SELECT current_user = '{role}', current_setting('timezone') = 'Asia/Tokyo'"
	for name, code := range map[string]any{
		"a script": "exports.transaction = false; exports.up = async (client) => {" +
			"await client.query(`{look}`); await client.query(`SET TimeZone = 'Asia/Tokyo'`); await client.query(`{look}`);" +
			"await client.tx(async (client) => { await client.query(`{look}`) });" +
			"await client.batch({ table: 'big', key: 'id', size: 100 }, async (range, client) => client.query(`{look}`)) }",
		"a function": func(ctx context.Context, conn *pgx.Conn, look string) error {
			for _, text := range []string{look, "SET TimeZone = 'Asia/Tokyo'", look, look, look} {
				if _, err := conn.Exec(ctx, text); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			role := b.role()
			b.exec("CREATE TABLE looked (role bool, tokyo bool); CREATE TABLE big (id int PRIMARY KEY); INSERT INTO big " +
				"VALUES (1); GRANT ALL ON ALL TABLES IN SCHEMA public TO " + role)
			look := strings.ReplaceAll(look, "{role}", role)
			f, after := files{"2_b.sql": "SELECT 1"}, look
			changes := func(c *whimbrel.Config) {
				withScripts(c)
				withHooks(t, map[string]string{"before_each": "SET LOCAL ROLE " + role, "after_each": after})(c)
				if run, is := code.(func(context.Context, *pgx.Conn, string) error); is {
					c.Functions = []whimbrel.Function{{Version: "1", Name: "a", UpConn: func(ctx context.Context,
						conn *pgx.Conn) error {
						return run(ctx, conn, look)
					}}}
				}
			}
			if text, is := code.(string); is {
				f["1_a.js"] = strings.ReplaceAll(text, "{look}", look)
			}
			_, err := b.migrator(f, changes).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "true:false,true:true,true:true,true:true,true:true,true:false",
				b.text("SELECT string_agg(role || ':' || tokyo, ',') FROM looked"),
				"four in the code, and behind each migration one")

			b.exec("DELETE FROM schema_migrations")
			after = "SELECT 1 / 0"
			_, err = b.migrator(f, changes).Up(t.Context(), whimbrel.UpOptions{Steps: 1})
			require.Error(t, err)
			after = look
			_, err = b.migrator(f, changes).Up(t.Context(), whimbrel.UpOptions{})
			require.Contains(t, fails(t, err, whimbrel.CodeJournal).Message, `"TimeZone"`, "it cannot be had again")
		})
	}
}

// role makes a role that is gone with the test.
func (b *bundle) role() string {
	role := "role_" + b.text("SELECT current_database()")
	b.exec("CREATE ROLE " + role)
	b.Cleanup(func() {
		_, _ = b.conn.Exec(context.Background(), fmt.Sprintf("DROP OWNED BY %s CASCADE; DROP ROLE %[1]s", role),
			pgx.QueryExecModeSimpleProtocol)
	})
	return role
}
