package lint_test

import (
	"fmt"
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
		all = append(all, f.Hazard)
	}
	return all
}

// on turns a hazard on that is off by default.
func on(h lint.Hazard) lint.Severities {
	if h.Severity == lint.Off {
		return lint.Severities{h.ID: lint.Warn}
	}
	return nil
}

func TestEveryHazardIsFoundInItsBadExampleAndNothingInItsGoodOne(t *testing.T) {
	t.Parallel()
	for _, h := range lint.Hazards() {
		if h.Observed {
			continue // package rehearsal's tests run it
		}
		t.Run(h.ID, func(t *testing.T) {
			t.Parallel()
			options, before := lint.Options{Severities: on(h)}, history(h)
			if h.ID == "constraint-using-invalid-index" {
				// which no text shows, only a catalog
				options.Catalog = &lint.Catalog{Statements: before, Invalid: []string{"public.orders_user_once"}}
				before = nil
			}
			bad := check(t, options, before, []string{h.Bad})
			require.Contains(t, ids(bad), h.ID)
			good := check(t, options, before, h.Good)
			require.Empty(t, ids(good), "the good example")
		})
	}
}

func TestEveryRecordIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, h := range lint.Hazards() {
		require.False(t, seen[h.ID], "%s is there twice", h.ID)
		seen[h.ID] = true
		require.Regexp(t, `^[a-z][a-z-]+[a-z]$`, h.ID)
		for name, text := range map[string]string{"title": h.Title, "what happens": h.Happens, "remedy": h.Remedy,
			"link": h.Link, "bad example": h.Bad, "good example": strings.Join(h.Good, "")} {
			require.NotEmpty(t, text, "%s has no %s", h.ID, name)
		}
	}
	require.GreaterOrEqual(t, len(seen), 60)
}

func TestThePageHasEveryHazard(t *testing.T) {
	t.Parallel()
	page := lint.Markdown()
	for _, h := range lint.Hazards() {
		require.Contains(t, page, "\n## "+h.ID+"\n")
	}
}
