package whimbrel_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// views are a table and what is seen of it.
var views = files{
	"1_users.sql": "CREATE TABLE users (id int, active bool);\n-- +migrate Down\nDROP TABLE users;",
	"R__a_report.sql": "CREATE OR REPLACE VIEW report AS SELECT count(*) AS n FROM active_users;\n-- +migrate Down\n" +
		"DROP VIEW report;",
	"R__b_active.sql": "CREATE OR REPLACE VIEW active_users AS SELECT id FROM users WHERE active;\n-- +migrate Down\n" +
		"DROP VIEW active_users;",
	"R__c_function.sql": "CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';",
}

// changed are files with one of them replaced, or taken away where text is "".
func changed(f files, name, text string) files {
	f = maps.Clone(f)
	if f[name] = text; text == "" {
		delete(f, name)
	}
	return f
}

func ran(result whimbrel.Result) (versions []string) {
	for _, o := range result.Done {
		versions = append(versions, string(o.Version))
	}
	return versions
}

func TestRepeatableMigrationsRunAfterTheOthersAndAgainWhenTheyChange(t *testing.T) {
	b := setup(t)
	result, err := b.migrator(views).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"1", "R__b_active", "R__a_report", "R__c_function"}, ran(result))
	require.Equal(t, "repeatable 1", b.text("SELECT kind || ' ' || batch_number FROM schema_migrations WHERE version = "+
		"'R__b_active'"))
	require.Equal(t, "repeat done", b.text("SELECT DISTINCT action || ' ' || outcome FROM schema_migrations_log WHERE "+
		"version LIKE 'R%'"))

	result, err = b.migrator(views).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Empty(t, result.Done)

	edited := changed(views, "R__b_active.sql",
		"CREATE OR REPLACE VIEW active_users AS SELECT id FROM users WHERE active IS TRUE;")
	edited["2_more.sql"] = "ALTER TABLE users ADD name text;"
	status, err := b.migrator(edited).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Applied, 4)
	require.Len(t, status.Pending, 2)
	require.True(t, status.Pending[1].Again)
	verification, err := b.migrator(edited).Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, verification.Applied)
	require.Equal(t, "pending", verification.Differences[1].Kind)
	require.Contains(t, verification.Differences[1].Message, "R__b_active is to run again")

	result, err = b.migrator(edited).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"2", "R__b_active"}, ran(result), "a view that was replaced takes nothing with it")
	require.Equal(t, "2", b.text("SELECT batch_number FROM schema_migrations WHERE version = 'R__b_active'"))
	require.Equal(t, "1 R__b_active R__a_report R__c_function 2", b.applied(), "its row is the same")
}

func TestWhatRestsOnADroppedRepeatableRunsAgain(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(views).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	dropping := changed(views, "R__b_active.sql", "DROP VIEW IF EXISTS active_users CASCADE;\n"+
		"CREATE VIEW active_users AS SELECT id, active FROM users;")
	plan, err := b.migrator(dropping).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	require.Len(t, plan.Migrations, 2)

	// The run ends between the two; the next one knows what was lost.
	stop := make(chan struct{})
	result, err := b.migrator(dropping, func(c *whimbrel.Config) {
		c.Stop, c.NoPipeline = stop, true
		c.Listener = func(r whimbrel.Record) {
			if _, done := r.Event.(whimbrel.MigrationFinished); done {
				close(stop)
			}
		}
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NotEmpty(t, fails(t, err, whimbrel.CodeInterrupted))
	require.Equal(t, []string{"R__b_active"}, ran(result))
	require.Equal(t, "NULL", b.text("SELECT to_regclass('report')"))
	result, err = b.migrator(dropping).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"R__a_report"}, ran(result))
	require.Equal(t, "report", b.text("SELECT to_regclass('report')"))
	result, err = b.migrator(dropping).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Empty(t, result.Done)
}

func TestAFailingRepeatableLeavesWhatWasThere(t *testing.T) {
	for name, pipeline := range map[string]bool{"sent ahead": false, "by itself": true} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			how := func(c *whimbrel.Config) { c.NoPipeline = pipeline }
			_, err := b.migrator(views, how).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			broken := changed(views, "R__b_active.sql", "DROP VIEW active_users CASCADE;\n"+
				"CREATE VIEW active_users AS SELECT nothing FROM users;")
			_, err = b.migrator(broken, how).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeStatement)
			require.Equal(t, "migrations/R__b_active.sql", e.Path)
			require.Equal(t, 2, e.Line)
			require.Equal(t, "report", b.text("SELECT to_regclass('report')"))
			verification, err := b.migrator(views).Verify(t.Context())
			require.NoError(t, err)
			require.Empty(t, verification.Differences, "the record is that of before, too")
		})
	}
}

