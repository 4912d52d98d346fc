package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with a process that it controls.
type terminal struct {
	t       *testing.T
	process *exec.Cmd
	person  *os.File // the side of who sits before it
	shown   bytes.Buffer
}

// onTerminal starts the program, as users have it, on a terminal of its own.
func (s *session) onTerminal(args ...string) *terminal {
	s.t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = person.Close() })
	require.NoError(s.t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(s.t, err)
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(s.t, err)
	x := &terminal{t: s.t, person: person, process: exec.Command("whimbrel", args...)}
	x.process.Stdin, x.process.Stdout, x.process.Stderr, x.process.Dir = tty, tty, tty, s.env.folder
	x.process.Env = append(os.Environ(), "DATABASE_URL="+s.env.variable("DATABASE_URL"), "HOME="+s.env.folder,
		"TERM=dumb", "GORACE=atexit_sleep_ms=0")
	x.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(s.t, x.process.Start())
	require.NoError(s.t, tty.Close())
	return x
}

// until reads what is shown until it has a word, or, without one, until the end.
func (x *terminal) until(word string) {
	x.t.Helper()
	piece := make([]byte, 4096)
	for word == "" || !strings.Contains(x.shown.String(), word) {
		n, err := x.person.Read(piece)
		x.shown.Write(piece[:n])
		if errors.Is(err, unix.EIO) && word == "" { // nobody is at the other side
			return
		}
		require.NoError(x.t, err, x.shown.String())
	}
}

// ends waits for the program and gives its exit status.
func (x *terminal) ends() int {
	x.t.Helper()
	x.until("")
	var ended *exec.ExitError
	if err := x.process.Wait(); err != nil && !errors.As(err, &ended) {
		require.NoError(x.t, err)
	}
	return x.process.ProcessState.ExitCode()
}

// questions are all the commands that ask, with what has happened before.
var questions = map[string]struct {
	args    []string
	prepare func(*session)
}{
	"up on a protected environment": {[]string{"up", "--env", "production", "--skip-check", "all"}, nil},
	"down on a protected environment": {[]string{"down", "--env", "production", "--skip-check", "all"},
		func(s *session) { s.run("up", "--yes", "--skip-check", "all") }},
	"lock release":                       {[]string{"lock", "release"}, func(s *session) { s.holdLease() }},
	"dev reset":                          {[]string{"dev", "reset"}, nil},
	"lint --fix":                         {[]string{"lint", "--fix", "--no-rehearsal"}, nil},
	"squash, which works before it asks": {[]string{"squash", "--to", "2"}, nil},
}

// holdLease leaves a lease that nobody gives back.
func (s *session) holdLease() {
	require.Equal(s.t, exitDone, s.run("up", "--yes", "--skip-check", "all"))
	s.exec(`UPDATE migration_lock SET is_locked = true, locked_at = now(), locked_by = 'eve@far pid 7', token = token + 1,
		expires_at = now() + interval '1 hour', backend_pid = NULL, backend_start = NULL`)
}

func TestASignalOrANoAtAQuestionEndsTheCommandAndNothingIsDone(t *testing.T) {
	t.Parallel()
	for name, question := range questions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t, map[string]string{
				"1_a.sql": "CREATE TABLE a (id int PRIMARY KEY);\n-- +migrate Down\nDROP TABLE a;\n",
				"2_b.sql": "CREATE INDEX b ON a (id);\n-- +migrate Down\nDROP INDEX b;\n",
			})
			s.configure("environments:\n  production: {url: '${DATABASE_URL}', protected: true}\n")
			if question.prepare != nil {
				question.prepare(s)
			}
			before := s.everything()
			for _, answer := range []struct {
				name, typed string
				signal      os.Signal
				want        int
			}{
				{"Ctrl-C", "\x03", nil, exitInterrupted},
				{"SIGTERM", "", unix.SIGTERM, exitInterrupted},
				{"Ctrl-C before the line ends", "y\x03", nil, exitInterrupted},
				{"no", "n\n", nil, exitRefused},
				{"the end of the input", "\x04", nil, exitRefused},
			} {
				if question.args[0] == "lint" && answer.name != "Ctrl-C" && answer.name != "no" {
					continue // starting the parser takes a minute with the race detector
				}
				x := s.onTerminal(question.args...)
				x.until("[y/N] ")
				if answer.signal != nil {
					require.NoError(t, x.process.Process.Signal(answer.signal))
				} else {
					_, err := x.person.WriteString(answer.typed)
					require.NoError(t, err)
				}
				require.Equal(t, answer.want, x.ends(), "%s: %s", answer.name, x.shown.String())
				require.Contains(t, x.shown.String(), "nothing was done", answer.name)
				require.NotContains(t, x.shown.String(), "finishing the current step", answer.name)
				require.Equal(t, before, s.everything(), answer.name)
			}
		})
	}
}

// everything is what a command could have changed: the database, and the files.
func (s *session) everything() string {
	var all []string
	require.NoError(s.t, filepath.WalkDir(filepath.Join(s.env.folder, "migrations"), func(path string, entry os.DirEntry,
		err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all = append(all, path, string(text))
		return err
	}))
	return strings.Join(append(all,
		s.value("SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class WHERE relnamespace = "+
			"'public'::regnamespace"),
		s.value("SELECT coalesce(query_to_xml('SELECT * FROM '||max(oid::regclass::text), true, false, '')::text, '') FROM "+
			"pg_class WHERE relname = 'migration_lock'"),
		s.value("SELECT coalesce(query_to_xml('SELECT * FROM '||max(oid::regclass::text), true, false, '')::text, '') FROM "+
			"pg_class WHERE relname = 'schema_migrations_log'"),
	), "\n")
}
