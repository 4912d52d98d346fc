package whimbrel_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// latest is the newest line of the log.
func (b *bundle) latest(f files) whimbrel.LogEntry {
	b.Helper()
	entries, err := b.migrator(f).History(b.Context(), whimbrel.HistoryOptions{Limit: 1})
	require.NoError(b, err)
	require.Len(b, entries, 1)
	return entries[0]
}

func TestTheLogKeepsWhatAStepBackedOffForAndToWhom(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE busy (id int)")
	holder := b.connect()
	tx, err := holder.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT 'a secret' FROM busy")
	require.NoError(t, err)
	f := files{"1_a.sql": "CREATE TABLE a ()", "2_alter.sql": "ALTER TABLE busy ADD COLUMN note text"}
	seen := false
	_, err = b.migrator(f, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			switch r.Event.(type) {
			case whimbrel.LockWaiting:
				seen = true
			case whimbrel.Retrying:
				if seen {
					_ = tx.Rollback(context.Background())
				}
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	entries, err := b.migrator(f).History(t.Context(), whimbrel.HistoryOptions{})
	require.NoError(t, err)
	gave, quiet := entries[0], entries[1]
	require.Positive(t, gave.Retries)
	require.Positive(t, gave.Backoff)
	require.Len(t, gave.Steps, 1)
	step := gave.Steps[0]
	require.Equal(t, gave.Retries, step.Retries)
	require.Equal(t, "ALTER TABLE", step.Summary)
	require.Contains(t, step.Reason, "cancel")
	require.Positive(t, step.Duration)
	require.Equal(t, int(holder.PgConn().PID()), step.Blockers[0].PID)
	require.Empty(t, step.Blockers[0].Query, "others' queries are not kept")
	require.Zero(t, quiet.Retries)
	require.Empty(t, quiet.Steps, "one step that waited for nothing needs no words")
	require.Equal(t, "true", b.text("SELECT steps IS NULL FROM schema_migrations_log WHERE version = '1'"))
	require.NotZero(t, quiet.Token)
	require.Equal(t, quiet.Token, gave.Token)
}

func TestTheLogKeepsForHowLongAStepOutsideATransactionWaited(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE busy (id int)")
	holder := b.connect()
	tx, err := holder.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO busy VALUES (1)")
	require.NoError(t, err)
	f := files{"1_chain.sql": "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY busy_id ON busy (id);\n" +
		"INSERT INTO a VALUES (1), (2)"}
	_, err = b.migrator(f, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if _, waits := r.Event.(whimbrel.LockWaiting); waits {
				_ = tx.Commit(context.Background())
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	e := b.latest(f)
	require.Len(t, e.Steps, 3)
	require.Positive(t, e.LockWait)
	require.Equal(t, e.LockWait, e.Steps[1].LockWait)
	require.LessOrEqual(t, e.LockWait, e.Steps[1].Duration)
	require.Equal(t, whimbrel.StepAlone, e.Steps[1].Kind)
	require.Equal(t, int(holder.PgConn().PID()), e.Steps[1].Blockers[0].PID)
	var sum time.Duration
	for _, s := range e.Steps {
		require.Positive(t, s.Duration)
		sum += s.Duration
	}
	require.InDelta(t, float64(e.Duration), float64(sum), float64(time.Millisecond))
}

func TestTheLogKeepsHowFarAFailedChainCame(t *testing.T) {
	b := setup(t)
	f := files{"1_chain.sql": "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY a_id ON a (id);\n" +
		"INSERT INTO a VALUES (1/0)"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.ErrorContains(t, err, "division by zero")
	e := b.latest(f)
	require.Equal(t, "failed", e.Outcome)
	require.Len(t, e.Steps, 3)
	require.True(t, e.Steps[2].Failed)
	require.False(t, e.Steps[1].Failed)
	require.Positive(t, e.Steps[2].Duration)

	f["1_chain.sql"] = "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY a_id ON a (id);\nINSERT INTO a VALUES (1)"
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	e = b.latest(f)
	require.Equal(t, "done", e.Outcome)
	require.Len(t, e.Steps, 1, "the others were done before")
	require.Equal(t, 3, e.Steps[0].Step)
}

func TestTheLogKeepsHowLongTheRunWaitedForAnother(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"0_z.sql": "SELECT 1"}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	b.exec("UPDATE migration_lock SET is_locked = true, token = token + 1, locked_at = now(), " +
		"expires_at = now() + interval '1 hour', locked_by = 'another runner'")
	f := files{"0_z.sql": "SELECT 1", "1_a.sql": "CREATE TABLE a ()",
		"2_b.sql": "CREATE TABLE b ()\n-- +migrate Down\nDROP TABLE b"}
	_, err = b.migrator(f, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if _, waits := r.Event.(whimbrel.LeaseWaiting); waits {
				b.exec("UPDATE migration_lock SET is_locked = false")
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 true,2 false", b.text("SELECT string_agg(version || ' ' || (lease_wait_ms > 0), ',' ORDER BY "+
		"id) FROM schema_migrations_log WHERE action = 'up' AND version <> '0'"))
	_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Zero(t, b.latest(f).LeaseWait)
}

func TestTheHistoryCanBeNarrowed(t *testing.T) {
	b := setup(t)
	f := files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "SELECT 1/0"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	f["2_b.sql"] = "SELECT 1\n-- +migrate Down\nSELECT 1"
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	b.exec("UPDATE schema_migrations_log SET run_by = 'Ann@laptop', at = '2020-01-01' WHERE id = 1")
	for _, test := range []struct {
		options whimbrel.HistoryOptions
		found   int
	}{
		{whimbrel.HistoryOptions{}, 4},
		{whimbrel.HistoryOptions{Outcome: "failed"}, 1},
		{whimbrel.HistoryOptions{Outcome: "done"}, 3},
		{whimbrel.HistoryOptions{Action: "down"}, 1},
		{whimbrel.HistoryOptions{Version: "02"}, 3},
		{whimbrel.HistoryOptions{Version: "2", Outcome: "done", Action: "up"}, 1},
		{whimbrel.HistoryOptions{By: "ann@"}, 1},
		{whimbrel.HistoryOptions{By: "nobody"}, 0},
		{whimbrel.HistoryOptions{Batch: 1}, 2},
		{whimbrel.HistoryOptions{Batch: 2}, 1},
		{whimbrel.HistoryOptions{Since: time.Now().Add(-time.Hour)}, 3},
		{whimbrel.HistoryOptions{Since: time.Now().Add(-time.Hour), Limit: 2}, 2},
	} {
		entries, err := b.migrator(f).History(t.Context(), test.options)
		require.NoError(t, err)
		require.Len(t, entries, test.found, "%+v", test.options)
	}
}
