//go:build linux

package faults_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/faults"
	"github.com/whimbrel-db/whimbrel/migration"
)

// server is the PostgreSQL that most tests share; each has a database of its
// own in it. Tests that break the server itself start another one.
var server *devdb.Server

func TestMain(m *testing.M) {
	if child := os.Getenv(childFolder); child != "" {
		os.Exit(runChild(child))
	}
	flag.Parse()
	// Most of these tests wait most of their time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var err error
	server, err = devdb.Start(context.Background(), devdb.Options{TCP: true,
		Settings: map[string]string{"max_connections": "300"}})
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

// bundle is what a test works with: a fresh database, and the means to migrate
// and to look at it.
type bundle struct {
	*testing.T
	server *devdb.Server
	url    string
	name   string // of the database
	conn   *pgx.Conn

	mutex  sync.Mutex
	events []whimbrel.Record
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupOn(t, server)
}

func setupOn(t *testing.T, s *devdb.Server) *bundle {
	t.Helper()
	url, drop, err := s.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	b := &bundle{T: t, server: s, url: url}
	b.conn = b.connect()
	b.name = b.text("SELECT current_database()")
	return b
}

// at is the same database by another way.
func (b *bundle) at(url string) *bundle {
	return &bundle{T: b.T, server: b.server, url: url, name: b.name, conn: b.conn}
}

func (b *bundle) connect() *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), b.url)
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
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

// write puts the files into a folder of the test.
func (f files) write(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range f {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	return folder
}

// migrator makes a Migrator for the test's database; change alters its Config.
func (b *bundle) migrator(f files, change ...func(*whimbrel.Config)) *whimbrel.Migrator {
	b.Helper()
	config := whimbrel.Config{Target: whimbrel.Target{DatabaseURL: b.url},
		Project: whimbrel.Project{Migrations: f.load(b)}, Listener: b.listen}
	for _, c := range change {
		c(&config)
	}
	m, err := whimbrel.New(config)
	require.NoError(b, err)
	return m
}

// up runs Up with a Migrator of its own. Before a run has a lease, only its
// caller's patience ends the waiting for a network that has fallen silent.
func (b *bundle) up(f files, change ...func(*whimbrel.Config)) error {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := b.migrator(f, change...).Up(ctx, whimbrel.UpOptions{})
	return err
}

func through(url string) func(*whimbrel.Config) {
	return func(c *whimbrel.Config) { c.DatabaseURL = url }
}

func lease(d time.Duration) func(*whimbrel.Config) {
	return func(c *whimbrel.Config) { c.LeaseDuration = d }
}

// hearing adds a listener, which is called before the bundle's own.
func hearing(listener whimbrel.Listener) func(*whimbrel.Config) {
	return func(c *whimbrel.Config) {
		inner := c.Listener
		c.Listener = func(r whimbrel.Record) {
			listener(r)
			inner(r)
		}
	}
}

func (b *bundle) listen(r whimbrel.Record) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.events = append(b.events, r)
}

// heard gives the kinds of all events so far.
func (b *bundle) heard() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	var kinds []string
	for _, r := range b.events {
		kinds = append(kinds, r.Event.Kind())
	}
	return kinds
}

// last gives the newest event of a type.
func last[E whimbrel.Event](b *bundle) (event E, found bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, r := range slices.Backward(b.events) {
		if event, found = r.Event.(E); found {
			return event, true
		}
	}
	return event, false
}

func (b *bundle) exec(sql string) {
	b.Helper()
	_, err := b.conn.PgConn().Exec(context.Background(), sql).ReadAll()
	require.NoError(b, err)
}

// text runs a query for one value and gives it as text.
func (b *bundle) text(query string) string {
	b.Helper()
	var value *string
	require.NoError(b, b.conn.QueryRow(context.Background(), "SELECT ("+query+")::text",
		pgx.QueryExecModeSimpleProtocol).Scan(&value))
	if value == nil {
		return "NULL"
	}
	return *value
}

// applied gives the versions in the history, in order.
func (b *bundle) applied() string {
	b.Helper()
	return b.text("SELECT coalesce(string_agg(version, ' ' ORDER BY id), '') FROM schema_migrations")
}

// eventually polls until a query gives true.
func (b *bundle) eventually(query string) {
	b.Helper()
	b.until("the query "+query, func() bool { return b.text(query) == "true" })
}

// until polls for longer than it takes on any machine that is merely busy.
func (b *bundle) until(what string, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		require.True(b, time.Now().Before(deadline), "never true: %s", what)
	}
}

func (b *bundle) schema() string {
	b.Helper()
	schema, err := faults.Schema(context.Background(), b.conn)
	require.NoError(b, err)
	return schema
}

// gate makes a table that others cannot read until open is called.
func (b *bundle) gate() (open func()) {
	b.Helper()
	holder := b.connect()
	b.exec("CREATE TABLE gate ()")
	_, err := holder.Exec(b.Context(), "BEGIN; LOCK TABLE gate", pgx.QueryExecModeSimpleProtocol)
	require.NoError(b, err)
	return func() {
		b.Helper()
		_, err := holder.Exec(context.Background(), "ROLLBACK")
		require.NoError(b, err)
	}
}

// working is a condition: a runner's session waits for a lock.
const working = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = " +
	"current_database() AND application_name LIKE 'whimbrel/%'"

// fails requires an *Error of a code with a remedy, and gives it back.
func fails(t testing.TB, err error, code whimbrel.Code) *whimbrel.Error {
	t.Helper()
	var e *whimbrel.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	require.NotEmpty(t, e.Remedy, "%v", err)
	require.NotContains(t, strings.ToLower(e.Remedy), "panic")
	return e
}
