package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func stripped(text string) string { return ansi.Strip(text) }

func trimLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// moment is an event some time after the beginning.
type moment struct {
	after time.Duration
	event whimbrel.Event
}

func hearAll(p *presenter, moments []moment) string {
	var b strings.Builder
	for _, m := range moments {
		for _, line := range p.hear(whimbrel.Record{Time: now.Add(m.after), Event: m.event}) {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// aRun has every event that there is.
func aRun() []moment {
	index := whimbrel.Ref{Version: "20240116000000", Name: "index_users", Direction: whimbrel.Up}
	back := users
	back.Direction = whimbrel.Down
	eve := whimbrel.Holder{By: "eve@far pid 7", Since: now.Add(-time.Minute)}
	psql := whimbrel.Blocker{PID: 123, Application: "psql", State: "idle in transaction",
		Query: "UPDATE users\n SET x = 1", Age: 12 * time.Second}
	const ms, s = time.Millisecond, time.Second
	return []moment{
		{0, whimbrel.RunStarted{Command: "up", Database: "app@db:5432/shop", Planned: 2}},
		{0, whimbrel.SchemaCreated{Schema: "app"}},
		{0, whimbrel.TablesAdopted{Table: "public.schema_migrations", Rows: 14}},
		{1 * ms, whimbrel.LeaseWaiting{Holder: eve}},
		{2 * s, whimbrel.LeaseWaiting{Holder: eve, Waited: 2 * s}},
		{3 * s, whimbrel.LeaseTaken{Token: 8, TakenFrom: &whimbrel.Holder{By: "eve@far pid 7", State: "gone"}}},
		{3 * s, whimbrel.MigrationStarted{Migration: users, Steps: 1}},
		{3 * s, whimbrel.StepStarted{Migration: users, Step: 1, StepKind: whimbrel.StepSQL, Summary: "CREATE TABLE"}},
		{3 * s, whimbrel.Notice{Migration: users, Severity: "NOTICE", Message: "two\nlines", Detail: "a detail",
			Hint: "a hint"}},
		{3 * s, whimbrel.LockWaiting{Migration: users, Step: 1, Blockers: []whimbrel.Blocker{psql}}},
		{3 * s, whimbrel.LockWaiting{Migration: users, Step: 1, Blockers: []whimbrel.Blocker{psql},
			Waited: 50 * ms}},
		{3 * s, whimbrel.Retrying{Migration: users, Step: 1, Attempt: 1, After: 200 * ms, SQLState: "55P03",
			Reason: "canceling statement due to lock timeout"}},
		{3 * s, whimbrel.LockWaiting{Migration: users, Step: 1, Blockers: []whimbrel.Blocker{psql}}},
		{3 * s, whimbrel.Retrying{Migration: users, Step: 1, Attempt: 2, After: 300 * ms, SQLState: "55P03",
			Reason: "again"}},
		{3 * s, whimbrel.Retrying{Migration: users, Step: 1, Attempt: 3, After: 2 * s, SQLState: "55P03",
			Reason: "and again"}},
		{3 * s, whimbrel.LockWaiting{Migration: users, Step: 1, Blockers: []whimbrel.Blocker{psql, {PID: 5}, {PID: 6}}}},
		{3 * s, whimbrel.TrafficWaiting{Migration: users, Step: 1, Longest: 120 * ms, Waiting: []whimbrel.Blocker{
			{PID: 8, Application: "web", State: "active", Query: "SELECT 1", Age: 120 * ms}, {PID: 9}}}},
		{3 * s, whimbrel.ConnectionLost{Migration: users, Reason: "terminating connection"}},
		{4 * s, whimbrel.Reconnected{Migration: users, Waited: s}},
		{4 * s, whimbrel.StepFinished{Migration: users, Step: 1, Duration: s, Rows: 3}},
		{4 * s, whimbrel.MigrationFinished{Migration: users, Duration: 12 * ms, Rows: 3}},
		{4 * s, whimbrel.MigrationStarted{Migration: index, Steps: 4, Done: 1}},
		{4 * s, whimbrel.ObjectsLost{Migration: whimbrel.Ref{Version: "R__names", Name: "names"},
			Objects: []string{"view public.names"}, Repeats: true}},
		{4 * s, whimbrel.ObjectsLost{Migration: whimbrel.Ref{Version: "R__names", Name: "names"}}},
		{4 * s, whimbrel.IndexRepaired{Migration: index, Index: "users_email", Action: "dropped_invalid"}},
		{4 * s, whimbrel.IndexRepaired{Migration: index, Index: "users_name", Action: "kept_valid"}},
		{4 * s, whimbrel.StepStarted{Migration: index, Step: 2, StepKind: whimbrel.StepAlone,
			Summary: "CREATE INDEX CONCURRENTLY"}},
		{9 * s, whimbrel.StepFinished{Migration: index, Step: 2, Duration: 5 * s}},
		{9 * s, whimbrel.StepStarted{Migration: index, Step: 3, StepKind: whimbrel.StepSQL, Summary: "COMMENT"}},
		{9 * s, whimbrel.StepFinished{Migration: index, Step: 3, Duration: 3 * ms}},
		{9 * s, whimbrel.StepStarted{Migration: index, Step: 4, StepKind: whimbrel.StepSQL, Summary: "UPDATE"}},
		{9 * s, whimbrel.Failed{Migration: index, Duration: 5 * s, Error: &whimbrel.Error{}}},
		{9 * s, whimbrel.MigrationFinished{Migration: back, Duration: 3 * ms}},
		{9 * s, whimbrel.MigrationFinished{Migration: back, RecordOnly: true}},
		{9 * s, whimbrel.MigrationFinished{Migration: index, RecordOnly: true}},
		{9 * s, whimbrel.MigrationFinished{Migration: whimbrel.Ref{Version: "20240117000000", Name: "fill_users",
			Direction: whimbrel.Up}, Duration: s, RowsUnknown: true}},
		{9 * s, whimbrel.RunFinished{Command: "up"}},
	}
}

func TestARunReadsWell(t *testing.T) {
	t.Parallel()
	p := &presenter{width: 26}
	golden(t, "run.txt", hearAll(p, aRun()))
	require.Equal(t, 4, p.failing.steps)
	require.Equal(t, 3, p.failing.done)
	golden(t, "run_verbose.txt", hearAll(&presenter{width: 26, verbose: true}, append(aRun(),
		moment{0, whimbrel.LeaseTaken{Token: 9}})))
}

func TestTheLiveLineComesAfterASecond(t *testing.T) {
	t.Parallel()
	p := &presenter{}
	all := aRun()
	require.Empty(t, p.live(now))
	hearAll(p, all[:5])
	require.Empty(t, p.live(now.Add(500*time.Millisecond)))
	require.Equal(t, "waiting for another runner  2 s", p.live(now.Add(2500*time.Millisecond)))
	hearAll(p, all[5:8])
	require.Empty(t, p.live(now.Add(3500*time.Millisecond)))
	require.Equal(t, "20240115120000 add_users  7 s  CREATE TABLE", p.live(now.Add(10*time.Second)))
	hearAll(p, all[8:15])
	require.Equal(t, "20240115120000 add_users  7 s  CREATE TABLE  attempt 4", p.live(now.Add(10*time.Second)))
	hearAll(p, all[15:27])
	require.Equal(t, "20240116000000 index_users  2 min 6 s  step 2 of 4  CREATE INDEX CONCURRENTLY",
		p.live(now.Add(130*time.Second)))
	hearAll(p, all[27:])
	require.Empty(t, p.live(now.Add(time.Hour)))
}

func TestTheLiveLineIsReplaced(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := newScreen(&presenter{}, &out, false, 40)
	for _, m := range aRun()[5:8] {
		s.hear(whimbrel.Record{Time: now.Add(m.after), Event: m.event})
	}
	out.Reset()
	s.redraw(now.Add(10 * time.Second))
	first := out.String()
	require.Equal(t, "20240115120000 add_users  7 s  CREAT…", strings.TrimLeft(stripped(first), "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "))
	require.NotContains(t, first, "\n")
	out.Reset()
	s.redraw(now.Add(11 * time.Second))
	require.True(t, strings.HasPrefix(out.String(), "\r"+ansi.EraseEntireLine))
	out.Reset()
	s.hear(whimbrel.Record{Time: now, Event: whimbrel.MigrationFinished{Migration: users}})
	require.True(t, strings.HasPrefix(out.String(), "\r"+ansi.EraseEntireLine+"✓ 20240115120000 add_users"))
	out.Reset()
	s.close()
	require.Empty(t, out.String(), "no live line to remove any more")
}

func TestSummaries(t *testing.T) {
	t.Parallel()
	up, down := whimbrel.Outcome{Ref: users}, whimbrel.Outcome{Ref: users}
	down.Direction = whimbrel.Down
	took := 230 * time.Millisecond
	for want, result := range map[string]whimbrel.Result{
		"2 migrations in 230 ms, batch 1": {Command: "up", Done: []whimbrel.Outcome{up, up},
			Batch: 1, Duration: took},
		"1 migration rolled back in 230 ms": {Command: "down", Done: []whimbrel.Outcome{down},
			Duration: took},
		"1 migration rolled back and 1 run in 230 ms, batch 3": {Command: "redo", Done: []whimbrel.Outcome{down, up},
			Batch: 3, Duration: took},
		"1 migration recorded as applied": {Command: "baseline", Done: []whimbrel.Outcome{up},
			Batch: 1},
		"Nothing to do: 14 migrations are applied.":               {Command: "up", Before: 14},
		"Nothing to do: 1 migration is applied.":                  {Command: "up", Before: 1},
		"Nothing to do: there are no migrations to run.":          {Command: "up"},
		"Nothing to do: no migration is applied.":                 {Command: "redo"},
		"Nothing to do: they are all recorded.":                   {Command: "baseline"},
		"Nothing to do: the database is at this version already.": {Command: "to"},
	} {
		require.Equal(t, want, summary(result))
	}
}
