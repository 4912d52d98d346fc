package whimbrel_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

var simple = files{
	"1_users.sql": "CREATE TABLE users (id int PRIMARY KEY, name text);\n" +
		"INSERT INTO users VALUES (1, 'Ann'), (2, 'Bob');\n-- +migrate Down\nDROP TABLE users;",
	"2_orders.sql": "CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);\n-- +migrate Down\n" +
		"DROP TABLE orders;",
}

func TestUpAppliesWhatIsPendingAndRecordsIt(t *testing.T) {
	b := setup(t)
	result, err := b.migrator(simple).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Len(t, result.Done, 2)
	require.Equal(t, 1, result.Batch)
	require.EqualValues(t, 2, result.Done[0].Rows)
	require.Equal(t, "1 2", b.applied())
	require.Equal(t, "users", b.text("SELECT name FROM schema_migrations WHERE version = '1'"))
	require.Equal(t, simple.load(t)[0].Checksum, b.text("SELECT checksum FROM schema_migrations WHERE version = '1'"))
	require.Contains(t, b.text("SELECT rollback_sql FROM schema_migrations WHERE version = '1'"), "DROP TABLE users;")
	require.Equal(t, "1", b.text("SELECT count(DISTINCT batch_number) FROM schema_migrations"))
	require.Equal(t, "up done,up done", b.text("SELECT string_agg(action || ' ' || outcome, ',' ORDER BY id) FROM "+
		"schema_migrations_log"))
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
	require.Equal(t, []string{
		"run_started", "lease_taken", "migration_started", "step_started", "step_finished", "migration_finished",
		"migration_started", "step_started", "step_finished", "migration_finished", "run_finished",
	}, b.heard())

	again, err := b.migrator(simple).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Empty(t, again.Done)
}

func TestUpOfANewFileMakesASecondBatch(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(simple).Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
	result, err := b.migrator(simple).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, 2, result.Batch)
	require.Equal(t, "1,2", b.text("SELECT string_agg(batch_number::text, ',' ORDER BY id) FROM schema_migrations"))
}

func TestUpWithNothingToDoTouchesNothing(t *testing.T) {
	b := setup(t)
	result, err := b.migrator(files{}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Empty(t, result.Done)
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"))
}

func TestAFailingStatementRollsItsMigrationBackAndKeepsTheEarlierOnes(t *testing.T) {
	b := setup(t)
	broken := files{
		"1_users.sql": simple["1_users.sql"],
		"2_broken.sql": "CREATE TABLE kept (id int);\n-- größer: ein €\nINSERT INTO users (id, naame) VALUES (3, 'x');\n" +
			"CREATE TABLE never (id int);",
		"3_later.sql": "CREATE TABLE later (id int);",
	}
	result, err := b.migrator(broken).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "migrations/2_broken.sql", e.Path)
	require.Equal(t, 3, e.Line)
	require.Equal(t, 24, e.Column)
	require.Equal(t, "42703", e.SQLState)
	require.Equal(t, "INSERT INTO users (id, naame) VALUES (3, 'x');\n                       ^", e.Statement)
	require.Len(t, result.Done, 1)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "NULL", b.text("SELECT to_regclass('kept')"))
	require.Equal(t, "failed 42703",
		b.text("SELECT outcome || ' ' || sqlstate FROM schema_migrations_log WHERE version = '2'"))
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
}

func TestAFailureAtRunTimeNamesItsStatement(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{
		"1_a.sql": "CREATE TABLE a (id int PRIMARY KEY);\n\nINSERT INTO a VALUES (1);\n  INSERT INTO a VALUES (1);\n",
	}).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "23505", e.SQLState)
	require.Equal(t, "migrations/1_a.sql:4:3", fmt.Sprintf("%s:%d:%d", e.Path, e.Line, e.Column))
	require.Contains(t, e.Detail, "already exists")
	require.Equal(t, "a_pkey", e.Constraint)
}

