package whimbrel_test

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

var three = files{
	"1_a.sql": "CREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;",
	"2_b.sql": "CREATE TABLE b (id int);\n-- +migrate Down\nDROP TABLE b;",
	"3_c.sql": "CREATE TABLE c (id int);\nCREATE INDEX CONCURRENTLY c_id ON c (id);\nINSERT INTO c VALUES (1);",
}

// with gives files with some of them put in or replaced; an empty text takes one out.
func (f files) with(changes files) files {
	all := maps.Clone(f)
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_, text string) bool { return text == "" })
	return all
}

// kept makes a plan, and takes it through its written form.
func (b *bundle) kept(f files, goal whimbrel.Goal, change ...func(*whimbrel.Config)) whimbrel.Plan {
	b.Helper()
	plan, err := b.migrator(f, change...).Plan(b.Context(), goal)
	require.NoError(b, err)
	basis := plan.Basis()
	text, err := json.Marshal(basis)
	require.NoError(b, err)
	read, err := whimbrel.ParsePlan("plan.json", string(text))
	require.NoError(b, err)
	require.Equal(b, basis, read.Basis())
	return read
}

// requireStale checks that a run was refused, and gives what has changed.
func requireStale(t *testing.T, err error) []whimbrel.PlanChangeKind {
	t.Helper()
	own := fails(t, err, whimbrel.CodePlanStale)
	var changes whimbrel.PlanChanges
	require.ErrorAs(t, err, &changes)
	var kinds []whimbrel.PlanChangeKind
	for _, c := range changes {
		require.Contains(t, own.Detail, c.Message)
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

func TestAPlanThatIsKeptIsWhatRuns(t *testing.T) {
	b := setup(t)
	plan := b.kept(three, whimbrel.Next(2))
	require.Len(t, plan.Basis().Migrations, 2)
	require.Len(t, plan.Basis().Left, 1)
	edited := three.with(files{"3_c.sql": "SELECT 1"}) // which is no part of it
	result, err := b.migrator(edited).Run(t.Context(), plan)
	require.NoError(t, err)
	require.Len(t, result.Done, 2)
	require.Equal(t, "1 2", b.applied())

	again, err := b.migrator(edited).Run(t.Context(), plan)
	require.NoError(t, err, "what is done is done")
	require.Empty(t, again.Done)
}

func TestAPlanGoesOnWhereAnEarlierRunOfItStopped(t *testing.T) {
	b := setup(t)
	broken := three.with(files{"4_d.sql": "INSERT INTO late VALUES (1); CREATE TABLE d (id int)"})
	plan := b.kept(broken, whimbrel.Latest())
	_, err := b.migrator(broken).Run(t.Context(), plan)
	require.Error(t, err)
	require.Equal(t, "1 2 3", b.applied())
	b.exec("CREATE TABLE late (id int)")
	result, err := b.migrator(broken).Run(t.Context(), plan)
	require.NoError(t, err)
	require.Len(t, result.Done, 1)
}

func TestAPlanKeepsItsPolicyForLateMigrations(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"2_b.sql": three["2_b.sql"]}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	for policy, applied := range map[whimbrel.OutOfOrder]string{whimbrel.SkipOutOfOrder: "2 3",
		whimbrel.ApplyOutOfOrder: "2 3 1"} {
		plan := b.kept(three, whimbrel.Latest(), func(c *whimbrel.Config) { c.OutOfOrder = policy })
		if policy == whimbrel.ApplyOutOfOrder {
			b.exec("DELETE FROM schema_migrations WHERE version = '3'; DROP TABLE IF EXISTS c")
			plan = b.kept(three, whimbrel.Latest(), func(c *whimbrel.Config) { c.OutOfOrder = policy })
			applied = "2 1 3"
		}
		_, err := b.migrator(three).Run(t.Context(), plan)
		require.NoError(t, err, policy)
		require.Equal(t, applied, b.applied())
		b.exec("DELETE FROM schema_migrations WHERE version <> '2'; DROP TABLE IF EXISTS a, c")
	}
}

func TestRunSaysWhatHasChangedSinceThePlanWasMade(t *testing.T) {
	up := func(f files, steps int) func(*bundle) {
		return func(b *bundle) {
			_, err := b.migrator(f).Up(b.Context(), whimbrel.UpOptions{Steps: steps})
			require.NoError(b, err)
		}
	}
	down := func(b *bundle) {
		_, err := b.migrator(three).Down(b.Context(), whimbrel.DownOptions{})
		require.NoError(b, err)
	}
	for name, c := range map[string]struct {
		before, meanwhile func(*bundle)
		now               files
		change            func(*whimbrel.Config)
		changed           []whimbrel.PlanChangeKind
	}{
		"a file was edited": {now: three.with(files{"2_b.sql": "CREATE TABLE b (id bigint)"}),
			changed: []whimbrel.PlanChangeKind{whimbrel.ChangedFile}},
		"a file is gone": {now: three.with(files{"2_b.sql": ""}), changed: []whimbrel.PlanChangeKind{whimbrel.ChangedFile}},
		"a migration is new": {now: three.with(files{"4_d.sql": "SELECT 1"}),
			changed: []whimbrel.PlanChangeKind{whimbrel.ChangedPending}},
		"one that is new and late": {before: up(three, 1), now: three.with(files{"0_d.sql": "SELECT 1"}),
			changed: []whimbrel.PlanChangeKind{whimbrel.ChangedPending}},
		"a stranger was applied": {
			meanwhile: up(files{"0_z.sql": "SELECT 1"}, 0), now: three,
			changed: []whimbrel.PlanChangeKind{whimbrel.ChangedHistory},
		},
		"one of it was applied from another file": {
			meanwhile: up(three.with(files{"1_a.sql": "CREATE TABLE a (id bigint)"}), 1), now: three,
			changed: []whimbrel.PlanChangeKind{whimbrel.ChangedHistory},
		},
		"one was rolled back": {
			before: up(three, 2), meanwhile: down, now: three, changed: []whimbrel.PlanChangeKind{whimbrel.ChangedHistory,
				whimbrel.ChangedPending},
		},
		"one was rolled back and applied again": {
			before: up(three, 1), meanwhile: func(b *bundle) { down(b); up(three, 1)(b) }, now: three,
			changed: []whimbrel.PlanChangeKind{whimbrel.ChangedHistory, whimbrel.ChangedHistory},
		},
		"a record was changed": {
			before:    up(three, 1),
			meanwhile: func(b *bundle) { b.exec("UPDATE schema_migrations SET checksum = repeat('0', 64)") }, now: three,
			changed: []whimbrel.PlanChangeKind{whimbrel.ChangedHistory},
		},
		"it is another history": {
			now: three, change: func(c *whimbrel.Config) { c.Table = "other" },
			changed: []whimbrel.PlanChangeKind{whimbrel.ChangedDatabase},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			if c.before != nil {
				c.before(b)
			}
			plan := b.kept(three, whimbrel.Latest())
			if c.meanwhile != nil {
				c.meanwhile(b)
			}
			before := b.schema()
			config := func(to *whimbrel.Config) {
				if c.change != nil {
					c.change(to)
				}
			}
			_, err := b.migrator(c.now, config).Run(t.Context(), plan)
			require.Equal(t, c.changed, requireStale(t, err))
			require.Equal(t, before, b.schema(), "something was changed")
		})
	}
}

