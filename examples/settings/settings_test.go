// Package settings has no code: only the test of its migrations.
package settings

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

func TestTheSettingsGoUpAndDownAndUpAndAreTheSameEachTime(t *testing.T) {
	t.Parallel()
	m, conn := open(t, nil)
	var states []string
	for range files(t) {
		states = append(states, state(t, conn))
		_, err := m.Up(t.Context(), whimbrel.UpOptions{Steps: 1})
		require.NoError(t, err)
	}
	full := state(t, conn)
	require.Contains(t, full, "zoe-0", "handles are ASCII")
	for i := len(states) - 1; i >= 0; i-- {
		_, err := m.Down(t.Context(), whimbrel.DownOptions{})
		require.NoError(t, err)
		require.Equal(t, states[i], state(t, conn), "after the down migration of %s", files(t)[i].Path)
	}
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, full, state(t, conn))
}

// TestNothingIsLeftBehindWhilePeopleUseIt changes, adds and deletes users
// between the batches.
func TestNothingIsLeftBehindWhilePeopleUseIt(t *testing.T) {
	t.Parallel()
	batches := 0
	var people *pgx.Conn
	m, conn := open(t, func(r whimbrel.Record) {
		if _, ok := r.Event.(whimbrel.BatchProgress); ok {
			batches++
			for _, change := range []string{
				"DELETE FROM users WHERE id % 50 = $1",
				`UPDATE users SET settings = settings - 'page_size' || '{"late": true}' WHERE id % 50 = 10 + $1`,
				`INSERT INTO users (email, settings, handle) SELECT n || '@late', '{"late": 1}', 'late-' || n FROM generate_series(100 * $1, 100 * $1 + 20) AS n`,
			} {
				_, err := people.Exec(context.Background(), change, pgx.QueryExecModeSimpleProtocol, batches)
				require.NoError(t, err)
			}
		}
	})
	people = conn
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Greater(t, batches, 1)
	require.Equal(t, "0",
		text(t, conn, `SELECT count(*) FROM users LEFT JOIN preferences ON user_id = id AND key = 'late' WHERE settings ? 'late' AND key IS NULL`))
	require.Equal(t, text(t, conn, "SELECT sum((SELECT count(*) FROM jsonb_object_keys(settings))) FROM users"),
		text(t, conn, "SELECT count(*) FROM preferences"))
}

// state is the schema without our own tables, and all rows.
func state(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	read, err := schema.Read(t.Context(), conn, schema.Options{Exclude: []pgx.Identifier{
		{"schema_migrations"}, {"schema_migrations_journal"}, {"schema_migrations_log"}, {"migration_lock"},
	}})
	require.NoError(t, err)
	rows := ""
	for _, table := range []string{"users", "preferences", "settings_backup"} {
		if text(t, conn, "SELECT to_regclass('"+table+"') IS NOT NULL") == "true" {
			rows += text(t, conn, "SELECT coalesce(string_agg(r::text, E'\\n' ORDER BY r), '') FROM "+table+" r") + "\n"
		}
	}
	return read.Fingerprint() + "\n" + rows
}

func text(t *testing.T, conn *pgx.Conn, query string) (value string) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT ("+query+")::text",
		pgx.QueryExecModeSimpleProtocol).Scan(&value), query)
	return value
}

func files(t *testing.T) []migration.Migration {
	t.Helper()
	all, err := migration.Load(migration.Source{FS: os.DirFS("."), Dir: "migrations", Label: filepath.Join("examples",
		"settings")})
	require.NoError(t, err)
	require.Len(t, all, 6)
	return all
}

// open gives a Migrator for the example, and a connection to its database.
func open(t *testing.T, listener whimbrel.Listener) (*whimbrel.Migrator, *pgx.Conn) {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	m, err := whimbrel.New(whimbrel.Config{
		Target:   whimbrel.Target{DatabaseURL: url},
		Project:  whimbrel.Project{Migrations: files(t), Scripts: js.New(js.Options{})},
		Listener: listener,
	})
	require.NoError(t, err)
	return m, conn
}

var server *devdb.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = devdb.Start(context.Background(), devdb.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, "the tests need a PostgreSQL server:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the server did not stop:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}