func TestADeferredConstraintFailsAtTheEndAndRollsBack(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{
		"1_a.sql": "CREATE TABLE a (id int PRIMARY KEY, parent int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n" +
			"INSERT INTO a VALUES (1, 7);",
	}).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "23503", e.SQLState)
	require.Empty(t, b.applied())
	require.Equal(t, "NULL", b.text("SELECT to_regclass('a')"))
}

var chain = files{
	"1_chain.sql": `CREATE TABLE t (id int PRIMARY KEY, email text);
INSERT INTO t SELECT g, 'u' || g FROM generate_series(1, 100) g;
CREATE UNIQUE INDEX CONCURRENTLY t_email ON t (lower(email)) WHERE id > 0;
COMMENT ON INDEX t_email IS 'for sign-in';
-- +migrate Down
COMMENT ON TABLE t IS NULL;
DROP INDEX CONCURRENTLY t_email;
DROP TABLE t;
`,
}

func TestAStatementThatCannotBeInATransactionStandsAlone(t *testing.T) {
	b := setup(t)
	before := b.schema()
	plan, err := b.migrator(chain).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	var kinds []string
	for _, s := range plan.Migrations[0].Steps {
		kinds = append(kinds, fmt.Sprintf("%s:%d", s.Kind, len(s.Statements)))
	}
	require.Equal(t, []string{"sql:2", "alone:1", "sql:1"}, kinds)
	var after string
	for range 2 {
		_, err = b.migrator(chain).Up(t.Context(), whimbrel.UpOptions{})
		require.NoError(t, err)
		require.Equal(t, "1", b.applied())
		require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
		if after == "" {
			after = b.schema()
		}
		require.Equal(t, after, b.schema())
		_, err = b.migrator(chain).Down(t.Context(), whimbrel.DownOptions{})
		require.NoError(t, err)
		require.Equal(t, before, b.schema())
		require.Empty(t, b.applied())
	}
}

func TestAChainThatFailedGoesOnAtItsStep(t *testing.T) {
	b := setup(t)
	broken := files{"1_chain.sql": strings.Replace(chain["1_chain.sql"], "COMMENT ON INDEX t_email",
		"COMMENT ON INDEX t_emial", 1)}
	_, err := b.migrator(broken).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, 4, e.Line)
	require.Empty(t, b.applied())
	require.Equal(t, "1 done,2 done",
		b.text("SELECT string_agg(step || ' ' || state, ',' ORDER BY step) FROM schema_migrations_journal"))
	status, err := b.migrator(chain).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, status.Pending[0].Done)
	require.Equal(t, 3, status.Pending[0].Steps)

	_, err = b.migrator(chain).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "100", b.text("SELECT count(*) FROM t"))
}

func TestAnEditedDoneStepIsRefused(t *testing.T) {
	b := setup(t)
	broken := files{"1_chain.sql": strings.Replace(chain["1_chain.sql"], "COMMENT ON INDEX t_email",
		"COMMENT ON INDEX t_emial", 1)}
	_, err := b.migrator(broken).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	_, err = b.migrator(files{"1_chain.sql": strings.Replace(chain["1_chain.sql"], "email text", "email varchar",
		1)}).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeJournal)
	require.Equal(t, 1, e.Line)
}

func TestAHalfDoneChainCanBeTakenDown(t *testing.T) {
	b := setup(t)
	broken := files{"1_chain.sql": strings.Replace(chain["1_chain.sql"], "COMMENT ON INDEX t_email",
		"COMMENT ON INDEX t_emial", 1)}
	_, err := b.migrator(broken).Up(t.Context(), whimbrel.UpOptions{})
	require.Error(t, err)
	_, err = b.migrator(broken).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Equal(t, "NULL", b.text("SELECT to_regclass('t')"))
	require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
}

