package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const protectedHere = "environments:\n  production: {url: '${DATABASE_URL}', protected: true}\nchecks:\n" +
	"  skip: [backup_status, maintenance_window]\n"

func TestAProtectedEnvironmentAsksOnATerminalAndShowsWhatWouldRun(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ();\n-- +migrate Down\nDROP TABLE a;\n"})
	s.configure(protectedHere)
	s.env.inTerminal = true
	for _, c := range []struct {
		command, answer, question string
		tables                    string // afterwards
	}{
		{"up", "n\n", "production is protected. Run 1 migration on ", "0"},
		{"up", "y\n", "production is protected. Run 1 migration on ", "1"},
		{"redo", "\n", "production is protected. Run 2 migrations on ", "1"},
		{"redo", "y\n", "production is protected. Run 2 migrations on ", "1"},
		{"to 0", "no\n", "production is protected. Run 1 migration on ", "1"},
		{"down", "yes\n", "production is protected. Run 1 migration on ", "0"},
	} {
		s.out, s.err = lockedBuffer{}, lockedBuffer{}
		s.env.stdin = strings.NewReader(c.answer)
		want := exitRefused
		if strings.HasPrefix(c.answer, "y") {
			want = exitDone
		}
		require.Equal(t, want, s.run(append(strings.Fields(c.command), "--env", "production")...), s.err.String())
		require.Contains(t, s.err.String(), c.question)
		require.Regexp(t, `(?m)^.*1 a`, s.err.String(), "what would run")
		require.Equal(t, c.tables, s.value("SELECT count(*)::text FROM pg_class WHERE relname = 'a'"), "%s %q", c.command,
			c.answer)
		if !strings.HasPrefix(c.answer, "y") {
			require.Contains(t, s.err.String(), "nothing was done")
		}
	}
}

func TestANameOfACheckThatDoesNotExistIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ();"})
	require.Equal(t, exitWrongUse, s.run("up", "--skip-check", "table_lock"))
	require.Contains(t, s.err.String(), "did you mean table_locks?")
	require.Equal(t, exitWrongUse, s.run("check", "--warn-only", "backup_status"))
	require.Contains(t, s.err.String(), "write it as: --warn-only=backup_status")
	require.Equal(t, exitWrongUse, s.run("check", "--only", "writable", "--skip", "writable"))
	require.Contains(t, s.err.String(), "no check is left")
}

func TestWhatIsNamedIsCheckedThoughTheConfigurationSkipsIt(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ();"})
	s.configure("checks:\n  skip: [writable, table_locks]\n")
	require.Equal(t, exitDone, s.run("check", "--only", "writable"))
	require.Contains(t, s.out.String(), "✓ writable")
	require.Contains(t, s.out.String(), "1 check: all passed")
}

// The history is one of the things that are looked at, so a history that keeps the
// rest from being planned is told like anything else.
func TestAHistoryThatDisagreesOrCannotBeReadIsToldByTheChecks(t *testing.T) {
	t.Parallel()
	s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a ();"})
	require.Equal(t, exitDone, s.run("up"))

	role := "watcher_" + s.value("SELECT current_database()")
	s.exec("CREATE ROLE " + role + " LOGIN IN ROLE pg_monitor")
	t.Cleanup(func() {
		_, err := s.conn.Exec(context.Background(), "DROP ROLE "+role)
		require.NoError(t, err)
	})
	database, err := url.Parse(s.env.variable("DATABASE_URL"))
	require.NoError(t, err)
	database.User = url.User(role)
	require.Equal(t, exitRefused, s.run("check", "--database-url", database.String()), s.err.String())
	require.Regexp(t, `(?m)^✓ table_locks`, s.out.String())
	require.Regexp(t, `(?m)^\? version_traps +what is pending is not known$`, s.out.String())
	require.Contains(t, s.out.String(), "not seen: what is pending: ")
	require.Contains(t, s.out.String(), "SELECT, UPDATE of public.schema_migrations, for whimbrel itself")

	s.out = lockedBuffer{}
	require.NoError(t, os.WriteFile(filepath.Join(s.env.folder, "migrations", "1_a.sql"), []byte("CREATE TABLE b ();"),
		0o644))
	require.Equal(t, exitRefused, s.run("check", "--skip", "backup_status"), s.err.String())
	require.Regexp(t, `(?m)^✗ history +1 difference between history and files$`, s.out.String())
	require.Regexp(t, `(?m)^✓ writable`, s.out.String())
}
