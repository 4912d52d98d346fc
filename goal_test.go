package whimbrel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

var four = files{
	"1_a.sql": "CREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;",
	"2_b.sql": "CREATE TABLE b (id int);\n-- +migrate Down\nDROP TABLE b;",
	"3_c.sql": "CREATE TABLE c (id int);\n-- +migrate Down\nDROP TABLE c;",
	"4_d.sql": "CREATE TABLE d (id int);\n-- +migrate Irreversible\n",
}

// upTo applies the first migrations.
func (b *bundle) upTo(f files, n int) {
	b.Helper()
	if n > 0 {
		_, err := b.migrator(f).Migrate(b.Context(), whimbrel.Next(n))
		require.NoError(b, err)
	}
}

func TestAPlanOfAnyGoalRunsOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from    int
		goal    whimbrel.Goal
		planned int
		applied string
		again   whimbrel.Code // of a second run of the same plan
	}{
		"the latest":               {1, whimbrel.Latest(), 3, "1 2 3 4", ""},
		"the next two":             {1, whimbrel.Next(2), 2, "1 2 3", ""},
		"back two":                 {3, whimbrel.Back(2), 2, "1", whimbrel.CodePlanStale},
		"back over what cannot":    {4, whimbrel.Back(2, whimbrel.ForceNoDown), 2, "1 2", whimbrel.CodePlanStale},
		"back more than there are": {2, whimbrel.Back(9), 2, "", whimbrel.CodePlanStale},
		"redo two":                 {3, whimbrel.Redo(2), 4, "1 2 3", whimbrel.CodePlanStale},
		"a version further on":     {1, whimbrel.Version("3"), 2, "1 2 3", whimbrel.CodePlanStale},
		"a version further back":   {3, whimbrel.Version("1", whimbrel.RepeatableFirst), 2, "1", whimbrel.CodePlanStale},
		"everything rolled back":   {3, whimbrel.Version("0"), 3, "", whimbrel.CodePlanStale},
		"a baseline":               {0, whimbrel.Baseline("2"), 2, "1 2", whimbrel.CodePlanStale},
		"one alone":                {1, whimbrel.BaselineOnly("3"), 1, "1 3", whimbrel.CodePlanStale},
		"one with the older":       {1, whimbrel.BaselineWithOlder("3"), 2, "1 2 3", whimbrel.CodePlanStale},
		"one forgotten":            {2, whimbrel.Forget("2"), 1, "1", whimbrel.CodePlanStale},
		"what another tool has":    {1, whimbrel.Adopt([]whimbrel.Adopted{{Version: "2"}}), 1, "1 2", whimbrel.CodePlanStale},
		"nothing to accept":        {1, whimbrel.Accept("1"), 0, "1", ""},
		"nothing to recover":       {1, whimbrel.Recover("", whimbrel.RecoverDiscard), 0, "1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.upTo(four, c.from)
			read := b.kept(four, c.goal)
			require.Empty(t, read.Migrations, "a plan that was read has to be planned again")
			m := b.migrator(four)
			plan, err := m.Plan(t.Context(), read.Goal())
			require.NoError(t, err)
			require.Len(t, plan.Migrations, c.planned)

			result, err := m.Run(t.Context(), plan)
			require.NoError(t, err)
			require.Len(t, result.Done, c.planned)
			require.Equal(t, c.applied, b.applied())
			for _, plan := range []whimbrel.Plan{plan, read} {
				result, err = m.Run(t.Context(), plan)
				require.Equal(t, c.applied, b.applied())
				if c.again != "" {
					require.NotEmpty(t, requireStale(t, err))
					continue
				}
				require.NoError(t, err)
				require.Empty(t, result.Done)
			}
		})
	}
}

func TestAPlanThatRollsBackIsStaleOnceSomethingElseWouldRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		goal      whimbrel.Goal
		meanwhile func(*bundle)
		now       files
		changed   whimbrel.PlanChangeKind
		says      string
	}{
		"another was applied": {
			goal: whimbrel.Back(1), meanwhile: func(b *bundle) { b.upTo(four, 1) }, now: four,
			changed: whimbrel.ChangedHistory, says: "3 (c) was applied since, without the plan",
		},
		"the file was edited": {
			goal:    whimbrel.Redo(1),
			now:     four.with(files{"2_b.sql": "CREATE TABLE b (id int);\n-- +migrate Down\nSELECT 1;\nDROP TABLE b;"}),
			changed: whimbrel.ChangedFile, says: "migrations/2_b.sql was edited",
		},
		"another is pending below the version": {
			goal: whimbrel.Version("3"), now: four.with(files{"0_new.sql": "SELECT 1"}),
			changed: whimbrel.ChangedSteps, says: "migrations/3_c.sql is not what would run now in its place",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.upTo(four, 2)
			plan := b.kept(four, c.goal)
			if c.meanwhile != nil {
				c.meanwhile(b)
			}
			before := b.schema()
			_, err := b.migrator(c.now).Run(t.Context(), plan)
			if c.changed == whimbrel.ChangedFile && err != nil {
				_ = fails(t, err, whimbrel.CodeChanged) // which says it better
				return
			}
			require.Contains(t, requireStale(t, err), c.changed)
			require.Contains(t, fails(t, err, whimbrel.CodePlanStale).Detail, c.says)
			require.Equal(t, before, b.schema(), "something was changed")
		})
	}
}

func TestAPlanThatIsAlteredDoesNotRun(t *testing.T) {
	b := setup(t)
	m := b.migrator(four)
	plan, err := m.Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	plan.Migrations = plan.Migrations[1:]
	_, err = m.Run(t.Context(), plan)
	require.NotEmpty(t, requireStale(t, err))
	require.Equal(t, "NULL", b.text("SELECT to_regclass('schema_migrations')"))
}

func TestWhatIsNotAGoalIsRefusedBeforeAnythingIsConnectedTo(t *testing.T) {
	t.Parallel()
	m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: "postgres://nobody@nowhere.invalid/x"}})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		goal whimbrel.Goal
		says string
	}{
		"no goal":             {whimbrel.Goal{}, "the Goal is empty"},
		"the next none":       {whimbrel.Next(0), "invalid goal Next(0)"},
		"back less than none": {whimbrel.Back(-1), "invalid goal Back(-1)"},
		"redo none":           {whimbrel.Redo(0), "invalid goal Redo(0)"},
		"a hand-made plan": {whimbrel.Plan{Migrations: []whimbrel.Planned{{Migration: migration.Migration{Version: "1"},
			Direction: whimbrel.Up}}}.Goal(), "the plan was not made by Migrator.Plan"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, planning := m.Plan(t.Context(), c.goal)
			_, running := m.Migrate(t.Context(), c.goal)
			for _, err := range []error{planning, running} {
				e := fails(t, err, whimbrel.CodeConfiguration)
				require.Contains(t, e.Message, c.says)
				require.NotEmpty(t, e.Remedy)
			}
		})
	}
	_, err = m.Run(t.Context(), whimbrel.Plan{})
	require.Contains(t, fails(t, err, whimbrel.CodeConfiguration).Message, "not made by Migrator.Plan")
}
