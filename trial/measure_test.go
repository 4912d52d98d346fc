package trial_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/trial"
)

// lockOf gives the lock on a table, as "MODE blocks whom".
func lockOf(m *trial.Measure, table string) string {
	i := slices.IndexFunc(m.Locks, func(l trial.Lock) bool { return l.Table == table })
	if i < 0 {
		return ""
	}
	return m.Locks[i].Mode + " blocks " + m.Locks[i].Blocks
}

func TestLocksRewritesAndScansOfTablesThatExistedBeforeAreMeasured(t *testing.T) {
	t.Parallel()
	report := run(t, files{
		"1_base.sql": "CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a " +
			"SELECT n, n FROM generate_series(1, 500) n;\n-- +migrate Down\nDROP TABLE a, b;",
		"2_rewrite.sql": "ALTER TABLE a ALTER n TYPE bigint;\n-- +migrate Down\nALTER TABLE a ALTER n TYPE int;",
		"3_foreign.sql": "CREATE TABLE c (a int REFERENCES a);\n-- +migrate Down\nDROP TABLE c;",
		"4_late.sql":    "SELECT pg_sleep(0.5);\nALTER TABLE b ADD x int;\n-- +migrate Down\nALTER TABLE b DROP x;",
		"5_alone.sql":   "CREATE INDEX CONCURRENTLY a_n ON a (n);\n-- +migrate Down\nDROP INDEX CONCURRENTLY a_n;",
		"6_early.sql":   "ALTER TABLE b ADD y int;\nSELECT pg_sleep(0.15);\n-- +migrate Down\nALTER TABLE b DROP y;",
		"8_vacuum.sql":  "VACUUM a;\n-- +migrate Down\nVACUUM FULL a;",
		"7_change.sql":  "UPDATE a SET n = n + 1;\n-- +migrate Down\nUPDATE a SET n = n - 1;",
	}.options(t, nil))
	require.Equal(t, 8, report.Summary.Passed, statuses(report))
	up := func(version int) *trial.Measure { return report.Migrations[version-1].Up }

	require.Empty(t, up(1).Locks, "all of its tables are new")
	require.Empty(t, up(1).Rewritten)
	require.EqualValues(t, 500, up(1).Rows)

	require.Equal(t, "ACCESS EXCLUSIVE blocks readers and writers", lockOf(up(2), "public.a"))
	require.Equal(t, []string{"public.a"}, up(2).Rewritten)
	require.Equal(t, "public.a", up(2).Scanned[0].Table)
	require.EqualValues(t, 1000, up(2).Scanned[0].Rows, "once for the table, once for its index")
	require.Empty(t, lockOf(up(2), "public.b"))
	require.Equal(t, []string{"public.a"}, report.Migrations[1].Down.Rewritten)

	require.Equal(t, "SHARE ROW EXCLUSIVE blocks writers", lockOf(up(3), "public.a"))
	require.Equal(t, "SHARE UPDATE EXCLUSIVE blocks ", lockOf(up(5), "public.a"))
	require.NotEmpty(t, up(5).Scanned, "building an index reads the table, also outside a transaction")

	require.Less(t, up(4).Locks[0].Held, up(4).Duration-100*time.Millisecond,
		"the lock was taken at the end")
	require.Greater(t, up(6).Locks[0].Held, 150*time.Millisecond, "the lock was taken at the beginning")

	require.EqualValues(t, 500, up(7).Rows)
	require.Equal(t, "ROW EXCLUSIVE blocks ", lockOf(up(7), "public.a"))
	require.Equal(t, "SHARE UPDATE EXCLUSIVE blocks ", lockOf(up(8), "public.a"))
	require.Equal(t, "ACCESS EXCLUSIVE blocks readers and writers", lockOf(report.Migrations[7].Down, "public.a"))
	require.Equal(t, []string{"public.a"}, report.Migrations[7].Down.Rewritten)
	require.Positive(t, report.Migrations[6].Down.Duration)
}

func TestFunctionsAreTestedInTheirPlace(t *testing.T) {
	t.Parallel()
	execute := func(sql string) func(context.Context, pgx.Tx) error {
		return func(ctx context.Context, tx pgx.Tx) error { _, err := tx.Exec(ctx, sql); return err }
	}
	o := files{"1_base.sql": "CREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;",
		"4_last.sql": "ALTER TABLE a DROP y;\n-- +migrate Down\nALTER TABLE a ADD y int;"}.shared(t, nil)
	o.Functions = []whimbrel.Function{
		{Version: "2", Name: "there_and_back", Up: execute("ALTER TABLE a ADD x int"), Down: execute("ALTER TABLE a DROP x")},
		{Version: "3", Name: "one_way", Up: execute("ALTER TABLE a ADD y int")},
	}
	report := run(t, o)
	require.Equal(t, "1 passed, 2 passed, 3 irreversible, 4 passed", statuses(report))
	require.Equal(t, "it has no down function", report.Migrations[2].Reason)
	require.Equal(t, "ACCESS EXCLUSIVE blocks readers and writers", lockOf(report.Migrations[1].Up, "public.a"))
}

func TestTheHistoryMayHaveAnotherNameAndSchema(t *testing.T) {
	t.Parallel()
	o := files{"1_base.sql": "CREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;"}.shared(t, nil)
	o.Table = "tools.history"
	require.Equal(t, "1 passed", statuses(run(t, o)))
}

func TestSeveralJobsFindTheSame(t *testing.T) {
	t.Parallel()
	history := longHistory(30)
	history["0014_step.sql"] = "CREATE TABLE left_behind ();\n" +
		"ALTER TABLE table_004 ADD COLUMN status text DEFAULT 'new';\n-- +migrate Down\n" +
		"ALTER TABLE table_004 DROP COLUMN status;"
	var heard []string
	o := history.options(t, nil)
	o.Jobs = 3
	o.Listener = func(e trial.Event) { heard = append(heard, e.Kind()) }
	report := run(t, o)
	require.Equal(t, 29, report.Summary.Passed)
	require.Equal(t, trial.Failed, report.Migrations[13].Status)
	require.Equal(t, []string{"down leaves table public.left_behind behind"}, messages(report.Migrations[13].Findings))
	require.True(t, slices.IsSortedFunc(report.Migrations,
		func(a, b trial.Result) int { return a.Version.Compare(b.Version) }))
	require.Equal(t, "trial_started", heard[0])
	require.Equal(t, "trial_finished", heard[len(heard)-1])
}

func TestATrialCanBeStoppedInAnOrderlyWay(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	o := longHistory(6).shared(t, nil)
	o.Stop = stop
	o.Listener = func(e trial.Event) {
		if tested, ok := e.(trial.Tested); ok && tested.Done == 2 {
			close(stop)
		}
	}
	report := run(t, o)
	require.Equal(t, "0001 passed, 0002 passed, 0003 not_run, 0004 not_run, 0005 not_run, 0006 not_run", statuses(report))
	require.Equal(t, "the trial was stopped", report.Migrations[5].Reason)
	require.False(t, report.OK())
}
