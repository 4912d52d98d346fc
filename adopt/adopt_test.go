package adopt_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt"
	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// A project of twelve migrations, of which the tool itself has applied half: it
// is adopted and finished by whimbrel, and has the schema that the tool would
// have made.
func TestWhatAToolBeganWhimbrelFinishes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format string
		table  string
		apply  func(t *testing.T, url, folder string, steps int)
		folder func(t *testing.T) string
	}{
		{"goose", "goose_db_version", goTool("goose"), written("goose")},
		{"golang-migrate", "schema_migrations", goTool("golang-migrate"), written("golang-migrate")},
		{"sql-migrate", "gorp_migrations", goTool("sql-migrate"), written("sql-migrate")},
		{"tern", "schema_version", goTool("tern"), ternFolder},
		{"node-pg-migrate", "pgmigrations", nodeTool("node-pg-migrate"), nodePGFolder},
		{"knex", "knex_migrations", nodeTool("knex"), knexFolder},
		{"db-migrate", "migrations", nodeTool("db-migrate"), dbMigrateFolder},
		{"drizzle", "__drizzle_migrations", nodeTool("drizzle"), drizzleFolder},
		{"dbmate", "schema_migrations", byHand("CREATE TABLE schema_migrations (version varchar PRIMARY KEY)", "INSERT INTO schema_migrations VALUES ($1)"), written("dbmate")},
		{"flyway", "flyway_schema_history", byHand(flywayTable, "INSERT INTO flyway_schema_history SELECT 1 + count(*), $1, $3, 'SQL', $3, $2::integer, 'me', now(), 7, true FROM flyway_schema_history"), written("flyway")},
		{"atlas", "atlas_schema_revisions", byHand(atlasTable, "INSERT INTO atlas_schema_revisions VALUES ($1, $3, 2, 1, 1, clock_timestamp(), 7000000, '', '', $2, '[]', 'x')"), atlasFolder},
		{"prisma", "_prisma_migrations", byHand(prismaTable, "INSERT INTO _prisma_migrations VALUES ($1, $2, clock_timestamp(), $1, '', NULL, clock_timestamp(), 1)"), prismaFolder},
	} {
		t.Run(test.format, func(t *testing.T) {
			t.Parallel()
			folder := test.folder(t)
			byTool := fresh(t)
			test.apply(t, byTool.url, folder, 12)
			begun := fresh(t)
			test.apply(t, begun.url, folder, 6)

			finish(begun, test.format, folder, 6)
			ignored := []string{test.table, "knex_migrations_lock", "drizzle.__drizzle_migrations"}
			require.Empty(t, schema.Diff(byTool.schema(ignored...), begun.schema(ignored...)))
		})
	}
}

// The tables of tools that cannot be installed here, as those tools make them.
const (
	flywayTable = `CREATE TABLE flyway_schema_history (installed_rank integer PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL, type varchar(20) NOT NULL,
		script varchar(1000) NOT NULL, checksum integer, installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(), execution_time integer NOT NULL, success boolean NOT NULL)`
	atlasTable = `CREATE TABLE atlas_schema_revisions (version varchar PRIMARY KEY, description varchar NOT NULL, type bigint NOT NULL DEFAULT 2, applied bigint NOT NULL DEFAULT 0, total bigint NOT NULL DEFAULT 0,
		executed_at timestamptz NOT NULL, execution_time bigint NOT NULL, error text, error_stmt text, hash varchar NOT NULL, partial_hashes jsonb, operator_version varchar NOT NULL)`
	prismaTable = `CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY, checksum varchar(64) NOT NULL, finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text,
		rolled_back_at timestamptz, started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0)`
)

// written is the shop in the format of a tool.
func written(name string) func(t *testing.T) string {
	return func(t *testing.T) string { t.Helper(); return writeAs(t, name, shop(t)) }
}

