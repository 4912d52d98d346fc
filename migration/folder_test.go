package migration_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/migration"
)

func TestAFolderOfThisMachineIsAFileSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "team"), 0o755))
	for _, name := range []string{"1_a.sql", "team/2_b.sql"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("SELECT 1;\n"), 0o644))
	}
	require.NoError(t, fstest.TestFS(migration.Folder(dir), "1_a.sql", "team/2_b.sql"))
}

func TestAFolderOfThisMachineIsReadAsAnyOther(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("-- a long line that fills more than one buffer\n", 3000) + "SELECT 1;\n"
	for name, files := range map[string]map[string]string{
		"migrations":              {"1_a.sql": "SELECT 1;\n", "2_b.sql": large, "3_c.js": "exports.up = () => {}\n"},
		"nothing":                 {},
		"an empty file":           {"1_a.sql": ""},
		"one that is broken":      {"1_a.sql": "SELECT 'a", "2_b.sql": "SELECT 1"},
		"one that is too large":   {"1_a.sql": large + string(bytes.Repeat([]byte{' '}, migration.MaxSize))},
		"one that is just enough": {"1_a.sql": large + string(bytes.Repeat([]byte{' '}, migration.MaxSize-len(large)))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
			}
			want, wanted := migration.Load(migration.Source{FS: os.DirFS(dir)})
			got, err := migration.Load(migration.Source{FS: migration.Folder(dir)})
			require.Equal(t, wanted, err)
			require.Len(t, got, len(want))
			for i := range got {
				got[i].Folder, want[i].Folder = nil, nil
			}
			require.Equal(t, want, got)
		})
	}
}

// Whatever way leads out of a folder by a link, nothing of what is there is seen; whatever
// stays inside is as any other file.
func TestALinkIsFollowedAsLongAsItStaysInside(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "migrations")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "team"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "migrations2"), 0o755))
	for _, name := range []string{"secret.sql", "migrations2/secret.sql", "migrations/team/1_a.sql"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(name), 0o644))
	}
	links := map[string]string{
		"out": "../secret.sql", "absolute": filepath.Join(root, "secret.sql"), "folder": "..",
		"neighbour": "../migrations2/secret.sql",
		"twice":     "out", "through": "team/../../secret.sql", "team/up": "../../secret.sql", "device": "/dev/zero",
		"in": "team/1_a.sql", "back": "../migrations/team/1_a.sql", "own": filepath.Join(dir, "team", "1_a.sql"),
		"group": "team",
	}
	for name, target := range links {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	require.NoError(t, os.Symlink(dir, filepath.Join(root, "linked")))
	for _, dir := range []string{dir, filepath.Join(root, "linked")} {
		folder := migration.Folder(dir)
		for _, name := range []string{
			"out", "absolute", "neighbour", "twice", "through", "team/up", "device", "folder/secret.sql",
			"folder/migrations2/secret.sql", "group/up",
		} {
			_, err := fs.Stat(folder, name)
			require.ErrorIs(t, err, migration.ErrLeadsOut, name)
			_, err = fs.ReadFile(folder, name)
			require.ErrorIs(t, err, migration.ErrLeadsOut, name)
			_, err = folder.Open(name)
			require.ErrorIs(t, err, migration.ErrLeadsOut, name)
			_, err = migration.ReadFile(folder, name)
			require.ErrorIs(t, err, migration.ErrLeadsOut, name)
		}
		_, err := fs.ReadDir(folder, "folder")
		require.ErrorIs(t, err, migration.ErrLeadsOut)
		for _, name := range []string{"in", "back", "own", "group/1_a.sql", "team/1_a.sql"} {
			text, err := migration.ReadFile(folder, name)
			require.NoError(t, err, name)
			require.Equal(t, "migrations/team/1_a.sql", text, name)
		}
	}
}

func TestWhatCannotBeReadInAFolderOfThisMachineIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Symlink("nowhere.sql", filepath.Join(dir, "1_a.sql")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "2_b.sql"), 0o755))
	_, err := migration.Load(migration.Source{FS: migration.Folder(dir), Label: "migrations"})
	require.ErrorContains(t, err, "migrations/1_a.sql: cannot be read: no such file or directory")
	require.ErrorContains(t, err, "migrations/2_b.sql: it is a folder where a file should be")
}
