//go:build linux

package faults_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// expired is a condition: the lease has run out by the server's clock.
const expired = "SELECT is_locked AND expires_at < clock_timestamp() FROM migration_lock"

// diary are migrations that write down when they began and ended, so that two
// at once would show. The first one also does something else.
func diary(first string) files {
	entry := func(step string) string {
		return "INSERT INTO diary (step, began) VALUES (" + step + ", clock_timestamp());\n"
	}
	const end = "\nUPDATE diary SET ended = clock_timestamp() WHERE ended IS NULL;"
	f := files{"1_diary.sql": "CREATE TABLE diary (step int PRIMARY KEY, began timestamptz NOT NULL, ended " +
		"timestamptz);\n" + entry("1") + first + end}
	for _, step := range []string{"2", "3", "4", "5"} {
		f[step+"_step.sql"] = entry(step) + "SELECT pg_sleep(0.1); CREATE TABLE t" + step + " ();" + end
	}
	return f
}

// neverBeside requires that every migration of a diary ran once, one after the
// other, under tokens that only grow.
func (b *bundle) neverBeside() {
	b.Helper()
	require.Equal(b, "1 2 3 4 5", b.applied())
	require.Equal(b, "5", b.text("SELECT count(*) FROM schema_migrations_log WHERE outcome = 'done'"))
	require.Equal(b, "0", b.text("SELECT count(*) FROM diary a JOIN diary b ON a.step < b.step AND a.ended > b.began"))
	require.Equal(b, "0", b.text("SELECT count(*) FROM schema_migrations_log a JOIN schema_migrations_log b ON a.id < "+
		"b.id AND a.token > b.token WHERE a.outcome = 'done' AND b.outcome = 'done'"))
	require.Equal(b, "false", b.text("SELECT is_locked FROM migration_lock"))
}

// saysSo requires that a runner that was paused for longer than its lease ended
// with the reason, and that nothing is different from before it was woken.
func (r *runner) saysSo() {
	r.Helper()
	before := r.everything()
	r.wake()
	e := r.end()
	require.NotNil(r, e, "it must not succeed")
	require.Equal(r, whimbrel.CodeLeaseLost, e.Code, "%v", e)
	require.Contains(r, e.Message, "changes nothing more")
	require.Contains(r, e.Remedy, "run the same command again")
	require.Equal(r, before, r.everything())
}

// everything is the schema, the data of the diary, and the history.
func (b *bundle) everything() string {
	b.Helper()
	return b.schema() + b.text("SELECT string_agg(d::text, ' ' ORDER BY step) FROM diary d") +
		b.text("SELECT string_agg(h::text, ' ' ORDER BY id) FROM schema_migrations h") + b.text("SELECT count(*) FROM "+
		"schema_migrations_journal")
}

// succeed starts another runner, which waits for the lease as long as it takes.
func (b *bundle) succeed(f files) (result chan error) {
	result = make(chan error, 1)
	m := b.migrator(f)
	go func() {
		_, err := m.Up(context.Background(), whimbrel.UpOptions{})
		result <- err
	}()
	return result
}

func impatient(c *whimbrel.Config) { c.LockWait = 300 * time.Millisecond }

func TestARunnerPausedInATransactionKeepsOthersOutUntilItEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open := b.gate()
	f := diary("-- +migrate Set lock_timeout = 0\nSELECT count(*) FROM gate;")
	r := b.start(f.write(t), childLease+"=4s", childNoPipeline+"=1")
	b.eventually(working)
	r.pause()
	b.eventually(expired)

	e := fails(t, b.up(f, impatient), whimbrel.CodeLeaseHeld)
	require.Contains(t, e.Message, "expired")
	result := b.succeed(f)
	b.until("the successor waits", func() bool {
		waiting, found := last[whimbrel.LeaseWaiting](b)
		return found && waiting.Holder.State == "expired"
	})
	open()
	require.NoError(t, <-result, "the server finished the transaction and the successor the rest")
	b.neverBeside()
	require.Equal(t, "1 2", b.text("SELECT string_agg(DISTINCT token::text, ' ') FROM schema_migrations_log WHERE "+
		"outcome = 'done'"))
	r.saysSo()
}

