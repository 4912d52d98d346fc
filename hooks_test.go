package whimbrel_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// withHooks reads hooks, given by name and text.
func withHooks(t testing.TB, texts map[string]string) func(*whimbrel.Config) {
	t.Helper()
	var hooks migration.Hooks
	for name, text := range texts {
		hook, err := migration.ParseHook("hooks/"+name+".sql", text)
		require.NoError(t, err)
		switch name {
		case "before_run":
			hooks.BeforeRun = &hook
		case "after_run":
			hooks.AfterRun = &hook
		case "before_each":
			hooks.BeforeEach = &hook
		case "after_each":
			hooks.AfterEach = &hook
		}
	}
	return func(c *whimbrel.Config) { c.Hooks = hooks }
}

// diary writes down what each hook sees.
func diary(t testing.TB) func(*whimbrel.Config) {
	t.Helper()
	note := func(hook string) string {
		return "INSERT INTO diary (hook, at, version, direction) VALUES ('" + hook +
			"', current_setting('whimbrel.command'), current_setting('whimbrel.version'), " +
			"current_setting('whimbrel.direction'));"
	}
	return withHooks(t, map[string]string{
		"before_run": "CREATE TABLE IF NOT EXISTS diary (id serial, hook text, at text, version text, direction text, " +
			"transaction bigint DEFAULT txid_current());\n" + note("before_run"),
		"after_run": note("after_run"), "before_each": note("before"), "after_each": note("after"),
	})
}

const wholeDiary = "SELECT string_agg(concat_ws(' ', hook, at, nullif(version, ''), direction), ', ' ORDER BY id) " +
	"FROM diary"

var hooked = files{
	"1_a.sql": "CREATE TABLE a (id int, transaction bigint DEFAULT txid_current());\nINSERT INTO a VALUES (1);\n" +
		"-- +migrate Down\nDROP TABLE a;",
	"2_b.sql": "CREATE TABLE b (id int);\n-- +migrate Down\nDROP TABLE b;",
}

func TestHooksRunAroundTheRunAndEachMigration(t *testing.T) {
	for name, one := range map[string]bool{"sent ahead": false, "one by one": true} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			how := func(c *whimbrel.Config) { c.NoPipeline = one }
			_, err := b.migrator(hooked, diary(t), how).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "before_run up up, before up 1 up, after up 1 up, before up 2 up, after up 2 up, after_run up up",
				b.text(wholeDiary))
			require.Equal(t, "true", b.text("SELECT count(DISTINCT transaction) = 1 FROM (SELECT transaction FROM a UNION ALL "+
				"SELECT transaction FROM diary WHERE version = '1') t"), "in the migration's transaction")
			require.Equal(t, "before_run done,up done,up done,after_run done",
				b.text("SELECT string_agg(action || ' ' || outcome, ',' ORDER BY id) FROM schema_migrations_log"))
			require.Equal(t, []string{"run_started", "lease_taken", "hook_started", "hook_finished"}, b.heard()[:4])
			require.Equal(t, []string{"hook_started", "hook_finished", "run_finished"}, b.heard()[len(b.heard())-3:])

			_, err = b.migrator(hooked, diary(t), how).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "6", b.text("SELECT count(*) FROM diary"), "nothing to do, so no hook")
			b.exec("TRUNCATE diary")
			_, err = b.migrator(hooked, diary(t), how).Redo(t.Context(), whimbrel.RedoOptions{})
			require.NoError(t, err)
			require.Equal(t, "before_run redo down, before redo 2 down, after redo 2 down, before redo 2 up, after redo 2 up, "+
				"after_run redo down", b.text(wholeDiary))
		})
	}
}

func TestHooksOfAChainAreStepsOfIt(t *testing.T) {
	b := setup(t)
	chain := files{"1_chain.sql": "CREATE TABLE t (id int);\nCREATE INDEX CONCURRENTLY i ON t (id);\n" +
		"SELECT 1/(SELECT count(*) FROM pg_class WHERE relname = 'ready');"}
	_, err := b.migrator(chain, diary(t)).Up(t.Context(), whimbrel.UpOptions{})
	require.NotEmpty(t, fails(t, err, whimbrel.CodeStatement))
	require.Equal(t, "before_run up up, before up 1 up", b.text(wholeDiary))
	b.exec("CREATE TABLE ready ()")
	plan, err := b.migrator(chain, diary(t)).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	require.Equal(t, "before_each", plan.Migrations[0].Steps[0].Summary())
	require.True(t, plan.Migrations[0].Steps[0].Done)
	_, err = b.migrator(chain, diary(t)).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "before_run up up, before up 1 up, before_run up up, after up 1 up, after_run up up",
		b.text(wholeDiary), "each of a migration's exactly once")
}

