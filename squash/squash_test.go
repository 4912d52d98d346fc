package squash_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
	"github.com/whimbrel-db/whimbrel/squash"
)

// files are migrations by file name.
type files map[string]string

func (f files) load(t testing.TB) []migration.Migration {
	t.Helper()
	folder := fstest.MapFS{}
	for name, text := range f {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	loaded, err := migration.Load(migration.Source{FS: folder})
	require.NoError(t, err)
	return loaded
}

// run squashes migrations up to a version.
func run(t testing.TB, migrations []migration.Migration, to migration.Version,
	change ...func(*squash.Options)) (squash.Baseline, error) {
	t.Helper()
	options := squash.Options{Project: whimbrel.Project{Migrations: migrations}, To: to}
	for _, c := range change {
		c(&options)
	}
	return squash.Run(t.Context(), options)
}

func keep(tables ...string) func(*squash.Options) {
	return func(o *squash.Options) { o.KeepData = tables }
}

func drop(o *squash.Options) { o.DropData = true }

// after is a history with the baseline in the place of its members.
func after(t testing.TB, all []migration.Migration, b squash.Baseline) []migration.Migration {
	t.Helper()
	baseline, err := migration.Parse(b.File, b.Text)
	require.NoError(t, err)
	return append([]migration.Migration{baseline}, all[len(b.Members):]...)
}

// requireAlike takes an old database, which was made by the members, and a new
// one on with the files as they are after the squash, and compares them.
func requireAlike(t *testing.T, all []migration.Migration, b squash.Baseline) {
	t.Helper()
	server, err := devdb.Start(t.Context(), devdb.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	files := after(t, all, b)
	var found []schema.Schema
	for _, histories := range [][][]migration.Migration{{all[:len(b.Members)], files}, {files}} {
		url, _, err := server.FreshDatabase(t.Context())
		require.NoError(t, err)
		for _, history := range histories {
			m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
				Project: whimbrel.Project{Migrations: history}})
			require.NoError(t, err)
			_, err = m.Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			if len(history) == len(files) {
				verification, err := m.Verify(t.Context())
				require.NoError(t, err)
				require.Empty(t, verification.Differences)
			}
		}
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		s, err := schema.Read(t.Context(), conn, schema.Options{Exclude: []pgx.Identifier{{"schema_migrations"},
			{"schema_migrations_log"}, {"schema_migrations_journal"}, {"migration_lock"}}})
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
		found = append(found, s)
	}
	require.Empty(t, schema.Diff(found[0], found[1]))
	require.Equal(t, found[0].Fingerprint(), found[1].Fingerprint())
}

func TestTheExampleShopIsSquashed(t *testing.T) {
	t.Parallel()
	all, err := migration.Load(migration.Source{FS: os.DirFS("../examples/shop/migrations")})
	require.NoError(t, err)
	b, err := run(t, all, "20250512083000", keep("countries"), drop)
	require.NoError(t, err)
	require.Equal(t, "20250512083000_baseline.sql", b.File)
	require.Len(t, b.Members, 15)
	require.Equal(t, 2, b.Rest)
	require.Equal(t, []squash.Rows{{Table: "public.countries", Count: 16}}, b.Kept)
	require.Len(t, b.Dropped, 7)
	for _, noise := range []string{"\nSET ", "set_config", "OWNER TO", "\n\\", "-- Name:", "whimbrel_squash"} {
		require.NotContains(t, b.Text, noise)
	}
	requireAlike(t, all, b)
}

// generated is a history of so many migrations: tables that are altered by later
// ones, with keys, indexes, views, functions, triggers, types and rows.
func generated(count int) files {
	f := files{}
	for n := 1; n <= count; n++ {
		table := n - n%10
		text := fmt.Sprintf("CREATE TABLE t%d (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL "+
			"DEFAULT 'it''s %d');", n, n)
		switch {
		case n%10 == 0 || table == 0:
		case n%10 == 1:
			text = fmt.Sprintf("ALTER TABLE t%d ADD column_%d numeric(10,2) CHECK (column_%d > 0), ADD gone int;", table, n, n)
		case n%10 == 2:
			text = fmt.Sprintf("CREATE INDEX CONCURRENTLY i%d ON t%d (lower(name)) WHERE column_%d > 1;", n, table, table+1)
		case n%10 == 3:
			text = fmt.Sprintf("CREATE TYPE kind%d AS ENUM ('a', 'b'); ALTER TABLE t%d ADD kind kind%d DEFAULT 'a', DROP gone;",
				n, table, n)
		case n%10 == 4:
			text = fmt.Sprintf("CREATE VIEW v%d AS SELECT id, kind FROM t%d; COMMENT ON VIEW v%d IS 'of; t%d';", n, table, n,
				table)
		case n%10 == 5:
			text = fmt.Sprintf("CREATE FUNCTION f%d() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := 'f;%d'; RETURN "+
				"NEW; END $$;", n, n)
		case n%10 == 6:
			text = fmt.Sprintf("CREATE TRIGGER f BEFORE UPDATE ON t%d FOR EACH ROW EXECUTE FUNCTION f%d();", table, table+5)
		case n%10 == 7 && table > 10:
			text = fmt.Sprintf("ALTER TABLE t%d ADD other bigint REFERENCES t%d ON DELETE CASCADE;", table, table-10)
		case n%10 == 8:
			text = fmt.Sprintf("INSERT INTO t%d (name) SELECT 'row ' || n FROM generate_series(1, 3) n;", table)
		case n%10 == 9:
			text = fmt.Sprintf("CREATE SCHEMA s%d; CREATE TABLE s%d.\"Odd name\" (a int, b int, UNIQUE (a, b)); CREATE "+
				"MATERIALIZED VIEW s%d.m AS SELECT count(*) FROM t%d;", n, n, n, table)
		}
		f[fmt.Sprintf("%04d_step.sql", n)] = text
	}
	return f
}

