package schema_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

func TestADumpedAndRestoredDatabaseHasTheSameFingerprint(t *testing.T) {
	t.Parallel()
	tools := findTools(t)
	onServer := tools.server(t, server)

	t.Run("one of everything", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, onServer.CreateDatabase(t.Context(), "original", "template0"))
		prepareOn(t, onServer, "original")
		tools.compare(t, onServer, "original", "restored")
	})
	t.Run("the example shop", func(t *testing.T) {
		t.Parallel()
		onServer := tools.server(t, modern(t))
		require.NoError(t, onServer.CreateDatabase(t.Context(), "shop", "template0"))
		loaded, err := migration.Load(migration.Source{FS: os.DirFS("../examples/shop"), Dir: "migrations",
			Label: "examples/shop"})
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(loaded), 17)
		migrator, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: onServer.URL("shop")},
			Project: whimbrel.Project{Migrations: loaded}})
		require.NoError(t, err)
		_, err = migrator.Up(t.Context(), whimbrel.UpOptions{})
		require.NoError(t, err)
		tools.compare(t, onServer, "shop", "shop_restored")
	})
}

// prepareOn makes one of everything in an empty database of any server.
func prepareOn(t *testing.T, s *devdb.Server, database string) {
	t.Helper()
	require.NoError(t, run(t.Context(), s.URL(database), everything(s)...))
}

// dumpTools are pg_dump and psql of one major version.
type dumpTools struct {
	dir   string
	major int
}

var versionNumber = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// findTools looks beside the server's binaries and in PATH.
func findTools(t *testing.T) dumpTools {
	t.Helper()
	dirs := append([]string{server.Version().Dir}, filepath.SplitList(os.Getenv("PATH"))...)
	for _, dir := range dirs {
		output, err := exec.CommandContext(t.Context(), filepath.Join(dir, "pg_dump"), "--version").Output()
		if err != nil {
			continue
		}
		found := versionNumber.FindSubmatch(output)
		require.NotNil(t, found, "pg_dump --version says %q", output)
		major, err := strconv.Atoi(string(found[1]))
		require.NoError(t, err)
		return dumpTools{dir, major}
	}
	require.Fail(t, "no pg_dump", "install PostgreSQL's client programs (Debian: apt install postgresql-client)")
	return dumpTools{}
}

// server is one that pg_dump can dump: the wanted one, unless that is newer.
func (d dumpTools) server(t *testing.T, wanted *devdb.Server) *devdb.Server {
	t.Helper()
	if wanted.Version().Major <= d.major {
		return wanted
	}
	own, err := devdb.Start(t.Context(), devdb.Options{Major: d.major})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	require.NoError(t, run(t.Context(), own.URL("postgres"), "roles.sql"))
	return own
}

// compare dumps a database, restores it as another, and requires that they are the same.
func (d dumpTools) compare(t *testing.T, s *devdb.Server, original, restored string) {
	t.Helper()
	require.NoError(t, s.CreateDatabase(t.Context(), restored, "template0"))
	dump := d.run(t, nil, "pg_dump", "--dbname", s.URL(original))
	d.run(t, dump, "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", s.URL(restored))
	was, is := read(t, connect(t, s.URL(original))), read(t, connect(t, s.URL(restored)))
	require.Empty(t, lines(schema.Diff(was, is)))
	require.Equal(t, was.Fingerprint(), is.Fingerprint())
}

func (d dumpTools) run(t *testing.T, input []byte, program string, arguments ...string) []byte {
	t.Helper()
	command := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(d.dir, program), arguments...)
	var output, complaint bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), &output, &complaint
	require.NoError(t, command.Run(), "%s: %s", program, complaint.String())
	return output.Bytes()
}
