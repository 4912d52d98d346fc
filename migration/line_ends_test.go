package migration_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/migration"
)

func TestLineEndsNeverCount(t *testing.T) {
	t.Parallel()
	const text = "CREATE TABLE a (\n  id int\n);\n"
	load := func(text string) migration.Migration {
		all, err := migration.Load(migration.Source{FS: fstest.MapFS{"1_a.sql": {Data: []byte(text)}}, Dir: "."})
		require.NoError(t, err)
		return all[0]
	}
	ends := []string{"\n", "\r\n", "\r"}
	for _, before := range ends {
		applied := load(strings.ReplaceAll(text, "\n", before))
		for _, after := range ends {
			require.True(t, load(strings.ReplaceAll(text, "\n", after)).AcceptsChecksum(applied.Checksum), "%q, and then %q", before, after)
		}
		require.False(t, load(strings.ReplaceAll(text, "int", "bigint")).AcceptsChecksum(applied.Checksum))
	}
}
