package js_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
)

// server is the PostgreSQL that all tests of this package share; each test has
// a database of its own in it.
var server *devdb.Server

func TestMain(m *testing.M) {
	var err error
	server, err = devdb.Start(context.Background(), devdb.Options{TCP: true})
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

// bundle is what a test works with: a fresh database, and a session in it.
type bundle struct {
	testing.TB
	*session
	url     string
	options js.Options
}

func setup(t *testing.T) *bundle {
	t.Helper()
	t.Parallel()
	return connect(t)
}

func connect(t testing.TB) *bundle {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &bundle{TB: t, url: url, session: &session{conn: conn}}
}

// session is a whimbrel.Session over a connection, without a history.
type session struct {
	conn    *pgx.Conn
	printed []string
	checked []string
	refuse  func(text string) error
	// ranges are those that Batch goes through.
	ranges  []whimbrel.Range
	batches []migration.Batch
	rows    []int64
	heard   func() // is called for what is printed
}

func (s *session) Conn() *pgx.Conn { return s.conn }

func (s *session) Check(text string) error {
	s.checked = append(s.checked, text)
	if s.refuse != nil {
		return s.refuse(text)
	}
	return nil
}

func (s *session) Printed(level, text string) {
	s.printed = append(s.printed, level+": "+text)
	if s.heard != nil {
		s.heard()
	}
}

func (s *session) Transaction(ctx context.Context, work func(context.Context) error) error {
	if _, err := s.conn.PgConn().Exec(ctx, "BEGIN").ReadAll(); err != nil {
		return err
	}
	if err := work(ctx); err != nil {
		_, _ = s.conn.PgConn().Exec(context.WithoutCancel(ctx), "ROLLBACK").ReadAll()
		return fmt.Errorf("rolled back: %w", err)
	}
	_, err := s.conn.PgConn().Exec(ctx, "COMMIT").ReadAll()
	return err
}

func (s *session) Batch(ctx context.Context, batch migration.Batch, work func(context.Context,
	whimbrel.Range) (int64, error)) error {
	s.batches = append(s.batches, batch)
	for _, keys := range s.ranges {
		err := s.Transaction(ctx, func(ctx context.Context) error {
			rows, err := work(ctx, keys)
			s.rows = append(s.rows, rows)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// files are a folder by file name; the first argument of script names the one
// that is the migration.
type files map[string]string

func (f files) migration(name string) migration.Migration {
	folder := fstest.MapFS{}
	for file, text := range f {
		folder[file] = &fstest.MapFile{Data: []byte(text)}
	}
	return migration.Migration{
		Version: "1", Name: "it", Kind: migration.Script, Path: "migrations/" + name, Text: f[name], Folder: folder,
	}
}

func compile(t testing.TB, options js.Options, m migration.Migration) whimbrel.Script {
	t.Helper()
	script, err := js.New(options).Compile(t.Context(), m)
	require.NoError(t, err)
	return script
}

// up compiles a migration of one file and runs its up migration, in one transaction
// if it wants that.
func (b *bundle) up(name, text string) error {
	b.Helper()
	return b.run(compile(b, b.options, files{name: text}.migration(name)), whimbrel.Up)
}

func (b *bundle) run(script whimbrel.Script, direction whimbrel.Direction) error {
	b.Helper()
	if !script.Transaction() {
		return script.Run(b.Context(), direction, b.session)
	}
	return b.Transaction(b.Context(), func(ctx context.Context) error { return script.Run(ctx, direction, b.session) })
}

// body makes a migration of the inside of up.
func body(text string) string {
	return "module.exports = {\nasync up(client) {\n" + text + "\n},\n};\n"
}

// prints runs the inside of an up and requires what it prints.
func (b *bundle) prints(text string, want ...string) {
	b.Helper()
	b.printed = nil
	require.NoError(b, b.up("1_it.js", body(text)))
	got := make([]string, len(b.printed))
	for i, line := range b.printed {
		got[i] = strings.TrimPrefix(line, "log: ")
	}
	require.Equal(b, want, got)
}

// fails requires an *Error of a code and gives it back.
func fails(t testing.TB, err error, code whimbrel.Code) *whimbrel.Error {
	t.Helper()
	var e *whimbrel.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	return e
}

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
