package devdb_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

func TestAServerAnswersQueriesAndIsGoneAfterStop(t *testing.T) {
	t.Parallel()
	server, err := devdb.Start(t.Context(), devdb.Options{})
	require.NoError(t, err)
	connection, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	var version string
	require.NoError(t, connection.QueryRow(t.Context(), "SHOW server_version").Scan(&version))
	require.Contains(t, version, server.Version().Version)
	require.NoError(t, connection.Close(t.Context()))
	require.NoError(t, server.Stop())
	require.NoError(t, server.Stop(), "a second stop does nothing")
	require.NoDirExists(t, server.DataDir())
}

func BenchmarkStartFromTemplate(b *testing.B) {
	for b.Loop() {
		server, err := devdb.Start(context.Background(), devdb.Options{})
		require.NoError(b, err)
		b.StopTimer()
		require.NoError(b, server.Stop())
		b.StartTimer()
	}
}
