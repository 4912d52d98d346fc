package whimbrel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestDownTakesTheNewestFirst(t *testing.T) {
	b := setup(t)
	m := b.migrator(simple)
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	result, err := m.Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.EqualValues(t, "2", result.Done[0].Version)
	require.Equal(t, "1", b.applied())
	result, err = m.Down(t.Context(), whimbrel.DownOptions{Steps: 10})
	require.NoError(t, err)
	require.Len(t, result.Done, 1)
	require.Equal(t, "NULL", b.text("SELECT to_regclass('users')"))
	result, err = m.Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Empty(t, result.Done)
}

func TestDownWorksFromTheStoredDownMigrationWhenTheFileIsGone(t *testing.T) {
	b := setup(t)
	all := files{"1_users.sql": simple["1_users.sql"], "2_chain.sql": chain["1_chain.sql"]}
	_, err := b.migrator(all).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	older := b.migrator(files{"1_users.sql": simple["1_users.sql"]})
	plan, err := older.Plan(t.Context(), whimbrel.Back(1))
	require.NoError(t, err)
	require.Equal(t, whimbrel.SourceHistory, plan.Migrations[0].Source)
	_, err = older.Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "NULL", b.text("SELECT to_regclass('t')"))
}

func TestDownRefusesWhatIsNotReversibleBeforeTouchingAnything(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no down part":         "CREATE TABLE a ()",
		"an empty down part":   "CREATE TABLE a ();\n-- +migrate Down\n-- nothing",
		"marked irreversible":  "CREATE TABLE a ();\n-- +migrate Irreversible the data is gone",
		"irreversible, stored": "CREATE TABLE a ();\n-- +migrate Irreversible",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			all := files{"1_a.sql": text, "2_users.sql": simple["1_users.sql"]}
			_, err := b.migrator(all).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			m := b.migrator(all)
			if name == "irreversible, stored" {
				m = b.migrator(files{})
			}
			_, err = m.Down(t.Context(), whimbrel.DownOptions{Steps: 2})
			_ = fails(t, err, whimbrel.CodeIrreversible)
			require.ErrorIs(t, err, whimbrel.CodeIrreversible)
			require.Equal(t, "1 2", b.applied(), "not even the one that has a down migration")

			result, err := m.Down(t.Context(), whimbrel.DownOptions{Steps: 2, ForceNoDown: true})
			require.NoError(t, err)
			require.True(t, result.Done[1].RecordOnly)
			require.Empty(t, b.applied())
			require.Equal(t, "a", b.text("SELECT to_regclass('a')"), "nothing ran for it")
			require.Equal(t, "force_down", b.text("SELECT action FROM schema_migrations_log ORDER BY id DESC LIMIT 1"))
		})
	}
}

func TestAFailingDownMigrationLeavesTheMigrationApplied(t *testing.T) {
	b := setup(t)
	f := files{"1_a.sql": "CREATE TABLE a ();\n-- +migrate Down\nDROP TABLE a;\nDROP TABLE missing;"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
	e := fails(t, err, whimbrel.CodeStatement)
	require.Equal(t, 4, e.Line)
	require.Equal(t, whimbrel.Down, e.Direction)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "a", b.text("SELECT to_regclass('a')"))
}

func TestUpIsRefusedWhileAMigrationIsHalfWayDown(t *testing.T) {
	b := setup(t)
	f := files{"1_a.sql": "CREATE TABLE t (id int);\nCREATE INDEX CONCURRENTLY i ON t (id);\n-- +migrate Down\n" +
		"DROP INDEX CONCURRENTLY i;\nDROP TABLE missing;"}
	_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
	require.Error(t, err)
	_, err = b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	_ = fails(t, err, whimbrel.CodeUnfinished)
	status, err := b.migrator(f).Status(t.Context())
	require.NoError(t, err)
	require.True(t, status.Applied[0].RollingBack)

	b.exec("CREATE TABLE missing ()")
	_, err = b.migrator(f).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Empty(t, b.applied())
	require.Equal(t, "0", b.text("SELECT count(*) FROM schema_migrations_journal"))
}

func TestRedoTakesTheNewestDownAndUp(t *testing.T) {
	b := setup(t)
	m := b.migrator(files{"1_users.sql": simple["1_users.sql"], "2_chain.sql": chain["1_chain.sql"]})
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	schema := b.schema()
	result, err := m.Redo(t.Context(), whimbrel.RedoOptions{Steps: 2})
	require.NoError(t, err)
	var order []string
	for _, d := range result.Done {
		order = append(order, string(d.Direction)+" "+string(d.Version))
	}
	require.Equal(t, []string{"down 2", "down 1", "up 1", "up 2"}, order)
	require.Equal(t, schema, b.schema())
	require.Equal(t, "1 2", b.applied())
}

func TestToGoesInEitherDirection(t *testing.T) {
	b := setup(t)
	m := b.migrator(files{"1_a.sql": "CREATE TABLE a ();\n-- +migrate Down\nDROP TABLE a",
		"2_b.sql":   "CREATE TABLE b ();\n-- +migrate Down\nDROP TABLE b",
		"003_c.sql": "CREATE TABLE c ();\n-- +migrate Down\nDROP TABLE c"})
	for _, step := range []struct{ to, want string }{{"2", "1 2"}, {"3", "1 2 003"}, {"0001", "1"}, {"1", "1"},
		{"003", "1 2 003"}, {"0", ""}} {
		_, err := m.To(t.Context(), whimbrelVersion(step.to), whimbrel.ToOptions{})
		require.NoError(t, err, step.to)
		require.Equal(t, step.want, b.applied(), step.to)
	}
	_, err := m.To(t.Context(), "9", whimbrel.ToOptions{})
	_ = fails(t, err, whimbrel.CodeUnknownVersion)
}

func TestBaselineRecordsWithoutRunning(t *testing.T) {
	b := setup(t)
	b.exec("CREATE TABLE users (id int PRIMARY KEY)")
	m := b.migrator(simple)
	_, err := m.Baseline(t.Context(), "7", whimbrel.BaselineOptions{})
	_ = fails(t, err, whimbrel.CodeUnknownVersion)
	result, err := m.Baseline(t.Context(), "1", whimbrel.BaselineOptions{})
	require.NoError(t, err)
	require.True(t, result.Done[0].RecordOnly)
	require.Equal(t, "1 baseline", b.text("SELECT version || ' ' || kind FROM schema_migrations"))
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "1 2", b.applied())
}
