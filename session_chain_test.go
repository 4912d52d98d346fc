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
	"search_path":                 {"", "SET search_path = tenant, public;", "SELECT current_setting('search_path') = 'tenant, public'"},
	"role":                        {"", "SET ROLE {role};", "SELECT current_user = '{role}'"},
	"session authorization":       {"", "SET SESSION AUTHORIZATION {role};", "SELECT session_user = '{role}'"},
	"session authorization, role": {"", "SET SESSION AUTHORIZATION {role}; SET ROLE {role};", "SELECT session_user = '{role}' AND current_setting('role') = '{role}'"},
	"statement_timeout":           {"", "SET statement_timeout = '77s';", "SELECT current_setting('statement_timeout') = '77s'"},
	"standard_conforming_strings": {"", "SET standard_conforming_strings = off;", `SELECT length('a\'; DROP TABLE seen; --') = 23`},
	"TimeZone":                    {"", "SET TIME ZONE 'Asia/Tokyo';", "SELECT current_setting('timezone') = 'Asia/Tokyo'"},
	"session_replication_role":    {"", "SET session_replication_role = replica;", "SELECT current_setting('session_replication_role') = 'replica'"},
	"set_config":                  {"", "SELECT set_config('search_path', 'tenant, public', false);", "SELECT current_setting('search_path') = 'tenant, public'"},
	"a function": {"CREATE FUNCTION public.tenant() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'tenant, public', false); END $$;",
		"SELECT public.tenant();", "SELECT current_setting('search_path') = 'tenant, public'"},
	"a custom setting":       {"", "SET app.tenant = 'x';", "SELECT current_setting('app.tenant') = 'x'"},
	"a temporary table":      {"", "CREATE TEMP TABLE kept AS SELECT 7 AS n;", "SELECT n = 7 FROM kept"},
	"lock_timeout, lower":    {"", "SET lock_timeout = '7ms';", "SELECT current_setting('lock_timeout') = '7ms'"},
	"lock_timeout, lifted":   {"", "SET lock_timeout = 0;", "SELECT current_setting('lock_timeout') = '100ms'"},
	"isolation":              {"", "SET default_transaction_isolation = 'repeatable read';", "SELECT current_setting('default_transaction_isolation') = 'repeatable read'"},
	"row_security":           {"", "SET row_security = off;", "SELECT current_setting('row_security') = 'off'"},
	"the head of a dump":     {"", "SET statement_timeout = 0; SET lock_timeout = 0; SET client_encoding = 'UTF8'; SELECT pg_catalog.set_config('search_path', '', false); SET check_function_bodies = false;", "SELECT current_setting('search_path') IN ('', '\"\"')"},
	"a quick end of waiting": {"", "SET idle_in_transaction_session_timeout = '7s';", "SELECT current_setting('idle_in_transaction_session_timeout') = '7s'"},
}

// kinds are files in which steps follow on what is said. Of a kind the look is put
// where it must hold.
var kinds = map[string]string{
	"a chain":                     "{say}\nCREATE INDEX CONCURRENTLY {name} ON public.big (id);\n{look}\nCREATE INDEX CONCURRENTLY {name}b ON public.big (id);\n{look}",
	"a chain, said in its middle": "{look0}\n{say}\n{look}\nVACUUM public.quick;\n{look}",
	"notransaction":               "-- +migrate {Up} notransaction\n{say}\n{look}\nCALL public.nothing();\n{look}",
	"batch":                       "{say}\n-- +migrate Batch public.big by id size=2\nUPDATE public.big SET seen = seen + 1 WHERE id > :from AND id <= :to AND ({want});\n{look}\n{full}",
	"batch, 2 workers":            "{say}\n-- +migrate Batch public.big by id size=2 workers=2\nUPDATE public.big SET seen = seen + 1 WHERE id > :from AND id <= :to AND ({want});\n{look}\n{full}",
}

func TestWhatAFileSaysAboutItsSessionHoldsToTheEndOfItsDirection(t *testing.T) {
	t.Parallel()
	names := slices.Sorted(maps.Keys(kinds))
	for i, said := range slices.Sorted(maps.Keys(settled)) {
		s := settled[said]
		for _, kind := range names {
			t.Run(said+" in "+kind, func(t *testing.T) { holds(setup(t), s.before, s.say, s.want, kinds[kind], "up") })
		}
		for j, direction := range []string{"down", "stored down", "repeatable", "hook"} {
			if said == "standard_conforming_strings" && direction == "hook" {
				continue // which is refused
			}
			kind := names[(i+j)%len(names)]
			t.Run(said+" in "+kind+", "+direction, func(t *testing.T) { holds(setup(t), s.before, s.say, s.want, kinds[kind], direction) })
		}
	}
}

