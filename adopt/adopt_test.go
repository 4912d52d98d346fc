package adopt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt"
	"github.com/whimbrel-db/whimbrel/adopt/format"
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
	}{
		{"goose", "goose_db_version", goTool("goose")},
		{"golang-migrate", "schema_migrations", goTool("golang-migrate")},
		{"sql-migrate", "gorp_migrations", goTool("sql-migrate")},
	} {
		t.Run(test.format, func(t *testing.T) {
			t.Parallel()
			folder := writeAs(t, test.format, shop(t))
			byTool := fresh(t)
			test.apply(t, byTool.url, folder, 12)
			begun := fresh(t)
			test.apply(t, begun.url, folder, 6)

			finish(begun, test.format, folder, 6)
			require.Empty(t, schema.Diff(byTool.schema(test.table), begun.schema(test.table)))
		})
	}
}

// finish adopts what is applied, and applies the rest of twelve.
func finish(b base, name, folder string, applied int, change ...func(*whimbrel.Config)) {
	b.Helper()
	read := project(b, name, folder)
	require.Len(b, read.Files, 12)
	table := b.table("")
	require.Equal(b, name, table.Tool)
	before := b.text("SELECT md5(string_agg(t::text, ',')) FROM " + table.String() + " t")

	m := b.migrator(read.Migrations(), append(change, func(c *whimbrel.Config) { c.Variables = read.Variables })...)
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
