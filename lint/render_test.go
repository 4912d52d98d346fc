package lint_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
)

const shown = "-- +migrate Up\nALTER TABLE users\n  ADD COLUMN note text,\n" +
	"  ADD COLUMN token uuid DEFAULT gen_random_uuid();\n" +
	"-- +migrate Allow truncate never mind\n"

func TestTheTerminalShowsTheLineAndWhatToWriteInstead(t *testing.T) {
	t.Parallel()
	text := check(t, lint.Options{}, []string{lint.ExampleSchema}, []string{shown}).Text(lint.Style{}, false)
	require.Equal(
		t, `migrations/002_example.sql:4:14: error: every row gets a value of its own (add-column-volatile-default)
  4 |   ADD COLUMN token uuid DEFAULT gen_random_uuid();
    |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  users is rewritten under ACCESS EXCLUSIVE: gen_random_uuid() is volatile, so every row gets a value of its own
  because users was there before this migration (history)
  instead:
    ALTER TABLE users ADD COLUMN token uuid;
    ALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();
    -- +migrate Batch users by id
    UPDATE users SET token = DEFAULT WHERE token IS NULL AND id > :from AND id <= :to;
  https://www.postgresql.org/docs/current/ddl-alter.html#DDL-ALTER-ADDING-A-COLUMN

migrations/002_example.sql:5: Allow truncate allows nothing that was found here

1 statement in 1 migration: 1 error, 0 warnings
`, text)
}

func TestDetailsSayWhyAStatementIsSafe(t *testing.T) {
	t.Parallel()
	report := check(t, lint.Options{}, []string{lint.ExampleSchema}, []string{"ALTER TABLE users ADD COLUMN note text;"})
	require.Contains(t, report.Text(lint.Style{}, true), "no row is touched (text)")
	require.NotContains(t, report.Text(lint.Style{}, false), "no row is touched")
}

func TestJSONHasPlacesAndVerdicts(t *testing.T) {
	t.Parallel()
	out, err := json.Marshal(check(t, lint.Options{}, []string{lint.ExampleSchema}, []string{shown}))
	require.NoError(t, err)
	var read struct {
		Files []struct {
			Path       string
			Statements []struct {
				Line    int
				Verdict string
				Effect  struct {
					Locks []struct{ Table, Mode string }
				}
				Findings []struct {
					Hazard, Verdict, Severity, Documentation string
					Line, Column                             int
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(out, &read))
	s := read.Files[0].Statements[0]
	require.Equal(t, 2, s.Line)
	require.Equal(t, "hazard", s.Verdict)
	require.Equal(t, "ACCESS EXCLUSIVE", s.Effect.Locks[0].Mode)
	require.Equal(t, "add-column-volatile-default", s.Findings[0].Hazard)
	require.Equal(t, 4, s.Findings[0].Line)
	require.NotEmpty(t, s.Findings[0].Documentation)
}

func TestSARIFHasARuleForEachHazardAndSuppressesWhatIsAllowed(t *testing.T) {
	t.Parallel()
	report := check(t, lint.Options{}, []string{lint.ExampleSchema},
		[]string{"-- +migrate Allow drop-table it is meant\nTRUNCATE users;\nDROP TABLE orders;\nTRUNCATE users;\n"})
	out, err := report.SARIF("1.0")
	require.NoError(t, err)
	var read struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID       string
				RuleIndex    int
				Level        string
				Suppressions []struct{ Kind, Justification string }
			}
		}
	}
	require.NoError(t, json.Unmarshal(out, &read))
	require.Equal(t, "2.1.0", read.Version)
	run := read.Runs[0]
	for _, r := range run.Results {
		require.Equal(t, r.RuleID, run.Tool.Driver.Rules[r.RuleIndex].ID)
		require.Equal(t, r.RuleID == "drop-table", len(r.Suppressions) == 1)
	}
}

func TestGitHubCommandsAreEscaped(t *testing.T) {
	t.Parallel()
	out := check(t, lint.Options{}, []string{lint.ExampleSchema}, []string{"CREATE INDEX i ON users (country);"}).GitHub()
	require.True(t, strings.HasPrefix(out, "::error file=migrations/002_example.sql,line=1,endLine=1,col=1,title="), out)
	require.Equal(t, 1, strings.Count(out, "\n"))
	require.Contains(t, out, "%0ACREATE INDEX CONCURRENTLY i ON users (country)")
}

func TestGitLabFindsTheSameFindingAgainWhenLinesAboveItMove(t *testing.T) {
	t.Parallel()
	read := func(text string) (issues []struct {
		Check       string `json:"check_name"`
		Fingerprint string
		Severity    string
		Location    struct {
			Path  string
			Lines struct{ Begin int }
		}
	}) {
		out, err := check(t, lint.Options{}, []string{lint.ExampleSchema}, []string{text}).GitLab()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(out, &issues))
		return issues
	}
	first, moved := read("TRUNCATE users;\nTRUNCATE users;\n"), read("-- a line\nTRUNCATE users;\nTRUNCATE users;\n")
	require.NotEmpty(t, first)
	require.Len(t, moved, len(first))
	seen := map[string]bool{}
	for i := range first {
		require.Equal(t, first[i].Fingerprint, moved[i].Fingerprint)
		require.Equal(t, first[i].Location.Lines.Begin+1, moved[i].Location.Lines.Begin)
		require.False(t, seen[first[i].Fingerprint], "two findings of one file have a fingerprint each")
		seen[first[i].Fingerprint] = true
		require.Equal(t, "migrations/002_example.sql", first[i].Location.Path)
	}
	require.Empty(t, read("SELECT 1;"))
	out, err := lint.Report{}.GitLab()
	require.NoError(t, err)
	require.Equal(t, "[]", string(out))
}
