package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

var fill = whimbrel.Ref{Version: "20240117000000", Name: "move_settings",
	Path: "migrations/20240117000000_move_settings.sql", Direction: whimbrel.Up}

func progress(keys, total int64, left time.Duration, pass int) whimbrel.BatchProgress {
	return whimbrel.BatchProgress{Migration: fill, Step: 2, Keys: keys, Total: total, Rows: keys, PerSecond: 51_200,
		Left: left, Size: 1000, Pass: pass}
}

// aFilling is a backfill that takes three quarters of a minute.
func aFilling() []moment {
	const s = time.Second
	paused := func(reason string) whimbrel.BatchPaused {
		return whimbrel.BatchPaused{Migration: fill, Step: 2, Reason: reason}
	}
	backoff := func(attempt int) whimbrel.Retrying {
		return whimbrel.Retrying{Migration: fill, Step: 2, Attempt: attempt, After: 50 * time.Millisecond,
			Reason: "lock timeout"}
	}
	return []moment{
		{0, whimbrel.MigrationStarted{Migration: fill, Steps: 3}},
		{0, whimbrel.StepStarted{Migration: fill, Step: 1, StepKind: whimbrel.StepSQL, Summary: "CREATE TABLE"}},
		{0, whimbrel.StepFinished{Migration: fill, Step: 1}},
		{0, whimbrel.StepStarted{Migration: fill, Step: 2, StepKind: whimbrel.StepBatch, Summary: "INSERT"}},
		{1 * s, progress(1_000, 1_000_000, 19*s, 1)},
		{9 * s, progress(400_000, 1_000_000, 12*s, 1)},
		{10 * s, progress(430_000, 1_000_000, 11*s, 1)},
		{11 * s, progress(480_000, 1_000_000, 10*s, 1)},
		{12 * s, backoff(1)},
		{12 * s, backoff(2)},
		{13 * s, backoff(1)},
		{14 * s, paused("replica west is 120 kB of WAL behind")},
		{15 * s, paused("replica west is 400 kB of WAL behind")},
		{16 * s, paused("the amount of WAL forced a checkpoint")},
		{17 * s, whimbrel.BatchResumed{Migration: fill, Step: 2, Paused: 3 * s}},
		{21 * s, progress(1_003_000, 1_000_000, 0, 1)},
		{40 * s, progress(700, 1_000_000, 19*s, 2)},
		{41 * s, whimbrel.StepFinished{Migration: fill, Step: 2, Duration: 41 * s, Rows: 1_003_000}},
		{41 * s, whimbrel.Printed{Migration: fill, Level: "log", Text: "two\nlines"}},
		{41 * s, whimbrel.Printed{Migration: fill, Level: "warn", Text: "a warning"}},
		{41 * s, whimbrel.Printed{Migration: fill, Level: "error", Text: "an error"}},
		{42 * s, whimbrel.MigrationFinished{Migration: fill, Duration: 42 * s, Rows: 1_003_000}},
	}
}

func TestABackfillReadsWell(t *testing.T) {
	t.Parallel()
	golden(t, "filling.txt", hearAll(&presenter{width: 29}, aFilling()))
	golden(t, "filling_verbose.txt", hearAll(&presenter{width: 29, verbose: true}, aFilling()))
	onTerminal := hearAll(&presenter{width: 29, terminal: true}, aFilling())
	require.NotContains(t, onTerminal, "rows/s", "the live line says it")
	require.Contains(t, onTerminal, "pauses: replica west")
}

func TestWhatAScriptPrintsIsColouredByItsLevel(t *testing.T) {
	t.Parallel()
	p := &presenter{style: present.Style{Colour: true}}
	coloured := hearAll(p, aFilling()[18:21])
	require.Equal(t, "  two\n  lines\n\x1b[33m  a warning\x1b[m\n\x1b[31m  an error\x1b[m\n", coloured)
}

func TestTheLiveLineOfABackfillUsesTheRoomThereIs(t *testing.T) {
	t.Parallel()
	for columns, want := range map[int]string{
		200: "20240117000000 move_settings  " + strings.Repeat("━", 17) + strings.Repeat("─", 23) +
			"  43 %  430,000 of about 1,000,000 rows  51,200 rows/s  11 s left",
		120: "20240117000000 move_settings  ━━━━━─────────  43 %  430,000 of about 1,000,000 rows  51,200 rows/s  11 s left",
		100: "move_settings  ━━━━────────  43 %  430,000 of about 1,000,000 rows  51,200 rows/s  11 s left",
		80:  "move_settings  ━━━━━──────────  43 %  430,000 of about 1,000,000 rows  11 s left",
		60:  "move_settings  ━━━━━━━━━━━──────────────────  43 %  11 s left",
		30:  "move_settings  43 %  11 s left",
		0:   "move_settings  ━━━━━──────────  43 %  430,000 of about 1,000,000 rows  11 s left",
	} {
		p := &presenter{terminal: true, columns: columns}
		hearAll(p, aFilling()[:7])
		line := p.live(now.Add(10 * time.Second))
		if columns >= 60 {
			require.LessOrEqual(t, present.Width(line), columns-2)
		}
		require.Equal(t, strings.Fields(want)[0], strings.Fields(line)[0], columns)
		require.Equal(t, withoutBar(want), withoutBar(line), columns)
		require.Equal(t, columns == 30, !strings.Contains(line, "━"))
	}
}

