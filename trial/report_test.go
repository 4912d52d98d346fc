package trial_test

import (
	"encoding/json"
	"encoding/xml"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/trial"
)

// mixed has one migration of each outcome.
func mixed() trial.Report {
	ms := func(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }
	return trial.Report{
		Server: "15.18", StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Duration: ms(1234),
		Summary: trial.Summary{Tested: 3, Passed: 1, Failed: 1, Irreversible: 1, NotRun: 1, Warnings: 1,
			SuccessRate: new(50.0)},
		Migrations: []trial.Result{
			{
				Version: "1", Name: "add_users", Path: "migrations/1_add_users.sql", Status: trial.Passed, Duration: ms(50),
				Up: &trial.Measure{
					Duration: ms(12.345), Rows: 3, Rewritten: []string{"public.users"}, Scanned: []trial.Scan{{Table: "public.users",
						Scans: 1, Rows: 5000}, {Table: "public.few", Scans: 1, Rows: 1}},
					Locks: []trial.Lock{{Table: "public.users", Mode: "ACCESS EXCLUSIVE", Held: ms(11),
						Blocks: "readers and writers"}, {Table: "public.few", Mode: "ROW SHARE", Held: ms(1)}},
				},
				Down: &trial.Measure{Duration: ms(2)}, Queries: []trial.Timing{{Name: "q", Median: ms(0.5), Rows: 1}},
			},
			{
				Version: "2", Name: "add|pipe", Path: "migrations/2_add.sql", Status: trial.Failed,
				Up: &trial.Measure{Duration: ms(1)},
				Findings: []trial.Finding{
					{Severity: trial.Failure, Check: trial.CheckSchema, Message: "down leaves index <b>a_b</b> behind",
						Path: "migrations/2_add.sql", Remedy: "make the down migration restore it"},
					{Severity: trial.Warning, Check: trial.CheckQuery, Message: "slow @everybody", Path: "tests/a.yaml", Line: 3,
						Column: 5},
				},
			},
			{Version: "3", Name: "enum", Status: trial.Irreversible, Reason: "PostgreSQL cannot drop a value"},
			{Version: "4", Name: "late", Status: trial.NotRun, Reason: "the trial was stopped"},
		},
		Findings: []trial.Finding{{Severity: trial.Failure, Check: trial.CheckInsert, Message: "a row could not be inserted",
			Path: "tests/a.yaml", Line: 9, Column: 1}},
		Kept: []trial.Kept{{Database: "x_1", State: "all migrations up to 4 are applied",
			URL: "postgres://me@host:5432/x_1"}},
	}
}

func TestTheReportForPeople(t *testing.T) {
	t.Parallel()
	require.Equal(t, `✓ 1 add_users  up 12 ms, down 2 ms
    up locks public.users in mode ACCESS EXCLUSIVE for 11 ms, and readers and writers wait
    up rewrites public.users
    up reads the whole of public.users, 5,000 rows
✗ 2 add|pipe  up 1 ms
    ✗ migrations/2_add.sql: down leaves index <b>a_b</b> behind
      make the down migration restore it
    ! tests/a.yaml:3:5: slow @everybody
→ 3 enum  irreversible: PostgreSQL cannot drop a value
- 4 late  not run: the trial was stopped
besides:
    ✗ tests/a.yaml:9:1: a row could not be inserted
4 migrations: 1 passed, 1 failed, 1 irreversible, 1 not run, 1 warning; PostgreSQL 15.18, 1.2 s
kept x_1, all migrations up to 4 are applied: psql 'postgres://me@host:5432/x_1'
`, mixed().Text(trial.Style{}, false))

	text := mixed().Text(trial.Style{Colour: true}, true)
	for _, part := range []string{"\x1b[32m✓\x1b[m 1", "\x1b[31m✗\x1b[m 2",
		"up locks public.few in mode ROW SHARE for 1 ms\x1b[m",
		"up reads the whole of public.few, 1 row\x1b[m", `query "q": 0.5 ms, 1 row`, "\x1b[31m1 failed\x1b[m"} {
		require.Contains(t, text, part)
	}
}