// byHand stands for a tool that cannot be installed here: the statements that it
// would send, and the rows that it would write: of $1 key, $2 checksum, $3 name.
func byHand(table, row string) func(t *testing.T, url, folder string, steps int) {
	return func(t *testing.T, url, folder string, steps int) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = conn.Exec(t.Context(), table)
		require.NoError(t, err)
		name := map[string]string{"CREATE TABLE sch": "dbmate", "CREATE TABLE fly": "flyway", "CREATE TABLE atl": "atlas", "CREATE TABLE _pr": "prisma"}[table[:16]]
		for _, f := range project(t, name, folder).Files[:steps] {
			for _, s := range f.Migration.Up.Statements {
				_, err := conn.Exec(t.Context(), s.Text)
				require.NoError(t, err)
			}
			arguments := []any{pgx.QueryExecModeExec, f.Key, f.Checksum, f.Migration.Name}
			used := 3
			for !strings.Contains(row, fmt.Sprintf("$%d", used)) {
				used--
			}
			_, err := conn.Exec(t.Context(), row, arguments[:used+1]...)
			require.NoError(t, err)
		}
	}
}

// finish adopts what is applied, and applies the rest of twelve.
func finish(b base, name, folder string, applied int, change ...func(*whimbrel.Config)) {
	b.Helper()
	read := project(b, name, folder)
	require.Len(b, read.Files, 12)
	tables, err := adopt.Find(b.Context(), b.conn, "")
	require.NoError(b, err)
	f, _ := format.Named(name)
	require.Equal(b, name, format.Detect(migration.Source{FS: os.DirFS(folder)})[0].Name, "it is detected")
	table, err := adopt.Choose(tables, "", "", []format.Format{f})
	require.NoError(b, err)
	require.Equal(b, name, table.Tool)
	before := b.text("SELECT md5(string_agg(t::text, ',')) FROM " + table.String() + " t")

	m := b.migrator(read.Migrations(), append(change, func(c *whimbrel.Config) { c.Variables, c.Scripts = read.Variables, js.New(js.Options{}) })...)
	report, err := adopt.Adopt(b.Context(), b.conn, table, read, m, adopt.Options{})
	require.NoError(b, err)
	require.Len(b, report.Applied, applied)
	require.Len(b, report.Pending, 12-applied)
	require.Len(b, report.Result.Done, applied)
	require.Equal(b, "1", b.text("SELECT count(DISTINCT batch_number) FROM whimbrel_migrations"))
	require.Equal(b, before, b.text("SELECT md5(string_agg(t::text, ',')) FROM "+table.String()+" t"), "the other tool's table is never changed")

	again, err := adopt.Adopt(b.Context(), b.conn, table, read, m, adopt.Options{})
	require.NoError(b, err)
	require.Empty(b, again.Result.Done, "a second time nothing is left to record")

	result, err := m.Up(b.Context(), whimbrel.UpOptions{})
	require.NoError(b, err)
	require.Len(b, result.Done, 12-applied)
	verification, err := m.Verify(b.Context())
	require.NoError(b, err)
	require.Empty(b, verification.Differences)
}

// The way out: files and table are written, and the tool goes on.
func TestWhatWhimbrelBeganAToolFinishes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format string
		table  string
		apply  func(t *testing.T, url, folder string, steps int)
	}{
		{"goose", "goose_db_version", goTool("goose")},
		{"golang-migrate", "schema_migrations", goTool("golang-migrate")},
		{"sql-migrate", "gorp_migrations", goTool("sql-migrate")},
	} {
		t.Run(test.format, func(t *testing.T) {
			t.Parallel()
			b := fresh(t)
			m := b.migrator(shop(t))
			_, err := m.Up(t.Context(), whimbrel.UpOptions{Steps: 6})
			require.NoError(t, err)
			status, err := m.Status(t.Context())
			require.NoError(t, err)

			f, _ := format.Named(test.format)
			exported, err := adopt.Export(f, shop(t), status.Applied)
			require.NoError(t, err)
			name, rows, err := adopt.WriteHistory(t.Context(), b.conn, f, "", exported)
			require.NoError(t, err)
			require.Equal(t, test.table, name)
			require.Positive(t, rows)
			test.apply(t, b.url, writeAs(t, test.format, shop(t)), 6)

			whole := fresh(t)
			_, err = whole.migrator(shop(t)).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Empty(t, schema.Diff(whole.schema(test.table), b.schema(test.table)))
		})
	}
}
