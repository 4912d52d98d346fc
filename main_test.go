package whimbrel_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
)

// server is the PostgreSQL that all tests of this package share; each test has
// a database of its own in it.
var server *devdb.Server

// majorEnvironment picks the major version of PostgreSQL that the tests run on;
// the machine's own where it is not set.
const majorEnvironment = "WHIMBREL_TEST_PG_MAJOR"

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnvironment); child != "" {
		os.Exit(runChild(child))
	}
	var err error
	options := devdb.Options{Settings: map[string]string{"max_connections": "300"}}
	if text := os.Getenv(majorEnvironment); text != "" {
		if options.Major, err = strconv.Atoi(text); err != nil {
			fmt.Fprintln(os.Stderr, majorEnvironment+":", err)
			os.Exit(1)
		}
	}
	server, err = devdb.Start(context.Background(), options)
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

// bundle is what a test works with: a fresh database and the means to migrate
// and to look at it.
type bundle struct {
	*testing.T
	url    string
	conn   *pgx.Conn
	mutex  sync.Mutex
	events []whimbrel.Record
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

func (b *bundle) exec(sql string) {
	b.Helper()
	_, err := b.conn.PgConn().Exec(b.Context(), sql).ReadAll()
	require.NoError(b, err)
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

// applied gives the versions in the history, in order.
func (b *bundle) applied() string {
	b.Helper()
	return b.text("SELECT coalesce(string_agg(version, ' ' ORDER BY id), '') FROM schema_migrations")
}

// schema describes every table, index, function, view and type outside
// whimbrel's own, so that two states can be compared.
func (b *bundle) schema() string { return schemaOf(b, b.conn) }

func schemaOf(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	rows, err := conn.Query(context.Background(), `
SELECT line FROM (
	SELECT format('%s %s.%s %s %s', c.relkind, n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)) || a.attnotnull || coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS line
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S')
	UNION ALL SELECT pg_get_indexdef(indexrelid) || indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^(pg_|information_schema)'
	UNION ALL SELECT conrelid::regclass || conname || pg_get_constraintdef(oid) || convalidated FROM pg_constraint WHERE conrelid <> 0 AND connamespace::regnamespace::text !~ '^(pg_|information_schema)'
	UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND prokind = 'f'
	UNION ALL SELECT typname || coalesce((SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), '') FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = 'public' AND typtype = 'e'
	UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
	UNION ALL SELECT pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND n.nspname = 'public'
) lines WHERE line NOT LIKE '%pg_catalog.%' AND line NOT LIKE '%information_schema.%' AND line NOT LIKE '% pg_toast.%'
AND line !~ '(schema_migrations|migration_lock)' ORDER BY line COLLATE "C"`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(lines, "\n")
}

// fails requires an *Error of a code and gives it back.
func fails(t testing.TB, err error, code whimbrel.Code) *whimbrel.Error {
	t.Helper()
	var e *whimbrel.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	require.ErrorIs(t, err, code)
	return e
}
