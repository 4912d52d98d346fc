package monitor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/monitor"
)

// server is the PostgreSQL that the tests share; each has a database of its own.
var server *devdb.Server

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		os.Exit(runChild(folder))
	}
	var err error
	if server, err = devdb.Start(context.Background(), devdb.Options{}); err != nil {
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

// A child is this test binary, started again as a runner of its own.
const (
	childFolder  = "WHIMBREL_MONITOR_CHILD_FOLDER"
	childURL     = "WHIMBREL_MONITOR_CHILD_URL"
	childCommand = "WHIMBREL_MONITOR_CHILD_COMMAND"
)

// runChild runs the migrations in a folder and prints every event.
func runChild(folder string) int {
	migrations, err := migration.Load(migration.Source{FS: os.DirFS(folder), Dir: ".", Label: filepath.Base(folder)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	events := json.NewEncoder(os.Stdout)
	m, err := whimbrel.New(whimbrel.Config{
		Target:   whimbrel.Target{DatabaseURL: os.Getenv(childURL)},
		Project:  whimbrel.Project{Migrations: migrations},
		Listener: func(r whimbrel.Record) { _ = events.Encode(r) },
	})
	if err == nil && os.Getenv(childCommand) == "down" {
		_, err = m.Down(context.Background(), whimbrel.DownOptions{})
	} else if err == nil {
		_, err = m.Up(context.Background(), whimbrel.UpOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// bundle is a fresh database and a connection to look at it.
type bundle struct {
	*testing.T
	url  string
	conn *pgx.Conn
}

func setup(t *testing.T) *bundle {
	t.Helper()
	t.Parallel()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	b := &bundle{T: t, url: url}
	b.conn = b.connect()
	return b
}

func (b *bundle) connect() *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), b.url)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// text runs a query for one value and gives it as text.
func (b *bundle) text(query string) string {
	b.Helper()
	var value *string
	require.NoError(b, b.conn.QueryRow(b.Context(), "SELECT ("+query+")::text",
		pgx.QueryExecModeSimpleProtocol).Scan(&value))
	if value == nil {
		return "NULL"
	}
	return *value
}

// files are migrations by file name.
type files map[string]string

func (f files) load(t testing.TB) []migration.Migration {
	t.Helper()
	folder := fstest.MapFS{"migrations/README.md": &fstest.MapFile{}}
	for name, text := range f {
		folder["migrations/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	loaded, err := migration.Load(migration.Source{FS: folder, Dir: "migrations", Label: "migrations"})
	require.NoError(t, err)
	return loaded
}

// migrator makes a Migrator whose events go to the observers.
func (b *bundle) migrator(f files, observers ...monitor.Observer) *whimbrel.Migrator {
	b.Helper()
	m, err := whimbrel.New(whimbrel.Config{
		Target:   whimbrel.Target{DatabaseURL: b.url},
		Project:  whimbrel.Project{Migrations: f.load(b)},
		Listener: monitor.Listen(observers...),
	})
	require.NoError(b, err)
	return m
}

// diary keeps observations.
type diary struct {
	mutex sync.Mutex
	all   []monitor.Observation
}

func (d *diary) observe(o monitor.Observation) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.all = append(d.all, o)
}

// of gives the observations of one kind of event.
func (d *diary) of(kind string) []monitor.Observation {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	var found []monitor.Observation
	for _, o := range d.all {
		if o.Event.Kind() == kind {
			found = append(found, o)
		}
	}
	return found
}