func TestAnInvalidIndexOfAFailedBuildIsDroppedAndBuiltAgain(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)")
	index := files{"1_i.sql": "CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);"}
	_, err := b.migrator(index).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "23505", e.SQLState)
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "a failed build leaves nothing")

	_, err = b.conn.Exec(t.Context(), "CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)")
	require.Error(t, err, "somebody else's build leaves an invalid index")
	b.exec("DELETE FROM t WHERE ctid = '(0,1)'")
	_, err = b.migrator(index).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "true", b.text("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass"))
	require.Contains(t, b.heard(), "index_repaired")
}

func TestAnIndexThatWasFinishedBeforeTheCrashIsKeptOnlyIfItIsTheOne(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		existing string
		kept     bool
	}{
		"the same":        {"CREATE INDEX i ON s.t (lower(a), b DESC) WHERE b > 0", true},
		"other columns":   {"CREATE INDEX i ON s.t (b)", false},
		"other predicate": {"CREATE INDEX i ON s.t (lower(a), b DESC) WHERE b > 1", false},
		"unique":          {"CREATE UNIQUE INDEX i ON s.t (lower(a), b DESC) WHERE b > 0", false},
		"other method":    {"CREATE INDEX i ON s.t USING hash (b)", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec("CREATE SCHEMA s; CREATE TABLE s.t (a text, b int)")
			f := files{"1_i.sql": "CREATE INDEX CONCURRENTLY\n i ON s . t (lower(a), b DESC) WHERE b > 0;\nSELECT 1/0"}
			m := b.migrator(f)
			_, err := m.Up(t.Context(), whimbrel.UpOptions{})
			require.Error(t, err)
			// As a crash would leave it: begun, and no word of its end.
			b.exec("UPDATE schema_migrations_journal SET state = 'started', finished_at = NULL; DROP INDEX s.i; " +
				test.existing)
			_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeStatement)
			if test.kept {
				require.Equal(t, "22012", e.SQLState, "it went on to the next step")
				require.Contains(t, b.heard(), "index_repaired")
			} else {
				require.Equal(t, "42P07", e.SQLState)
			}
		})
	}
}

func TestNothingLeaksFromOneMigrationToTheNext(t *testing.T) {
	b := setup(t)
	b.exec("DO $$ BEGIN CREATE ROLE leak_test; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; " +
		"GRANT ALL ON SCHEMA public TO leak_test; CREATE SCHEMA odd")
	_, err := b.migrator(files{
		"1_leak.sql": "SET search_path = odd; SET ROLE leak_test; SET statement_timeout = '1min'; CREATE TEMP TABLE " +
			"scratch (id int); SELECT set_config('work_mem', '123MB', false); SET row_security = off",
		"2_check.sql": `DO $$ BEGIN
	ASSERT current_setting('search_path') = '"$user", public', current_setting('search_path');
	ASSERT current_user = 'postgres', current_user;
	ASSERT current_setting('statement_timeout') = '0';
	ASSERT current_setting('work_mem') <> '123MB';
	ASSERT to_regclass('scratch') IS NULL;
	ASSERT current_setting('application_name') LIKE 'whimbrel/%/1', current_setting('application_name');
	ASSERT current_setting('lock_timeout') = '100ms';
END $$`,
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 2", b.applied())
}

func TestAMigrationMayThrowAwayPreparedStatements(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{
		"1_a.sql": "CREATE TABLE a (); PREPARE mine AS SELECT 1; EXECUTE mine",
		"2_b.sql": "DEALLOCATE mine; CREATE TABLE b ()",
		"3_c.sql": "CREATE TABLE c ()",
		"4_d.sql": "DISCARD ALL",
		"5_e.sql": "CREATE TABLE e ()",
		"6_f.sql": "EXECUTE theirs",
	}).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "26000", e.SQLState)
	require.Equal(t, "migrations/6_f.sql", e.Path)
	require.Equal(t, "1 2 3 4 5", b.applied())
}

