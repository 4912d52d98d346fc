package whimbrel_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// fifty are migrations that would show it if one ran twice, halfway, or out of
// order.
func fifty() files {
	f := files{"001_first.sql": "CREATE TABLE ledger (id serial PRIMARY KEY, step int UNIQUE, before bigint)"}
	for i := 2; i <= 50; i++ {
		f[fmt.Sprintf("%03d_step.sql", i)] = fmt.Sprintf(
			"CREATE TABLE t%[1]d (id int PRIMARY KEY, note text);\n"+
				"INSERT INTO t%[1]d SELECT g, 'x' FROM generate_series(1, 50) g;\n"+
				"INSERT INTO ledger (step, before) SELECT %[1]d, count(*) FROM ledger;\nCREATE INDEX i%[1]d ON t%[1]d (note);", i)
	}
	return f
}

func TestTwentyProcessesApplyEverythingExactlyOnce(t *testing.T) {
	b := setup(t)
	folder := fifty().write(t)
	var group sync.WaitGroup
	failures := make([]string, 20)
	for i := range failures {
		cmd, errors := b.runner(folder)
		group.Go(func() {
			if err := cmd.Run(); err != nil {
				failures[i] = err.Error() + ": " + errors.String()
			}
		})
	}
	group.Wait()
	require.Equal(t, make([]string, 20), failures)
	require.Equal(t, "50", b.text("SELECT count(*) FROM schema_migrations"))
	require.Equal(t, "50", b.text("SELECT count(*) FROM schema_migrations_log WHERE action = 'up' AND outcome = 'done'"))
	require.Equal(t, "49", b.text("SELECT count(*) FROM ledger WHERE before = step - 2"))
	require.Equal(t, "1", b.text("SELECT count(DISTINCT batch_number) FROM schema_migrations"))
}

func TestAKilledRunLeavesNothingToRepair(t *testing.T) {
	undisturbed, b := setupTwo(t)
	f := fifty()
	f["045_step.sql"] = "SELECT pg_advisory_xact_lock(45);\n" + f["045_step.sql"]
	_, err := undisturbed.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)

	gate, err := b.connect().Begin(t.Context()) // nobody gets beyond 44 for now
	require.NoError(t, err)
	_, err = gate.Exec(t.Context(), "SELECT pg_advisory_xact_lock(45)")
	require.NoError(t, err)
	cmd, _ := b.runner(f.write(t))
	killAt(t, cmd, "migration_started 025")
	require.NoError(t, gate.Rollback(t.Context()))
	done := b.text("SELECT count(*) FROM schema_migrations")
	require.NotEqual(t, "50", done)
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "50", b.text("SELECT count(*) FROM schema_migrations"))
	require.Equal(t, undisturbed.schema(), b.schema())
	require.Equal(t, "49", b.text("SELECT count(*) FROM ledger WHERE before = step - 2"))
}

func setupTwo(t *testing.T) (*bundle, *bundle) {
	t.Helper()
	first := setup(t)
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	second := &bundle{T: t, url: url}
	second.conn = second.connect()
	return first, second
}

// killAt starts a runner and kills it without warning when it says a line.
func killAt(t *testing.T, cmd *exec.Cmd, line string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	waitFor(t, out, line)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}

func waitFor(t *testing.T, out interface{ Read([]byte) (int, error) }, line string) {
	t.Helper()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == line {
			return
		}
	}
	require.Fail(t, "the runner ended without saying "+line)
}

