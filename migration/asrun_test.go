package migration

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestMigrationsAreGivenAsTheyRun(t *testing.T) {
	t.Parallel()
	folder := fstest.MapFS{
		"R__a.sql": {Data: []byte("-- +migrate After z\nCREATE OR REPLACE VIEW a AS SELECT 1;")},
		"R__z.sql": {Data: []byte("CREATE OR REPLACE VIEW z AS SELECT 1;")},
		"2_b.sql":  {Data: []byte("SELECT 2;")},
		"1_a.sql": {Data: []byte("-- +migrate Variables SCHEMA\nCREATE SCHEMA ${SCHEMA};\n-- +migrate Down\n" +
			"DROP SCHEMA ${SCHEMA};")},
	}
	loaded, err := Load(Source{FS: folder})
	require.NoError(t, err)
	run, err := AsRun(loaded, map[string]string{"SCHEMA": "shop"})
	require.NoError(t, err)
	var paths []string
	for _, m := range run {
		paths = append(paths, m.Path)
	}
	require.Equal(t, []string{"1_a.sql", "2_b.sql", "R__z.sql", "R__a.sql"}, paths)
	require.Equal(t, "CREATE SCHEMA shop", run[0].Up.Statements[0].Text)
	require.Equal(t, "DROP SCHEMA shop", run[0].Down.Statements[0].Text)
	require.Equal(t, loaded[0].Checksum, run[0].Checksum, "values are in no checksum")

	_, err = AsRun(loaded, nil)
	require.Len(t, Problems(err), 2, "one for each direction")
}
