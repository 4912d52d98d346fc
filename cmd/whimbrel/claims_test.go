package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/preflight"
	"github.com/whimbrel-db/whimbrel/project"
)

// claiming are how each command is run to see what it claims when it fails. None of
// them is a dry run. A command that is missing fails the test.
var claiming = map[string][][]string{
	"up": {{}}, "deploy": {{"--skip-check", "all"}, {}}, "down": {{}, {"9"}}, "redo": {{}}, "to": {{"0"}, {"999"}},
	"recover": {{}, {"--restart", "--yes"}}, "status": {{}}, "plan": {{}}, "ci": {{"--base", "none"}},
	"lint": {{"--no-rehearsal"}}, "check": {{}}, "test": {{}}, "squash": {{"--to", "2", "--yes"}},
	"verify": {{"--history-only"}, {"--accept", "2", "--history-only"}}, "baseline": {{"2"}, {"999"}},
	"adopt": {{"--from", "goose"}}, "export": {{"--to", "goose", "exported"}}, "history": {{}}, "history show": {{"1"}},
	"metrics": {{}}, "alert": {{}}, "alert test": {{}}, "lock": {{}}, "lock release": {{}}, "version": {{"nonsense"}},
	"init": {{}}, "create": {{"new"}, {"/"}}, "config": {{}}, "config schema": {{"nonsense"}}, "protect": {{}},
	"protect on": {{}}, "protect off": {{}}, "protect status": {{}},
	"dev": {{"nonsense"}}, "dev start": {{"nonsense"}}, "dev stop": {{"nonsense"}}, "dev status": {{"nonsense"}},
	"dev reset": {{}}, "dev psql": {{"nonsense"}}, "dev url": {{"nonsense"}}, "manual": {{}, {"/dev/null"}},
}

// ofFilesAlone are the commands to which neither migrations nor a database matter.
var ofFilesAlone = []string{
	"init", "create", "version", "config schema", "dev", "dev start", "dev stop", "dev status", "dev reset", "dev psql",
	"dev url", "alert test", "manual",
}

// ofThrowAways are those that start a server of their own, which takes seconds.
var ofThrowAways = []string{"test", "ci", "squash", "lint"}

// sound are migrations with which nothing is wrong.
var sound = map[string]string{
	"1_a.sql": "CREATE TABLE a (id int PRIMARY KEY, n int);\nINSERT INTO a SELECT generate_series(1, 3000);\n" +
		"-- +migrate Down\nDROP TABLE a;\n",
	"2_b.sql": "CREATE INDEX b ON a (id);\n-- +migrate Down\nDROP INDEX b;\n",
}

// provocation makes commands fail. It may well be that some of them do not.
type provocation struct {
	args    []string // for every command
	prepare func(*session)
	over    bool // the context has ended before the command begins
	inFiles bool // it is in the files of migrations, whatever the database
}

var provocations = map[string]provocation{
	"a flag that there is not": {args: []string{"--nonsense"}},
	"a flag with a bad value":  {args: []string{"--env", "nowhere"}},
	"a folder that is missing": {args: []string{"--dir", "nowhere"}},
	"no server":                {args: []string{"--database-url", "postgres://nobody@127.0.0.1:1/none"}},
	"a configuration that is malformed": {prepare: func(s *session) {
		s.configure("lock_wait: soon\n")
	}},
	"a file that is malformed": {inFiles: true, prepare: func(s *session) { s.write("3_c.sql", "SELECT 'open\n") }},
	"a migration that fails": {inFiles: true, prepare: func(s *session) {
		s.write("3_c.sql", "SELECT 1/0;\n")
	}},
	"a migration whose down section fails": {prepare: func(s *session) {
		s.write("3_c.sql", "SELECT 1;\n-- +migrate Down\nSELECT 1/0;\n")
		s.ran("up")
	}},
	"a backfill that fails on its way": {prepare: func(s *session) {
		s.write("3_c.sql", "-- +migrate Batch table=a key=id size=1000\n"+
			"UPDATE a SET n = 1 / (id - 2500) WHERE id BETWEEN :from AND :to;\n")
	}},
	"a checksum that is another": {prepare: func(s *session) {
		s.ran("up")
		s.write("2_b.sql", "CREATE INDEX b ON a (n);\n-- +migrate Down\nDROP INDEX b;\n")
	}},
	"a version that comes late": {prepare: func(s *session) {
		s.write("3_c.sql", "SELECT 1;\n")
		s.ran("up")
		s.write("0_0.sql", "SELECT 1;\n")
		s.write("15_z.sql", "SELECT 1;\n")
		s.exec("INSERT INTO schema_migrations (version, name) VALUES ('20', 'far')")
	}},
	"a file that is gone": {prepare: func(s *session) {
		s.ran("up")
		s.write("3_c.sql", "SELECT 1;\n")
		require.NoError(s.t, os.Remove(filepath.Join(s.env.folder, "migrations", "2_b.sql")))
	}},
	"a lease of another runner": {prepare: func(s *session) {
		s.configure("lock_wait: 0s\n")
		s.holdLease()
		s.write("3_c.sql", "SELECT 1;\n")
	}},
	"a protected database, and nobody to ask": {prepare: func(s *session) {
		s.ran("up")
		s.ran("protect", "on")
		s.write("3_c.sql", "SELECT 1;\n")
	}},
	"a question that is answered with no": {prepare: func(s *session) {
		s.ran("up")
		s.ran("protect", "on")
		s.write("3_c.sql", "SELECT 1;\n")
		s.env.inTerminal, s.env.stdin = true, strings.NewReader("n\n")
	}},
	"an interruption": {over: true},
}

