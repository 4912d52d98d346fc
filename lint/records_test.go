package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// parse makes migrations of texts.
func parse(t testing.TB, texts ...string) []migration.Migration {
	t.Helper()
	var all []migration.Migration
	for i, text := range texts {
		m, err := migration.Parse(fmt.Sprintf("migrations/%03d_example.sql", i+1), text)
		require.NoError(t, err, text)
		all = append(all, m)
	}
	return all
}

// check judges the last migrations on those before them.
func check(t testing.TB, options lint.Options, history, judged []string) lint.Report {
	t.Helper()
	all := parse(t, append(append([]string{}, history...), judged...)...)
	options.Judge = func(m migration.Migration) bool { return m.Version.Compare(all[len(history)].Version) >= 0 }
	linter, err := lint.New(options)
	require.NoError(t, err)
	report, err := linter.Check(all)
	require.NoError(t, err)
	return report
}

// history is what the examples of a hazard stand on.
func history(h lint.Hazard) []string {
	if h.Setup == "" {
		return []string{lint.ExampleSchema}
	}
	return []string{lint.ExampleSchema, h.Setup}
}

// ids gives the hazards that were found and not allowed.
func ids(r lint.Report) []string {
	var all []string
	for _, f := range r.Findings() {
		all = append(all, f.Hazard.String())
	}
	return all
}

// on turns a hazard on that is off by default.
func on(h lint.Hazard) lint.Severities {
	if h.Severity == lint.Off {
		return lint.Severities{h.ID.String(): lint.Warn}
	}
	return nil
}

func TestEveryHazardIsFoundInItsBadExampleAndNothingInItsGoodOne(t *testing.T) {
	t.Parallel()
	for _, h := range lint.Hazards() {
		if h.Observed {
			continue // package rehearsal's tests run it
		}
		t.Run(h.ID.String(), func(t *testing.T) {
			t.Parallel()
			options, before := lint.Options{Severities: on(h)}, history(h)
			if h.ID.String() == "constraint-using-invalid-index" {
				// which no text shows, only a catalog
				options.Catalog = &lint.Catalog{Statements: before, Invalid: []string{"public.orders_user_once"}}
				before = nil
			}
			bad := check(t, options, before, []string{h.Bad})
			require.Contains(t, ids(bad), h.ID.String())
			good := check(t, options, before, h.Good)
			require.Empty(t, ids(good), "the good example")
		})
	}
}

func TestEveryRecordIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, h := range lint.Hazards() {
		require.False(t, seen[h.ID.String()], "%s is there twice", h.ID.String())
		seen[h.ID.String()] = true
		require.Regexp(t, `^[a-z][a-z-]+[a-z]$`, h.ID.String())
		for name, text := range map[string]string{"title": h.Title, "what happens": h.Happens, "remedy": h.Remedy,
			"link": h.Link, "bad example": h.Bad, "good example": strings.Join(h.Good, "")} {
			require.NotEmpty(t, text, "%s has no %s", h.ID.String(), name)
		}
	}
	require.GreaterOrEqual(t, len(seen), 60)
}

func TestEveryHazardThatTheRulesNameHasARecord(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("hazard_ids.go")
	require.NoError(t, err)
	var named, recorded []string
	for _, match := range regexp.MustCompile(`ID\{"(.+)"\}`).FindAllStringSubmatch(string(source), -1) {
		named = append(named, match[1])
	}
	for _, h := range lint.Hazards() {
		recorded = append(recorded, h.ID.String())
	}
	require.ElementsMatch(t, recorded, named)
}

func TestNothingInARecordIsOverread(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("hazards/*.md")
	require.NoError(t, err)
	sections := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, section := range strings.Split(string(text), "\n## ")[1:] {
			sections++
			require.Regexp(t, `^[a-z-]+\n\n`+
				`- severity: (error|warn|off)\n- title: .+\n`+
				`(- lock: [A-Z ]+ on \S+\n|- (refused|versions|since|until|good since): .+\n`+
				`|- (observed|mechanical|grows): true\n)*- link: .+\n\n`+
				"([^\n].+\n)+\nRemedy: (.+\n)+(\n```sql setup\n[^`]+\n```\n)?\n```sql bad\n[^`]+\n```\n"+
				"(\n```sql good\n[^`]+\n```\n)+$", section, file)
		}
	}
	require.Len(t, lint.Hazards(), sections)
}

func TestThePageHasEveryHazard(t *testing.T) {
	t.Parallel()
	page := lint.Markdown()
	for _, h := range lint.Hazards() {
		require.Contains(t, page, "\n## "+h.ID.String()+"\n")
	}
}
