//go:build linux

package faults_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/faults"
)

// survives runs the fifty, strikes at a random moment, runs them again if the
// first run did not get over it, and requires that all is as it should be.
func (b *bundle) survives(trial int, outcomes *tally, strike func(), change ...func(*whimbrel.Config)) {
	b.Helper()
	striking, struck := strikeAt(randomMoment(b.T, trial), strike)
	err := b.up(fifty(), append(change, striking)...)
	struck()
	if err != nil {
		var e *whimbrel.Error
		require.ErrorAs(b, err, &e)
		// Interrupted is a silence from before the lease; see bundle.up.
		require.Contains(b, []whimbrel.Code{whimbrel.CodeConnection, whimbrel.CodeLeaseLost, whimbrel.CodeInterrupted},
			e.Code, "%v", err)
		require.NotEmpty(b, e.Remedy, "%v", err)
		outcomes.add("up again: " + string(e.Code))
		b.conn = b.connect() // the old one may have been hit, too
		require.NoError(b, b.up(fifty()))
	} else if _, met := last[whimbrel.Reconnected](b); met {
		outcomes.add("went on by itself")
	} else {
		outcomes.add("not noticed")
	}
	b.conn = b.connect()
	b.intact()
}

const trials = 50

func TestATerminatedBackendAtAnyMoment(t *testing.T) {
	t.Parallel()
	var outcomes tally
	t.Run("trials", func(t *testing.T) {
		for trial := range trials {
			t.Run(fmt.Sprint(trial), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				striker := b.connect()
				b.survives(trial, &outcomes, func() {
					_, _ = striker.Exec(context.Background(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname "+
						"= current_database() AND application_name LIKE 'whimbrel%'")
				})
			})
		}
	})
	require.Positive(t, outcomes.count("went on by itself"))
	t.Logf("%v", outcomes.counts)
}

func TestANetworkThatIsResetAtAnyMoment(t *testing.T) {
	t.Parallel()
	var outcomes tally
	t.Run("trials", func(t *testing.T) {
		for trial := range trials {
			t.Run(fmt.Sprint(trial), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				proxy, url, err := faults.InFrontOf(b.url)
				require.NoError(t, err)
				defer func() { require.NoError(t, proxy.Close()) }()
				b.survives(trial, &outcomes, proxy.Reset, through(url))
			})
		}
	})
	require.Positive(t, outcomes.count("went on by itself"))
	t.Logf("%v", outcomes.counts)
}

func TestANetworkThatFallsSilentAtAnyMoment(t *testing.T) {
	t.Parallel()
	var outcomes tally
	t.Run("trials", func(t *testing.T) {
		for trial := range trials {
			t.Run(fmt.Sprint(trial), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				proxy, url, err := faults.InFrontOf(b.url)
				require.NoError(t, err)
				defer func() { require.NoError(t, proxy.Close()) }()
				// It stays silent while the next run, by another way, finishes the work.
				b.survives(trial, &outcomes, proxy.BlackHole, through(url), lease(4*time.Second))
			})
		}
	})
	t.Logf("%v", outcomes.counts)
}

func TestAnImmediateServerRestartAtAnyMoment(t *testing.T) {
	t.Parallel()
	own, err := devdb.Start(t.Context(), devdb.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	var outcomes tally
	for trial := range trials {
		t.Run(fmt.Sprint(trial), func(t *testing.T) {
			b := setupOn(t, own)
			b.survives(trial, &outcomes, func() {
				if err := own.Restart(context.Background(), true); err != nil {
					t.Errorf("restarting: %v", err)
				}
			})
		})
	}
	require.Positive(t, outcomes.count("went on by itself"))
	t.Logf("%v", outcomes.counts)
}

// A server does not notice that a client has fallen silent. What it left open
// must not keep the next run out for the two hours that TCP would take.
func TestATransactionThatFellSilentDoesNotKeepTheNextRunOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open := b.gate()
	proxy, url, err := faults.InFrontOf(b.url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	f := files{"1_stop.sql": "-- +migrate Set lock_timeout = 0\nCREATE TABLE one ();\n" +
		"-- +migrate Assert the gate is empty\nSELECT count(*) = 0 FROM gate;\nCREATE TABLE two ();"}
	silent := make(chan error, 1)
	go func() { silent <- b.up(f, through(url), lease(4*time.Second)) }()
	b.eventually(working)
	proxy.BlackHole()
	open()
	b.eventually("SELECT count(*) = 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = " +
		"current_database()")
	require.NoError(t, b.up(f, func(c *whimbrel.Config) { c.LockWait = 20 * time.Second }))
	require.Equal(t, "1", b.applied())
	_ = fails(t, <-silent, whimbrel.CodeLeaseLost)
}

func TestAStopEndsConnectingAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.gate()
	proxy, url, err := faults.InFrontOf(b.url)
	require.NoError(t, err)
	stop, result := make(chan struct{}), make(chan error, 1)
	go func() {
		result <- b.up(files{"1_hold.sql": "-- +migrate Set lock_timeout = 0\nSELECT count(*) FROM gate;"}, through(url),
			func(c *whimbrel.Config) { c.Stop = stop })
	}()
	b.eventually(working)
	require.NoError(t, proxy.Close())
	b.until("it has noticed", func() bool { return slices.Contains(b.heard(), "connection_lost") })
	close(stop)
	e := fails(t, <-result, whimbrel.CodeInterrupted)
	require.Contains(t, e.Message, "interrupted while reconnecting: ")
	require.Equal(t, 1, strings.Count(strings.Join(b.heard(), " "), "connection_lost"))
}

