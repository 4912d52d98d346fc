//go:build !lean

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/git"
)

// lineEnds are the ways to end lines, by what they are called: each is told the number of a
// line.
var lineEnds = map[string]func(line int) string{
	"LF":    func(int) string { return "\n" },
	"CRLF":  func(int) string { return "\r\n" },
	"mixed": func(line int) string { return []string{"\r\n", "\n", "\n"}[line%3] },
}

// ended gives a text other line ends.
func ended(text string, end func(line int) string) string {
	var b strings.Builder
	for i, line := range strings.SplitAfter(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if body, found := strings.CutSuffix(line, "\n"); found {
			line = body + end(i)
		}
		b.WriteString(line)
	}
	return b.String()
}

// convert gives all files of a project other line ends, as a checkout does.
func convert(t *testing.T, folder string, end func(line int) string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, []byte(ended(string(text), end)), 0o644)
	}))
}

// ofLines is a project in which every kind of file has several lines that could tell.
var ofLines = map[string]string{
	"whimbrel.yaml": "hooks: hooks\nlint:\n  rehearsal: true\nvariables:\n  greeting: >-\n    good\n" +
		"    morning\nchecks:\n  windows:\n    - 'Mon-Sun 00:00-24:00'\n",
	"hooks/before_each.sql": "-- before\nSELECT 'each\n  one';\n",
	"migrations/1_notes.sql": `-- +migrate Up
CREATE TABLE notes (
  id int PRIMARY KEY,
  text text NOT NULL DEFAULT 'two
lines'
);
COMMENT ON TABLE notes IS 'what
was noted';
CREATE FUNCTION noted(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN 'a
b' || n; -- and a comment
END
$$;
INSERT INTO notes (id, text) VALUES (1, 'first
second');
COPY notes (id, text) FROM stdin;
2	two
3	three
\.
-- +migrate Down
DROP FUNCTION noted(int);
DROP TABLE notes;
`,
	"migrations/2_words.js": "const words = require('./words.json');\nconst more = `select\n  1`;\n" +
		"exports.up = async (client) => {\n" +
		"  await client.query('CREATE TABLE words (\\n id int PRIMARY KEY, word text)');\n" +
		"  await client.query(require('./_words.sql'));\n" +
		"  for (const w of words) await client.query('INSERT INTO words VALUES ($1, $2)', [w.id, w.word + more]);\n};\n" +
		"exports.down = async (client) => {\n  await client.query('DROP TABLE words');\n};\n",
	"migrations/words.json": "[\n  {\"id\": 1, \"word\": \"one\"}\n]\n",
	"migrations/_words.sql": "INSERT INTO words\nVALUES (0, 'zero\nand nothing');\n",
	"migrations/3_chain.sql": `-- +migrate Variables greeting
ALTER TABLE notes
  ADD said text DEFAULT 'said
so ${greeting}';

CREATE INDEX CONCURRENTLY notes_text
  ON notes (text);
-- +migrate Down
DROP INDEX notes_text;
ALTER TABLE notes
  DROP said;
`,
	"migrations/R__view.sql": "CREATE OR REPLACE VIEW seen AS\nSELECT id, 'x\ny' AS\n what FROM notes;\n",
	"tests/2_rows.sql":       "INSERT INTO notes (id, text)\nVALUES (10, 'a\nb');\n",
	"tests/notes.yaml": "rows:\n  - table: notes\n    at: 1\n    rows:\n      - id: 11\n        text: |\n" +
		"          multi\n          line\n    then:\n      - after: 3\n" +
		"        rows:\n          - id: 11\n            text: |\n              multi\n" +
		"              line\n            said: |-\n              said\n" +
		"              so good morning\n" +
		"queries:\n  - name: all notes\n    sql: |\n      SELECT id, 'p\n      q'\n" +
		"      FROM notes\n    max_duration: 1m\n",
	"other/20240101000001_a/migration.sql":    "CREATE TABLE a (\n  id int\n);\n",
	"other/20240101000002_next/migration.sql": "-- next\nALTER TABLE a\n  ADD n int;\n",
	"broken/1_a.sql":                          "CREATE TABLE a (id int);\n-- +migrate Dwn\nDROP TABLE a;\n",
	"hazard/1_a.sql":                          "CREATE TABLE a (\n  id int\n);\n",
	"hazard/2_b.sql":                          "-- two\n\n  CREATE INDEX a_id\n  ON a (id); -- behind\n",
	"refused/1_a.sql":                         "CREATE TABLE refused (\n  id int,\n  it nosuch\n);\n",
}