func TestADeadHolderIsSucceededAtOnce(t *testing.T) {
	b := setup(t)
	f := files{"1_slow.sql": "CREATE TABLE slow (); SELECT pg_advisory_xact_lock(1);"}
	gate, err := b.connect().Begin(t.Context()) // what is pending stays so, however slow the machine is
	require.NoError(t, err)
	_, err = gate.Exec(t.Context(), "SELECT pg_advisory_xact_lock(1)")
	require.NoError(t, err)
	cmd, _ := b.runner(f.write(t), childLeaseSeconds+"=10m")
	killAt(t, cmd, "migration_started 1")
	_, err = gate.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name LIKE 'whimbrel%'`)
	require.NoError(t, err)
	require.NoError(t, gate.Rollback(t.Context()))
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err, "long before its ten minutes are over")
	var taken *whimbrel.LeaseTaken
	for _, r := range b.events {
		if e, ok := r.Event.(whimbrel.LeaseTaken); ok {
			taken = &e
		}
	}
	require.NotNil(t, taken)
	require.NotNil(t, taken.TakenFrom)
	require.Equal(t, "gone", taken.TakenFrom.State)
	require.EqualValues(t, 2, taken.Token)
}

// holding starts a run that stays inside its first migration until release is
// called, and waits until it is there.
func (b *bundle) holding(change ...func(*whimbrel.Config)) (release func() error) {
	b.Helper()
	gate := b.connect()
	b.exec("CREATE TABLE gate ()")
	_, err := gate.Exec(b.Context(), "BEGIN; LOCK TABLE gate", pgx.QueryExecModeSimpleProtocol)
	require.NoError(b, err)
	started := make(chan struct{})
	var once sync.Once
	m := b.migrator(files{"1_hold.sql": "-- +migrate Set lock_timeout = 0\n" +
		"CREATE TABLE hold (); SELECT count(*) FROM gate;"}, append(change, func(c *whimbrel.Config) {
		inner := c.Listener
		c.Listener = func(r whimbrel.Record) {
			inner(r)
			if r.Event.Kind() == "step_started" {
				once.Do(func() { close(started) })
			}
		}
	})...)
	result := make(chan error, 1)
	go func() {
		_, err := m.Up(context.Background(), whimbrel.UpOptions{})
		result <- err
	}()
	<-started
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = " +
		"current_database() AND application_name LIKE 'whimbrel/%'")
	return func() error {
		_, _ = gate.Exec(context.Background(), "ROLLBACK")
		return <-result
	}
}

// eventually polls until a query gives true.
func (b *bundle) eventually(query string) {
	b.Helper()
	b.eventuallyTrue(func() bool { return b.text(query) == "true" }, query)
}

// eventuallyTrue polls for longer than it takes on any machine that is merely busy.
func (b *bundle) eventuallyTrue(condition func() bool, about ...any) {
	b.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		require.True(b, time.Now().Before(deadline), about...)
	}
}

func TestAWaitingRunnerSaysWhoHoldsTheLease(t *testing.T) {
	b := setup(t)
	release := b.holding()
	holder, err := b.migrator(simple).Lock(t.Context())
	require.NoError(t, err)
	require.Equal(t, "alive", holder.State)
	require.Contains(t, holder.By, "@")
	require.Contains(t, holder.Activity, "up 1_hold")
	_, err = b.migrator(simple, func(c *whimbrel.Config) { c.LockWait = 50 * time.Millisecond }).Up(t.Context(),
		whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeLeaseHeld)
	require.ErrorIs(t, err, whimbrel.CodeLeaseHeld)
	require.Contains(t, e.Message, holder.By)
	require.Contains(t, b.heard(), "lease_waiting")
	require.NoError(t, release())
	holder, err = b.migrator(simple).Lock(t.Context())
	require.NoError(t, err)
	require.Nil(t, holder)
}

func TestReleasingALockEndsItsSession(t *testing.T) {
	b := setup(t)
	release := b.holding()
	m := b.migrator(simple)
	holder, err := m.Lock(t.Context())
	require.NoError(t, err)
	_ = fails(t, m.ReleaseLock(t.Context(), holder.Token+1), whimbrel.CodeLeaseHeld)
	require.NoError(t, m.ReleaseLock(t.Context(), holder.Token))
	_ = fails(t, release(), whimbrel.CodeLeaseLost)
	require.Empty(t, b.applied())
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
}

// A runner that is back before anybody could look again: whenever its session is
// ended, it reconnects, takes the lease from itself and opens a transaction.
func TestALockIsReleasedHoweverQuicklyItsRunnerComesBack(t *testing.T) {
	b := setup(t)
	release := b.holding()
	const working = "pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'whimbrel/%/%'"
	name := b.text("SELECT application_name FROM " + working)
	require.NoError(t, release())
	b.exec("UPDATE migration_lock SET is_locked = true, locked_by = 'a quick one', locked_at = now(), expires_at = " +
		"now() + interval '1 hour'")

	token := b.text("SELECT token FROM migration_lock")
	returns := func() (again bool) {
		conn, err := pgx.Connect(t.Context(), b.url)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close(context.Background()) }()
		if err := conn.QueryRow(t.Context(), "UPDATE migration_lock SET token = token + 1 WHERE token = $1::bigint "+
			"RETURNING token::text", token).Scan(&token); err != nil {
			return !errors.Is(err, pgx.ErrNoRows)
		}
		session := name[:strings.LastIndex(name, "/")+1] + token
		_, _ = conn.Exec(t.Context(), "SET application_name = '"+session+"'; BEGIN; SELECT FROM migration_lock FOR KEY "+
			"SHARE; SELECT pg_sleep(600)", pgx.QueryExecModeSimpleProtocol)
		return t.Context().Err() == nil
	}
	var runner sync.WaitGroup
	runner.Go(func() {
		for returns() {
		}
	})
	b.eventually("SELECT count(*) = 1 FROM " + working + " AND wait_event = 'PgSleep'")
	m := b.migrator(simple)
	holder, err := m.Lock(t.Context())
	require.NoError(t, err)
	patience, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, m.ReleaseLock(patience, holder.Token))
	runner.Wait()
	require.Equal(t, "false 0", b.text("SELECT is_locked || ' ' || (SELECT count(*) FROM "+working+
		") FROM migration_lock"))
}

func TestALongMigrationKeepsItsLease(t *testing.T) {
	b := setup(t)
	release := b.holding(func(c *whimbrel.Config) { c.LeaseDuration = 5 * time.Second })
	first := b.text("SELECT expires_at FROM migration_lock")
	b.eventually("SELECT expires_at > '" + first + "'::timestamptz + interval '3 seconds' FROM migration_lock")
	require.NoError(t, release())
	require.Equal(t, "1", b.applied())
}

func TestALeaseThatWasTakenAwayCancelsTheWork(t *testing.T) {
	b := setup(t)
	release := b.holding(func(c *whimbrel.Config) { c.LeaseDuration = 5 * time.Second })
	// What no successor can do while the transaction lives, an operator's UPDATE can.
	b.exec("UPDATE migration_lock SET token = token + 1")
	b.eventually("SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = " +
		"current_database() AND application_name LIKE 'whimbrel/%'")
	err := release()
	_ = fails(t, err, whimbrel.CodeLeaseLost)
	require.Empty(t, b.applied())
	require.Equal(t, "NULL", b.text("SELECT to_regclass('hold')"))
}

func TestALeaseThatHasRunOutIsNotRenewedEvenWhereNobodyTookIt(t *testing.T) {
	b := setup(t)
	release := b.holding(func(c *whimbrel.Config) { c.LeaseDuration = 5 * time.Second })
	// as a server's clock that is set, or a sleep
	b.exec("UPDATE migration_lock SET expires_at = now() - interval '1 hour'")
	b.eventually("SELECT expires_at > now() OR (SELECT count(*) = 0 FROM pg_stat_activity WHERE wait_event_type = " +
		"'Lock' AND datname = current_database() AND application_name LIKE 'whimbrel/%') FROM migration_lock")
	_ = fails(t, release(), whimbrel.CodeLeaseLost)
	require.Empty(t, b.applied())
}

func TestTheFenceStopsARunnerWhoseTokenIsOld(t *testing.T) {
	b := setup(t)
	m := b.migrator(simple, func(c *whimbrel.Config) {
		c.NoPipeline = true
		c.Listener = func(r whimbrel.Record) {
			if e, ok := r.Event.(whimbrel.MigrationStarted); ok && e.Migration.Version == "2" {
				b.exec("UPDATE migration_lock SET token = token + 1")
			}
		}
	})
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeLeaseLost)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "NULL", b.text("SELECT to_regclass('orders')"))
}

func TestNobodyEntersBesideALivingTransactionEvenAfterExpiry(t *testing.T) {
	b := setup(t)
	release := b.holding()
	b.exec("UPDATE migration_lock SET expires_at = now() - interval '1 hour'")
	_, err := b.migrator(simple, func(c *whimbrel.Config) { c.LockWait = 300 * time.Millisecond }).Up(t.Context(),
		whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeLeaseHeld)
	require.Contains(t, e.Message, "expired")
	require.NoError(t, release())
}

func TestAPasswordIsNowhere(t *testing.T) {
	b := setup(t)
	b.exec("DO $$ BEGIN CREATE ROLE secretive LOGIN SUPERUSER PASSWORD 's3cr3t-p/ss'; EXCEPTION WHEN duplicate_object " +
		"OR unique_violation THEN NULL; END $$")
	url := strings.Replace(b.url, "postgres@", "secretive:s3cr3t-p%2Fss@", 1)
	require.NotEqual(t, b.url, url)
	f := files{"1_a.sql": "CREATE TABLE a (); SELECT broken"}
	_, err := b.migrator(f, func(c *whimbrel.Config) { c.DatabaseURL = url }).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	_, missing := b.migrator(f, func(c *whimbrel.Config) {
		c.DatabaseURL = "postgres://u:s3cr3t-p%2Fss@127.0.0.1:1/nowhere"
	}).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, missing, whimbrel.CodeConnection)
	_, malformed := whimbrel.New(whimbrel.Config{
		Target: whimbrel.Target{DatabaseURL: "postgres://u:s3cr3t-p%2Fss@host:port/db"}})
	require.Error(t, malformed)
	everything := fmt.Sprintf("%+v %+v %+v %+v", err, missing, malformed, b.events) +
		b.text("SELECT coalesce(string_agg(l::text, ' '), '') FROM schema_migrations_log l") + b.text("SELECT l FROM "+
		"migration_lock l")
	require.NotContains(t, everything, "s3cr3t")
}

func TestAFailedRetirementDoesNotGiveTheLeaseBack(t *testing.T) {
	b := setup(t)
	b.exec("DO $$ BEGIN CREATE ROLE lesser LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$")
	b.exec("CREATE PROCEDURE hold() LANGUAGE plpgsql AS $$ BEGIN LOOP COMMIT; EXIT WHEN EXISTS (SELECT FROM go); " +
		"PERFORM pg_sleep(0.01); END LOOP; END $$; CREATE TABLE go ()")
	started := make(chan struct{})
	result := make(chan error, 1)
	first := b.migrator(files{"1_hold.sql": "-- +migrate Up notransaction\nCALL hold();"}, func(c *whimbrel.Config) {
		c.LeaseDuration = time.Hour // it does not notice by itself that it was succeeded
		c.Listener = func(r whimbrel.Record) {
			if r.Event.Kind() == "step_started" {
				close(started)
			}
		}
	})
	go func() {
		_, err := first.Up(context.Background(), whimbrel.UpOptions{})
		result <- err
	}()
	<-started
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND query = 'CALL " +
		"hold()' AND state = 'active'")
	b.exec("GRANT ALL ON SCHEMA public TO lesser; GRANT ALL ON ALL TABLES IN SCHEMA public TO lesser; GRANT " +
		"pg_read_all_stats TO lesser; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO lesser")
	b.exec("UPDATE migration_lock SET expires_at = now() - interval '1 hour'")
	lesser := func(c *whimbrel.Config) {
		c.DatabaseURL = strings.Replace(b.url, "postgres@", "lesser@", 1)
		c.LockWait = whimbrel.NoWait
	}
	both := files{"1_hold.sql": "-- +migrate Up notransaction\nCALL hold();", "2_next.sql": "CREATE TABLE next ()"}
	for range 2 {
		_, err := b.migrator(both, lesser).Up(t.Context(), whimbrel.UpOptions{})
		e := fails(t, err, whimbrel.CodeLeaseHeld)
		require.Contains(t, e.Message, "earlier runner's session")
		require.Equal(t, "true", b.text("SELECT is_locked FROM migration_lock"))
	}
	b.exec("INSERT INTO go DEFAULT VALUES")
	require.Error(t, <-result, "its token is an old one")
	_, err := b.migrator(both).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 2", b.applied())
}

func TestADeletedLockRowIsPutBackAboveEveryToken(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(simple).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	b.exec("DELETE FROM migration_lock")
	_, err = b.migrator(simple).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Equal(t, "2", b.text("SELECT token FROM migration_lock"))
}

func TestARoleWithAHigherIsolationLevelWaitsLikeOthers(t *testing.T) {
	b := setup(t)
	b.exec("ALTER DATABASE " + b.conn.Config().Database + " SET default_transaction_isolation = 'serializable'")
	folder := fifty().write(t)
	var group sync.WaitGroup
	failures := make([]string, 8)
	for i := range failures {
		cmd, errors := b.runner(folder)
		group.Go(func() {
			if err := cmd.Run(); err != nil {
				failures[i] = err.Error() + ": " + errors.String()
			}
		})
	}
	group.Wait()
	require.Equal(t, make([]string, len(failures)), failures)
	require.Equal(t, "50", b.text("SELECT count(*) FROM schema_migrations"))
}