// withoutBar leaves the length of the bar out of account.
func withoutBar(line string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("━", "", "─", "").Replace(line)), " ")
}

func TestTheLiveLineOfABackfillSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	at := func(f filling, columns int) string { return f.line(present.Style{}, fill, columns, now) }
	require.Equal(t, "20240117000000 move_settings  1,234 rows  51,200 rows/s",
		at(filling{progress: progress(1234, 0, 0, 1)}, 78), "the table was never analysed")
	require.Equal(t, "move_settings  1,234 rows", at(filling{progress: progress(1234, 0, 0, 1)}, 20))
	require.Contains(t, at(filling{progress: progress(1_003_000, 1_000_000, 0, 1)}, 78), "99 %",
		"the estimate was too low")
	require.Contains(t, at(filling{progress: progress(1_000_000, 1_000_000, 0, 1)}, 78), "100 %")
	require.Contains(t, at(filling{progress: progress(5, 1_000_000, 0, 2)}, 78), "pass 2")
	require.Contains(t, at(filling{progress: progress(5, 1_000_000, 300*time.Millisecond, 1)}, 78), "1 s left")
	require.Equal(t, "20240117000000 move_settings  pauses for 12 s: a checkpoint",
		at(filling{paused: "a checkpoint", pausedAt: now.Add(-12 * time.Second)}, 78))

	p := &presenter{terminal: true, columns: 120}
	hearAll(p, aFilling()[:9])
	require.Contains(t, p.live(now.Add(12*time.Second)), "attempt 2")
	hearAll(p, aFilling()[9:16])
	require.Contains(t, p.live(now.Add(22*time.Second)), "99 %", "the batch that backed off is done")
	hearAll(p, aFilling()[16:])
	require.Empty(t, p.live(now.Add(time.Minute)))
}

func TestWhatIsLeftOfABackfillIsSaid(t *testing.T) {
	t.Parallel()
	failed := whimbrel.Failed{Migration: fill, Duration: 10 * time.Second}
	started := func(steps int, kind whimbrel.StepKind) []moment {
		return []moment{{0, whimbrel.MigrationStarted{Migration: fill, Steps: steps}},
			{0, whimbrel.StepStarted{Migration: fill, Step: 1, StepKind: kind}}}
	}
	for want, before := range map[string][]moment{
		"1 of its 3 steps, and the batches of the next one up to 430,000 of about 1,000,000 rows, are done and stay; the " +
			"next run goes on after them": aFilling()[:7],
		"1 of its 3 steps are done and stay; the next run goes on after them": aFilling()[:4],
		"the batches up to 400,000 of about 1,000,000 rows are done and stay; the next run goes on after them": append(
			started(1, whimbrel.StepBatch), aFilling()[5]),
		"what it did in a transaction is rolled back": started(1,
			whimbrel.StepScript),
		"nothing of it stays": started(1, whimbrel.StepBatch),
	} {
		p := &presenter{}
		hearAll(p, append(before, moment{0, failed}))
		require.Equal(t, "20240117000000 move_settings failed after 10 s; "+want, p.failing.headline("failed"))
	}
}

func TestPlansReadWell(t *testing.T) {
	t.Parallel()
	parsed, err := migration.Parse("migrations/20240117000000_move_settings.sql", `CREATE TABLE settings ();
-- +migrate Batch users by id
INSERT INTO settings SELECT FROM users WHERE id > :from AND id <= :to;
CREATE INDEX CONCURRENTLY i ON settings (id);
-- +migrate Batch app.users by tenant, id size=200 workers=4
UPDATE users SET x = 1 WHERE (tenant, id) > (:from) AND (tenant, id) <= (:to);
-- +migrate Assert all are one
SELECT NOT EXISTS (SELECT FROM users WHERE x <> 1);
-- +migrate Assert
SELECT true;
`)
	require.NoError(t, err)
	step := func(n int, kind whimbrel.StepKind, from, to int) whimbrel.Step {
		return whimbrel.Step{Number: n, Kind: kind, Statements: parsed.Up.Statements[from:to]}
	}
	script := migration.Migration{Version: "20240118000000", Name: "script", Path: "migrations/20240118000000_script.ts"}
	plan := whimbrel.Plan{Migrations: []whimbrel.Planned{
		{Migration: parsed, Direction: whimbrel.Up, Source: whimbrel.SourceFile, Steps: []whimbrel.Step{
			step(1, whimbrel.StepSQL, 0, 1), step(2, whimbrel.StepBatch, 1, 2), step(3, whimbrel.StepAlone, 2, 3), step(4,
				whimbrel.StepBatch, 3, 6),
		}},
		{Migration: script, Direction: whimbrel.Up, Source: whimbrel.SourceFile,
			Steps: []whimbrel.Step{{Number: 1, Kind: whimbrel.StepScript}}},
		{Migration: script, Direction: whimbrel.Down, Source: whimbrel.SourceFile,
			Steps: []whimbrel.Step{{Number: 1, Kind: whimbrel.StepFunc}}},
	}}
	plan.Migrations[0].Steps[0].Done, plan.Migrations[0].Steps[1].Started = true, true
	golden(t, "plan.txt", renderPlan(present.Style{}, plan, false)+"\n"+renderPlan(present.Style{}, plan, true))
}
