package whimbrel_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// A migration made of nothing but harmless definitions is not tidied after, so
// each of these must be seen not to be one.
func TestDefinitionsThatTouchTheSessionAreTidiedAfter(t *testing.T) {
	t.Parallel()
	const setRole = `CREATE FUNCTION odd() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'odd', false); RETURN 1; END $$;`
	for name, test := range map[string]struct{ before, statement string }{
		"a temporary table":       {"", "CREATE TEMP TABLE seen (a int)"},
		"a local temporary table": {"", "CREATE LOCAL TEMPORARY TABLE seen (a int)"},
		"a table in pg_temp":      {"", `CREATE TABLE "pg_temp".seen (a int)`},
		"a temporary sequence":    {"", "CREATE TEMPORARY SEQUENCE seen"},
		"a temporary view":        {"", "CREATE TEMP VIEW seen AS SELECT 1"},
		"a table from a query":    {setRole, "CREATE TABLE a AS SELECT odd()"},
		"a table from a view":     {setRole + "CREATE VIEW v AS SELECT odd()", "CREATE TABLE a (b) AS TABLE v"},
		"a partition's bound": {setRole + "CREATE TABLE p (a int) PARTITION BY RANGE (a)",
			"CREATE TABLE a PARTITION OF p FOR VALUES FROM (odd()) TO (9)"},
		"a default of a new column": {setRole + "CREATE TABLE a (b int); INSERT INTO a VALUES (1)",
			"ALTER TABLE a ADD c int DEFAULT odd()"},
		"a trigger on a change": {setRole + "CREATE TABLE a (b int DEFAULT odd())", "INSERT INTO a DEFAULT VALUES"},
		"an event trigger at a DROP": {"CREATE TABLE a (); CREATE FUNCTION odd() RETURNS event_trigger LANGUAGE plpgsql " +
			"AS $$ BEGIN PERFORM set_config('search_path', 'odd', false); END $$; CREATE EVENT TRIGGER odd ON ddl_command_end " +
			"WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION odd()", "DROP TABLE a"},
		"a default for a transaction": {"", "SET search_path = odd; SET LOCAL search_path TO DEFAULT"},
		"a DO block":                  {"", "DO $$ BEGIN PERFORM set_config('search_path', 'odd', false); END $$"},
	} {
		for _, noPipeline := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				b := setup(t)
				b.exec("CREATE SCHEMA odd;" + test.before)
				_, err := b.migrator(files{
					"1_touch.sql": test.statement,
					"2_look.sql": `DO $$ BEGIN
						IF current_setting('search_path') = 'odd' THEN RAISE 'the search_path leaked'; END IF;
						IF EXISTS (SELECT FROM pg_class WHERE relname = 'seen' AND pg_table_is_visible(oid)) THEN RAISE 'a temporary object leaked'; END IF;
					END $$`,
				}, func(c *whimbrel.Config) { c.NoPipeline = noPipeline }).Up(t.Context(), whimbrel.UpOptions{})
				require.NoError(t, err)
				require.Equal(t, "1 2", b.applied())
			})
		}
	}
}

func TestWhoLooksAtTheSessionReadsWhichMigrationItRuns(t *testing.T) {
	b := setup(t)
	f := files{"1_a.sql": "CREATE TABLE seen AS SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"}
	_, err := b.migrator(f, func(c *whimbrel.Config) { c.NoPipeline = true }).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Regexp(t, `^/\* whimbrel up 1_a \*/ EXECUTE whimbrel_open\('\d+'\)\n;\n`, b.text("SELECT query FROM seen"))
}

// What we say in a step of a chain must leave room for the statement: the server shows the
// first 1,024 bytes of a message.
func TestWhoLooksAtTheSessionReadsTheStatementOfAChainsStep(t *testing.T) {
	for name, before := range map[string]string{
		"a plain one": "", "of another role": "SET ROLE {role};", "with a budget of its own": "SET lock_timeout = '7ms';",
		"of another user, with a custom setting": "SET app.tenant = 'x'; SET idle_in_transaction_session_timeout = '7s'; " +
			"SET SESSION AUTHORIZATION {role};",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			role := b.role()
			b.exec("CREATE TABLE seen (query text); GRANT ALL ON seen TO " + role + "; GRANT pg_read_all_stats TO " + role)
			look := "INSERT INTO public.seen SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid();\n"
			f := files{"1_a.sql": "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY a_id ON a (id);\n" +
				strings.ReplaceAll(before, "{role}", role) + look +
				"VACUUM seen;\n" + look}
			_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "2", b.text("SELECT count(*) FROM seen WHERE query ~ '/\\* whimbrel up 1_a \\*/ EXECUTE.*INSERT "+
				"INTO public.seen SELECT query'"), b.text("SELECT string_agg(query, '|') FROM seen"))
		})
	}
}

// A step of a chain is two round trips: one with the statements, whose answers the record
// counts, and one with the record and the COMMIT.
func TestAStepOfAChainCostsTwoRoundTrips(t *testing.T) {
	b := setup(t)
	trips := func(steps int) int {
		var text strings.Builder
		text.WriteString("-- +migrate Up notransaction\n")
		for i := range steps {
			fmt.Fprintf(&text, "SET app.step = '%d';\nSET ROLE NONE;\nINSERT INTO seen VALUES (%[1]d);\n", i)
		}
		var written atomic.Int64
		_, err := b.migrator(files{fmt.Sprintf("%d_a.sql", steps): text.String()}, func(c *whimbrel.Config) {
			connection, err := pgx.ParseConfig(c.DatabaseURL)
			require.NoError(t, err)
			dial, once := connection.DialFunc, sync.Once{}
			connection.DialFunc = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
				conn, err = dial(ctx, network, address)
				once.Do(func() { conn = &countedConn{Conn: conn, written: &written} }) // the connection that does the work
				return conn, err
			}
			c.Connection = connection
		}).Up(t.Context(), whimbrel.UpOptions{})
		require.NoError(t, err)
		return int(written.Load())
	}
	b.exec("CREATE TABLE seen (step int)")
	trips(1) // both that are compared find an empty history
	b.exec("DELETE FROM schema_migrations")
	few := trips(10)
	b.exec("DELETE FROM schema_migrations")
	require.Equal(t, 10*(2+2), trips(20)-few, "the settings before a step are a round trip each")
}

// countedConn counts what is sent: a flush each.
type countedConn struct {
	net.Conn
	written *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.written.Add(1)
	return c.Conn.Write(p)
}
