package sandbox

import (
	"context"
	"fmt"
	"os"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
)

// server is the PostgreSQL that the tests share. Roles belong to it, so each test has names
// of its own.
var server *devdb.Server

func TestMain(m *testing.M) {
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

// load makes migrations of texts, by the names of their files.
func load(t *testing.T, texts map[string]string) []migration.Migration {
	t.Helper()
	tree := fstest.MapFS{}
	for name, text := range texts {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	all, err := migration.Load(migration.Source{FS: tree, Label: "migrations"})
	require.NoError(t, err)
	return all
}

// fresh is an empty database, and a connection to it.
func fresh(t *testing.T) (*pgx.ConnConfig, *pgx.Conn) {
	t.Helper()
	url, drop, err := server.FreshDatabase(context.Background())
	require.NoError(t, err)
	t.Cleanup(drop)
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	return connected(t, config)
}

// connected is another connection to a database.
func connected(t *testing.T, config *pgx.ConnConfig) (*pgx.ConnConfig, *pgx.Conn) {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return config, conn
}

// one asks for one value.
func one[T any](t *testing.T, conn *pgx.Conn, query string, arguments ...any) (value T) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), query, arguments...).Scan(&value))
	return value
}
