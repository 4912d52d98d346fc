package migration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func backfill(t require.TestingT, b Backfill) (Migration, string) {
	_, content, err := Template(Draft{Extension: "sql", Version: "20240115120000", Title: "Lower case", Date: noon,
		Backfill: &b})
	require.NoError(t, err)
	m, err := Parse("20240115120000_lower_case.sql", content)
	require.NoError(t, err, content)
	return m, content
}

func TestABackfillInPlaceIsTheWholePattern(t *testing.T) {
	t.Parallel()
	m, content := backfill(t, Backfill{Table: "users", Key: "id"})
	require.True(t, strings.HasPrefix(content, "-- Migration: lower_case\n"))
	require.Contains(t, content,
		"CREATE TABLE users_backup_20240115120000 AS SELECT id, old_value FROM users WITH NO DATA;")
	require.Contains(t, content, "WHERE t.id > (:from) AND t.id <= (:to) AND")
	require.NotRegexp(t, `[{}]`, content)
	require.Len(t, m.Up.Statements, 4)
	require.Equal(t, []string{"users"}, m.Up.Statements[2].Batch.TableName())
	require.NotNil(t, m.Up.Statements[3].Assert)
	require.Len(t, m.Down.Statements, 3)
	require.Equal(t, []string{"users_backup_20240115120000"}, m.Down.Statements[0].Batch.TableName())
	require.True(t, m.Reversible())
}

func TestABackfillIntoATableReadsItsRowsForKeyShare(t *testing.T) {
	t.Parallel()
	m, content := backfill(t, Backfill{Table: "app.users", Key: "tenant, id", Into: "app.preferences"})
	require.Contains(t, content, "ADD FOREIGN KEY (tenant, id) REFERENCES app.users (tenant, id) ON DELETE CASCADE;")
	require.Contains(t, content, "WHERE (t.tenant, t.id) > (:from) AND (t.tenant, t.id) <= (:to)\n    FOR KEY SHARE")
	require.Equal(t, []string{"tenant", "id"}, m.Up.Statements[2].Batch.Key)
	require.Equal(t, []string{"app", "preferences"}, m.Down.Statements[0].Batch.TableName())
}

func TestTheBackupHasANameOfItsOwn(t *testing.T) {
	t.Parallel()
	for table, want := range map[string]string{
		"users":                             "users_backup_7",
		"Users":                             "users_backup_7",
		`"Users"`:                           `"Users_backup_7"`,
		`app."a""b"`:                        `app."a""b_backup_7"`,
		`"order"`:                           "order_backup_7",
		strings.Repeat("x", 63):             strings.Repeat("x", 54) + "_backup_7",
		`"` + strings.Repeat("ä", 30):       "",
		`"` + strings.Repeat("ä", 30) + `"`: `"` + strings.Repeat("ä", 27) + `_backup_7"`,
	} {
		_, content, err := Template(Draft{Extension: "sql", Version: "7", Title: "a", Date: noon,
			Backfill: &Backfill{Table: table, Key: "id"}})
		if want == "" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Contains(t, content, "CREATE TABLE "+want+" AS SELECT")
	}
}

func TestABackfillOfWhatIsNoNameIsRefused(t *testing.T) {
	t.Parallel()
	for _, b := range []Backfill{
		{"", "id", ""}, {"a b", "id", ""}, {"a.b.c", "id", ""}, {"users; DROP TABLE users", "id", ""}, {"users", "", ""},
		{"users", "id,", ""},
		{"users", "id desc", ""}, {"users", "id", "a b"}, {"users", "id", "a.b.c"}, {"users\n", "id", ""}, {"\"a\nb\"", "id",
			""}, {"users", "id --", ""},
	} {
		_, _, err := Template(Draft{Extension: "sql", Version: "1", Title: "a", Date: noon, Backfill: &b})
		require.Len(t, Problems(err), 1, "%q", b)
		require.NotEmpty(t, Problems(err)[0].Remedy)
	}
	_, _, err := Template(Draft{Extension: "ts", Version: "1", Title: "a", Date: noon, Backfill: &Backfill{Table: "users",
		Key: "id"}})
	require.ErrorContains(t, err, "the template of a backfill is SQL")
}

func TestABackfillsTemplateIsAlwaysAValidFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.StringMatching(`[a-zA-Z_][a-zA-Z0-9_]{0,70}`),
			rapid.StringMatching(`"[a-zA-Z .{}:$';äß-]{1,70}"`))
		b := Backfill{Table: name.Draw(t, "table"), Key: "k, " + name.Draw(t, "key"), Into: name.Draw(t, "into")}
		if rapid.Bool().Draw(t, "in place") {
			b.Into = ""
		}
		if strings.EqualFold(b.Key, "k, k") || b.Key == `k, "k"` { // the same column twice
			return
		}
		m, _ := backfill(t, b)
		require.Len(t, m.Up.Statements, 4)
	})
}