// commandsOnLines go through the life of the project.
var commandsOnLines = []struct {
	command string
	status  int
}{
	{"lint --json", exitDone}, {"lint --dir broken --json", exitWrongUse},
	{"lint --dir hazard --json", exitRefused}, {"lint --dir hazard", exitRefused},
	{"status --json", exitDone}, {"plan --rehearse --json", exitRefused}, {"plan -v", exitDone},
	{"plan --out plan.json --json", exitDone}, {"up --plan plan.json --json", exitDone}, {"status --json", exitDone},
	{"verify --json", exitDone}, {"verify --write-schema schema.json", exitDone},
	{"verify --schema schema.json --json", exitDone},
	{"history --json", exitDone}, {"history show 3 --json", exitDone},
	{"down 1 --yes --json", exitDone}, {"up --json", exitDone}, {"redo 2 --yes --json", exitDone},
	{"to 1 --yes --json", exitDone},
	{"up --json", exitDone}, {"plan --json", exitDone}, {"verify --json", exitDone},
	{"up --dir refused --table refused_history --json", exitFailed},
	{"test --json", exitDone},
	{"ci --base main --json", exitDone},
	{"check --only history,maintenance_window --json", exitDone},
	{"export --dir hazard --to goose --json exported", exitDone},
	{"lint --dir hazard --fix --yes --json", exitDone},
	{"squash --to 2 --keep-data notes,words --yes --json", exitDone}, {"status --json", exitDone},
	{"verify --json", exitDifferences},
	{"init", exitDone}, {"up --json", exitDone},
}

// TestLineEndsCountInNoCommand runs the same commands on a project with LF, with CR LF and
// with both, and on one whose line ends change between all commands, and wants the same
// answers.
func TestLineEndsCountInNoCommand(t *testing.T) {
	t.Parallel()
	want := answers(t, func(int) string { return "LF" })
	for name, kind := range map[string]func(i int) string{
		"CRLF":             func(int) string { return "CRLF" },
		"mixed":            func(int) string { return "mixed" },
		"others each time": func(i int) string { return []string{"LF", "CRLF", "mixed"}[i%3] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, answer := range answers(t, kind) {
				require.Equal(t, want[i], answer)
			}
		})
	}
}

// answers are what the commands print, and how they end.
func answers(t *testing.T, kind func(i int) string) (all []string) {
	t.Helper()
	s := newSession(t, nil)
	writeFiles(t, s.env.folder, ofLines)
	for _, arguments := range []string{
		"init -q -b main", "config core.autocrlf false", "add -A",
		"-c user.name=a -c user.email=a@b commit -q -m x", "checkout -q -b change",
	} {
		_, err := git.Output(context.Background(), s.env.folder, strings.Fields(arguments)...)
		require.NoError(t, err)
	}
	for i, c := range commandsOnLines {
		convert(t, s.env.folder, lineEnds[kind(i)])
		s.out, s.err = lockedBuffer{}, lockedBuffer{}
		code := s.run(strings.Fields(c.command)...)
		require.Equal(t, c.status, code, "%s: %s%s", c.command, s.out.String(), s.err.String())
		said := steady(s.env.folder, s.out.String()) + steady(s.env.folder, s.err.String())
		all = append(all, fmt.Sprintf("%s\n%s", c.command, said))
	}
	if kind(0) == "CRLF" {
		for _, name := range []string{"migrations/3_chain.sql", "hazard/2_b.sql", ".gitignore"} {
			text, err := os.ReadFile(filepath.Join(s.env.folder, name))
			require.NoError(t, err)
			require.Equal(t, ended(string(text), lineEnds["CRLF"]), string(text), "%s keeps its line ends", name)
		}
	}
	return all
}

// fleeting is what two runs of a command do not have in common: times, and whatever is
// drawn by lot.
var fleeting = regexp.MustCompile(`[0-9.]+ (µs|ms|s|min|h|kB|MB|bytes|rows/s)\b|` +
	`whimbrel_[0-9a-z_]+|[a-z0-9/@.-]*/fresh_[0-9a-z_]+|/s:[0-9]+|[0-9a-f]{64}|` +
	`[A-Z][a-z]+ [0-9:]+ UTC|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.+Z-]+`)

// steady is an answer without it.
func steady(folder, text string) string {
	text = strings.ReplaceAll(text, folder, "FOLDER")
	var b strings.Builder
	for line := range strings.Lines(text) {
		var value any
		if json.Unmarshal([]byte(line), &value) == nil {
			shown, _ := json.Marshal(withoutNumbers("", value))
			line = string(shown) + "\n"
		}
		b.WriteString(fleeting.ReplaceAllString(line, "…"))
	}
	return b.String()
}

// measured are the keys of numbers and texts that differ from run to run.
var measured = regexp.MustCompile(`(?i)_ms$|_at$|^at$|bytes|^(ms|time|took|duration|seconds|id|oid|` +
	`pid|system|database|host|user|by|checked|run|server|blocks|wal|lease|token|left|used|fingerprint|identity)$`)

func withoutNumbers(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range v {
			v[k] = withoutNumbers(k, v[k])
		}
	case []any:
		for i := range v {
			v[i] = withoutNumbers(key, v[i])
		}
	default:
		if measured.MatchString(key) {
			return "…"
		}
	}
	return value
}
