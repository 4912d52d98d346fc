//go:build linux

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/faults"
)

// people fills a table. In once every row counts how often it was done, and in
// batch it keeps the transaction that did it.
func (b *bundle) people(rows int) {
	b.Helper()
	b.exec(fmt.Sprintf(
		`CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, lower_name text, done int NOT NULL DEFAULT 0, once int, batch xid8);
INSERT INTO people (id, name, once) SELECT 2 * n, 'Name ' || n, 0 FROM generate_series(1, %d) n; ANALYZE people`, rows))
}

// counting is a backfill that nothing keeps from doing a row twice but the
// journal.
func counting(options string) string {
	return "-- +migrate Batch people by id" + options +
		"\nUPDATE people SET once = once + 1, batch = pg_current_xact_id() WHERE id > :from AND id <= :to;\n"
}

// lowering is one that goes on until nothing is left.
const lowering = `-- +migrate Batch people by id workers=2
UPDATE people SET lower_name = lower(name), done = done + 1 WHERE id > :from AND id <= :to AND lower_name IS NULL;
-- +migrate Assert everybody has a lower_name
SELECT NOT EXISTS (SELECT FROM people WHERE lower_name IS NULL);
`

// everybodyOnce requires that each of the first rows was done exactly once, and
// that the journal is empty.
func (b *bundle) everybodyOnce() {
	b.Helper()
	require.Equal(b, "1", b.text("SELECT string_agg(DISTINCT once::text, ' ') FROM people"))
	require.Equal(b, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
	require.Equal(b, "1", b.applied())
}

// write lets connections insert people between the others, and take back what
// was done with them, until stop is called, which gives how many rows it were.
func (b *bundle) write(highest int) (stop func() int) {
	b.Helper()
	writing, cancel := context.WithCancel(context.Background())
	counts, failed := make([]int, 2), make([]error, 2)
	var all sync.WaitGroup
	for i, sql := range []string{
		"INSERT INTO people (id, name) VALUES ($1 | 1, 'Late') ON CONFLICT DO NOTHING",
		"UPDATE people SET name = name || ', Again', lower_name = NULL, done = 0 WHERE id = $1 & ~1",
	} {
		conn := b.connect()
		all.Go(func() {
			for writing.Err() == nil && failed[i] == nil {
				_, failed[i] = conn.Exec(context.Background(), sql, 2+rand.IntN(highest))
				counts[i]++
			}
		})
	}
	return func() int {
		b.Helper()
		cancel()
		all.Wait()
		require.NoError(b, errors.Join(failed...))
		return counts[0] + counts[1]
	}
}

// awaitKind returns when the runner has said an event of this kind; false means
// that it has ended.
func (r *runner) awaitKind(kind string) bool {
	for heard := range r.events {
		if heard == kind {
			return true
		}
	}
	return false
}

func TestABackfillThatIsKilledAgainAndAgainDoesEveryRowOnceAndLeavesNone(t *testing.T) {
	t.Parallel()
	const rows, kills, most = 200_000, 14, 500
	b := setup(t)
	b.people(rows)
	folder := files{"1_fill.sql": counting(" workers=2") + lowering}.write(t)
	stop := b.write(2 * rows)
	steps := map[string]bool{}
	for n := 0; n < kills || !steps["2"]; n++ { // how far each gets is a matter of the machine
		require.Less(t, n, most)
		r := b.start(folder)
		require.True(t, r.awaitKind("batch_progress"), "it cannot end while others write")
		time.Sleep(time.Duration(100+rand.IntN(200)) * time.Millisecond)
		r.kill()
		steps[b.text("SELECT string_agg(DISTINCT (step % 1000000 / 1000)::text || (cursor::json->>'pass'), ' ') FROM "+
			"schema_migrations_journal WHERE step >= 1000000")] = true
		steps[b.text("SELECT max(step / 1000000) FROM schema_migrations_journal")] = true
	}
	written := stop()
	require.Nil(t, b.start(folder).end())
	b.exec("UPDATE people SET once = 1 WHERE once IS NULL AND id % 2 = 1") // they came later
	b.everybodyOnce()
	require.Equal(t, "0", b.text("SELECT count(*) FROM people WHERE lower_name IS DISTINCT FROM lower(name) OR done <> 1"))
	require.Contains(t, steps, "1")
	require.Contains(t, steps, "2")
	t.Logf("%d rows written meanwhile; killed in %v", written, steps)
}

func TestABackfillWaitsForAReplicaThatStandsStill(t *testing.T) {
	t.Parallel()
	primary := lonely(t, map[string]string{"wal_level": "replica", "max_wal_senders": "10", "wal_keep_size": "64MB"})
	b := setupOn(t, primary)
	b.people(100_000)
	replica, err := faults.StartReplica(t.Context(), primary)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Stop()) })
	b.eventually("SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn = " +
		"pg_current_wal_lsn()")
	there, err := pgx.Connect(t.Context(), replica.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = there.Close(context.Background()) })
	standing := func() bool {
		var state string
		require.NoError(t, there.QueryRow(context.Background(), "SELECT pg_get_wal_replay_pause_state()").Scan(&state))
		return state == "paused"
	}

	const batches = "SELECT count(DISTINCT batch) FROM people"
	began, paused := make(chan struct{}), make(chan whimbrel.BatchPaused, 1)
	var first sync.Once
	result := make(chan error, 1)
	m := b.migrator(files{"1_fill.sql": counting(" size=200 pause=1ms")}, hearing(func(r whimbrel.Record) {
		switch e := r.Event.(type) {
		case whimbrel.BatchProgress:
			first.Do(func() { // the backfill waits for its listener
				_, err := there.Exec(context.Background(), "SELECT pg_wal_replay_pause()")
				if err != nil {
					t.Errorf("pausing: %v", err)
				}
				b.until("replay makes no progress", standing)
				close(began)
			})
		case whimbrel.BatchPaused:
			select {
			case paused <- e:
			default: // the first one is enough
			}
		}
	}))
	go func() {
		_, err := m.Up(context.Background(), whimbrel.UpOptions{})
		result <- err
	}()
	<-began
	reason := <-paused
	require.Contains(t, reason.Reason, "replica walreceiver")
	require.Contains(t, reason.Reason, "behind")
	done, looks := b.text(batches), map[string]bool{}
	b.until("it has looked again, five times, and done nothing", func() bool {
		if now := b.text(batches); now != done { // the replica was a moment late to stand still
			done, looks = now, map[string]bool{}
		}
		looks[b.text("SELECT query_start FROM pg_stat_activity WHERE query LIKE '%replay_lsn%' AND application_name LIKE "+
			"'whimbrel/%' AND datname = current_database()")] = true
		return len(looks) > 5
	})
	require.Contains(t, []string{"1", "2", "3"}, done,
		"one batch before the replica stood still, and two behind it at most")
	_, err = there.Exec(t.Context(), "SELECT pg_wal_replay_resume()")
	require.NoError(t, err)
	require.NoError(t, <-result)
	require.Contains(t, b.heard(), "batch_resumed")
	b.everybodyOnce()
}