func TestAPlanIsForOneDatabaseOnly(t *testing.T) {
	b := setup(t)
	plan := b.kept(three, whimbrel.Latest())
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	defer drop()
	_, err = b.migrator(three, func(c *whimbrel.Config) { c.DatabaseURL = url }).Run(t.Context(), plan)
	require.Equal(t, []whimbrel.PlanChangeKind{whimbrel.ChangedDatabase}, requireStale(t, err))
	require.NotEmpty(t, plan.Basis().Database.System, "a superuser sees it")
}

func TestAScriptThatImportsSomethingElseIsNotThePlanAnyMore(t *testing.T) {
	b := setup(t)
	plan := b.kept(three, whimbrel.Latest())
	plan.Basis().Migrations[2].Steps[1] = strings.Repeat("0", 16) // as of a source that reads otherwise
	_, err := b.migrator(three).Run(t.Context(), plan)
	require.Equal(t, []whimbrel.PlanChangeKind{whimbrel.ChangedSteps}, requireStale(t, err))
	require.Equal(t, "true", b.text("SELECT to_regclass('a') IS NULL"))
}

func TestAPlanIsForTheValuesThatVariablesHad(t *testing.T) {
	b := setup(t)
	asking := files{"1_a.sql": "-- +migrate Variables word\nCREATE TABLE a AS SELECT '${word}' AS word",
		"2_b.sql": "SELECT 1"}
	with := func(word string) func(*whimbrel.Config) {
		return func(c *whimbrel.Config) { c.Variables = map[string]string{"word": word, "other": word} }
	}
	plan := b.kept(asking, whimbrel.Latest(), with("secret"))
	text, err := json.Marshal(plan)
	require.NoError(t, err)
	require.NotContains(t, string(text), "secret")
	_, err = b.migrator(asking, with("another")).Run(t.Context(), plan)
	require.Equal(t, []whimbrel.PlanChangeKind{whimbrel.ChangedValues}, requireStale(t, err))
	_, err = b.migrator(asking, with("secret")).Run(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, "secret", b.text("SELECT word FROM a"))
}

