package drift_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/drift"
)

func TestWhatAPlatformMakesIsNoDrift(t *testing.T) {
	t.Parallel()
	b := newBase(t, 0, "ALTER TABLE auth.users ADD COLUMN nick text;\n"+
		"CREATE FUNCTION auth.mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;\n"+
		"CREATE TABLE profiles (id int REFERENCES auth.users (id));\nDROP TABLE auth.legacy;\n"+
		"COMMENT ON TABLE auth.users IS 'ours';")
	b.options.Sandbox = devdb.Furnishing{Prepare: []devdb.File{{Path: "platform.sql",
		Text: "CREATE SCHEMA auth; CREATE TABLE auth.users (id int PRIMARY KEY); CREATE TABLE auth.legacy (id int);"}}}
	b.exec("CREATE SCHEMA auth; CREATE TABLE auth.users (id int, email text, PRIMARY KEY (id)); " +
		"CREATE TABLE auth.legacy (id int); CREATE TABLE auth.sessions (id int)")
	b.up()
	require.Empty(t, b.differences())

	expected, err := drift.Expect(t.Context(), b.options, 0)
	require.NoError(t, err)
	text, err := json.Marshal(expected)
	require.NoError(t, err)
	var read drift.Expected
	require.NoError(t, json.Unmarshal(text, &read))
	b.options.Expected = &read
	require.Empty(t, b.differences())

	for by, want := range map[string]string{
		"DROP FUNCTION auth.mine()":                   "function auth.mine() is missing",
		"ALTER TABLE auth.users DROP COLUMN nick":     "column auth.users.nick is missing",
		"CREATE TABLE auth.legacy (id int)":           "table auth.legacy is new",
		"COMMENT ON TABLE auth.users IS 'theirs'":     "table auth.users: comment",
		"CREATE TABLE by_hand (id int)":               "table public.by_hand is new",
		"ALTER TABLE profiles ADD COLUMN by_hand int": "column public.profiles.by_hand is new",
	} {
		b.exec(by)
		require.Condition(t, func() bool { return containsPrefix(b.differences(), want) }, "%s: %q", by, b.differences())
	}
}

func containsPrefix(all []string, prefix string) bool {
	for _, one := range all {
		if len(one) >= len(prefix) && one[:len(prefix)] == prefix {
			return true
		}
	}
	return false
}
