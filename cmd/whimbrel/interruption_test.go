package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// session is a run of the program inside the test, on a database of its own.
type session struct {
	t          *testing.T
	conn       *pgx.Conn
	env        environment
	interrupts chan os.Signal
	out, err   lockedBuffer
}

// lockedBuffer is a buffer that a test may read while a run writes to it.
type lockedBuffer struct {
	mutex  sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.buffer.String()
}

// newSession prepares a folder with migrations and a database.
func newSession(t *testing.T, migrations map[string]string) *session {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "migrations"), 0o755))
	for name, text := range migrations {
		require.NoError(t, os.WriteFile(filepath.Join(folder, "migrations", name), []byte(text), 0o644))
	}
	s := &session{t: t, conn: conn, interrupts: make(chan os.Signal)}
	s.env = environment{
		stdin: strings.NewReader(""), stdout: &s.out, stderr: &s.err, folder: folder, interrupts: s.interrupts,
		lookup: variables{"DATABASE_URL": url, "HOME": folder}.lookup,
	}
	return s
}

func (s *session) run(args ...string) int { return run(s.t.Context(), args, s.env) }

// start runs in the background; the channel gives the exit status.
func (s *session) start(args ...string) <-chan int {
	done := make(chan int, 1)
	go func() { done <- s.run(args...) }()
	return done
}

// awaitQuery waits until a session runs a query that holds a word.
func (s *session) awaitQuery(word string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		var n int
		err := s.conn.QueryRow(s.t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%' || $1 || '%'`, word).Scan(&n)
		return err == nil && n > 0
	}, time.Minute, 5*time.Millisecond)
}

func (s *session) value(query string) (value string) {
	s.t.Helper()
	require.NoError(s.t, s.conn.QueryRow(s.t.Context(), query).Scan(&value))
	return value
}

// The first migration waits for a lock that the test holds, so that nothing
// depends on the time. The second one has a step that cannot run in a
// transaction, so the engine cannot send it ahead of the first one's answer.
var waiting = map[string]string{
	"1_a.sql": "-- +migrate Set lock_timeout = 60s\nSELECT pg_advisory_xact_lock(1);\nCREATE TABLE a (id int);\n",
	"2_b.sql": "CREATE TABLE b (id int);\nVACUUM b;\n",
}

func TestTheFirstSignalEndsTheRunAfterTheStep(t *testing.T) {
	t.Parallel()
	s := newSession(t, waiting)
	s.value("SELECT pg_advisory_lock(1)::text")
	done := s.start("up")
	s.awaitQuery("pg_advisory_xact_lock")
	s.interrupts <- os.Interrupt
	require.Eventually(t, func() bool { return s.err.String() != "" }, time.Minute, time.Millisecond)
	require.Equal(t, "finishing the current step or batch; press Ctrl-C again to cancel it\n", s.err.String())
	require.Equal(t, "true", s.value("SELECT pg_advisory_unlock(1)::text"))
	require.Equal(t, exitInterrupted, <-done)
	require.Contains(t, s.out.String(), "✓ 1 a")
	require.Equal(t, "1", s.value("SELECT string_agg(version, ' ') FROM schema_migrations"))

	s.interrupts = make(chan os.Signal)
	s.env.interrupts = s.interrupts
	require.Equal(t, exitDone, s.run("up"), "the same command goes on")
	require.Equal(t, "1 2", s.value("SELECT string_agg(version, ' ' ORDER BY id) FROM schema_migrations"))
}

func TestTheSecondSignalCancelsTheStep(t *testing.T) {
	t.Parallel()
	s := newSession(t, waiting)
	s.value("SELECT pg_advisory_lock(1)::text")
	done := s.start("up")
	s.awaitQuery("pg_advisory_xact_lock")
	s.interrupts <- os.Interrupt
	s.interrupts <- os.Interrupt
	require.Equal(t, exitInterrupted, <-done)
	require.NotContains(t, s.out.String(), "✓")
	require.Regexp(t, `(?m)^✗ 1 a was interrupted after .*; nothing of it stays$`, s.err.String())
	require.Equal(t, "0", s.value("SELECT count(*)::text FROM schema_migrations"))
	require.Equal(t, "true", s.value("SELECT (to_regclass('a') IS NULL)::text"))
}

func TestTheFirstSignalEndsWhatHasNotBegunAtOnce(t *testing.T) {
	t.Parallel()
	// It may come while the files are still read: then there is not even a run to end.
	const changing = `(?s)(finishing the current step.*✗ interrupted before the next step|✗ connecting: interrupted)\n  remedy: run the same command again`
	for command, wanted := range map[string]string{"status": `interrupted`, "up": changing, "down": changing} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, silent.Close()) })
			s := newSession(t, map[string]string{"1_a.sql": "SELECT 1;"})
			done := s.start(command, "--database-url", "postgres://app@"+silent.Addr().String()+"/app?sslmode=disable")
			client, err := silent.Accept()
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, client.Close()) })
			s.interrupts <- os.Interrupt
			require.Equal(t, exitInterrupted, <-done)
			require.Regexp(t, wanted, s.err.String())
		})
	}
}