func TestARunnerPausedBetweenTwoMessagesOfATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open := b.gate()
	f := diary("-- +migrate Set lock_timeout = 0\n-- +migrate Assert the gate is empty\nSELECT count(*) = 0 FROM gate;\n" +
		"CREATE TABLE behind ();")
	r := b.start(f.write(t), childLease+"=4s")
	b.eventually(working)
	r.pause()
	open()
	b.eventually(expired)
	result := b.succeed(f)
	r.wake()
	require.NoError(t, <-result)
	e := r.end()
	require.NotNil(t, e, "its lease had run out with work left to do")
	require.Equal(t, whimbrel.CodeLeaseLost, e.Code, "%v", e)
	b.neverBeside()
}

func TestARunnerPausedBetweenTwoMigrations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := diary("")
	r := b.start(f.write(t), childLease+"=4s", childNoPipeline+"=1", childPause+"=migration_finished")
	r.paused()
	b.eventually(expired)
	require.NoError(t, b.up(f))
	taken, _ := last[whimbrel.LeaseTaken](b)
	require.NotNil(t, taken.TakenFrom)
	require.Equal(t, "expired", taken.TakenFrom.State)
	b.neverBeside()
	require.Equal(t, "4", b.text("SELECT count(*) FROM schema_migrations_log WHERE token = 2 AND outcome = 'done'"))
	r.saysSo()
}

// What was sent ahead runs without its sender, but still under the fence.
func TestARunnerPausedWithMigrationsSentAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open := b.gate()
	f := diary("-- +migrate Set lock_timeout = 0\nSELECT count(*) FROM gate;")
	r := b.start(f.write(t), childLease+"=4s")
	b.eventually(working)
	r.pause()
	b.eventually(expired)
	result := b.succeed(f)
	open()
	require.NoError(t, <-result)
	b.neverBeside()
	before := b.everything()
	r.wake()
	if e := r.end(); e != nil { // otherwise the server had done all that it was sent
		require.Equal(t, whimbrel.CodeLeaseLost, e.Code, "%v", e)
	} else {
		require.Equal(t, "1", b.text("SELECT string_agg(DISTINCT token::text, ' ') FROM schema_migrations_log WHERE "+
			"outcome = 'done'"))
	}
	require.Equal(t, before, b.everything())
}

func TestARunnerPausedInAConcurrentIndexBuildIsEndedByItsSuccessor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f := diary("CREATE TABLE wide AS SELECT g AS id FROM generate_series(1, 1000) g;")
	f["3_step.sql"] = "CREATE INDEX CONCURRENTLY wide_id ON wide (id);\n" +
		"INSERT INTO diary VALUES (3, clock_timestamp(), clock_timestamp());"
	snapshot := b.connect()
	_, err := snapshot.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class",
		pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	r := b.start(f.write(t), childLease+"=4s")
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%INDEX CONCURRENTLY%' AND wait_event_type " +
		"= 'Lock' AND application_name LIKE 'whimbrel/%/1' AND datname = current_database()")
	r.pause()
	b.eventually(expired)

	result := b.succeed(f)
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%INDEX CONCURRENTLY%' AND wait_event_type " +
		"= 'Lock' AND application_name LIKE 'whimbrel/%/2' AND datname = current_database()")
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'whimbrel/%/1' AND "+
		"datname = current_database()"),
		"the session of the paused runner was ended first")
	_, err = snapshot.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.NoError(t, <-result)
	b.neverBeside()
	require.Equal(t, "1", b.text("SELECT count(*) FROM pg_index WHERE indrelid = 'wide'::regclass AND indisvalid"))
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_index WHERE NOT indisvalid"))
	require.Contains(t, b.heard(), "index_repaired")
	r.saysSo()
}
