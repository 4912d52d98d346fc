//go:build unix && !lean

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
)

// machine is one on which programs of others are there, lack or fail: pg has those of
// PostgreSQL's server, path is all of PATH.
type machine struct {
	*testing.T
	folder, pg, path string
	real             devdb.Binaries
}

func newMachine(t *testing.T) *machine {
	folder, err := os.MkdirTemp("", "whimbrel-programs-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	real, err := devdb.Find(t.Context(), devdb.FindOptions{})
	require.NoError(t, err)
	m := &machine{t, folder, filepath.Join(folder, "pg"), filepath.Join(folder, "path"), real}
	writeFiles(t, folder, map[string]string{
		"project/migrations/1_a.sql": "CREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;\n",
		"project/migrations/2_b.sql": "CREATE TABLE b (id int);\n-- +migrate Down\nDROP TABLE b;\n",
		"path/.here":                 "",
	})
	m.put(m.pg, "postgres", "exec "+filepath.Join(real.Dir, "postgres")+` "$@"`)
	m.put(m.pg, "initdb", "exec "+filepath.Join(real.Dir, "initdb")+` "$@"`)
	for _, shared := range []string{folder, m.pg, m.path} {
		require.NoError(t, os.Chmod(shared, 0o755)) // #nosec G302 -- another account runs what is in it
	}
	return m
}

// put writes a program.
func (m *machine) put(folder, name, script string) {
	m.Helper()
	writeFiles(m.T, folder, map[string]string{name: "#!/bin/sh\n" + script + "\n"})
	require.NoError(m, os.Chmod(folder, 0o755)) // #nosec G302 -- another account runs what is in it
}

// answering is a program that says its version and fails at everything else.
func answering(version, said string) string {
	return `case "$1" in --version|-V) echo "program (PostgreSQL) ` + version + `";; ` +
		`*) echo "` + said + `" >&2; exit 3;; esac`
}

// run gives the error that a command ends with.
func (m *machine) run(environment []string, arguments ...string) *whimbrel.Error {
	m.Helper()
	program, err := exec.LookPath("whimbrel")
	require.NoError(m, err)
	command := exec.Command(program, append(arguments, "--json")...)
	command.Dir = filepath.Join(m.folder, "project")
	command.Env = append([]string{
		"PATH=" + m.path, "HOME=" + m.folder, "GORACE=atexit_sleep_ms=0",
		"WHIMBREL_CACHE=" + filepath.Join(m.folder, "cache"),
	}, environment...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	require.Error(m, command.Run(), "%v: %s", arguments, &out)
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	var said struct{ Error *whimbrel.Error }
	require.NoError(m, json.Unmarshal(lines[len(lines)-1], &said), "%s%s", &out, &errs)
	require.NotNil(m, said.Error, "%s%s", &out, &errs)
	return said.Error
}

// TestAProgramOfOthersThatFailsHasARemedy: whatever is the matter with a program that whimbrel
// runs, the error says which, what it said, and what to do.
func TestAProgramOfOthersThatFailsHasARemedy(t *testing.T) {
	t.Parallel()
	servers := [][]string{
		{"lint"}, {"test"}, {"verify", "--write-schema", "schema.json"}, {"squash", "--to", "2", "--yes"},
		{"dev", "start"}, {"up", "--dev"},
	}
	type program struct{ name, text string }
	for name, c := range map[string]struct {
		pg, path  []program
		remove    string // of the server's programs
		mode      os.FileMode
		unset     bool // WHIMBREL_PG_BIN
		withDump  bool // beside the server's programs
		commands  [][]string
		said, fix string
	}{
		"initdb fails": {
			pg: []program{{"initdb", answering("15.1", "initdb: error: it went wrong")}}, withDump: true, commands: servers,
			said: `initdb.*exit status 3(?s:.*)it went wrong`, fix: `see what initdb says.*WHIMBREL_PG_BIN`,
		},
		"initdb finds no room": {
			pg: []program{{"initdb", answering("15.1", "could not write: No space left on device")}}, commands: servers[1:2],
			said: `No space left`, fix: `make room.*TMPDIR`,
		},
		"initdb lacks a library": {
			pg:       []program{{"initdb", answering("15.1", "error while loading shared libraries: libx.so")}},
			commands: servers[1:2], said: `libx\.so`, fix: `install the library.*WHIMBREL_PG_BIN`,
		},
		"initdb knows no such account": {
			pg:       []program{{"initdb", answering("15.1", "could not look up effective user ID 4711: no such user")}},
			commands: servers[1:2], said: `account without a name`, fix: `/etc/passwd`,
		},
		"initdb is no program": {
			remove: "initdb", mode: 0o644, withDump: true, commands: servers[1:2],
			said: `initdb.*permission denied`, fix: `chmod \+x`,
		},
		"initdb is not there": {
			remove: "initdb", withDump: true, commands: servers[1:2], said: `holds no program initdb`,
			fix: `unset it`,
		},
		"postgres is not there": {
			remove: "postgres", withDump: true, commands: servers, said: `holds no program postgres`,
			fix: `unset it`,
		},
		"postgres is no program": {
			remove: "postgres", mode: 0o644, commands: servers[1:2], said: `permission denied`, fix: `unset it`,
		},
		"postgres does not answer": {
			pg: []program{{"postgres", "echo broken >&2; exit 1"}}, withDump: true, commands: servers[1:2],
			said: `(?s)WHIMBREL_PG_BIN.*broken`, fix: `unset it`,
		},
		"postgres says no version": {
			pg: []program{{"postgres", "echo hello"}}, commands: servers[1:2], said: `"hello" is not the version`,
			fix: `unset it`,
		},
		"postgres does not start": {
			pg: []program{{"postgres", answering("15.1", "FATAL: not today")}}, withDump: true,
			commands: servers[1:2], said: `(?s)starting PostgreSQL.*not today`,
			fix: `see what postgres says.*WHIMBREL_PG_BIN`,
		},
		"no server, and no npm": {
			unset:    true,
			commands: [][]string{{"test", "--pg-version", "MISSING"}, {"dev", "start", "--pg-version", "MISSING"}},
			said:     `no PostgreSQL server binaries found(?s:.*)npm is not installed`,
			fix:      `apt-get install postgresql-\d+.*WHIMBREL_PG_BIN.*install npm`,
		},
		"no server, and npm fails": {
			unset: true, path: []program{{"npm", "echo 'npm is ill' >&2; exit 1"}},
			commands: [][]string{{"test", "--pg-version", "MISSING"}},
			said:     `(?s)npm.*exit status 1.*see why with: npm pack.*npm is ill`,
			fix:      `WHIMBREL_PG_BIN.*let npm fetch one`,
		},
		"npm finds no node": {
			unset: true, path: []program{{"npm", "exec /nowhere/node"}},
			commands: [][]string{{"test", "--pg-version", "MISSING"}},
			said:     `(?s)npm.*exit status 12[67].*/nowhere/node`, fix: `let npm fetch one`,
		},
		"npm leaves nothing": {
			unset: true, path: []program{{"npm", "exit 0"}},
			commands: [][]string{{"test", "--pg-version", "MISSING"}}, said: `it left 0 archives`,
			fix: `WHIMBREL_PG_BIN`,
		},
		"pg_dump is not there": {
			commands: servers[3:4], said: `pg_dump of PostgreSQL \d+ or newer, which is neither`,
			fix: `apt-get install postgresql-client-\d+`,
		},
		"pg_dump is an older one": {
			path: []program{{"pg_dump", answering("9.6.24", "")}}, commands: servers[3:4],
			said: `path/pg_dump is that of PostgreSQL 9, which reads no newer server`,
			fix:  `apt-get install postgresql-client-\d+`,
		},
		"pg_dump does not answer": {
			path: []program{{"pg_dump", "echo 'libpq is not there' >&2; exit 127"}}, commands: servers[3:4],
			said: `path/pg_dump cannot be run: exit status 127: libpq is not there`,
			fix:  `apt-get install postgresql-client-\d+`,
		},
		"pg_dump is no program": {
			pg: []program{{"pg_dump", "exit 0"}}, remove: "pg_dump", mode: 0o644, commands: servers[3:4],
			said: `pg/pg_dump cannot be run: .*permission denied`, fix: `apt-get install postgresql-client-\d+`,
		},
		"pg_dump fails": {
			path: []program{{"pg_dump", answering("99.1", "pg_dump: error: no luck")}}, commands: servers[3:4],
			said: `pg_dump failed: pg_dump: error: no luck`, fix: `nothing was changed`,
		},
		"psql is not there": {
			commands: [][]string{{"dev", "psql"}}, said: `psql is not on this machine's PATH`,
			fix: `install PostgreSQL's client, or connect`,
		},
		"psql fails": {
			path: []program{{"psql", "exit 2"}}, commands: [][]string{{"dev", "psql"}},
			said: `psql: exit status 2`, fix: `see what psql says`,
		},
		"psql is of another machine": {
			path: []program{{"psql", ""}}, mode: 0o777, commands: [][]string{{"dev", "psql"}},
			said: `psql: .*exec format error|psql: .*no such file`, fix: `let .*path/psql be run, or connect`,
		},
		"git is not there": {
			commands: [][]string{{"ci", "--base", "main"}, {"test", "--changed-since", "main"}},
			said:     `git is not installed`, fix: `install git`,
		},
		"git fails": {
			path:     []program{{"git", "echo 'fatal: git is ill' >&2; exit 128"}},
			commands: [][]string{{"test", "--changed-since", "main"}}, said: `git is ill`, fix: `.`,
		},
		"git is another's repository": {
			path:     []program{{"git", "echo 'fatal: detected dubious ownership in repository' >&2; exit 128"}},
			commands: [][]string{{"test", "--changed-since", "main"}}, said: `another account owns`,
			fix: `safe\.directory`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			if c.withDump {
				dump, err := exec.LookPath("pg_dump")
				require.NoError(t, err)
				m.put(m.pg, "pg_dump", "exec "+dump+` "$@"`)
			}
			for _, p := range c.pg {
				m.put(m.pg, p.name, p.text)
			}
			for _, p := range c.path {
				m.put(m.path, p.name, p.text)
			}
			if c.mode == 0o777 { // what no kernel runs
				writeFiles(t, m.path, map[string]string{"psql": "#!/nowhere/sh\n"})
			} else if c.mode != 0 {
				require.NoError(t, os.Chmod(filepath.Join(m.pg, c.remove), c.mode))
			} else if c.remove != "" {
				require.NoError(t, os.Remove(filepath.Join(m.pg, c.remove)))
			}
			environment := []string{"WHIMBREL_PG_BIN=" + m.pg}
			if c.unset {
				environment = nil
			}
			for _, command := range c.commands {
				command = slices.Clone(command)
				if at := slices.Index(command, "MISSING"); at > 0 {
					command[at] = m.missing()
				}
				said := m.run(environment, command...)
				require.Regexp(t, c.said, said.Message+"\n"+said.Detail, "%v", command)
				require.Regexp(t, c.fix, said.Remedy, "%v", command)
				require.NotEqual(t, whimbrel.CodeInternal, said.Code, "%v", command)
			}
			_ = m.stop()
		})
	}
}

// stop ends a development server that a command has started.
func (m *machine) stop() error {
	return devdb.OpenProject(filepath.Join(m.folder, "project", ".whimbrel"), devdb.ProjectOptions{}).Stop(m.Context())
}

// missing is a version of PostgreSQL that this machine does not have.
func (m *machine) missing() string {
	for _, major := range slices.Backward(devdb.Fetchable()) {
		binaries, err := devdb.Find(m.Context(), devdb.FindOptions{Major: major, Offline: true})
		if err != nil || binaries.Dir != m.real.Dir {
			return strconv.Itoa(major)
		}
	}
	require.Fail(m, "every version of PostgreSQL is installed here")
	return ""
}
