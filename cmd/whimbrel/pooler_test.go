//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/faults"
)

// pooled is a project whose database is reached through a proxy, PgBouncer, and
// another proxy: client → near → pooler → far → server. Another client of the pooler
// works all the time.
type pooled struct {
	*session
	near, far *faults.Proxy
	bouncer   *faults.Bouncer
	url       string
	other     chan error // how the other client's work ended
	leave     context.CancelFunc
}

func behindPooler(t *testing.T, mode faults.PoolMode, near, far time.Duration, files map[string]string) *pooled {
	t.Helper()
	p := &pooled{session: newSession(t, files), other: make(chan error, 1)}
	behind := func(url string, delay time.Duration) (*faults.Proxy, string) {
		proxy, through, err := faults.InFrontOf(url)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, proxy.Close()) })
		proxy.Delay(delay)
		return proxy, through
	}
	var toServer string
	var err error
	p.far, toServer = behind(server.TCPURL("postgres"), far)
	p.bouncer, err = faults.StartBouncerTo(t.Context(), toServer, mode, 12)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.bouncer.Stop()) })
	p.near, p.url = behind(p.bouncer.URL(p.conn.Config().Database), near)

	conn, err := pgx.Connect(t.Context(), p.bouncer.URL(p.conn.Config().Database)+
		"&default_query_exec_mode=simple_protocol")
	require.NoError(t, err)
	var ctx context.Context
	ctx, p.leave = context.WithCancel(context.Background())
	go func() { // undisturbed waits for it
		defer func() { _ = conn.Close(context.Background()) }()
		for ctx.Err() == nil {
			if _, err := conn.Exec(context.Background(), "SELECT pg_sleep(0.005)"); err != nil {
				p.other <- err
				return
			}
		}
		p.other <- nil
	}()
	return p
}

// start runs the program in a process of its own.
func (p *pooled) start(args ...string) (*exec.Cmd, *bytes.Buffer) {
	p.t.Helper()
	command, output := exec.Command("whimbrel", args...), &bytes.Buffer{}
	command.Dir, command.Env = p.env.folder, append(os.Environ(), "DATABASE_URL="+p.url, "HOME="+p.env.folder,
		"GORACE=atexit_sleep_ms=0")
	command.Stdout, command.Stderr = output, output
	require.NoError(p.t, command.Start())
	p.t.Cleanup(func() { _ = command.Process.Kill() })
	return command, output
}

// ends requires that a process ends with a status.
func (p *pooled) ends(command *exec.Cmd, output *bytes.Buffer, status int) {
	p.t.Helper()
	_ = command.Wait()
	require.Equal(p.t, status, command.ProcessState.ExitCode(), "%v: %s\n%s", command.Args, output, p.bouncer.Log())
}

func (p *pooled) runs(args ...string) {
	p.t.Helper()
	command, output := p.start(args...)
	p.ends(command, output, exitDone)
}

// undisturbed requires that the pooler lives and that its other client noticed nothing.
func (p *pooled) undisturbed() {
	p.t.Helper()
	p.leave()
	require.NoError(p.t, <-p.other, p.bouncer.Log())
	require.False(p.t, p.bouncer.Ended(), p.bouncer.Log())
}

func (p *pooled) value(query string) (value string) {
	p.t.Helper()
	require.NoError(p.t, p.conn.QueryRow(p.t.Context(), "SELECT ("+query+")::text").Scan(&value))
	return value
}

const backfilled = `-- +migrate Up
CREATE TABLE item (id bigint PRIMARY KEY, done boolean);
INSERT INTO item SELECT n, false FROM generate_series(1, 3000) n;
-- +migrate Batch item by id size=300 workers=2
UPDATE item SET done = true WHERE id > :from AND id <= :to;
-- +migrate Down
DROP TABLE item;
`

// The watch looks at a step after 20 ms, and is mostly in the middle of a question
// when the step ends.
func watchedMigrations() map[string]string {
	files := map[string]string{"900_backfill.sql": backfilled}
	for i := range 8 {
		n := strconv.Itoa(i + 1)
		files["00"+n+"_slow.sql"] = "-- +migrate Up\nCREATE TABLE t" + n + " (id int);\nSELECT pg_sleep(0.0" +
			strconv.Itoa(i+2) + ");\n-- +migrate Down\nDROP TABLE t" + n + ";\n"
	}
	return files
}

// bothModes runs a test for both modes of the pooler, with the delay on either side of it.
func bothModes(t *testing.T, test func(t *testing.T, mode faults.PoolMode, near, far time.Duration)) {
	const delay = 15 * time.Millisecond
	for _, mode := range []faults.PoolMode{faults.TransactionMode, faults.SessionMode} {
		t.Run(string(mode)+"/server far away", func(t *testing.T) {
			t.Parallel()
			test(t, mode, 0, delay)
		})
		t.Run(string(mode)+"/pooler far away", func(t *testing.T) {
			t.Parallel()
			test(t, mode, delay, 0)
		})
	}
}

func TestRunsThatCancelNothingSendNoCancelRequestThroughAPooler(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, mode faults.PoolMode, near, far time.Duration) {
		p := behindPooler(t, mode, near, far, watchedMigrations())
		for range 2 {
			p.runs("up", "--steps", "8", "--no-pipeline")
			p.runs("up")
			p.runs("up")
			p.runs("status")
			p.runs("plan", "down", "--brief")
			p.runs("check", "--skip", "all")
			p.runs("verify", "--history-only")
			p.runs("redo", "2")
			p.runs("to", "0")
		}
		require.NoError(t, os.WriteFile(filepath.Join(p.env.folder, "migrations", "000_wrong.sql"),
			[]byte("-- +migrate Up\nSELECT 1/0;\n"), 0o644))
		failed, output := p.start("up")
		p.ends(failed, output, exitFailed)
		require.NoError(t, os.WriteFile(filepath.Join(p.env.folder, "migrations", "000_wrong.sql"),
			[]byte("-- +migrate Up\nSELECT pg_sleep(1);\n"), 0o644))
		interrupted, output := p.start("up")
		p.awaitQuery("pg_sleep(1)")
		require.NoError(t, interrupted.Process.Signal(syscall.SIGTERM))
		p.ends(interrupted, output, exitInterrupted)

		p.undisturbed()
		require.Equal(t, faults.Cancels{}, p.near.Cancels(), "between the program and the pooler")
		require.Equal(t, faults.Cancels{}, p.far.Cancels(), "between the pooler and the server")
	})
}

func TestAStatementIsCancelledThroughAPoolerByOneCompleteRequest(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, mode faults.PoolMode, near, far time.Duration) {
		p := behindPooler(t, mode, near, far, map[string]string{"1_long.sql": "CREATE TABLE t1 (id int);\n" +
			"SELECT pg_sleep(600);\n"})
		command, output := p.start("up")
		p.awaitQuery("pg_sleep(600)")
		require.NoError(t, command.Process.Signal(syscall.SIGINT))
		require.NoError(t, command.Process.Signal(syscall.SIGTERM))
		p.ends(command, output, exitInterrupted)
		require.Equal(t, "0", p.value("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query "+
			"LIKE '%pg_sleep(600)%' AND state = 'active' AND pid <> pg_backend_pid()"))

		p.undisturbed()
		require.Equal(t, faults.Cancels{Sent: 1}, p.near.Cancels(), "between the program and the pooler")
		require.Equal(t, faults.Cancels{Sent: 1}, p.far.Cancels(), "between the pooler and the server")
		require.Equal(t, "false", p.value("SELECT EXISTS (SELECT FROM pg_class WHERE relname = 't1')"))
	})
}
