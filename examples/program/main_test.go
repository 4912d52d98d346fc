package main

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

func TestTheProgramMigratesOnceAndThenHasNothingToDo(t *testing.T) {
	server, err := devdb.Start(t.Context(), devdb.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)

	var out strings.Builder
	require.NoError(t, migrate(t.Context(), url, &out))
	require.Equal(t, "20250101090000 create_users\n20250102090000 normalise_emails\n20250103090000 unique_emails\n",
		out.String())
	out.Reset()
	require.NoError(t, migrate(t.Context(), url, &out))
	require.Empty(t, out.String())

	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	var email string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT email FROM users ORDER BY id LIMIT 1").Scan(&email))
	require.Equal(t, "ada@example.org", email)
	require.Error(t, migrate(t.Context(), "postgres://nobody@127.0.0.1:1/none", &out))
}
