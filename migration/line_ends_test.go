package migration_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/digest"
	"github.com/whimbrel-db/whimbrel/migration"
)

func TestAllThatIsReadHasLF(t *testing.T) {
	t.Parallel()
	const text = "SELECT 'a\r\nb';\r\n-- +migrate Down\r\nSELECT 2;\r\n"
	hook, err := migration.ParseHook("before_each.sql", "SELECT 'a\r\nb';\r\n")
	require.NoError(t, err)
	require.Equal(t, "SELECT 'a\nb'", hook.Up.Statements[0].Text)
	stored, err := migration.ParseStored("1", "a", "SELECT 'a\r\nb';\r\n")
	require.NoError(t, err)
	require.Equal(t, "SELECT 'a\nb'", stored.Down.Statements[0].Text)
	m, err := migration.Parse("1_a.sql", text)
	require.NoError(t, err)
	require.NotContains(t, m.Text+m.StoredDown(), "\r")
	script, err := migration.Parse("1_a.js", "exports.up = async () => {\r\n}\r\n")
	require.NoError(t, err)
	require.NotContains(t, script.Text, "\r")
	require.NotContains(t, migration.NewOpaque("1", "a", "1_a.sql", text, nil).Text, "\r")
	module, err := migration.ReadFile(fstest.MapFS{"m.js": {Data: []byte("a\r\nb")}}, "m.js")
	require.NoError(t, err)
	require.Equal(t, "a\nb", module)
}

func TestLineEndsNeverCount(t *testing.T) {
	t.Parallel()
	const text = "CREATE TABLE a (\n  id int\n);\n"
	load := func(text string) migration.Migration {
		all, err := migration.Load(migration.Source{FS: fstest.MapFS{"1_a.sql": {Data: []byte(text)}}, Dir: "."})
		require.NoError(t, err)
		return all[0]
	}
	mixed := "CREATE TABLE a (\r\n  id int\n);\n"
	require.Equal(t, load(text).Checksum, load(mixed).Checksum)
	for _, stored := range []string{mixed, "\uFEFF" + mixed} {
		require.True(t, load(mixed).AcceptsChecksum(digest.SHA256(stored)), "of another tool, of the file as it is")
	}
	ends := []string{"\n", "\r\n", "\r"}
	for _, before := range ends {
		applied := load(strings.ReplaceAll(text, "\n", before))
		for _, after := range ends {
			require.True(t, load(strings.ReplaceAll(text, "\n", after)).AcceptsChecksum(applied.Checksum), "%q, and then %q",
				before, after)
		}
		require.False(t, load(strings.ReplaceAll(text, "int", "bigint")).AcceptsChecksum(applied.Checksum))
		require.Equal(t, load(text).Checksum, applied.Checksum, "%q", before)
		require.Equal(t, load(text).Up.Statements, applied.Up.Statements, "%q", before)
	}
}
