package whimbrel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// A migration made of nothing but harmless definitions is not tidied after, so
// each of these must be seen not to be one.
func TestDefinitionsThatTouchTheSessionAreTidiedAfter(t *testing.T) {
	t.Parallel()
	const setRole = `CREATE FUNCTION odd() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'odd', false); RETURN 1; END $$;`
	for name, test := range map[string]struct{ before, statement string }{
		"a temporary table":          {"", "CREATE TEMP TABLE seen (a int)"},
		"a local temporary table":    {"", "CREATE LOCAL TEMPORARY TABLE seen (a int)"},
		"a table in pg_temp":         {"", `CREATE TABLE "pg_temp".seen (a int)`},
		"a temporary sequence":       {"", "CREATE TEMPORARY SEQUENCE seen"},
		"a temporary view":           {"", "CREATE TEMP VIEW seen AS SELECT 1"},
		"a table from a query":       {setRole, "CREATE TABLE a AS SELECT odd()"},
		"a table from a view":        {setRole + "CREATE VIEW v AS SELECT odd()", "CREATE TABLE a (b) AS TABLE v"},
		"a partition's bound":        {setRole + "CREATE TABLE p (a int) PARTITION BY RANGE (a)", "CREATE TABLE a PARTITION OF p FOR VALUES FROM (odd()) TO (9)"},
		"a default of a new column":  {setRole + "CREATE TABLE a (b int); INSERT INTO a VALUES (1)", "ALTER TABLE a ADD c int DEFAULT odd()"},
		"a trigger on a change":      {setRole + "CREATE TABLE a (b int DEFAULT odd())", "INSERT INTO a DEFAULT VALUES"},
		"an event trigger at a DROP": {"CREATE TABLE a (); CREATE FUNCTION odd() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'odd', false); END $$; CREATE EVENT TRIGGER odd ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION odd()", "DROP TABLE a"},
		"a DO block":                 {"", "DO $$ BEGIN PERFORM set_config('search_path', 'odd', false); END $$"},
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