// The lease is renewed, and the queue watched, from connections of their own.
// Their loss is not the run's.
func TestLosingTheSecondConnectionsDoesNotFailARun(t *testing.T) {
	t.Parallel()
	for _, function := range []string{"pg_terminate_backend", "pg_cancel_backend"} {
		t.Run(function, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			open := b.gate()
			result := make(chan error, 1)
			go func() {
				result <- b.up(files{"1_hold.sql": "-- +migrate Set lock_timeout = 0\n" +
					"CREATE TABLE hold (); SELECT count(*) FROM gate;"}, lease(6*time.Second))
			}()
			b.eventually(working)
			for range 4 {
				b.eventually("SELECT count(" + function + "(pid)) > 0 FROM pg_stat_activity " +
					"WHERE datname = current_database() AND application_name = 'whimbrel aside'")
				hit := b.text("SELECT clock_timestamp()")
				b.eventually("SELECT expires_at > '" + hit + "'::timestamptz + interval '6 seconds' FROM migration_lock")
			}
			open()
			require.NoError(t, <-result)
			require.Equal(t, "1", b.applied())
		})
	}
}

// What the server has committed is done, even if its answer was lost. The
// version alone does not tell: a redo takes it away and brings it back.
func TestWorkWhoseAnswersWereLostIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	f := files{
		"1_gate.sql":   "CREATE TABLE gate ()",
		"2_ledger.sql": "CREATE TABLE ledger (step text)",
		"3_gated.sql": "SELECT count(*) FROM gate; INSERT INTO ledger VALUES ('3 up');\n-- +migrate Down\n" +
			"SELECT count(*) FROM gate; INSERT INTO ledger VALUES ('3 down');",
		"4_plain.sql": "INSERT INTO ledger VALUES ('4 up');\n-- +migrate Down\n" +
			"SELECT count(*) FROM gate; INSERT INTO ledger VALUES ('4 down');",
	}
	for _, c := range []struct {
		name    string
		command func(context.Context, *whimbrel.Migrator) error
		before  int    // migrations that are applied when the command begins
		sent    string // what is done of it without an answer: one direction at a time is sent ahead
		ledger  string
	}{
		{"up", func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Up(ctx, whimbrel.UpOptions{})
			return err
		}, 2, "3 up, 4 up", "3 up, 4 up"},
		{"down", func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Down(ctx, whimbrel.DownOptions{Steps: 2})
			return err
		}, 4, "3 up, 4 up, 4 down, 3 down", "3 up, 4 up, 4 down, 3 down"},
		{"redo", func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Redo(ctx, whimbrel.RedoOptions{Steps: 2})
			return err
		}, 4, "3 up, 4 up, 4 down, 3 down", "3 up, 4 up, 4 down, 3 down, 3 up, 4 up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{Steps: c.before})
			require.NoError(t, err)
			gatekeeper := b.connect()
			_, err = gatekeeper.Exec(t.Context(), "BEGIN; LOCK TABLE gate", pgx.QueryExecModeSimpleProtocol)
			require.NoError(t, err)
			proxy, url, err := faults.InFrontOf(b.url)
			require.NoError(t, err)
			defer func() { require.NoError(t, proxy.Close()) }()

			result := make(chan error, 1)
			m := b.migrator(f, through(url), func(c *whimbrel.Config) { c.MaxStall = 10 * time.Second })
			go func() { result <- c.command(t.Context(), m) }()
			b.eventually(working)
			proxy.BlackHole() // everything has been sent, nothing has been answered
			_, err = gatekeeper.Exec(t.Context(), "ROLLBACK")
			require.NoError(t, err)
			b.eventually("SELECT string_agg(step, ', ') = '" + c.sent + "' FROM ledger")
			proxy.Reset()
			proxy.Heal()
			require.NoError(t, <-result)
			require.Contains(t, b.heard(), "reconnected")
			require.Equal(t, c.ledger, b.text("SELECT string_agg(step, ', ') FROM ledger"))
			require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
		})
	}
}