func TestHooksAreInTheTransactionOfAFunction(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE seen (what text)")
	look := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO seen SELECT what || ' seen' FROM seen; SET search_path = pg_catalog")
		return err
	}
	functions := func(c *whimbrel.Config) {
		c.Functions = []whimbrel.Function{{Version: "1", Name: "look", Up: look}}
	}
	hooks := withHooks(t, map[string]string{
		"before_each": "INSERT INTO seen VALUES ('before');\n-- +migrate Assert it is there\nSELECT count(*) > 0 FROM seen;",
		"after_each":  "INSERT INTO public.seen VALUES ('after');\nSELECT broken;",
	})
	_, err := b.migrator(files{}, functions, hooks).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, "hooks/after_each.sql", e.Path)
	require.Equal(t, [2]int{2, 8}, [2]int{e.Line, e.Column})
	require.Equal(t, "0", b.text("SELECT count(*) FROM seen"))

	hooks = withHooks(t, map[string]string{"before_each": "INSERT INTO seen VALUES ('before');",
		"after_each": "INSERT INTO public.seen VALUES ('after');"})
	_, err = b.migrator(files{"2_next.sql": "INSERT INTO seen SELECT current_setting('search_path');"}, functions,
		hooks).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, `before,before seen,after,before,"$user", public,after`,
		b.text("SELECT string_agg(what, ',') FROM seen"))
}

func TestAFailingHookFailsTheRun(t *testing.T) {
	for _, test := range []struct {
		hook, applied, heard string
		message              string
	}{
		{"before_run", "none", "hook_finished", "no migration has been run"},
		{"before_each", "none", "failed", ""},
		{"after_each", "none", "failed", ""},
		{"after_run", "1 2", "hook_finished", "the migrations are applied and stay so"},
	} {
		t.Run(test.hook, func(t *testing.T) {
			b := setup(t)
			hooks := withHooks(t, map[string]string{test.hook: "SELECT 1;\nSELECT ${'PASSWORD'}::int;\n" +
				"-- +migrate Variables PASSWORD"})
			result, err := b.migrator(hooked, hooks, withValues(map[string]string{"PASSWORD": "hunter2"})).Up(t.Context(),
				whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeStatement)
			require.Equal(t, "hooks/"+test.hook+".sql", e.Path)
			require.Equal(t, 2, e.Line)
			require.Contains(t, e.Message, "${PASSWORD}")
			require.Contains(t, e.Remedy, test.message)
			require.Contains(t, b.heard(), test.heard)
			applied := b.text("SELECT coalesce(string_agg(version, ' '), 'none') FROM schema_migrations")
			require.Equal(t, test.applied, applied)
			require.Equal(t, test.applied == "1 2", len(result.Done) == 2)
			require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"), "the lease is given back")
			if strings.HasSuffix(test.hook, "_run") {
				require.Equal(t, test.hook+" failed",
					b.text("SELECT action || ' ' || outcome FROM schema_migrations_log WHERE outcome = 'failed'"))
			}
		})
	}
}

func TestHooksWithoutTheirValuesOrInTheWrongPlaceRunNothing(t *testing.T) {
	for name, text := range map[string]string{
		"variable":  "-- +migrate Variables MISSING\nSELECT ${MISSING};",
		"malformed": "COPY a TO STDOUT;",
	} {
		for _, hook := range []string{"before_run", "after_run", "before_each", "after_each"} {
			t.Run(name+" in "+hook, func(t *testing.T) {
				b := setup(t)
				_, err := b.migrator(hooked, withHooks(t, map[string]string{hook: text})).Up(t.Context(), whimbrel.UpOptions{})
				require.NotEmpty(t, fails(t, err, whimbrel.Code(name)))
				require.Equal(t, "NULL", b.text("SELECT to_regclass('schema_migrations')"))
			})
		}
	}
}

func TestHooksDoNotRunWhereOnlyTheHistoryIsChanged(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(hooked, diary(t)).Baseline(t.Context(), "2", whimbrel.BaselineOptions{})
	require.NoError(t, err)
	require.Equal(t, "NULL", b.text("SELECT to_regclass('diary')"))
}

func TestPlansShowHooksAndTheirRoleHolds(t *testing.T) {
	b := setup(t)
	role := "hook_" + b.text("SELECT current_database()")
	b.exec("CREATE ROLE " + role + "; GRANT CREATE ON SCHEMA public TO " + role)
	b.Cleanup(func() {
		_, _ = b.conn.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role, pgx.QueryExecModeSimpleProtocol)
	})
	hooks := withHooks(t, map[string]string{"before_each": "SET LOCAL ROLE " + role + ";", "after_run": "ANALYZE;"})
	plan, err := b.migrator(hooked, hooks).Plan(t.Context(), whimbrel.Latest())
	require.NoError(t, err)
	shown, err := json.Marshal(plan)
	require.NoError(t, err)
	require.Contains(t, string(shown), `"hook":"hooks/before_each.sql"`)
	require.Contains(t, string(shown), `"after_run":{"version":"","name":"after_run","path":"hooks/after_run.sql"`)
	require.Equal(t, "CREATE TABLE, INSERT", plan.Migrations[0].Steps[0].Summary())
	_, err = b.migrator(hooked, hooks).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err, "the record is written by who may")
	require.Equal(t, role, b.text("SELECT tableowner FROM pg_tables WHERE tablename = 'a'"))
}
