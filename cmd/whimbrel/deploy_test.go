package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/preflight"
)

// pod is a process that deploys.
type pod struct {
	command *exec.Cmd
	output  bytes.Buffer
	status  chan int // its exit status; -1 where a signal ended it
}

func startPod(t *testing.T, folder, url string) *pod {
	t.Helper()
	p := &pod{command: exec.Command("whimbrel", "deploy", "--skip-check", "all", "--wait", "10s"), status: make(chan int,
		1)}
	p.command.Dir, p.command.Env = folder, append(os.Environ(), "DATABASE_URL="+url, "HOME="+folder,
		"GORACE=atexit_sleep_ms=0")
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	require.NoError(t, p.command.Start())
	go func() {
		_ = p.command.Wait()
		p.status <- p.command.ProcessState.ExitCode()
	}()
	return p
}

func TestTwentyDeploymentsAtOnceAreOneThoughOneIsKilledAndOneIsToldToStop(t *testing.T) {
	t.Parallel()
	const migrations, pods = 30, 20
	files := map[string]string{}
	for i := range migrations {
		files[fmt.Sprintf("%03d_table.sql", i+1)] = fmt.Sprintf("CREATE TABLE table_%d (id int);\nSELECT pg_sleep(0.03);\n",
			i+1)
	}
	s := newSession(t, files)
	url, _ := s.env.lookup("DATABASE_URL")
	all := map[int]*pod{}
	for range pods {
		p := startPod(t, s.env.folder, url)
		all[p.command.Process.Pid] = p
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// The runner at work is killed, and its successor told to stop.
	killed := s.awaitRunner(ctx, all, 3)
	require.NoError(t, killed.command.Process.Kill())
	require.Equal(t, -1, <-killed.status)
	delete(all, killed.command.Process.Pid)
	stopped := s.awaitRunner(ctx, all, 6)
	require.NoError(t, stopped.command.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitInterrupted, <-stopped.status, stopped.output.String())
	delete(all, stopped.command.Process.Pid)
	for _, p := range all {
		require.Equal(t, exitDone, <-p.status, p.output.String())
	}
	var tables, rows, versions int
	require.NoError(t, s.conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_class WHERE relname ~ '^table_[0-9]+$'),
		(SELECT count(*) FROM schema_migrations), (SELECT count(DISTINCT version) FROM schema_migrations)`).Scan(&tables,
		&rows, &versions))
	require.Equal(t, []int{migrations, migrations, migrations}, []int{tables, rows, versions})
	require.Equal(t, exitDone, s.run("deploy"))
	require.Contains(t, s.out.String(), "Nothing to do")
}

// awaitRunner waits until one of the pods holds the lease and so many migrations are
// recorded, and gives that pod.
func (s *session) awaitRunner(ctx context.Context, pods map[int]*pod, recorded int) *pod {
	s.t.Helper()
	for ; ; pause(ctx, s.t) {
		var by string
		var rows int
		err := s.conn.QueryRow(ctx, "SELECT coalesce(locked_by, ''), (SELECT count(*) FROM schema_migrations) FROM "+
			"migration_lock").Scan(&by, &rows)
		if err != nil || rows < recorded {
			continue
		}
		for pid, p := range pods {
			if strings.HasSuffix(by, fmt.Sprintf(" pid %d", pid)) {
				return p
			}
		}
	}
}

func pause(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-ctx.Done():
		t.Fatal("waited for too long")
	case <-time.After(2 * time.Millisecond):
	}
}

func TestAStepThatTakesLongerThanTheGraceIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_long.sql": "SELECT pg_sleep(600);"})
	done := s.start("deploy", "--skip-check", "all", "--grace", "50ms")
	s.awaitQuery("pg_sleep")
	s.interrupts <- syscall.SIGTERM
	require.Equal(t, exitInterrupted, <-done)
	var rows int
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT count(*) FROM schema_migrations").Scan(&rows))
	require.Zero(t, rows)
}

func TestADeploymentWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_users.sql": "CREATE TABLE users (id int);"})
	url, _ := s.env.lookup("DATABASE_URL")
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	late := config.Database + "_late"
	s.env.lookup = variables{"DATABASE_URL": strings.Replace(url, config.Database, late, 1), "HOME": s.env.folder}.lookup
	done := s.start("deploy", "--skip-check", "all", "--wait", "1m")
	require.Eventually(t, func() bool { return strings.Contains(s.err.String(), "waiting for the database") },
		time.Minute, 5*time.Millisecond)
	require.NoError(t, server.CreateDatabase(t.Context(), late, ""))
	t.Cleanup(func() { require.NoError(t, server.DropDatabase(context.Background(), late)) })
	require.Equal(t, exitDone, <-done, s.err.String())
}

func TestAReportOfADeploymentIsPlainText(t *testing.T) {
	t.Parallel()
	d := &deployment{
		Database: "a@b:1/c`d", Checks: &preflight.Report{Results: []preflight.Result{
			{Name: "table_locks", Blocking: true, Message: "<script>*bold*|x"}, {Name: "data_size", Message: "many"},
			{Name: "writable", Passed: true, Message: "fine"},
		}},
		Run: &whimbrel.Result{Done: []whimbrel.Outcome{{Ref: whimbrel.Ref{Version: "1", Name: "users"}}}},
	}
	d.conclude(&whimbrel.Error{Code: codeRefused, Message: "stopped\nhere", Remedy: "wait"})
	text := d.markdown()
	require.Equal(t, refusedDeploy, d.Outcome)
	for _, part := range []string{
		"## whimbrel deploy: refused", "`a@b:1/c'd`", "> **stopped here**", "> wait", "| `1 users` |",
		`| table_locks | **stops** | &lt;script&gt;\*bold\*\|x |`, "| data_size | warning | many |",
		"| writable | passed | fine |",
	} {
		require.Contains(t, text, part)
	}
	file := filepath.Join(t.TempDir(), "summary.md")
	a := newApp(environment{lookup: variables{"GITHUB_STEP_SUMMARY": file}.lookup, stdout: &bytes.Buffer{},
		stderr: &bytes.Buffer{}}, nil)
	require.NoError(t, a.writeReports(d, ""))
	require.NoError(t, a.writeReports(d, ""))
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(written), "## whimbrel deploy"))
}