func TestAHistoryOf300MigrationsIsSquashed(t *testing.T) {
	t.Parallel()
	all := generated(300).load(t)
	b, err := run(t, all, "0250", keep("t10", "public.t240"), drop)
	require.NoError(t, err)
	require.Len(t, b.Members, 250)
	require.Equal(t, 50, b.Rest)
	require.Equal(t, []squash.Rows{{Table: "public.t10", Count: 3}, {Table: "public.t240", Count: 3}}, b.Kept)
	requireAlike(t, all, b)

	// What was squashed can be squashed again.
	again, err := run(t, after(t, all, b), "300", keep("t10"), drop)
	require.NoError(t, err)
	require.Len(t, again.Members, 51)
	baseline, err := migration.Parse(again.File, again.Text)
	require.NoError(t, err)
	require.Len(t, baseline.Squashes, 300)
}

func TestRolesPartitionsAndExtensionsAreKept(t *testing.T) {
	t.Parallel()
	all := files{
		"1_role.sql": "CREATE ROLE squash_reader NOLOGIN;\nCREATE ROLE squash_team;\nGRANT squash_reader TO squash_team;\n" +
			"CREATE EXTENSION pg_trgm;",
		"2_log.sql": `CREATE TABLE log (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE log_2024 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO log VALUES ('2024-02-03', E'two\nlines; and ''quotes'''), ('2024-02-04', NULL);
CREATE TABLE empty (id serial);
GRANT SELECT ON log TO squash_reader;
ALTER TABLE empty OWNER TO squash_team;`,
		"3_next.sql":  "INSERT INTO log VALUES ('2024-05-05', 'more');",
		"R__view.sql": "CREATE OR REPLACE VIEW seen AS SELECT * FROM log;",
	}.load(t)
	b, err := run(t, all, "2", keep("log", "empty"))
	require.NoError(t, err)
	require.Equal(t, []squash.Rows{{Table: "public.empty"}, {Table: "public.log_2024", Count: 2}}, b.Kept)
	require.Contains(t, b.Text, "CREATE ROLE squash_reader NOLOGIN;\nCREATE ROLE squash_team;\n\n"+
		"GRANT squash_reader TO squash_team;")
	require.Contains(t, b.Text, "OWNER TO squash_team;")
	require.NotContains(t, b.Text, "COMMENT ON EXTENSION")
	require.Equal(t, 2, b.Rest, "with the repeatable one")
}

func TestWhatCannotBeSquashedIsRefusedWithAReason(t *testing.T) {
	t.Parallel()
	plain := files{"1_a.sql": "CREATE TABLE a (id int);", "2_b.sql": "INSERT INTO a VALUES (1);", "3_c.sql": "SELECT 1;"}
	function := func(o *squash.Options) {
		o.Functions = []whimbrel.Function{{Version: "02", Name: "f", Up: func(context.Context,
			pgx.Tx) error {
			return nil
		}}}
	}
	for name, test := range map[string]struct {
		files   files
		to      migration.Version
		change  func(*squash.Options)
		code    whimbrel.Code
		message string
	}{
		"unknown version": {plain, "4", drop, whimbrel.CodeUnknownVersion, "no migration 4"},
		"the oldest":      {plain, "1", drop, whimbrel.CodeUnsupported, "nothing to squash"},
		"repeatable": {files{"R__a.sql": "SELECT 1;", "1_a.sql": "SELECT 1;"}, "R__a", drop,
			whimbrel.CodeUnknownVersion, "no migration R__a"},
		"a function": {files{"1_a.sql": "SELECT 1;", "3_c.sql": "SELECT 1;"}, "3", function,
			whimbrel.CodeUnsupported, "a function of a program"},
		"variables": {files{"1_a.sql": "-- +migrate Variables A\nSELECT ${A};", "2_b.sql": "SELECT 1;"},
			"2", drop, whimbrel.CodeUnsupported, "it has variables"},
		"rows of which is said nothing": {plain, "2", keep(), whimbrel.CodeSquash, "public.a (1)"},
		"a table that is not there":     {plain, "2", keep("b"), whimbrel.CodeConfiguration, "no table b"},
		"migrations that fail": {files{"1_a.sql": "SELECT 1;", "2_b.sql": "SELECT\n nothing;"}, "2", drop,
			whimbrel.CodeSquash, `the migrations do not run on an empty server: column "nothing" does not exist`},
		"what no dump has": {files{"1_a.sql": "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = " +
			"''9MB''', current_database()); END $$;", "2_b.sql": "SELECT 1;"}, "2", drop, whimbrel.CodeSquash,
			"the baseline does not make the same schema"},
		"what only ran once": {files{"1_a.sql": "CREATE TABLE log (n int);", "2_b.sql": "SELECT 1;",
			"3_c.sql": "INSERT INTO missing SELECT 1;"}, "2", drop, whimbrel.CodeSquash,
			"with the baseline, the newer migrations do not run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := run(t, test.files.load(t), test.to, test.change)
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.code, e.Code, "%v", err)
			require.Contains(t, e.Error(), test.message)
			require.NotEmpty(t, e.Remedy)
		})
	}
}