func TestABackfillOverABadNetworkAndARestartDoesEveryRowOnce(t *testing.T) {
	t.Parallel()
	own := lonely(t, nil)
	b := setupOn(t, own)
	b.people(100_000)
	proxy, url, err := faults.InFrontOf(b.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, proxy.Close()) }()
	began, ended := make(chan struct{}), make(chan struct{})
	var first sync.Once
	m := b.migrator(files{"1_fill.sql": counting(" size=200 workers=3 pause=10ms")}, through(url),
		hearing(func(r whimbrel.Record) {
			if r.Event.Kind() == "batch_progress" {
				first.Do(func() { close(began) })
			}
		}))
	var failures []error // of runs, each of which goes on where the last one ended
	go func() {
		defer close(ended)
		for range 20 {
			_, err := m.Up(context.Background(), whimbrel.UpOptions{})
			if failures = append(failures, err); err == nil {
				return
			}
			for again := false; !again; time.Sleep(5 * time.Millisecond) { // the server may be restarting
				conn, err := pgx.Connect(t.Context(), b.url)
				if again = err == nil || t.Context().Err() != nil; err == nil {
					_ = conn.Close(context.Background())
				}
			}
		}
	}()
	<-began
	strikes := 0
	for alive := true; alive; strikes++ {
		select {
		case <-ended:
			alive = false
		case <-time.After(time.Duration(50+rand.IntN(150)) * time.Millisecond):
			switch {
			case strikes > 15: // on a busy machine a run needs some rest to come to an end
			case strikes == 3:
				require.NoError(t, own.Restart(t.Context(), true))
			case strikes%2 == 0:
				proxy.Reset()
			default:
				proxy.Cut()
			}
		}
	}
	b.conn = b.connect()
	for _, err := range failures[:len(failures)-1] { // struck while it took the lease, or took it again
		var e *whimbrel.Error
		require.ErrorAs(t, err, &e)
		require.Contains(t, []whimbrel.Code{whimbrel.CodeConnection, whimbrel.CodeLeaseLost}, e.Code, "%v", err)
	}
	require.NoError(t, failures[len(failures)-1])
	require.Greater(t, strikes, 4)
	require.Contains(t, b.heard(), "connection_lost") // and then it reconnected, or the next run did
	b.everybodyOnce()
	t.Logf("%d strikes, %d runs", strikes, len(failures))
}

func TestABackfillWithTwoWorkersGoesThroughAPoolerInTransactionMode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.people(50_000)
	pool := bouncer(t, faults.TransactionMode)
	require.NoError(t, b.up(files{"1_fill.sql": counting(" workers=2") + lowering}, through(pool.URL(b.name))), pool.Log())
	b.everybodyOnce()
	require.Equal(t, "0", b.text("SELECT count(*) FROM people WHERE lower_name IS DISTINCT FROM lower(name) OR done <> 1"))
}