func TestTheReportForAPullRequest(t *testing.T) {
	t.Parallel()
	require.Equal(t, "### ❌ The migrations did not pass\n\n"+
		"1 passed, 1 failed, 1 irreversible, 1 not run. PostgreSQL 15.18, 1.2 s.\n\n"+
		"**2 add\\|pipe**\n\n"+
		"- ❌ down leaves index &lt;b&gt;a\\_b&lt;/b&gt; behind\n  `migrations/2_add.sql`\n"+
		"  make the down migration restore it\n"+
		"- ⚠️ slow @\u200beverybody\n  `tests/a.yaml:3:5`\n\n"+
		"**Besides**\n\n- ❌ a row could not be inserted\n  `tests/a.yaml:9:1`\n\n"+
		"| | migration | up | down | rows | locks on existing tables | |\n|---|---|--:|--:|--:|---|---|\n"+
		"| ✅ | 1 add\\_users | 12 ms | 2 ms | 3 | public.users ACCESS EXCLUSIVE 11 ms, rewrites public.users |  |\n"+
		"| ❌ | 2 add\\|pipe | 1 ms |  | 0 |  |  |\n"+
		"| ➡️ | 3 enum |  |  |  |  | irreversible: PostgreSQL cannot drop a value |\n"+
		"| ⏸️ | 4 late |  |  |  |  | not run: the trial was stopped |\n", mixed().Markdown())

	long := mixed()
	for range 5000 {
		long.Migrations = append(long.Migrations, long.Migrations[:2]...)
	}
	require.Less(t, len(long.Markdown()), 65_536, "a comment can be no longer")
	require.Contains(t, long.Markdown(), "more")
	require.Contains(t, trial.Report{}.Markdown(), "### No migration was tested")
}

func TestTheReportForContinuousIntegration(t *testing.T) {
	t.Parallel()
	text, err := mixed().JUnit()
	require.NoError(t, err)
	var read struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Skipped  int `xml:"skipped,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				File    string `xml:"file,attr"`
				Time    string `xml:"time,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
				Output string `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(text, &read))
	suite := read.Suites[0]
	require.Equal(t, []int{5, 2, 2}, []int{suite.Tests, suite.Failures, suite.Skipped})
	require.Equal(t, "1 add_users", suite.Cases[0].Name)
	require.Equal(t, "0.050", suite.Cases[0].Time)
	require.Contains(t, suite.Cases[0].Output, "up rewrites public.users")
	require.Equal(t, "migrations/2_add.sql: down leaves index <b>a_b</b> behind", suite.Cases[1].Failure.Message)
	require.Contains(t, suite.Cases[1].Output, "warning: tests/a.yaml:3:5: slow @everybody")
	require.Equal(t, "irreversible: PostgreSQL cannot drop a value", suite.Cases[2].Skipped.Message)
	require.Equal(t, "not run: the trial was stopped", suite.Cases[3].Skipped.Message)
	require.NotNil(t, suite.Cases[4].Failure)
}

func TestTheReportCanBeWrittenAsJSONAndReadBack(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(mixed())
	require.NoError(t, err)
	var read trial.Report
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, mixed(), read)
	require.Contains(t, string(text), `"success_rate":50`)
	require.Contains(t, string(text), `"held_ms":11`)

	event, err := trial.MarshalEvent(trial.Tested{Result: mixed().Migrations[2], Done: 1, Total: 4})
	require.NoError(t, err)
	require.JSONEq(
		t, `{"event":"migration_tested","result":{"version":"3","name":"enum","status":"irreversible","reason":"PostgreSQL cannot drop a value","duration_ms":0},"done":1,"total":4}`, string(event))
}