func TestAPlanIsForTheHooksThatThereWere(t *testing.T) {
	t.Parallel()
	hooks := map[string]string{"before_run": "SELECT 1", "after_each": "-- +migrate Variables word\nSELECT '${word}'"}
	with := func(word string, change map[string]string) func(*whimbrel.Config) {
		changed := maps.Clone(hooks)
		maps.Copy(changed, change)
		maps.DeleteFunc(changed, func(_, text string) bool { return text == "" })
		return func(c *whimbrel.Config) {
			withHooks(t, changed)(c)
			c.Variables = map[string]string{"word": word}
		}
	}
	for name, c := range map[string]struct {
		now     func(*whimbrel.Config)
		changed whimbrel.PlanChangeKind
		says    string
	}{
		"a hook of the run was edited": {with("secret", map[string]string{"before_run": "SELECT 2"}),
			whimbrel.ChangedHooks, "the hook hooks/before_run.sql was edited"},
		"a hook of migrations was edited": {with("secret", map[string]string{"after_each": "SELECT 2"}),
			whimbrel.ChangedHooks, "the hook hooks/after_each.sql was edited"},
		"one is gone": {with("secret", map[string]string{"before_run": ""}), whimbrel.ChangedHooks,
			"the hook hooks/before_run.sql is gone"},
		"one is new": {with("secret", map[string]string{"after_run": "SELECT 2"}),
			whimbrel.ChangedHooks, "the hook hooks/after_run.sql is new"},
		"a variable of one has another value": {with("another", nil), whimbrel.ChangedValues,
			"a variable has another value than when the plan was made: one of word"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			plan := b.kept(three, whimbrel.Latest(), with("secret", nil))
			_, err := b.migrator(three, c.now).Run(t.Context(), plan)
			require.Equal(t, []whimbrel.PlanChangeKind{c.changed}, requireStale(t, err))
			var own *whimbrel.Error
			require.ErrorAs(t, err, &own)
			require.Contains(t, own.Detail, c.says)
			require.Equal(t, "true", b.text("SELECT to_regclass('a') IS NULL"))

			_, err = b.migrator(three, with("secret", nil)).Run(t.Context(), plan)
			require.NoError(t, err)
			_, err = b.migrator(three, c.now).Run(t.Context(), plan)
			require.NoError(t, err, "what is done is done: no hook runs any more")
		})
	}
}

func TestAPlanKeepsItsTags(t *testing.T) {
	b := setup(t)
	tagged := files{"1_a.sql": "-- +migrate Tags later\nCREATE TABLE a ()",
		"2_b.sql": "-- +migrate Tags now\nCREATE TABLE b ()"}
	plan := b.kept(tagged, whimbrel.Latest(), func(c *whimbrel.Config) { c.Tags = []string{"now"} })
	_, err := b.migrator(tagged).Run(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, "2", b.applied())
}

// What happens while Up waits for the lease is seen under it.
func TestNothingSlipsInBetweenAPlanAndTheLease(t *testing.T) {
	b := setup(t)
	plan := b.kept(three, whimbrel.Latest())
	release := b.holding()
	ended := make(chan error, 1)
	waiting := make(chan struct{})
	migrator := b.migrator(three, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if _, is := r.Event.(whimbrel.LeaseWaiting); is {
				select {
				case <-waiting:
				default:
					close(waiting)
				}
			}
		}
	})
	go func() {
		_, err := migrator.Run(context.Background(), plan)
		ended <- err
	}()
	<-waiting
	require.NoError(t, release())
	require.Contains(t, requireStale(t, <-ended), whimbrel.ChangedHistory)
}

func TestWhatIsNotAPlanIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	good := whimbrel.Basis{Format: 1, MadeAt: time.Unix(0, 0).UTC(),
		Migrations: []whimbrel.BasisMigration{{Version: migration.Version("1")}}}
	text, err := json.Marshal(good)
	require.NoError(t, err)
	for _, c := range []struct{ text, says string }{
		{"", "plan.json:1:1: this is not a plan"},
		{"{\n  \"format\": 1,,\n}", "plan.json:2:15: invalid JSON"},
		{`{"format": "one"}`, "this is not a plan: format is a string"},
		{`{"migrations": []}`, "it has no format"},
		{`{"format": 2}`, "has format 2, and this version of whimbrel reads format 1"},
		{string(text), "it does not have its own fingerprint"},
		{`[]`, "this is not a plan"},
	} {
		_, err := whimbrel.ParsePlan("plan.json", c.text)
		var own *whimbrel.Error
		require.ErrorAs(t, err, &own, c.text)
		require.Equal(t, whimbrel.CodeMalformed, own.Code)
		require.Contains(t, own.Error(), c.says)
		require.NotEmpty(t, own.Remedy)
	}
}

func FuzzParsePlan(f *testing.F) {
	f.Add(`{"format": 1, "history": [{"id": 1}], "fingerprint": ""}`)
	f.Add(`{"format": 1, "made_at": 3}`)
	f.Add("\xef\xbb\xbf{")
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := whimbrel.ParsePlan("plan.json", text)
		if err != nil {
			var own *whimbrel.Error
			require.ErrorAs(t, err, &own)
			return
		}
		again, err := json.Marshal(plan.Basis())
		require.NoError(t, err)
		same, err := whimbrel.ParsePlan("plan.json", string(again))
		require.NoError(t, err)
		require.Equal(t, plan.Basis().Fingerprint, same.Basis().Fingerprint)
	})
}
