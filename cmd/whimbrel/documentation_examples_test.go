//go:build !lean

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/pages"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// example is a section of a page with migrations in it: blocks of SQL that are
// marked as migration. They stand on the block that recipes.md marks as schema.
type example struct {
	section string
	blocks  []pages.Block
	files   fstest.MapFS
}

// baseline is the version of the schema on which all examples stand.
const baseline = migration.Version("1")

// examplesOf gives a page and its sections that have migrations.
func examplesOf(t *testing.T, name string) (pages.Page, []example) {
	t.Helper()
	page, err := pages.Read(filepath.Join(documentation, name))
	require.NoError(t, err)
	recipes, err := pages.Read(filepath.Join(documentation, "recipes.md"))
	require.NoError(t, err)
	start := slices.IndexFunc(recipes.Blocks, func(b pages.Block) bool { return slices.Contains(b.Words, "schema") })
	require.GreaterOrEqual(t, start, 0)
	var all []example
	for _, block := range page.Blocks {
		if !slices.Contains(block.Words, "migration") {
			continue
		}
		if len(all) == 0 || all[len(all)-1].section != block.Section {
			all = append(all, example{section: block.Section, files: fstest.MapFS{
				"1_schema.sql": {Data: []byte(recipes.Blocks[start].Text)},
			}})
		}
		last := &all[len(all)-1]
		last.blocks = append(last.blocks, block)
		file := fmt.Sprintf("%d_example.sql", len(last.files)+1)
		for _, word := range block.Words {
			if name, ok := strings.CutPrefix(word, "name="); ok {
				file = name
			}
		}
		last.files[file] = &fstest.MapFile{Data: []byte(block.Text)}
		if strings.HasPrefix(file, "R__") { // To takes it back on its way to an older version
			last.files["2_newer.sql"] = &fstest.MapFile{Data: []byte("SELECT 1;\n-- +migrate Down\nSELECT 1;")}
		}
	}
	return page, all
}

func (e example) load(t *testing.T) []migration.Migration {
	t.Helper()
	migrations, err := migration.Load(migration.Source{FS: e.files})
	require.NoError(t, err)
	return migrations
}

func TestExamplesOfAnnotationsRun(t *testing.T) {
	t.Parallel()
	_, examples := examplesOf(t, "annotations.md")
	require.NotEmpty(t, examples)
	for _, e := range examples {
		t.Run(e.section, func(t *testing.T) {
			t.Parallel()
			goThereAndBack(t, e.load(t))
		})
	}
}

// TestRecipesRun takes each recipe up, down and up again, and has it judged and
// rehearsed. What it locks is what the page says.
func TestRecipesRun(t *testing.T) {
	t.Parallel()
	page, examples := examplesOf(t, "recipes.md")
	require.GreaterOrEqual(t, len(examples), 20)
	locks := make([][]string, len(examples))
	t.Run("recipes", func(t *testing.T) {
		for i, e := range examples {
			t.Run(e.section, func(t *testing.T) {
				t.Parallel()
				goThereAndBack(t, e.load(t))
				locks[i] = locksOf(t, e.load(t))
			})
		}
	})
	if *update && !t.Failed() {
		writeLocks(t, page, examples, locks)
		page, examples = examplesOf(t, "recipes.md")
	}
	compareLocks(t, page, examples, locks)
}

// goThereAndBack runs all but the schema up, down and up again. The down migration must
// leave what was there before, as far as the last migration that has one goes.
func goThereAndBack(t *testing.T, migrations []migration.Migration) {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	m, err := whimbrel.New(whimbrel.Config{
		Target:  whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Migrations: migrations, Variables: map[string]string{"TENANT": "acme"}},
	})
	require.NoError(t, err)
	_, err = m.To(t.Context(), baseline, whimbrel.ToOptions{})
	require.NoError(t, err)
	before := readSchema(t, url)
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	for _, later := range migrations {
		if later.Irreversible {
			return
		}
	}
	_, err = m.To(t.Context(), baseline, whimbrel.ToOptions{Repeatable: true})
	require.NoError(t, err)
	require.Empty(t, schema.Diff(before, readSchema(t, url)), "the down migration leaves something else")
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
}

func readSchema(t *testing.T, url string) schema.Schema {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	read, err := schema.Read(t.Context(), conn, schema.Options{})
	require.NoError(t, err)
	return read
}

