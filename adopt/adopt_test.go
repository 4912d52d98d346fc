package adopt_test

import (
	"context"
	"fmt"
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
		_, err := conn.Exec(t.Context(),
			"INSERT INTO flyway_schema_history VALUES ($1, $2, $4, 'SQL', $4, $3::text::integer, 'me', now(), 7, true)", i+1,
			f.Key, f.Checksum, f.Migration.Name)
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

	m := b.migrator(read.Migrations(),
		append(change, func(c *whimbrel.Config) { c.Variables, c.Scripts = read.Variables, js.New(js.Options{}) })...)
	report, err := adopt.Adopt(b.Context(), b.conn, table, read, m, adopt.Options{})
	require.NoError(b, err)
	require.Len(b, report.Applied, applied)
	require.Len(b, report.Pending, 12-applied)
	require.Len(b, report.Result.Done, applied)
	require.Equal(b, "1", b.text("SELECT count(DISTINCT batch_number) FROM whimbrel_migrations"))
	require.Equal(b, before, b.text("SELECT md5(string_agg(t::text, ',')) FROM "+table.String()+" t"),
		"the other tool's table is never changed")

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

// sql-migrate knows a migration by its file's whole name: whatever it began of a folder whose
// numbers are shared, or missing, whimbrel finishes in the same order.
func TestSQLMigratesNamesAreAdoptedInItsOrder(t *testing.T) {
	t.Parallel()
	names := []string{
		"1-a-b.sql", "1-a.sql", "01_c.sql", "2016-10-12-10-d.sql", "2016-10-12-2-e.sql",
		"03.sql", "10.sql", "9_.sql", "Zeta.sql", "alpha.sql",
	}
	files := map[string]string{}
	for i, name := range names {
		files[name] = fmt.Sprintf("-- +migrate Up\nINSERT INTO ran (name) VALUES ('%s');\n"+
			"-- +migrate Down\nDELETE FROM ran WHERE name = '%[1]s';\n", names[i])
	}
	dir := folder(t, files)
	begun := func(steps int) base {
		b := fresh(t)
		b.exec("CREATE TABLE ran (n int GENERATED ALWAYS AS IDENTITY, name text)")
		if steps > 0 {
			goTool("sql-migrate")(t, b.url, dir, steps)
		}
		return b
	}
	const order = "SELECT string_agg(name, ' ' ORDER BY n) FROM ran"
	want := begun(len(names)).text(order)
	for steps := range names {
		b := begun(steps)
		read := project(b, "sql-migrate", dir)
		m := b.migrator(read.Migrations())
		if steps > 0 {
			report, err := b.adopt("sql-migrate", files, adopt.Options{})
			require.NoError(t, err)
			require.Len(t, report.Applied, steps)
			require.Empty(t, report.Late)
		}
		result, err := m.Up(t.Context(), whimbrel.UpOptions{})
		require.NoError(t, err)
		require.Len(t, result.Done, len(names)-steps)
		require.Equal(t, want, b.text(order))
		_, err = m.To(t.Context(), "0", whimbrel.ToOptions{})
		require.NoError(t, err)
		require.Empty(t, b.text(order))
	}
}

// What sql-migrate has applied and the folder lost is recorded beside a file of its number,
// and adopting again after a second file of a number came records no row twice.
func TestASharedNumberIsAdoptedOnce(t *testing.T) {
	t.Parallel()
	b := fresh(t)
	b.exec("CREATE TABLE gorp_migrations (id text PRIMARY KEY, applied_at timestamptz)")
	b.exec("INSERT INTO gorp_migrations VALUES ('1_a.sql', now())")
	files := map[string]string{"1_a.sql": "-- +migrate Up\nSELECT 1;"}
	_, err := b.adopt("sql-migrate", files, adopt.Options{})
	require.NoError(t, err)
	require.Equal(t, "1", b.recorded())

	b.exec("INSERT INTO gorp_migrations VALUES ('1_b.sql', now()), ('1_gone.sql', now()), ('gone.sql', now())")
	files["1_b.sql"] = "-- +migrate Up\nSELECT 2;"
	for range 2 {
		_, err = b.adopt("sql-migrate", files, adopt.Options{AllowMissing: true})
		require.NoError(t, err)
		require.Equal(t, "1 1_b.sql 1_gone.sql gone.sql", b.recorded())
	}
}
