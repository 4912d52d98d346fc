package monitor_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/monitor"
)

// child runs a command in a process of its own; heard is called with each line of
// its events. It gives the exit status.
func (b *bundle) child(folder, command string, heard func(line string)) int {
	b.Helper()
	process := exec.CommandContext(b.Context(), os.Args[0])
	process.Env = append(os.Environ(), childFolder+"="+folder, childURL+"="+b.url, childCommand+"="+command)
	out, err := process.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, process.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if heard != nil {
			heard(lines.Text())
		}
	}
	_ = process.Wait() // the status says what there is to say
	return process.ProcessState.ExitCode()
}

func TestAfterFiftyRunsInProcessesOfTheirOwnTheMetricsAreWhatSQLSays(t *testing.T) {
	b := setup(t)
	folder := t.TempDir()
	write := func(n int, up string) {
		path := filepath.Join(folder, fmt.Sprintf("%014d_m%d.sql", 20240101000000+n, n))
		text := fmt.Sprintf("-- +migrate Up\n%s;\n-- +migrate Down\nDROP TABLE t%d;\n", up, n)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	table := func(n int) string { return fmt.Sprintf("CREATE TABLE t%d (id int)", n) }
	failures := 0
	for run := 1; run <= 50; run++ {
		switch {
		case run%10 == 0: // what the run before did is taken back
			require.Equal(t, 0, b.child(folder, "down", nil))
		case run%7 == 0: // fails, and is mended by the next run
			write(run, "SELECT 1/0")
			require.Equal(t, 1, b.child(folder, "up", nil))
			write(run, table(run))
			failures++
		case run == 25: // backs off from a lock
			write(run, "ALTER TABLE t1 ADD COLUMN waited int; "+table(run))
			holder := b.connect()
			begun, err := holder.Begin(t.Context())
			require.NoError(t, err)
			_, err = begun.Exec(t.Context(), "LOCK TABLE t1")
			require.NoError(t, err)
			require.Equal(t, 0, b.child(folder, "up", func(line string) {
				if strings.Contains(line, `"event":"retrying"`) {
					_ = begun.Rollback(context.Background()) // a second time does no harm
				}
			}))
		default:
			write(run, table(run))
			require.Equal(t, 0, b.child(folder, "up", nil))
		}
	}

	log := b.migrator(files{})
	attempts, err := monitor.ReadAttempts(t.Context(), log, time.Time{})
	require.NoError(t, err)
	m := monitor.Measure(attempts)
	const ran = " FROM schema_migrations_log WHERE action IN ('up', 'down') "
	require.Positive(t, failures)
	require.Equal(t, failures, m.Failed)
	require.Equal(t, b.text("SELECT count(*)"+ran), strconv.Itoa(m.Total))
	require.Equal(t, b.text("SELECT count(*)"+ran+"AND outcome = 'done'"), strconv.Itoa(m.Succeeded))
	require.Equal(t, b.text("SELECT round(100.0 * count(*) FILTER (WHERE outcome = 'done') / count(*), 2)"+ran),
		m.SuccessRate.String())
	for _, figure := range []struct {
		value time.Duration
		query string
	}{
		{m.Durations.Average, "avg(duration_ms)"},
		{m.Durations.Total, "sum(duration_ms)"},
		{m.Durations.P50, "percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms)"},
		{m.Durations.P90, "percentile_cont(0.9) WITHIN GROUP (ORDER BY duration_ms)"},
		{m.Durations.P95, "percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)"},
		{m.Durations.P99, "percentile_cont(0.99) WITHIN GROUP (ORDER BY duration_ms)"},
		{m.Durations.Longest, "max(duration_ms)"},
	} {
		said, err := strconv.ParseFloat(b.text("SELECT "+figure.query+ran+"AND outcome = 'done'"), 64)
		require.NoError(t, err)
		require.InDelta(t, said, float64(figure.value)/1e6, 0.001, figure.query)
	}
	require.Equal(t, b.text("SELECT sum(retries)"+ran), strconv.Itoa(m.Retries))
	require.Positive(t, m.Retries)
	backoff, err := strconv.ParseFloat(b.text("SELECT sum(backoff_ms)"+ran), 64)
	require.NoError(t, err)
	require.InDelta(t, backoff, float64(m.Backoff)/1e6, 0.001)
	waited, err := strconv.ParseFloat(b.text("SELECT sum(lock_wait_ms) + sum(lease_wait_ms)"+ran), 64)
	require.NoError(t, err)
	require.InDelta(t, waited, float64(m.LockWait+m.LeaseWait)/1e6, 0.001)

	var errors, recent, slowest []string
	for _, e := range m.Errors {
		errors = append(errors, fmt.Sprintf("%s %d", e.Version, e.Errors))
		require.Contains(t, e.Error, "division by zero")
		require.Equal(t, "22012", e.SQLState)
	}
	for _, a := range m.Recent {
		recent = append(recent, strconv.FormatInt(a.ID, 10))
	}
	for _, a := range m.Slowest {
		slowest = append(slowest, strconv.FormatInt(a.ID, 10))
	}
	require.Equal(t, b.text("SELECT string_agg(line, ',' ORDER BY n DESC, version) FROM (SELECT version, count(*) AS n, "+
		"version || ' ' || count(*) AS line"+ran+"AND outcome = 'failed' GROUP BY version) x"), strings.Join(errors, ","))
	require.Equal(t, b.text("SELECT string_agg(id::text, ',' ORDER BY id DESC) FROM (SELECT id"+ran+
		"ORDER BY id DESC LIMIT 10) x"), strings.Join(recent, ","))
	require.Equal(t, b.text("SELECT string_agg(id::text, ',' ORDER BY duration_ms DESC, id) FROM (SELECT id, duration_ms"+
		ran+"ORDER BY duration_ms DESC, id LIMIT 5) x"), strings.Join(slowest, ","))
	// the 50th run went down
	require.Equal(t, []whimbrel.Ref{{Version: "20240101000049", Name: "m49", Direction: whimbrel.Up}},
		monitor.Outstanding(attempts))

	since := attempts[len(attempts)-3].At
	newest, err := monitor.ReadAttempts(t.Context(), log, since)
	require.NoError(t, err)
	require.Len(t, newest, 3)
}

func TestADatabaseWithoutALogHasNoAttempts(t *testing.T) {
	b := setup(t)
	attempts, err := monitor.ReadAttempts(t.Context(), b.migrator(files{}), time.Time{})
	require.NoError(t, err)
	require.Empty(t, attempts)
	require.Equal(t, "No migration has run yet.\n", monitor.Measure(nil).Text())
}

func TestAttemptsAreReadFromTheTableThatIsNamed(t *testing.T) {
	b := setup(t)
	_, err := b.conn.Exec(t.Context(), `CREATE SCHEMA "Own"`)
	require.NoError(t, err)
	m, err := whimbrel.New(whimbrel.Config{
		Target:  whimbrel.Target{DatabaseURL: b.url, Table: "Own.history"},
		Project: whimbrel.Project{Migrations: files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE a ()"}.load(t)},
	})
	require.NoError(t, err)
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	attempts, err := monitor.ReadAttempts(t.Context(), m, time.Time{})
	require.NoError(t, err)
	require.Len(t, attempts, 2)
	require.Equal(t, []whimbrel.Ref{{Version: "2", Name: "b", Direction: whimbrel.Up}}, monitor.Outstanding(attempts))
}

func TestReadingTheLogSaysWhatItWasDoingWhenItFails(t *testing.T) {
	b := setup(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := monitor.ReadAttempts(ended, b.migrator(files{}), time.Time{})
	require.ErrorContains(t, err, "reading the log")
}

func TestAFailureIsOutstandingUntilItsMigrationSucceeds(t *testing.T) {
	t.Parallel()
	attempt := func(action, outcome, version string) monitor.Attempt {
		return monitor.Attempt{LogEntry: whimbrel.LogEntry{Action: action, Outcome: outcome,
			Version: whimbrelVersion(version)}}
	}
	for name, test := range map[string]struct {
		attempts []monitor.Attempt
		expected []string
	}{
		"nothing failed": {[]monitor.Attempt{attempt("up", "done", "1")}, nil},
		"it failed": {[]monitor.Attempt{attempt("up", "done", "1"), attempt("up", "failed", "2")},
			[]string{"2"}},
		"it failed twice": {[]monitor.Attempt{attempt("up", "failed", "2"), attempt("up", "failed", "2")},
			[]string{"2"}},
		"it failed, then succeeded": {[]monitor.Attempt{attempt("up", "failed", "2"), attempt("up", "done", "2")}, nil},
		"its baseline was recorded": {[]monitor.Attempt{attempt("up", "failed", "02"), attempt("baseline", "done", "2")},
			nil},
		"it failed after success": {[]monitor.Attempt{attempt("up", "done", "2"), attempt("down", "failed", "2")},
			[]string{"2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var versions []string
			for _, ref := range monitor.Outstanding(test.attempts) {
				versions = append(versions, string(ref.Version))
			}
			require.Equal(t, test.expected, versions)
		})
	}
}