func TestSettingsOfAFileHoldForItAlone(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{
		"1_a.sql": "-- +migrate Set search_path = odd, public\n-- +migrate Set lock_timeout = 2s\n" +
			"CREATE SCHEMA odd; CREATE TABLE a AS SELECT current_setting('lock_timeout') AS l",
		"2_b.sql": "CREATE TABLE b AS SELECT current_setting('lock_timeout') AS l",
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "2s", b.text("SELECT l FROM odd.a"))
	require.Equal(t, "100ms", b.text("SELECT l FROM public.b"))
}

func TestInlineCopyDataAndAssertionsAreInTheTransaction(t *testing.T) {
	b := setup(t)
	f := files{"1_copy.sql": "CREATE TABLE c (code text, name text);\nCOPY c (code, name) FROM stdin;\nde\tDeutschland\n" +
		"at\tÖsterreich\n\\.\n\n-- +migrate Assert two countries\nSELECT count(*) = 2, bool_and(name <> '') FROM c;\n" +
		"CREATE INDEX ON c (code);"}
	result, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 2, result.Done[0].Rows)
	require.Equal(t, "Österreich", b.text("SELECT name FROM c WHERE code = 'at'"))

	f["2_bad.sql"] = "INSERT INTO c VALUES ('fr', 'France');\n-- +migrate Assert two countries\n" +
		"SELECT count(*) = 2 AS two FROM c;"
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeAssertion)
	require.Equal(t, 3, e.Line)
	require.Contains(t, e.Message, `two countries: column "two" is f`)
	require.Equal(t, "2", b.text("SELECT count(*) FROM c"))

	f["2_bad.sql"] = "COPY c (code, name) FROM stdin;\nx\n\\.\n"
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	e = fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, 1, e.Line)
	require.Equal(t, "1", b.applied())
}

