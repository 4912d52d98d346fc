package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

func TestAStoryTellsEveryAttemptStepAndWait(t *testing.T) {
	t.Parallel()
	who := func(e whimbrel.LogEntry) whimbrel.LogEntry {
		e.Version, e.Name, e.By, e.Role, e.Tool = users.Version, users.Name, "ann@laptop pid 3", "app", "1.2.3"
		return e
	}
	golden(t, "history_show.txt", renderStory(present.Style{}, []whimbrel.LogEntry{
		who(whimbrel.LogEntry{
			At: now.Add(-50 * time.Hour), Action: "up", Outcome: "failed", Duration: 3 * time.Second, Batch: 4,
			Error:     "migrations/a.sql:3:1: no\nsuch thing",
			LeaseWait: 90 * time.Second, Retries: 4, Backoff: 400 * time.Millisecond,
			Steps: []whimbrel.StepEntry{
				{Step: 1, Kind: whimbrel.StepSQL, Summary: "ALTER TABLE", Duration: 500 * time.Millisecond, Retries: 3,
					Backoff: 300 * time.Millisecond,
					Reason:  "canceling statement due to lock timeout", Blockers: []whimbrel.Blocker{{PID: 12, Application: "psql",
						State: "idle in transaction", Age: time.Minute}}},
				{Step: 2, Kind: whimbrel.StepAlone, Summary: "CREATE INDEX CONCURRENTLY", Duration: 2 * time.Second,
					LockWait: time.Second},
				{Step: 3, Kind: whimbrel.StepBatch, Summary: "UPDATE", Duration: time.Second, Rows: 1234567, Failed: true,
					Retries: 1, Backoff: 100 * time.Millisecond,
					Reason: "deadlock detected", PausedFor: "a replica is behind", Paused: 5 * time.Second},
			},
		}),
		who(whimbrel.LogEntry{At: now.Add(-time.Minute), Action: "baseline", Outcome: "done", Batch: 5}),
	}, now))
}

func TestAMomentIsAnAgeADayOrATime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"":                     {},
		"7d":                   now.AddDate(0, 0, -7),
		"0d":                   now,
		"90m":                  now.Add(-90 * time.Minute),
		"2026-01-31":           time.Date(2026, 1, 31, 0, 0, 0, 0, time.Local),
		"2026-01-31 18:00":     time.Date(2026, 1, 31, 18, 0, 0, 0, time.Local),
		"2026-01-31T18:00:00Z": time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC),
	} {
		at, err := readSince(text, now)
		require.NoError(t, err, text)
		require.True(t, want.Equal(at), "%s gives %s", text, at)
	}
	for _, text := range []string{"-7d", "d", "yesterday", "2026-02-30", "-1h", "99999999d", "7"} {
		_, err := readSince(text, now)
		require.ErrorContains(t, err, fmt.Sprintf("--since: invalid time %q", text))
		require.Equal(t, exitWrongUse, exitStatus(err))
	}
}

func TestFiltersOfTheHistoryAreChecked(t *testing.T) {
	t.Parallel()
	for message, f := range map[string]historyFlags{
		`invalid --status "fialed"`:                        {status: "fialed"},
		`invalid --action "sideways"`:                      {action: "sideways"},
		"--failed and --status done contradict each other": {failed: true, status: "done"},
		`--since: invalid time "soon"`:                     {since: "soon"},
	} {
		_, err := f.options(now)
		require.ErrorContains(t, err, message)
	}
	o, err := (&historyFlags{failed: true, version: "20240115120000_add_users.sql", by: "ann", batch: 3, limit: 2,
		action: "up", since: "1d"}).options(now)
	require.NoError(t, err)
	require.Equal(t, whimbrel.HistoryOptions{
		Version: "20240115120000_add_users.sql", Outcome: "failed", Action: "up", By: "ann", Batch: 3, Limit: 2,
		Since: now.AddDate(0, 0, -1),
	}, o)
}

func FuzzReadSince(f *testing.F) {
	for _, text := range []string{"7d", "1h", "2026-01-31", "2026-01-31T18:00:00+02:00", "\x00",
		strings.Repeat("9", 40) + "d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := readSince(text, now)
		if err == nil && at.IsZero() && text != "" && !strings.HasPrefix(text, "0001-01-01") {
			t.Fatalf("%q gives no time and no error", text)
		}
	})
}
