package adopt_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt"
	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// server is the PostgreSQL that all tests of this package share; each test has
// databases of its own in it.
var server *devdb.Server

// tools is the folder with what the tests install.
var tools string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if tools, err = os.MkdirTemp("", "whimbrel-tools"); err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(tools) }()
	if server, err = devdb.Start(context.Background(), devdb.Options{TCP: true}); err != nil {
		return 1, fmt.Errorf("the tests need a PostgreSQL server: %w", err)
	}
	code = m.Run()
	return code, server.Stop()
}

// program builds the tools that are written in Go, once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(tools, "program")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = "testdata/program"
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the other tools: %w\n%s", err, output)
	}
	return path, nil
})

// goTool has a tool that is written in Go apply so many migrations.
func goTool(name string) func(t *testing.T, url, folder string, steps int) {
	return func(t *testing.T, url, folder string, steps int) {
		t.Helper()
		path, err := program()
		require.NoError(t, err)
		output, err := exec.CommandContext(t.Context(), path, name, url, folder, fmt.Sprint(steps)).CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
}

// base is a database of a test.
type base struct {
	*testing.T
	url  string
	conn *pgx.Conn
}

func fresh(t *testing.T) base {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	parsed, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	b := base{T: t, url: server.TCPURL(parsed.Database)}
	b.conn, err = pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.conn.Close(context.Background()) })
	return b
}

// text runs a query for one value.
func (b base) text(query string) (value string) {
	b.Helper()
	require.NoError(b, b.conn.QueryRow(b.Context(), "SELECT coalesce(("+query+")::text, '')",
		pgx.QueryExecModeSimpleProtocol).Scan(&value))
	return value
}

// table finds the one table of another tool.
func (b base) table(named string) adopt.Table {
	b.Helper()
	tables, err := adopt.Find(b.Context(), b.conn, named)
	require.NoError(b, err)
	require.Len(b, tables, 1)
	return tables[0]
}

// migrator is whimbrel on the database, beside the other tool's table.
func (b base) migrator(migrations []migration.Migration, change ...func(*whimbrel.Config)) *whimbrel.Migrator {
	b.Helper()
	config := whimbrel.Config{Target: whimbrel.Target{DatabaseURL: b.url, Table: "whimbrel_migrations"},
		Project: whimbrel.Project{Migrations: migrations}}
	for _, c := range change {
		c(&config)
	}
	m, err := whimbrel.New(config)
	require.NoError(b, err)
	return m
}

// schema is what was made, without the tables of whimbrel and of other tools.
func (b base) schema(theirs ...string) schema.Schema {
	b.Helper()
	options := schema.Options{}
	for _, name := range append(theirs, "whimbrel_migrations", "whimbrel_migrations_log", "whimbrel_migrations_lock",
		"whimbrel_migrations_journal") {
		options.Exclude = append(options.Exclude, pgx.Identifier(strings.Split(name, ".")))
	}
	read, err := schema.Read(b.Context(), b.conn, options)
	require.NoError(b, err)
	return read
}

// project reads a folder in a format.
func project(t testing.TB, name, folder string) format.Project {
	t.Helper()
	f, known := format.Named(name)
	require.True(t, known)
	p, err := f.Read(migration.Source{FS: os.DirFS(folder), Label: "migrations"})
	require.NoError(t, err)
	return p
}

// shop is a history of twelve migrations in whimbrel's own format.
func shop(t testing.TB) []migration.Migration {
	t.Helper()
	migrations, err := migration.Load(migration.Source{FS: os.DirFS("testdata/shop"), Label: "shop"})
	require.NoError(t, err)
	return migrations
}

// writeAs writes migrations into a new folder, in another tool's format.
func writeAs(t testing.TB, name string, migrations []migration.Migration) string {
	t.Helper()
	f, known := format.Named(name)
	require.True(t, known)
	exported, err := adopt.Export(f, migrations, nil)
	require.NoError(t, err)
	folder := t.TempDir()
	for _, e := range exported {
		for _, file := range e.Files {
			require.NoError(t, os.WriteFile(filepath.Join(folder, file.Name), []byte(file.Text), 0o600))
		}
	}
	return folder
}
