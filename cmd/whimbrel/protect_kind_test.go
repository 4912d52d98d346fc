package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unchecked leaves out the checks before the question: they stop for a lack of backups.
var unchecked = []string{"--skip-check", "all"}

// onProtected is what every command does on a protected database: those that would change
// it by running migrations, or take something away, ask first.
var onProtected = map[string]struct {
	args    []string
	prepare func(*session)
	asks    bool
}{
	"up":      {prepare: func(s *session) { s.write("3_c.sql", "CREATE TABLE c ();\n") }, args: unchecked, asks: true},
	"down":    {args: unchecked, asks: true},
	"redo":    {args: unchecked, asks: true},
	"to":      {args: append([]string{"1"}, unchecked...), asks: true},
	"recover": {args: append([]string{"--discard"}, unchecked...), prepare: (*session).stopHalfWay, asks: true},
	"baseline": {args: []string{"3"}, prepare: func(s *session) { s.write("3_c.sql", "CREATE TABLE c ();\n") },
		asks: true},
	"verify": {args: []string{"--history-only", "--accept", "2"}, prepare: func(s *session) {
		s.write("2_b.sql", "CREATE INDEX b ON a (n);\n-- +migrate Down\nDROP INDEX b;\n")
	}, asks: true},
	"lock release": {prepare: func(s *session) {
		s.exec(`UPDATE migration_lock SET is_locked = true, locked_at = now(), locked_by = 'eve', expires_at = now() + interval '1 hour'`)
	}, asks: true},
	"protect off": {asks: true},
	"deploy":      {args: unchecked}, // it goes forwards only, after the checks
	"protect on":  {}, "protect": {}, "protect status": {}, "status": {}, "plan": {}, "lock": {}, "metrics": {},
	"alert": {},
	"check": {}, "history": {}, "history show": {args: []string{"1"}},
	"export": {args: []string{"--to", "goose", "exported"}}, // it adds a table, and changes none
	"adopt":  {args: []string{"--from", "goose"}},           // it records what another tool has run
}

// stopHalfWay leaves a migration half done.
func (s *session) stopHalfWay() {
	s.write("3_c.sql", "CREATE TABLE c ();\nVACUUM c;\nSELECT 1/0;\n")
	s.exec("DELETE FROM whimbrel_protection")
	require.Equal(s.t, exitFailed, s.run("up"), s.err.String())
	s.ran("protect", "on")
}

// elsewhere are commands that have no database that could be protected, or change files.
var elsewhere = []string{"ci", "lint", "test", "squash", "init", "create", "config", "config schema", "version", "dev",
	"alert test", "manual"}

func TestEveryCommandThatTakesSomethingAwayAsksOnAProtectedDatabase(t *testing.T) {
	t.Parallel()
	s := newSession(t, nil)
	for _, command := range commandsOf(newRoot(newApp(environment{}, nil))) {
		test, ok := onProtected[command]
		if !ok && (slices.Contains(elsewhere, command) || strings.HasPrefix(command, "dev ")) {
			continue
		}
		require.True(t, ok, "%s is a new command: say whether it asks on a protected database", command)
		s.cleared()
		s.ran("up")
		s.ran("protect", "on")
		if test.prepare != nil {
			test.prepare(s)
		}
		before := s.everything() + s.recorded()
		s.out, s.err = lockedBuffer{}, lockedBuffer{}
		status := s.run(append(strings.Fields(command), test.args...)...)
		if !test.asks {
			require.NotContains(t, s.err.String(), "no terminal to ask on", command)
			continue
		}
		require.NotEqual(t, exitDone, status, command)
		require.Contains(t, s.err.String(), "no terminal to ask on", "%s: %s", command, s.out.String())
		require.Contains(t, s.err.String(), "--yes", command)
		require.Equal(t, before, s.everything()+s.recorded(), command)

		args := append(append(strings.Fields(command), test.args...), "--yes")
		if status = s.run(args...); command != "verify" { // which goes on to compare
			require.Equal(t, exitDone, status, "%v: %s", args, s.err.String())
		}
		require.NotEqual(t, before, s.everything()+s.recorded(), command)
	}
}