// ran is run for what must work.
func (s *session) ran(args ...string) {
	s.t.Helper()
	require.Equal(s.t, exitDone, s.run(args...), "%v: %s%s", args, s.out.String(), s.err.String())
}

// Whatever goes wrong with whatever command: what fails says of nothing that is not so
// that it succeeded, or that there is nothing to do.
func TestWhatFailsClaimsNoSuccess(t *testing.T) {
	t.Parallel()
	for _, command := range commandsOf(newRoot(newApp(environment{}, nil))) {
		ways, ok := claiming[command]
		require.True(t, ok, "%s is a new command: say how it is run to make it fail", command)
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			failed, s := 0, newSession(t, nil)
			for name, p := range provocations {
				for _, way := range ways {
					if p.prepare != nil && (slices.Contains(ofFilesAlone, command) || slices.Contains(ofThrowAways, command) &&
						!p.inFiles) {
						continue
					}
					if p.fails(s.cleared(), name, slices.Concat(strings.Fields(command), way, p.args)) {
						failed++
					}
				}
			}
			require.Positive(t, failed, "nothing made it fail")
		})
	}
}

// cleared gives the session as if nothing had happened in it yet.
func (s *session) cleared() *session {
	s.exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")
	for _, name := range []string{"migrations", project.Name, "exported"} {
		require.NoError(s.t, os.RemoveAll(filepath.Join(s.env.folder, name)))
	}
	require.NoError(s.t, os.Mkdir(filepath.Join(s.env.folder, "migrations"), 0o755))
	for name, text := range sound {
		s.write(name, text)
	}
	s.env.inTerminal, s.env.stdin = false, strings.NewReader("")
	return s
}

// fails runs a command, and looks at what it says if it fails.
func (p provocation) fails(s *session, name string, args []string) bool {
	t := s.t
	if p.prepare != nil {
		p.prepare(s)
	}
	before := s.recorded()
	s.out, s.err = lockedBuffer{}, lockedBuffer{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if p.over {
		cancel()
	}
	status := run(ctx, args, s.env)
	printed := s.out.String() + s.err.String()
	if status == exitDone {
		if args[0] == "deploy" && before == s.recorded() {
			require.NotContains(t, printed, "✓", "%s: %v: nothing ran", name, args)
		}
		return false
	}
	about := []any{"%s: %v ends in %d: %s", name, args, status, printed}
	require.NotRegexp(t, `rows/s|success rate|Nothing to do|all passed`, printed, about...)
	for _, line := range strings.Split(printed, "\n") {
		if strings.Contains(line, "✓") {
			require.True(t, s.isTrue(args[0], line), append([]any{line + "\n" + about[0].(string)}, about[1:]...)...)
		}
	}
	return true
}

var ticked = regexp.MustCompile(`^✓ (\S+)`)

// isTrue reports whether a line with a tick is about something that did succeed,
// though the command as a whole did not.
func (s *session) isTrue(command, line string) bool {
	found := ticked.FindStringSubmatch(line)
	switch {
	case found == nil:
		return false
	case command == "check" || command == "deploy" || slices.Contains(preflight.Names(), found[1]):
		return slices.Contains(preflight.Names(), found[1]) || s.hasRecorded(found[1], line)
	case command == "ci":
		return true // a line for each step of it
	case command == "test":
		return found[1] != "3" // the one that fails, where one does
	}
	return s.hasRecorded(found[1], line)
}

// hasRecorded reports whether a line about a migration says what the history says.
func (s *session) hasRecorded(version, line string) bool {
	recorded := slices.Contains(strings.Fields(s.recorded()), version)
	return recorded != strings.Contains(line, "rolled back")
}

// recorded are the versions of the history.
func (s *session) recorded() string {
	if s.value("SELECT (to_regclass('schema_migrations') IS NULL)::text") == "true" {
		return ""
	}
	return s.value("SELECT coalesce(string_agg(version, ' '), '') FROM schema_migrations")
}

// A verification that could not be made, or found something else, leaves no tick at what
// it had looked at until then.
func TestAVerificationThatFailsHasNoTick(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{"deploy": {"deploy", "--replay", "--skip-check", "all"},
		"verify": {"verify"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t, map[string]string{"1_a.sql": "CREATE TABLE a AS SELECT 1 AS one FROM elsewhere;\n"})
			s.exec("CREATE TABLE elsewhere ()")
			s.ran("up")
			s.out = lockedBuffer{}
			require.NotEqual(t, exitDone, s.run(command...), "the migrations do not run on an empty server")
			require.NotContains(t, s.out.String(), "✓")

			s = newSession(t, sound)
			s.ran("up")
			s.exec("CREATE TABLE by_hand ()")
			s.out = lockedBuffer{}
			require.Equal(t, exitDifferences, s.run(command...), s.err.String())
			require.NotContains(t, s.out.String(), "✓")
			require.NotContains(t, s.out.String(), "Nothing to do")
			require.Contains(t, s.out.String(), "· ")
		})
	}
}

func TestATestOfNothingClaimsNothing(t *testing.T) {
	t.Parallel()
	s := newSession(t, nil)
	s.run("test")
	require.NotRegexp(t, `✓|rate`, s.out.String())
}
