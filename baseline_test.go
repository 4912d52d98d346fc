package whimbrel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// byHand are applied one by one, and by hand.
var byHand = files{"1_a.sql": "CREATE TABLE a (id int);", "2_b.sql": "CREATE TABLE b (id int);",
	"3_c.sql": "CREATE TABLE c (id int);"}

func TestABaselineTakesNoOlderOnesAlongUnlessItIsToldTo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		applied int
		options whimbrel.BaselineOptions
		refused bool
		history string
	}{
		"an empty history":        {0, whimbrel.BaselineOptions{}, false, "1 2 3"},
		"an empty history, alone": {0, whimbrel.BaselineOptions{Only: true}, false, "3"},
		"with older pending ones": {1, whimbrel.BaselineOptions{}, true, "1"},
		"and those as well":       {1, whimbrel.BaselineOptions{WithOlder: true}, false, "1 2 3"},
		"and alone":               {1, whimbrel.BaselineOptions{Only: true}, false, "1 3"},
		"with none that is older": {2, whimbrel.BaselineOptions{}, false, "1 2 3"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			m := b.migrator(byHand)
			if test.applied > 0 {
				_, err := m.Up(t.Context(), whimbrel.UpOptions{Steps: test.applied})
				require.NoError(t, err)
			}
			_, err := m.Baseline(t.Context(), "3", test.options)
			if test.refused {
				e := fails(t, err, whimbrel.CodeOutOfOrder)
				require.Contains(t, e.Message, ": 2")
				require.Contains(t, e.Remedy, "the goal BaselineOnly(3)")
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, test.history, b.text("SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations"))
		})
	}
}

func TestOneVersionIsTakenOffTheHistoryAndLogged(t *testing.T) {
	b := setup(t)
	m := b.migrator(byHand)
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	_, err = m.Forget(t.Context(), "02")
	require.NoError(t, err)
	require.Equal(t, "1 3", b.text("SELECT string_agg(version, ' ' ORDER BY version) FROM schema_migrations"))
	require.Equal(t, "forget done 2",
		b.text("SELECT action || ' ' || outcome || ' ' || version FROM schema_migrations_log ORDER BY id DESC LIMIT 1"))
	require.Equal(t, "b", b.text("SELECT to_regclass('b')"), "nothing ran")
	verification, err := m.Verify(t.Context())
	require.NoError(t, err)
	require.Contains(t, verification.Differences[0].Remedy, "the goal BaselineOnly(2)")
	_, err = m.Baseline(t.Context(), "2", whimbrel.BaselineOptions{Only: true})
	require.NoError(t, err, "what verify proposes puts it back")
	verification, err = m.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, verification.Differences)
	_, err = m.Forget(t.Context(), "7")
	_ = fails(t, err, whimbrel.CodeUnknownVersion)
}

func TestAFileThatWasRenamedIsSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file            string
		missing, warned bool
	}{
		"the same":        {"3_c.sql", false, false},
		"another name":    {"3_other.sql", false, true},
		"another version": {"4_c.sql", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(byHand).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			m := b.migrator(files{"1_a.sql": byHand["1_a.sql"], "2_b.sql": byHand["2_b.sql"], test.file: byHand["3_c.sql"]})
			status, err := m.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.missing || test.warned, status.Applied[2].RenamedTo == "migrations/"+test.file)
			verification, err := m.Verify(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.warned, len(verification.Warnings) == 1)
			require.Equal(t, test.missing, len(verification.Differences) == 2)
			if test.missing {
				require.Contains(t, verification.Differences[0].Remedy, "the goal BaselineOnly(4)")
				_, err = m.Baseline(t.Context(), "4", whimbrel.BaselineOptions{Only: true})
				require.NoError(t, err)
				_, err = m.Forget(t.Context(), "3")
				require.NoError(t, err)
				verification, err = m.Verify(t.Context())
				require.NoError(t, err)
				require.Empty(t, verification.Differences)
			}
		})
	}
}