func TestRepeatablesStayOutOfTheOrder(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(views).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	with2 := changed(views, "2_more.sql", "CREATE TABLE more (id int);\n-- +migrate Down\nDROP TABLE more;")
	_, err = b.migrator(with2).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err, "they do not make it late")
	result, err := b.migrator(with2).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"2"}, ran(result), "down is for those with a version")

	_, err = b.migrator(views).Down(t.Context(), whimbrel.DownOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "2BP01", e.SQLState)
	for _, to := range []bool{false, true} {
		m := b.migrator(changed(views, "R__a_report.sql", "")) // its down migration is stored
		if to {
			_, err = b.migrator(views).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			result, err = m.To(t.Context(), "0", whimbrel.ToOptions{Repeatable: true})
		} else {
			result, err = m.Down(t.Context(), whimbrel.DownOptions{Repeatable: true})
		}
		require.NoError(t, err)
		require.Equal(t, []string{"R__a_report", "R__b_active", "1"}, ran(result), "what has no down migration stays")
		require.Equal(t, "R__c_function", b.applied())
	}
	_, err = b.migrator(views).To(t.Context(), "R__b_active", whimbrel.ToOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeUnknownVersion).Message, "no place in the order")
	_, err = b.migrator(views).Baseline(t.Context(), "R__b_active", whimbrel.BaselineOptions{})
	require.NotEmpty(t, fails(t, err, whimbrel.CodeUnknownVersion))
}

func TestARepeatableWithoutItsFileStopsNothing(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(views).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	without := changed(views, "R__c_function.sql", "")
	_, err = b.migrator(without).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	status, err := b.migrator(without).Status(t.Context())
	require.NoError(t, err)
	require.True(t, status.Applied[3].Missing)
	verification, err := b.migrator(without).Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, "missing_file", verification.Differences[0].Kind)
	require.Contains(t, verification.Differences[0].Remedy,
		`DELETE FROM "public"."schema_migrations" WHERE version = 'R__c_function'`)
	b.exec(`DELETE FROM "public"."schema_migrations" WHERE version = 'R__c_function'`)
	verification, err = b.migrator(without).Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, verification.Differences)
}

func TestTagsAndPlansKnowRepeatables(t *testing.T) {
	b := setup(t)
	tagged := changed(views, "R__c_function.sql", "-- +migrate Tags extra\n"+views["R__c_function.sql"])
	result, err := b.migrator(tagged, withTags("extra")).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"R__c_function"}, ran(result))

	m := b.migrator(tagged)
	plan, err := m.Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	require.Len(t, plan.Migrations, 3)
	_, err = b.migrator(changed(tagged, "R__a_report.sql", "SELECT 1;")).Run(t.Context(), plan)
	require.NotEmpty(t, fails(t, err, whimbrel.CodePlanStale))
	_, err = m.Up(t.Context(), whimbrel.UpOptions{Steps: 2})
	require.NoError(t, err)
	result, err = m.Run(t.Context(), plan)
	require.NoError(t, err, "what has run since is as the plan has it")
	require.Equal(t, []string{"R__a_report"}, ran(result))
}

func TestRepeatablesWithoutAnOrderRunNothing(t *testing.T) {
	b := setup(t)
	circle := files{"1_a.sql": "SELECT 1;", "R__a.sql": "CREATE VIEW a AS SELECT 1 FROM b",
		"R__b.sql": "CREATE VIEW b AS SELECT 1 FROM a"}
	_, err := b.migrator(circle).Up(t.Context(), whimbrel.UpOptions{})
	require.NotEmpty(t, fails(t, err, "circle"))
	require.Equal(t, "NULL", b.text("SELECT to_regclass('schema_migrations')"))
	status, err := b.migrator(circle).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Pending, 3)

	apart := files{"R__a.sql": "-- +migrate Variables HOW\nCREATE INDEX ${HOW} i ON t (a);"}
	_, err = b.migrator(apart, withValues(map[string]string{"HOW": "CONCURRENTLY"})).Up(t.Context(), whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeMalformed).Message, "must be one transaction")
}
