package whimbrel_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// long is a history, and short the same with its first three migrations as one.
var (
	long = files{
		"1_a.sql": "CREATE TABLE a (id int);\n-- +migrate Down\nDROP TABLE a;",
		"2_b.sql": "CREATE TABLE b (id int);\n-- +migrate Down\nDROP TABLE b;",
		"3_c.sql": "CREATE TABLE c (id int);\n-- +migrate Down\nDROP TABLE c;",
		"4_d.sql": "CREATE TABLE d (id int);\n-- +migrate Down\nDROP TABLE d;",
	}
	short = files{
		"3_baseline.sql": "-- +migrate Squashes 1 2 3\n-- +migrate Irreversible it replaces 3 migrations\n" +
			"CREATE TABLE a (id int);\nCREATE TABLE b (id int);\nCREATE TABLE c (id int);",
		"4_d.sql": long["4_d.sql"],
	}
)

func TestANewDatabaseRunsTheBaseline(t *testing.T) {
	b := setup(t)
	result, err := b.migrator(short).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"3", "4"}, ran(result))
	require.Equal(t, "squash", b.text("SELECT kind FROM schema_migrations WHERE version = '3'"))
	verification, err := b.migrator(short).Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, verification.Differences)

	edited := changed(short, "3_baseline.sql", short["3_baseline.sql"]+"\n-- edited")
	_, err = b.migrator(edited).Up(t.Context(), whimbrel.UpOptions{})
	require.NotEmpty(t, fails(t, err, whimbrel.CodeChanged), "a baseline that ran is a file like any other")
	_, err = b.migrator(short).To(t.Context(), "0", whimbrel.ToOptions{})
	require.Equal(t, "it replaces 3 migrations", fails(t, err, whimbrel.CodeIrreversible).Detail)
}

func TestADatabaseThatHasItAllGoesOnWithoutTheBaseline(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(changed(long, "4_d.sql", "")).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	status, err := b.migrator(short).Status(t.Context())
	require.NoError(t, err)
	require.Len(t, status.Pending, 1)
	for _, a := range status.Applied {
		require.Equal(t, "migrations/3_baseline.sql", a.SquashedIn)
		require.False(t, a.Missing || a.Changed || a.Reversible)
	}
	result, err := b.migrator(short).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"4"}, ran(result))
	verification, err := b.migrator(short).Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, verification.Differences)

	_, err = b.migrator(short).Redo(t.Context(), whimbrel.RedoOptions{})
	require.NoError(t, err, "what is newer can be taken back")
	for _, force := range []bool{false, true} {
		_, err = b.migrator(short).Down(t.Context(), whimbrel.DownOptions{Steps: 2, ForceNoDown: force})
		e := fails(t, err, whimbrel.CodeIrreversible)
		require.Contains(t, e.Message, "3 was squashed into migrations/3_baseline.sql")
	}
	_, err = b.migrator(short).To(t.Context(), "2", whimbrel.ToOptions{})
	require.NotEmpty(t, fails(t, err, whimbrel.CodeIrreversible))
	require.Equal(t, "1 2 3 4", b.applied())
}

func TestADatabaseThatHasSomeOfItIsRefusedWithAWayOut(t *testing.T) {
	for name, steps := range map[string]int{"the first": 1, "all but the last": 2} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(long).Up(t.Context(), whimbrel.UpOptions{Steps: steps})
			require.NoError(t, err)
			_, err = b.migrator(short).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodePartlySquashed)
			require.Contains(t, e.Message, "it lacks")
			verification, err := b.migrator(short).Verify(t.Context())
			require.NoError(t, err)
			require.Equal(t, "partly_squashed", verification.Differences[0].Kind)

			// One way out is the files as they were.
			_, err = b.migrator(long).Up(t.Context(), whimbrel.UpOptions{Steps: 3 - steps})
			require.NoError(t, err)
			_, err = b.migrator(short).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "1 2 3 4", b.applied())
		})
	}
	t.Run("recorded as complete", func(t *testing.T) {
		b := setup(t)
		_, err := b.migrator(long).Up(t.Context(), whimbrel.UpOptions{Steps: 2})
		require.NoError(t, err)
		b.exec("CREATE TABLE c (id int)")
		_, err = b.migrator(short).Baseline(t.Context(), "3", whimbrel.BaselineOptions{})
		require.NoError(t, err)
		_, err = b.migrator(short).Up(t.Context(), whimbrel.UpOptions{})
		require.NoError(t, err)
		require.Equal(t, "1 2 3 4", b.applied())
	})
}

func TestAHistoryCanBeSquashedAgain(t *testing.T) {
	again := files{"4_baseline.sql": "-- +migrate Squashes 1 2 3 4\nCREATE TABLE a (id int);\nCREATE TABLE b (id int);\n" +
		"CREATE TABLE c (id int);\nCREATE TABLE d (id int);", "5_e.sql": "CREATE TABLE e (id int);"}
	for i, made := range []files{long, short, {}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(made).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			_, err = b.migrator(again).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.Equal(t, "e", b.text("SELECT to_regclass('e')"))
			verification, err := b.migrator(again).Verify(t.Context())
			require.NoError(t, err)
			require.Empty(t, verification.Differences)
		})
	}
	b := setup(t)
	_, err := b.migrator(short).Up(t.Context(), whimbrel.UpOptions{Steps: 1})
	require.NoError(t, err)
	_, err = b.migrator(again).Up(t.Context(), whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodePartlySquashed).Message, "it lacks 4")
}