func TestOnATerminalItIsColouredUnlessItMustNotBe(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "SELECT 1;", "2_b.sql": "SELECT nothing;"})
	s.env.outTerminal, s.env.errTerminal = true, true
	require.Equal(t, exitFailed, s.run("up"))
	require.Contains(t, s.out.String(), "\x1b[32m✓\x1b[m 1 a")
	require.Contains(t, s.err.String(), "\x1b[31m✗\x1b[m 2 b failed")

	plain := newSession(t, map[string]string{"1_a.sql": "SELECT 1;", "2_b.sql": "SELECT nothing;"})
	plain.env.outTerminal, plain.env.errTerminal = true, true
	require.Equal(t, exitFailed, plain.run("up", "--no-color"))
	require.NotContains(t, plain.out.String()+plain.err.String(), "\x1b")
	lookup := plain.env.lookup
	plain.env.lookup = func(name string) (string, bool) {
		if name == "NO_COLOR" {
			return "1", true
		}
		return lookup(name)
	}
	require.Equal(t, exitDone, plain.run("status"))
	require.NotContains(t, plain.out.String()+plain.err.String(), "\x1b")
}

func TestQuestionsAreAskedOnATerminal(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int{"y\n": 0, "Yes\n": 0, "n\n": 3, "\n": 3, "": 3, "yesterday\n": 3} {
		var out, errs bytes.Buffer
		_, interruption := watch(t.Context(), nil, func() {})
		a := newApp(environment{stdin: strings.NewReader(answer), stdout: &out, stderr: &errs, inTerminal: true},
			interruption)
		require.Equal(t, want, exitStatus(a.sure(t.Context(), "Really?", false)), "%q", answer)
		interruption.end()
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), "Really? [y/N] ")
		require.Equal(t, want == 3, strings.Contains(errs.String(), "nothing was done"))
	}
	a := newApp(environment{stdin: strings.NewReader("y\n")}, nil)
	require.Equal(t, exitWrongUse, exitStatus(a.sure(t.Context(), "Really?", false)))
	require.NoError(t, a.sure(t.Context(), "Really?", true))
}

// The third batch waits for a lock that the test holds.
const slowFilling = `-- +migrate Set lock_timeout = 60s
-- +migrate Batch t by id size=100
UPDATE t SET touched = touched + CASE WHEN id = 250 AND pg_advisory_xact_lock(1) IS NULL THEN 0 ELSE 1 END
WHERE id > :from AND id <= :to;
`

func TestASignalEndsABackfillBetweenBatchesAndTheNextRunGoesOn(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_fill.sql": slowFilling})
	_, err := s.conn.Exec(t.Context(), "CREATE TABLE t (id int PRIMARY KEY, touched int NOT NULL DEFAULT 0); INSERT "+
		"INTO t SELECT generate_series(1, 10000); ANALYZE t")
	require.NoError(t, err)
	s.value("SELECT pg_advisory_lock(1)::text")
	done := s.start("up")
	require.Eventually(t, func() bool {
		return s.value("SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") != "0"
	}, time.Minute, 10*time.Millisecond)
	s.interrupts <- os.Interrupt
	require.Eventually(t, func() bool { return s.err.String() != "" }, time.Minute, time.Millisecond)
	require.Equal(t, "true", s.value("SELECT pg_advisory_unlock(1)::text"))
	require.Equal(t, exitInterrupted, <-done)
	require.Regexp(
		t, `(?m)^✗ 1 fill was interrupted after .*; the batches up to 300 of about 10,000 rows are done and stay; the next run goes on after them$`, s.err.String())
	stopped := s.value("SELECT count(*)::text FROM t WHERE touched = 1")
	require.NotEqual(t, "10000", stopped)
	require.Equal(t, stopped, s.value("SELECT max(id)::text FROM t WHERE touched = 1"),
		"whole batches, from the first row on")
	require.Equal(t, "0", s.value("SELECT count(*)::text FROM schema_migrations"))

	s.interrupts = make(chan os.Signal)
	s.env.interrupts = s.interrupts
	require.Equal(t, exitDone, s.run("up"))
	require.Equal(t, "1", s.value("SELECT string_agg(DISTINCT touched::text, ' ') FROM t"), "every row once")
	require.Contains(t, s.out.String(), "✓ 1 fill")
}

func TestASecondSignalEndsAScriptThatComputesForEver(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_loop.js": "exports.up = async (client) => {\n" +
		"  await client.query('CREATE TABLE loop ()');\n  console.log('round');\n  for (;;) { }\n};\n"})
	done := s.start("up")
	require.Eventually(t, func() bool { return strings.Contains(s.out.String(), "round") }, time.Minute, time.Millisecond)
	s.interrupts <- os.Interrupt
	s.interrupts <- os.Interrupt
	require.Equal(t, exitInterrupted, <-done)
	require.Regexp(t, `(?m)^✗ 1 loop was interrupted after `, s.err.String())
	require.Equal(t, "true", s.value("SELECT (to_regclass('loop') IS NULL)::text"))
}