func TestBackslashesInStringsFollowTheSettingFromTheNextStatementOn(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{
		"1_a.sql": "SET standard_conforming_strings = off;\nSET escape_string_warning = off;\n" +
			"CREATE TABLE a AS SELECT 'it\\'s; ok'::text AS v;",
		"2_b.sql": "CREATE TABLE b AS SELECT 'back\\'::text AS v;",
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "it's; ok", b.text("SELECT v FROM a"))
	require.Equal(t, `back\`, b.text("SELECT v FROM b"))
}

func TestAFileCannotLiftTheStallBudgetByAStatement(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{
		"1_a.sql": "SET lock_timeout = 0;\nCREATE TABLE a AS SELECT current_setting('lock_timeout') AS l",
		"2_b.sql": "SELECT pg_catalog.set_config('lock_timeout', '1h', false);\n" +
			"CREATE TABLE b AS SELECT current_setting('lock_timeout') AS l",
		"3_c.sql": "RESET ALL;\nCREATE TABLE c AS SELECT current_setting('lock_timeout') AS l",
		"4_d.sql": "SET lock_timeout = 20;\nCREATE TABLE d AS SELECT current_setting('lock_timeout') AS l",
	}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "100ms 100ms 100ms 20ms", b.text("SELECT concat_ws(' ', a.l, b.l, c.l, d.l) FROM a, b, c, d"))
}

func TestANotransactionSectionRunsWhatOnlyTheCatalogCanTell(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (9); " +
		"CREATE INDEX p_id ON p (id)")
	_, err := b.migrator(files{"1_r.sql": "REINDEX TABLE p"}).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Contains(t, e.Remedy, "notransaction")
	_, err = b.migrator(files{"1_r.sql": "-- +migrate Up notransaction\nCREATE TABLE q (id int);\nREINDEX TABLE p;\n" +
		"INSERT INTO q VALUES (1);"}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "1", b.text("SELECT count(*) FROM q"))
}

func TestNoticesAreEvents(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"1_a.sql": "DO $$ BEGIN RAISE NOTICE 'hello %', 1; END $$"}).Up(t.Context(),
		whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Contains(t, b.heard(), "notice")
}

func TestOutOfOrderVersionsFollowThePolicy(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"5_five.sql": "CREATE TABLE five ()"}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	late := files{"5_five.sql": "CREATE TABLE five ()",
		"3_three.sql": "CREATE TABLE three ()\n-- +migrate Down\nDROP TABLE three", "7_seven.sql": "CREATE TABLE seven ()"}
	policy := func(p whimbrel.OutOfOrder) func(*whimbrel.Config) {
		return func(c *whimbrel.Config) { c.OutOfOrder = p }
	}
	_, err = b.migrator(late).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeOutOfOrder)
	require.Equal(t, "migrations/3_three.sql", e.Path)
	require.Equal(t, "it is pending and older than 5, which is applied", e.Message)
	require.Equal(t, "5", b.applied())
	_, err = b.migrator(files{"5_five.sql": late["5_five.sql"], "3_three.sql": "SELECT 3",
		"4_four.sql": "SELECT 4"}).Up(t.Context(), whimbrel.UpOptions{})
	require.Equal(t, "it is pending and older than 5, which is applied; likewise migrations/4_four.sql",
		fails(t, err, whimbrel.CodeOutOfOrder).Message)

	result, err := b.migrator(late, policy(whimbrel.SkipOutOfOrder)).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, migration.Version("3"), result.Skipped[0].Version)
	require.Equal(t, "5 7", b.applied())
	_, err = b.migrator(late, policy(whimbrel.ApplyOutOfOrder)).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "5 7 3", b.applied())

	_, err = b.migrator(late).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err, "the newest applied goes first, whatever its version")
	require.Equal(t, "5 7", b.applied())
}

func TestAMissingFileAndAChangedOneAreRefused(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(simple).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	without := files{"2_orders.sql": simple["2_orders.sql"]}
	_, err = b.migrator(without).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeMissingFile)
	_, err = b.migrator(without, func(c *whimbrel.Config) { c.AllowMissing = true }).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)

	edited := files{"1_users.sql": simple["1_users.sql"] + "\n-- a remark", "2_orders.sql": simple["2_orders.sql"]}
	_, err = b.migrator(edited).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeChanged)
	require.Contains(t, e.Remedy, "Migrator.Accept(1)")
	verification, err := b.migrator(edited).Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, "checksum_changed", verification.Differences[0].Kind)
	_, err = b.migrator(edited).Accept(t.Context(), "1")
	require.NoError(t, err)
	_, err = b.migrator(edited).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "accept", b.text("SELECT action FROM schema_migrations_log ORDER BY id DESC LIMIT 1"))
}

func TestAnEmptyPendingMigrationIsRefusedBeforeAnythingHappens(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"1_ok.sql": "CREATE TABLE ok ()", "2_template.sql": "-- nothing yet\n-- +migrate Up\n" +
		"-- +migrate Down\n"}).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeEmpty)
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"))
}

func TestAStopBetweenMigrationsKeepsWhatIsDone(t *testing.T) {
	b := setup(t)
	stop := make(chan struct{})
	m := b.migrator(simple, func(c *whimbrel.Config) {
		c.Stop, c.NoPipeline = stop, true
		c.Listener = func(r whimbrel.Record) {
			if r.Event.Kind() == "migration_finished" {
				close(stop)
			}
		}
	})
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeInterrupted)
	require.ErrorIs(t, err, whimbrel.CodeInterrupted)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
}

func TestAStopWhileMigrationsAreSentAheadTellsExactlyWhatIsDone(t *testing.T) {
	b := setup(t)
	stop := make(chan struct{})
	f := files{}
	for i := range 100 {
		f[fmt.Sprintf("%03d_t.sql", i+1)] = fmt.Sprintf("CREATE TABLE t%d (id int); SELECT pg_sleep(0.01)", i)
	}
	m := b.migrator(f, func(c *whimbrel.Config) {
		c.Stop = stop
		c.Listener = func(r whimbrel.Record) {
			if e, ok := r.Event.(whimbrel.MigrationFinished); ok && e.Migration.Version == "010" {
				close(stop)
			}
		}
	})
	result, err := m.Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeInterrupted)
	require.Less(t, len(result.Done), 100)
	require.Equal(t, b.text("SELECT count(*) FROM schema_migrations"), fmt.Sprint(len(result.Done)))
	require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_log WHERE outcome = 'failed'"),
		"what had not begun did not fail")
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "100", b.text("SELECT count(*) FROM schema_migrations"))
}

func TestAnErrorAmongMigrationsSentAheadLeavesExactlyThoseBeforeIt(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{
		"at run time": "CREATE TABLE broken (); SELECT 1/0",
		"in syntax":   "CREATE TABLE broken (); SELEC 1",
		"at commit": "CREATE TABLE broken (id int PRIMARY KEY, p int REFERENCES broken DEFERRABLE INITIALLY DEFERRED); " +
			"INSERT INTO broken VALUES (1, 2)",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			f := files{}
			for i := range 100 {
				f[fmt.Sprintf("%03d_t.sql", i+1)] = fmt.Sprintf("CREATE TABLE t%d (id int); INSERT INTO t%d VALUES (1)", i, i)
			}
			f["050_t.sql"] = broken
			result, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeStatement)
			require.Equal(t, "migrations/050_t.sql", e.Path)
			require.Equal(t, 1, e.Line)
			require.Len(t, result.Done, 49)
			require.EqualValues(t, 1, result.Done[3].Rows)
			require.Equal(t, "49", b.text("SELECT count(*) FROM schema_migrations"))
			require.Equal(t, "NULL", b.text("SELECT to_regclass('broken')"))
			require.Equal(t, "NULL", b.text("SELECT to_regclass('t50')"))
			require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
		})
	}
}

func TestCancellingEndsAStatementAndRollsBack(t *testing.T) {
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m := b.migrator(files{"1_slow.sql": "CREATE TABLE slow (); SELECT pg_sleep(600);"}, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if r.Event.Kind() == "step_started" {
				time.AfterFunc(50*time.Millisecond, cancel)
			}
		}
	})
	_, err := m.Up(ctx, whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeInterrupted)
	require.Empty(t, b.applied())
	require.Equal(t, "NULL", b.text("SELECT to_regclass('slow')"))
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
}

func TestALockInTheWayIsWaitedForByTryingAgain(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE busy (id int)")
	tx, err := b.connect().Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT * FROM busy")
	require.NoError(t, err)
	var seen *whimbrel.LockWaiting
	m := b.migrator(files{"1_alter.sql": "ALTER TABLE busy ADD COLUMN note text"}, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			b.listen(r)
			switch e := r.Event.(type) {
			case whimbrel.LockWaiting:
				seen = &e
			case whimbrel.Retrying:
				if seen != nil {
					_ = tx.Rollback(context.Background())
				}
			}
		}
	})
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Contains(t, b.heard(), "retrying")
	require.Equal(t, "idle in transaction", seen.Blockers[0].State)
	require.Equal(t, "SELECT * FROM busy", seen.Blockers[0].Query)
}

func TestTheRetryBudgetEndsWithTheNameOfWhoIsInTheWay(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE busy (id int)")
	tx, err := b.connect().Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT * FROM busy")
	require.NoError(t, err)
	_, err = b.migrator(files{"1_alter.sql": "\nALTER TABLE busy ADD COLUMN note text"}, func(c *whimbrel.Config) {
		c.RetryBudget = 1500 * time.Millisecond
	}).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeLockTimeout)
	require.Equal(t, 2, e.Line)
	require.Contains(t, e.Remedy, "SELECT * FROM busy")
	require.NoError(t, tx.Rollback(t.Context()))
}
