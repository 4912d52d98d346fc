//go:build !lean

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// everything is a folder with all that a command could prepare in a way of its own:
// variables, repeatable migrations that need each other, hooks and a script. What is wrong
// with it is known.
var everything = map[string]string{
	"whimbrel.yaml": "hooks: hooks\nvariables: {SCHEMA: shop, SIZE: '10'}\n",
	"migrations/1_orders.sql": "-- +migrate Variables SCHEMA\nCREATE SCHEMA ${SCHEMA};\n" +
		"CREATE TABLE ${SCHEMA}.orders (id int PRIMARY KEY, note text);\n-- +migrate Down\n" +
		"DROP TABLE ${SCHEMA}.orders;\nDROP SCHEMA ${SCHEMA};\n",
	"migrations/2_note.sql": "-- +migrate Variables SCHEMA SIZE\n" +
		"ALTER TABLE ${SCHEMA}.orders ALTER COLUMN note TYPE varchar(${SIZE});\n-- +migrate Down\n" +
		"ALTER TABLE ${SCHEMA}.orders ALTER COLUMN note TYPE text;\n",
	"migrations/3_fill.js": "export async function up(client) {\n" +
		"  await client.query(\"UPDATE shop.orders SET note = 'x' WHERE note IS NULL\");\n}\n" +
		"export async function down() {}\n",
	"migrations/4_index.sql": "CREATE INDEX orders_note ON shop.orders (note);\n-- +migrate Down\n" +
		"DROP INDEX shop.orders_note;\n",
	"migrations/R__a_report.sql": "CREATE OR REPLACE VIEW shop.a_report AS SELECT * FROM shop.b_base;\n",
	"migrations/R__b_base.sql":   "CREATE OR REPLACE VIEW shop.b_base AS SELECT id FROM shop.orders;\n",
	"hooks/before_run.sql":       "SELECT 'begin';\n",
	"hooks/after_each.sql":       "SELECT 'each';\n",
}

// inGoose is one in the format of another tool.
var inGoose = map[string]string{
	"migrations/00001_orders.sql": "-- +goose Up\nCREATE TABLE orders (id int PRIMARY KEY, note text);\n" +
		"-- +goose Down\nDROP TABLE orders;\n",
	"migrations/00002_note.sql": "-- +goose NO TRANSACTION\n-- +goose Up\n" +
		"ALTER TABLE orders ALTER COLUMN note TYPE varchar(10);\n" +
		"-- +goose Down\nALTER TABLE orders ALTER COLUMN note TYPE text;\n",
}

// What is pending, what of it is wrong and where, does not depend on which command is asked.
func TestCommandsAgreeOnWhatIsPendingAndWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	for name, project := range map[string]struct {
		files     map[string]string
		end       func(int) string
		versioned int // migrations that can be taken down: the tester's
		hazards   []string
	}{
		"everything, with mixed line ends": {everything, lineEnds["mixed"], 4, []string{
			"migrations/2_note.sql:2 alter-column-narrowing", "migrations/2_note.sql:2 alter-column-type-rewrite",
			"migrations/4_index.sql:1 create-index-not-concurrent"}},
		"goose": {inGoose, lineEnds["LF"], 2, []string{
			"migrations/00002_note.sql:3 alter-column-narrowing", "migrations/00002_note.sql:3 alter-column-type-rewrite"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t, nil)
			writeFiles(t, s.env.folder, project.files)
			convert(t, s.env.folder, project.end)
			for _, args := range [][]string{{"init", "-q"}, {"add", "-A"},
				{"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "all"}} {
				command := exec.CommandContext(t.Context(), "git", args...)
				command.Dir = s.env.folder
				text, err := command.CombinedOutput()
				require.NoError(t, err, string(text))
			}

			plan := s.plan()
			require.Len(t, plan.paths, len(project.files)-others(project.files))
			lint := s.judged("lint", "--json")
			ci := s.judged("ci", "--json")
			for command, got := range map[string]judgedProject{"plan": plan, "lint": lint, "ci": ci} {
				require.Equal(t, plan.paths, got.paths, command)
				require.Equal(t, project.hazards, got.hazards, command)
			}
			tested := s.judged("test", "--json")
			require.Equal(t, plan.paths[:project.versioned], tested.paths)
			require.Equal(t, plan.paths, s.deployed())
		})
	}
}

