package trial_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/trial"
)

// server is the PostgreSQL that tests of a given connection share.
var server *devdb.Server

// major is the version of PostgreSQL that the tests run on; 0: the machine's own.
var major int

func TestMain(m *testing.M) {
	var err error
	if text := os.Getenv("WHIMBREL_TEST_PG_MAJOR"); text != "" {
		if major, err = strconv.Atoi(text); err != nil {
			fmt.Fprintln(os.Stderr, "WHIMBREL_TEST_PG_MAJOR:", err)
			os.Exit(1)
		}
	}
	server, err = devdb.Start(context.Background(), devdb.Options{Major: major})
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests need a PostgreSQL server:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// files are files by name.
type files map[string]string

func (f files) fs() fstest.MapFS {
	folder := fstest.MapFS{}
	for name, text := range f {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return folder
}

func (f files) load(t testing.TB) []migration.Migration {
	t.Helper()
	loaded, err := migration.Load(migration.Source{FS: f.fs(), Label: "migrations"})
	require.NoError(t, err)
	return loaded
}

// options for a server of the tester's own.
func (f files) options(t testing.TB, tests files) trial.Options {
	t.Helper()
	o := trial.Options{Project: whimbrel.Project{Migrations: f.load(t)}, Major: major}
	if tests != nil {
		o.Tests, o.TestsLabel = tests.fs(), "tests"
	}
	return o
}

// shared are options for the server that tests share, which is quicker.
func (f files) shared(t testing.TB, tests files) trial.Options {
	t.Helper()
	o := f.options(t, tests)
	var err error
	o.Connection, err = pgx.ParseConfig(server.URL("tests"))
	require.NoError(t, err)
	return o
}

// run tests migrations and gives the report.
func run(t testing.TB, o trial.Options) trial.Report {
	t.Helper()
	report, err := trial.Run(t.Context(), o)
	require.NoError(t, err)
	return report
}

// messages are what was found, with its place.
func messages(findings []trial.Finding) []string {
	var all []string
	for _, f := range findings {
		text := f.Message
		if f.Line > 0 {
			text = fmt.Sprintf("%s:%d:%d: %s", f.Path, f.Line, f.Column, text)
		}
		all = append(all, text)
	}
	return all
}

// statuses are the outcomes, by version.
func statuses(r trial.Report) string {
	var all []string
	for _, m := range r.Migrations {
		all = append(all, fmt.Sprintf("%s %s", m.Version, m.Status))
	}
	return strings.Join(all, ", ")
}

// fresh is a connection to a database on the shared server.
func fresh(t testing.TB) (*pgx.ConnConfig, *pgx.Conn) {
	t.Helper()
	url, drop, err := server.FreshDatabase(context.Background())
	require.NoError(t, err)
	t.Cleanup(drop)
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	conn, err := pgx.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return config, conn
}
