package rehearsal_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
)

// What runs outside a transaction is looked at from another session, while it waits
// for a writer who does not go.
func TestConcurrentCommandsLockTheirTableWithoutStoppingOrdinaryWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, table string }{
		"CREATE INDEX":     {"CREATE INDEX CONCURRENTLY users_country_idx ON users (country)", "users"},
		"DROP INDEX":       {"DROP INDEX CONCURRENTLY orders_status_idx", "orders"},
		"REINDEX INDEX":    {"REINDEX INDEX CONCURRENTLY orders_status_idx", "orders"},
		"REINDEX TABLE":    {"REINDEX TABLE CONCURRENTLY orders", "orders"},
		"DETACH PARTITION": {"ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY", "events"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "DETACH PARTITION" && server.Version().Major < 14 {
				return // which does not know it
			}
			url, drop, err := server.FreshDatabase(t.Context())
			require.NoError(t, err)
			defer drop()
			open := func() *pgx.Conn {
				conn, err := pgx.Connect(t.Context(), url)
				require.NoError(t, err)
				t.Cleanup(func() { _ = conn.Close(context.Background()) })
				return conn
			}
			writer, worker, looker := open(), open(), open()
			_, err = writer.PgConn().Exec(t.Context(), lint.ExampleSchema).ReadAll()
			require.NoError(t, err)
			_, err = writer.PgConn().Exec(t.Context(), "BEGIN; LOCK TABLE "+c.table+" IN ROW EXCLUSIVE MODE").ReadAll()
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() { _, err := worker.Exec(context.Background(), c.text); done <- err }()
			seen := map[string]lint.Mode{}
			for waiting := false; !waiting; {
				require.Empty(t, done, "it did not wait")
				require.NoError(t, looker.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT "+
					"granted)", worker.PgConn().PID()).Scan(&waiting))
			}
			rows, err := looker.Query(t.Context(),
				`SELECT c.relname, max(CASE l.mode WHEN 'ShareUpdateExclusiveLock' THEN 4 WHEN 'ShareLock' THEN 5 WHEN 'ShareRowExclusiveLock' THEN 6
				WHEN 'ExclusiveLock' THEN 7 WHEN 'AccessExclusiveLock' THEN 8 ELSE 0 END) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
				WHERE l.pid = $1 AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace GROUP BY c.relname`,
				worker.PgConn().PID())
			require.NoError(t, err)
			var table string
			var mode int
			_, err = pgx.ForEachRow(rows, []any{&table, &mode}, func() error {
				if lint.Mode(mode) >= lint.ShareUpdateExclusive {
					seen[table] = lint.Mode(mode)
				}
				return nil
			})
			require.NoError(t, err)
			_, err = writer.Exec(t.Context(), "ROLLBACK")
			require.NoError(t, err)
			require.NoError(t, <-done)
			if name == "DETACH PARTITION" { // waits between its two transactions, in which it has the lock
				require.Empty(t, seen)
			} else {
				require.Equal(t, map[string]lint.Mode{c.table: lint.ShareUpdateExclusive}, seen)
			}
			read := text(t, []string{lint.ExampleSchema}, c.text)
			predicted := decisive(read.Files[0].Statements[0].Effect.Locks)
			require.Equal(t, lint.ShareUpdateExclusive, predicted[c.table])
			require.Equal(t, lint.Safe, read.Files[0].Statements[0].Verdict)
		})
	}
}