// others counts the files that are no migrations.
func others(files map[string]string) (n int) {
	for name := range files {
		if !strings.HasPrefix(name, "migrations/") {
			n++
		}
	}
	return n
}

// judgedProject is what a command said of a project.
type judgedProject struct{ paths, hazards []string }

// statements are those of a report, in whatever command's.
type judgedStatements struct {
	Statements []struct {
		Findings []struct {
			Line   int    `json:"line"`
			Hazard string `json:"hazard"`
		} `json:"findings"`
	} `json:"statements"`
}

func (j *judgedProject) add(path string, all ...judgedStatements) {
	j.paths = append(j.paths, path)
	found := map[string]bool{}
	for _, part := range all {
		for _, s := range part.Statements {
			for _, f := range s.Findings {
				found[fmt.Sprintf("%s:%d %s", path, f.Line, f.Hazard)] = true
			}
		}
	}
	j.hazards = append(j.hazards, slices.Sorted(maps.Keys(found))...)
}

// said runs a command and gives what it wrote to stdout.
func (s *session) said(args ...string) string {
	var out, errs lockedBuffer
	env := s.env
	env.stdout, env.stderr = &out, &errs
	status := run(s.t.Context(), args, env)
	require.NotEqual(s.t, exitWrongUse, status, "%v: %s%s", args, out.String(), errs.String())
	return strings.TrimSpace(out.String())
}

// answer runs a command and reads the JSON that it ends with.
func (s *session) answer(into any, args ...string) {
	s.t.Helper()
	text := s.said(args...)
	require.NoError(s.t, json.Unmarshal([]byte(text[strings.LastIndexByte(text, '\n')+1:]), into), text)
}

func (s *session) plan() (j judgedProject) {
	var report struct {
		Migrations []struct {
			Path  string             `json:"path"`
			Steps []judgedStatements `json:"steps"`
		} `json:"migrations"`
	}
	s.answer(&report, "plan", "--json")
	for _, m := range report.Migrations {
		j.add(m.Path, m.Steps...)
	}
	return j
}

// judged is what lint, test and ci say; ci tells it as notes.
func (s *session) judged(args ...string) (j judgedProject) {
	var report struct {
		Files []struct {
			Path string `json:"path"`
			judgedStatements
		} `json:"files"`
		Migrations []struct {
			Path, Status string
		} `json:"migrations"`
		New   []string `json:"new"`
		Steps []struct {
			Name  string
			Notes []struct {
				Path, Check string
				Line        int
			}
		} `json:"steps"`
	}
	s.answer(&report, args...)
	for _, f := range report.Files {
		j.add(f.Path, f.judgedStatements)
	}
	for _, m := range report.Migrations {
		require.Equal(s.t, "passed", m.Status, m.Path)
		j.add(m.Path)
	}
	j.paths = append(j.paths, report.New...)
	for _, step := range report.Steps {
		for _, n := range step.Notes {
			require.Equal(s.t, "lint", step.Name, n.Check)
			j.hazards = append(j.hazards, fmt.Sprintf("%s:%d %s", n.Path, n.Line, n.Check))
		}
	}
	return j
}

// deployed are the files that a deployment has run.
func (s *session) deployed() (paths []string) {
	text := s.said("deploy", "--json", "--skip-check", "all")
	for line := range strings.Lines(text) {
		var e struct {
			Event     string
			Migration struct{ Path string }
		}
		require.NoError(s.t, json.Unmarshal([]byte(line), &e))
		if e.Event == "migration_finished" {
			paths = append(paths, e.Migration.Path)
		}
	}
	return paths
}