// locksOf rehearses migrations and says what each of them locks, as the page shows
// it. A finding that the file does not allow is a recipe for trouble.
func locksOf(t *testing.T, migrations []migration.Migration) []string {
	t.Helper()
	result, err := rehearsal.Run(t.Context(), migrations, rehearsal.Options{Server: server, Lint: lint.Options{
		Judge: func(m migration.Migration) bool { return m.Version != baseline },
	}})
	require.NoError(t, err)
	require.Empty(t, result.Stopped)
	for _, f := range result.Report.Findings() {
		require.True(t, f.Allowed, "%s: %s", f.Hazard, f.Message)
	}
	var locks []string
	for _, file := range result.Report.Files {
		require.Empty(t, file.Unused, "an Allow that nothing needs")
		if file.Version != baseline {
			locks = append(locks, renderLocks(file))
		}
	}
	return locks
}

// renderLocks shows the locks that stop somebody.
func renderLocks(file lint.File) string {
	var b strings.Builder
	for _, s := range file.Statements {
		shown := false
		for _, l := range s.Effect.Locks {
			if l.Mode < lint.ShareUpdateExclusive {
				continue
			}
			how := "for a moment"
			if slices.Contains(s.Effect.Rewrites, l.Table) {
				how = "while it is rewritten"
			} else if slices.Contains(s.Effect.Scans, l.Table) {
				how = "while it is read"
			}
			if !shown {
				fmt.Fprintln(&b, present.OneLine(s.Text, 80))
				shown = true
			}
			fmt.Fprintf(&b, "  %s on %s %s; stops %s\n", l.Mode, l.Table, how, l.Mode.Stops())
		}
	}
	if b.Len() == 0 {
		return "no lock on a table that stops anybody\n"
	}
	return b.String()
}

// lockBlocks are the blocks of a page that show locks, each below its migration.
func lockBlocks(page pages.Page) (blocks []pages.Block) {
	for _, block := range page.Blocks {
		if slices.Contains(block.Words, "locks") {
			blocks = append(blocks, block)
		}
	}
	return blocks
}

func compareLocks(t *testing.T, page pages.Page, examples []example, locks [][]string) {
	t.Helper()
	shown, n := lockBlocks(page), 0
	for i, e := range examples {
		require.Len(t, locks[i], len(e.blocks), e.section)
		for j, block := range e.blocks {
			require.Less(t, n, len(shown), "the page has no block of locks below a migration; -update writes it")
			require.Greater(t, shown[n].Line, block.Line)
			require.Equal(t, locks[i][j], shown[n].Text, "%s:%d", page.Path, shown[n].Line)
			n++
		}
	}
	require.Len(t, shown, n)
}

// writeLocks writes the blocks of locks of a page again.
func writeLocks(t *testing.T, page pages.Page, examples []example, locks [][]string) {
	t.Helper()
	text, err := os.ReadFile(page.Path)
	require.NoError(t, err)
	below := map[int]string{}
	for i, e := range examples {
		for j, b := range e.blocks {
			below[b.Line] = "\n" + block("text locks", locks[i][j])
		}
	}
	var written []string
	waiting, dropping := "", false
	for number, line := range strings.Split(string(text), "\n") {
		if dropping = dropping || line == "```text locks"; dropping {
			if line == "```" {
				dropping = false
				written = written[:len(written)-1] // the empty line above
			}
			continue
		}
		written = append(written, line)
		if after, begins := below[number+1]; begins {
			waiting = after
		} else if line == "```" && waiting != "" {
			written = append(written, strings.TrimSuffix(waiting, "\n"))
			waiting = ""
		}
	}
	require.NoError(t, os.WriteFile(page.Path, []byte(strings.Join(written, "\n")), 0o644))
}

// TestExcerptsAreFromTheirFiles compares what pages show of a program with it.
func TestExcerptsAreFromTheirFiles(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range readPages(t) {
		for _, block := range page.Blocks {
			for _, word := range block.Words {
				if name, ok := strings.CutPrefix(word, "from="); ok {
					text, err := os.ReadFile(filepath.Join("../..", name))
					require.NoError(t, err)
					require.Contains(t, string(text), block.Text, "%s:%d", page.Path, block.Line)
					found++
				}
			}
		}
	}
	require.Positive(t, found)
}
