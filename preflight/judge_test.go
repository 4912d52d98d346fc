package preflight

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/migration"
)

func parsed(t *testing.T, text string) []migration.Statement {
	t.Helper()
	m, err := migration.Parse("migrations/1_example.sql", text)
	require.NoError(t, err, text)
	return m.Up.Statements
}

func TestFaultsOfAVersionCountOnlyWhereAStatementMeetsThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version int
		text    string
		meets   bool
	}{
		{140003, "CREATE INDEX CONCURRENTLY i ON users (name);", true},
		{140003, "REINDEX INDEX CONCURRENTLY i;", true},
		{140003, "CREATE INDEX i ON users (name);", false},
		{140003, "DROP INDEX CONCURRENTLY i;", false},
		{140004, "CREATE INDEX CONCURRENTLY i ON users (name);", false},
		{130003, "CREATE INDEX CONCURRENTLY i ON users (name);", false},
		{170000, "ALTER TABLE events DETACH PARTITION events_1;", true},
		{170001, "ALTER TABLE events DETACH PARTITION events_1;", false},
	} {
		var statements []statement
		for _, s := range parsed(t, c.text) {
			statements = append(statements, statement{Statement: s})
		}
		f := judgeTraps(c.version, minor(c.version), statements)
		require.Equal(t, !c.meets, f.passed, "%d %s", c.version, c.text)
		if c.meets {
			require.Contains(t, f.remedy, "update the server")
		}
	}
}

func TestAStepMayTakeWhatLeavesAQuarterOfTheLockTable(t *testing.T) {
	t.Parallel()
	steps := []StepLocks{{"1_a.sql", 1, 10}, {"2_b.sql", 3, 700}}
	require.True(t, judgeCapacity(Capacity{Slots: 1000, Used: 50, Steps: steps}).passed)
	f := judgeCapacity(Capacity{Slots: 1000, Used: 51, Steps: steps})
	require.False(t, f.passed)
	require.Contains(t, f.message, "step 3 of 2_b.sql takes about 700 locks, and 949 of 1000 are free")
	require.Equal(t, []StepLocks{{"2_b.sql", 3, 700}}, f.details.(Capacity).Steps)
}

func TestReplicasThatAreLateOrCannotBeSeenDoNotPass(t *testing.T) {
	t.Parallel()
	judge := func(r Replica) finding {
		return judgeDependencies(nil, Dependents{Replicas: []Replica{r}}, Defaults())
	}
	require.True(t, judge(Replica{Name: "b", Mode: "async", Lag: time.Minute, Behind: 10}).passed)
	late := judge(Replica{Name: "b", Mode: "async", Lag: 61 * time.Second, Behind: 10})
	require.False(t, late.passed)
	require.Equal(t, "replica b is 1 min 1 s behind", late.message)
	// One that takes a base backup, or only receives WAL, replays nothing.
	copying := judge(Replica{Name: "pg_basebackup", Mode: "async", Behind: -1})
	require.True(t, copying.passed)
	require.Equal(t, []string{"how far replica pg_basebackup is behind"}, copying.unseen)
	hidden := judge(Replica{Name: "pid 7", Mode: "unknown", Behind: -1, hidden: true})
	require.True(t, hidden.unknown)
	require.False(t, hidden.passed)
	require.Contains(t, hidden.remedy, "pg_monitor")
}

func TestConnectionsOfARoleDoNotBindASuperuser(t *testing.T) {
	t.Parallel()
	c := Connections{Limit: 100, Reserved: 3, Used: 10, OfRole: Share{5, 4}, OfDatabase: Share{-1, 9}, Needed: 3, Spare: 5}
	require.False(t, judgeConnections(c, false, false).passed)
	require.True(t, judgeConnections(c, true, false).passed)
	require.NotEmpty(t, judgeConnections(c, true, true).unseen)
}

func TestWindowsAreReadAndWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"sun,sat 02:00-06:00": "Sat,Sun 02:00-06:00", "mon-fri 22:00-4": "Mon-Fri 22:00-04:00",
		"fri-mon 00:00-24:00": "Mon,Fri-Sun 00:00-24:00",
	} {
		w, err := ParseWindow(text)
		require.NoError(t, err, text)
		require.Equal(t, want, w.String(), text)
		again, err := ParseWindow(w.String())
		require.NoError(t, err)
		require.Equal(t, w, again)
	}
	for _, text := range []string{"", "Sat", "Xyz 02:00-06:00", "Sat 02:00", "Sat 25:00-26:00", "Sat 02:61-03:00",
		"Sat 02:00-02:00", "a b c", "Sat-Xyz 1-2", "Mon 24:00-03:00"} {
		_, err := ParseWindow(text)
		require.Error(t, err, text)
	}
}

func FuzzParseWindow(f *testing.F) {
	f.Add("Sat,Sun 02:00-06:00")
	f.Add("mon-fri 22:00-4")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWindow(text)
		if err != nil {
			return
		}
		again, err := ParseWindow(w.String())
		require.NoError(t, err, w.String())
		require.Equal(t, w, again)
	})
}

func TestAWindowOverMidnightBelongsToTheDayOnWhichItBegins(t *testing.T) {
	t.Parallel()
	w, err := ParseWindow("Fri 22:00-04:00")
	require.NoError(t, err)
	friday := time.Date(2026, time.November, 20, 0, 0, 0, 0, time.UTC)
	for hour, open := range map[int]bool{21: false, 22: true, 23: true, 24: true, 27: true, 28: false, 46: false} {
		now := friday.Add(time.Duration(hour) * time.Hour)
		f := judgeWindow(now, Settings{Windows: []Window{w}, TimeZone: "UTC"})
		require.Equal(t, open, f.passed, now)
	}
}

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, Settings{}.Check())
	for _, s := range []Settings{
		{MaxTransactionAge: -1}, {TimeZone: "Mars"}, {Windows: []Window{{}}}, {Backups: []Source{{Kind: "tape"}}},
		{Backups: []Source{{Kind: Label}}}, {Backups: []Source{{Kind: Command}}},
		{Backups: []Source{{Kind: Query, Query: " "}}},
		{Backups: []Source{{Kind: Barman}}}, {FreeDisk: &Source{Kind: Archiver}}, {FreeDisk: &Source{Kind: Query}},
	} {
		require.Error(t, s.Check(), "%+v", s)
	}
}

func TestWhatOthersWroteDoesNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	report := Report{Database: "a@b:1/c", Server: "15", Results: []Result{
		{Name: "table_locks", Blocking: true, Message: "\x1b[2Jgone", Remedy: "wait", Unseen: []string{"x"}},
		{Name: "privileges", Passed: true, Message: "fine", Unseen: []string{"x"}},
	}}
	text := report.Text(Style{}, false)
	require.NotContains(t, text, "\x1b")
	require.Equal(t, 1, strings.Count(text, "not seen: x"), "what several checks could not see is said once")
	require.Contains(t, text, "2 checks: 1 reason to stop, 0 warnings")
	require.NotContains(t, report.Brief(Style{}), "privileges")
	require.Contains(t, report.Brief(Style{}), "table_locks")
}