// holds runs a file and requires that what it says held, that its end came, and that
// nothing of it has leaked.
func holds(b *bundle, before, say, want, text, direction string) {
	role := b.role()
	fill := func(text string) string {
		look := "INSERT INTO public.looked SELECT ({want});"
		return strings.NewReplacer("{role}", role).Replace(strings.NewReplacer("{want}", want).Replace(strings.NewReplacer(
			"{say}", say, "{look}", look, "{look0}", "INSERT INTO public.looked SELECT true;", "{full}", "INSERT INTO public.looked SELECT count(*) = 9 AND min(seen) = 1 FROM public.big;",
			"{name}", "i", "{Up}", map[string]string{"up": "Up", "hook": "Up", "repeatable": "Up"}[direction]+map[bool]string{true: "Down"}[strings.HasSuffix(direction, "down")]).Replace(text)))
	}
	b.exec("CREATE SCHEMA tenant; CREATE TABLE big (id int PRIMARY KEY, seen int DEFAULT 0); INSERT INTO big SELECT generate_series(1, 9); CREATE TABLE quick ();" +
		"CREATE TABLE looked (held bool); CREATE PROCEDURE nothing() LANGUAGE plpgsql AS $$ BEGIN END $$; CREATE TABLE seen ();" + before +
		"GRANT ALL ON SCHEMA tenant, public TO " + role + "; GRANT ALL ON ALL TABLES IN SCHEMA public TO " + role + "; ALTER TABLE big OWNER TO " + role + "; ALTER TABLE quick OWNER TO " + role)
	const leak = "INSERT INTO public.looked SELECT current_user = session_user AND current_setting('search_path') = '\"$user\", public' AND current_setting('statement_timeout') = '0' " +
		"AND current_setting('standard_conforming_strings') = 'on' AND current_setting('row_security') = 'on' AND coalesce(current_setting('app.tenant', true), '') = '' AND to_regclass('pg_temp.kept') IS NULL " +
		"AND current_setting('session_replication_role') = 'origin' AND current_setting('timezone') <> 'Asia/Tokyo' AND current_setting('default_transaction_isolation') = 'read committed' AND session_user <> '{role}';"
	f := files{"1_a.sql": fill(text), "2_b.sql": fill(leak)}
	var change []func(*whimbrel.Config)
	switch direction {
	case "repeatable":
		f = files{"R__a.sql": fill("{say}\n{look}"), "R__b.sql": fill(leak)}
	case "down", "stored down":
		down := fill(text)
		if !strings.HasPrefix(down, "-- +migrate Down") {
			down = "-- +migrate Down\n" + down
		}
		f = files{"1_a.sql": fill(leak) + "\n-- +migrate Down\n" + fill(leak), "2_b.sql": "SELECT 1;\n" + down}
	case "hook":
		f["1_a.sql"] = strings.Replace(fill(text), fill(say)+"\n", "", 1)
		local := strings.NewReplacer("SET ", "SET LOCAL ", ", false)", ", true)").Replace(fill(say))
		if strings.Contains(say, "SESSION AUTHORIZATION") || strings.Contains(say, "TIME ZONE") || strings.Contains(say, "timeout") || strings.Contains(say, "conforming") {
			local = fill(say)
		}
		change = append(change, withHooks(b, map[string]string{"before_each": local}))
		delete(f, "2_b.sql")
	}
	_, err := b.migrator(f, change...).Up(b.Context(), whimbrel.UpOptions{})
	require.NoError(b, err)
	if strings.HasSuffix(direction, "down") {
		if direction == "stored down" {
			f = files{"1_a.sql": f["1_a.sql"]}
		}
		_, err := b.migrator(f).Down(b.Context(), whimbrel.DownOptions{Steps: 2})
		require.NoError(b, err)
	}
	require.Equal(b, "true", b.text("SELECT bool_and(coalesce(held, false)) FROM looked"), "%v", f)
	require.NotEqual(b, "0", b.text("SELECT count(*) FROM looked"))
}

// role makes a role that is gone with the test.
func (b *bundle) role() string {
	role := "role_" + b.text("SELECT current_database()")
	b.exec("CREATE ROLE " + role)
	b.Cleanup(func() {
		_, _ = b.conn.Exec(context.Background(), fmt.Sprintf("DROP OWNED BY %s CASCADE; DROP ROLE %[1]s", role), pgx.QueryExecModeSimpleProtocol)
	})
	return role
}
