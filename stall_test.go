package whimbrel_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// open begins a transaction on a connection of its own that has run a statement.
func (b *bundle) open(options pgx.TxOptions, statement string) pgx.Tx {
	b.Helper()
	tx, err := b.connect().BeginTx(b.Context(), options)
	require.NoError(b, err)
	_, err = tx.Exec(b.Context(), statement)
	require.NoError(b, err)
	return tx
}

// retries gives the SQLSTATEs of the attempts that backed off.
func (b *bundle) retries() []string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	var states []string
	for _, r := range b.events {
		if e, ok := r.Event.(whimbrel.Retrying); ok {
			states = append(states, e.SQLState)
		}
	}
	return states
}

// inBackground runs Up; the channel gives what came of it.
func inBackground(m *whimbrel.Migrator) <-chan error {
	result := make(chan error, 1)
	go func() {
		_, err := m.Up(context.Background(), whimbrel.UpOptions{})
		result <- err
	}()
	return result
}

// A concurrent build waits for every snapshot, also for those of the run's own
// second connections: nobody can do anything about them, and they are over at once.
func TestTheRunsOwnSecondConnectionsAreNobodysBlockers(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE busy (id int)")
	aside := b.open(pgx.TxOptions{}, "SET LOCAL application_name = 'whimbrel aside'; SELECT * FROM busy")
	other := b.open(pgx.TxOptions{}, "SELECT * FROM busy")
	blockers := make(chan []whimbrel.Blocker, 100)
	result := inBackground(b.migrator(files{"1_alter.sql": "ALTER TABLE busy ADD COLUMN note text"},
		func(c *whimbrel.Config) {
			c.Listener = func(r whimbrel.Record) {
				if e, ok := r.Event.(whimbrel.LockWaiting); ok {
					blockers <- e.Blockers
				}
			}
		}))
	seen := <-blockers
	require.Len(t, seen, 1)
	require.EqualValues(t, other.Conn().PgConn().PID(), seen[0].PID)
	require.NoError(t, other.Rollback(t.Context()))
	require.NoError(t, aside.Rollback(t.Context()))
	require.NoError(t, <-result)
}

func TestTheTimeOfTwoWaitsCountsTogetherForWhoStandsBehind(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE first (id int); CREATE TABLE second (id int)")
	onFirst := b.open(pgx.TxOptions{}, "SELECT * FROM first")
	onSecond := b.open(pgx.TxOptions{}, "SELECT * FROM second")
	result := inBackground(b.migrator(files{"1_a.sql": "ALTER TABLE first ADD a int; ALTER TABLE second ADD a int"},
		func(c *whimbrel.Config) {
			c.MaxStall = 3 * time.Second
		}))
	b.eventually("SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = 'first'::regclass AND mode = " +
		"'AccessExclusiveLock'")
	reader := b.connect()
	read := make(chan error, 1)
	go func() {
		_, err := reader.Exec(context.Background(), "SELECT count(*) FROM first")
		read <- err
	}()
	// The reader has waited for most of the budget when the first wait ends …
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'SELECT count(*) FROM first' AND " +
		"wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '2 seconds' AND datname = " +
		"current_database()")
	require.NoError(t, onFirst.Rollback(t.Context()))
	// … and the second begins: lock_timeout alone would start to count again.
	require.NoError(t, <-read)
	b.eventuallyTrue(func() bool { return len(b.retries()) > 0 })
	require.Equal(t, "57014", b.retries()[0])
	require.NoError(t, onSecond.Rollback(t.Context()))
	require.NoError(t, <-result)
	require.Equal(t, "1", b.applied())
}

func TestAConcurrentBuildWaitsForAnOldSnapshotAndSucceeds(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE t (id int); CREATE TABLE elsewhere (id int)")
	old := b.open(pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, "SELECT * FROM elsewhere")
	result := inBackground(b.migrator(files{"1_i.sql": "CREATE INDEX CONCURRENTLY i ON t (id)"}))
	// Far longer than the stall budget, and nobody is the worse for it.
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event = " +
		"'virtualxid' AND clock_timestamp() - query_start > interval '1 second' AND datname = current_database()")
	require.Contains(t, b.heard(), "lock_waiting")
	require.NoError(t, old.Rollback(t.Context()))
	require.NoError(t, <-result)
	require.Empty(t, b.retries())
	require.Equal(t, "true", b.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"))
}

func TestAConcurrentBuildBacksOffForWhoQueuesBehindIt(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE t (id int); CREATE TABLE elsewhere (id int)")
	old := b.open(pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, "SELECT * FROM elsewhere")
	result := inBackground(b.migrator(files{"1_i.sql": "CREATE INDEX CONCURRENTLY i ON t (id)"}))
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event = " +
		"'virtualxid' AND datname = current_database()")
	_, err := b.connect().Exec(t.Context(), "ALTER TABLE t ADD COLUMN urgent int")
	require.NoError(t, err, "it would have waited for as long as the old snapshot lives")
	b.eventuallyTrue(func() bool { return len(b.retries()) > 0 })
	require.Equal(t, "57014", b.retries()[0])
	require.NoError(t, old.Rollback(t.Context()))
	require.NoError(t, <-result)
	require.Equal(t, "1", b.text("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid"))
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_index WHERE NOT indisvalid"))
}

func TestAStepAtWorkIsReportedAndNotCancelled(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE t (id int)")
	result := inBackground(b.migrator(files{"1_a.sql": "LOCK TABLE t; DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM " +
		"pg_stat_activity WHERE application_name = 'enough' AND datname = current_database()) LOOP PERFORM pg_sleep(0.01), " +
		"pg_stat_clear_snapshot(); END LOOP; END $$"}))
	b.eventually("SELECT count(*) = 1 FROM pg_locks WHERE granted AND relation = 't'::regclass AND mode = " +
		"'AccessExclusiveLock'")
	read := make(chan error, 1)
	reader, release := b.connect(), b.connect()
	go func() {
		_, err := reader.Exec(context.Background(), "SELECT count(*) FROM t")
		read <- err
	}()
	b.eventuallyTrue(func() bool {
		for _, kind := range b.heard() {
			if kind == "traffic_waiting" {
				return true
			}
		}
		return false
	})
	_, err := release.Exec(t.Context(), "SET application_name = 'enough'")
	require.NoError(t, err)
	require.NoError(t, <-result)
	require.NoError(t, <-read)
	require.Empty(t, b.retries())
}
