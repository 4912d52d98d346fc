package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// throughHead runs the program, as users have it, with a reader that reads one line of
// what it prints and goes, as whimbrel up | head -1 does; it gives the exit status.
func (s *session) throughHead(args ...string) int {
	s.t.Helper()
	read, write, err := os.Pipe()
	require.NoError(s.t, err)
	process := exec.Command("whimbrel", args...)
	var errs bytes.Buffer
	process.Stdout, process.Stderr, process.Dir = write, &errs, s.env.folder
	process.Env = append(os.Environ(), "DATABASE_URL="+s.env.variable("DATABASE_URL"), "HOME="+s.env.folder,
		"GORACE=atexit_sleep_ms=0")
	require.NoError(s.t, process.Start())
	require.NoError(s.t, write.Close())
	_, err = bufio.NewReaderSize(read, 16).ReadString('\n')
	require.NoError(s.t, read.Close())
	s.exec("SELECT pg_advisory_unlock_all()") // the rest of the run comes after nobody reads
	unread := err
	err = process.Wait()
	require.NoError(s.t, unread, errs.String())
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		require.NoError(s.t, err)
	}
	require.NotContains(s.t, errs.String(), "pipe")
	return process.ProcessState.ExitCode()
}

// Nobody reads on: the run goes on to its end, and the exit status says how it ended.
func TestAReaderThatGoesDoesNotEndARun(t *testing.T) {
	t.Parallel()
	migrations := map[string]string{"1_first.sql": "CREATE TABLE first ();\n-- +migrate Down\nDROP TABLE first;\n"}
	for n := 2; n <= 30; n++ {
		migrations[fmt.Sprintf("%d_t.sql", n)] = fmt.Sprintf(
			"-- +migrate Set lock_timeout = 60s\nSELECT pg_advisory_xact_lock_shared(7);\nCREATE TABLE t%d ();\n"+
				"VACUUM t%[1]d;\n"+
				"-- +migrate Down\nSELECT pg_advisory_xact_lock_shared(7);\nDROP TABLE t%[1]d;\n", n)
	}
	for _, form := range [][]string{nil, {"--json"}, {"-v"}} {
		t.Run(fmt.Sprint(form), func(t *testing.T) {
			t.Parallel()
			s := newSession(t, migrations)
			through := func(args ...string) int { return s.throughHead(append(args, form...)...) }
			blocked := func() { s.exec("SELECT pg_advisory_lock(7)") }

			blocked()
			require.Equal(t, exitDone, through("up"))
			require.Equal(t, "30", s.value("SELECT count(*)::text FROM schema_migrations"))
			require.Equal(t, exitDone, through("status", "--all"))
			require.Equal(t, exitDone, through("history"))
			require.Equal(t, exitDone, through("down", "30"))
			require.Equal(t, "0", s.value("SELECT count(*)::text FROM schema_migrations"))
			blocked()
			require.Equal(t, exitDone, through("deploy", "--skip-check", "all"))
			require.Equal(t, "30", s.value("SELECT count(*)::text FROM schema_migrations"))
			require.Equal(t, exitDone, through("redo", "5"))
			require.Equal(t, exitDone, through("to", "1"))

			s.write("2_t.sql", "SELECT 1/0;\n")
			require.Equal(t, exitFailed, through("up"), "what fails still fails")
		})
	}
}
