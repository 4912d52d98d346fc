package adopt_test

import (
	"context"
	"os"
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
		{"dbmate", "schema_migrations", dbmate, written("dbmate")},
		{"atlas", "atlas_schema_revisions.atlas_schema_revisions", goTool("atlas"), atlasFolder},
		{"prisma", "_prisma_migrations", nodeTool("prisma"), prismaFolder},
		{"flyway", "flyway_schema_history", flywayByHand, written("flyway")},
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

// written is the shop in the format of a tool.
func written(name string) func(t *testing.T) string {
	return func(t *testing.T) string { t.Helper(); return writeAs(t, name, shop(t)) }
}

// flywayByHand stands for Flyway, which no registry of Go modules, npm packages or
// Debian packages has: the statements that it would send, and the rows that it would
// write by its documentation.
func flywayByHand(t *testing.T, url, folder string, steps int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), flywayTable)
	require.NoError(t, err)
	for i, f := range project(t, "flyway", folder).Files[:steps] {
		for _, s := range f.Migration.Up.Statements {
			_, err := conn.Exec(t.Context(), s.Text)
			require.NoError(t, err)
		}
		_, err := conn.Exec(t.Context(), "INSERT INTO flyway_schema_history VALUES ($1, $2, $4, 'SQL', $4, $3::text::integer, 'me', now(), 7, true)", i+1, f.Key, f.Checksum, f.Migration.Name)
		require.NoError(t, err)
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
		{"dbmate", "schema_migrations", func(t *testing.T, url, folder string, _ int) {
			require.Contains(t, dbmateSays(t, url, folder, "status"), "Pending: 6")
			dbmateSays(t, url, folder, "migrate")
			require.Contains(t, dbmateSays(t, url, folder, "status", "--exit-code"), "Pending: 0")
		}},
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
