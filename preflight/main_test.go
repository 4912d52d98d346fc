package preflight_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/preflight"
)

// server is the PostgreSQL that the tests share; each has a database of its own. It
// is told to archive WAL and not how, allows prepared transactions and logical
// replication, and has a lock table that is soon full.
var server *devdb.Server

func TestMain(m *testing.M) {
	var err error
	server, err = devdb.Start(context.Background(), devdb.Options{Settings: map[string]string{
		"archive_mode": "on", "archive_command": "", "wal_level": "logical", "max_wal_senders": "4",
		"max_prepared_transactions": "10", "max_connections": "90", "max_locks_per_transaction": "12",
		"max_replication_slots": "4",
	}})
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

// base is a database of a test.
type base struct {
	t    *testing.T
	url  string
	conn *pgx.Conn
}

func newBase(t *testing.T) *base {
	t.Helper()
	return newBaseOn(t, server)
}

func newBaseOn(t *testing.T, server *devdb.Server) *base {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	b := &base{t: t, url: url}
	b.conn = b.connect("")
	return b
}

// connect opens a connection, as an application where one is given, that is closed
// when the test is over.
func (b *base) connect(application string) *pgx.Conn {
	b.t.Helper()
	config, err := pgx.ParseConfig(b.url)
	require.NoError(b.t, err)
	if application != "" {
		config.RuntimeParams["application_name"] = application
	}
	conn, err := pgx.ConnectConfig(b.t.Context(), config)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (b *base) exec(sql string) {
	b.t.Helper()
	_, err := b.conn.Exec(b.t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	require.NoError(b.t, err, sql)
}

// migrator is one of migrations with these texts, numbered from 1.
func (b *base) migrator(texts ...string) *whimbrel.Migrator {
	b.t.Helper()
	files := fstest.MapFS{}
	for i, text := range texts {
		files[fmt.Sprintf("%d_example.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	migrations, err := migration.Load(migration.Source{FS: files, Dir: ".", Label: "migrations"})
	if len(texts) > 0 {
		require.NoError(b.t, err)
	}
	m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: b.url},
		Project: whimbrel.Project{Migrations: migrations}})
	require.NoError(b.t, err)
	return m
}

// options are those of a check of what is pending.
func (b *base) options(check string, pending ...string) preflight.Options {
	b.t.Helper()
	connection, err := pgx.ParseConfig(b.url)
	require.NoError(b.t, err)
	m := b.migrator(pending...)
	plan, err := m.Plan(b.t.Context(), whimbrel.Latest())
	require.NoError(b.t, err)
	return preflight.Options{Connection: connection, Plan: plan, Touches: lint.Touches, Verify: m.Verify,
		Only: []string{check}}
}

// run makes one check.
func (b *base) run(options preflight.Options) preflight.Result {
	b.t.Helper()
	report, err := preflight.Run(b.t.Context(), options)
	require.NoError(b.t, err)
	require.Len(b.t, report.Results, 1)
	return report.Results[0]
}

// cleanup is a context for what has to be done after a test.
func cleanup() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}
