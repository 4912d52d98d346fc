package squash_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/squash"
)

func TestWhatAPlatformMakesIsInNoBaseline(t *testing.T) {
	t.Parallel()
	platform := func(o *squash.Options) {
		o.Sandbox = devdb.Furnishing{Roles: []string{"reader"}, Extensions: []string{"pgcrypto"},
			Prepare: []devdb.File{{Path: "platform.sql", Text: "CREATE SCHEMA auth; " +
				"CREATE TABLE auth.users (id int PRIMARY KEY); INSERT INTO auth.users VALUES (1); GRANT USAGE ON SCHEMA auth TO " +
				"reader;"}}}
	}
	all := files{
		"1_a.sql": "CREATE TABLE profiles (id int REFERENCES auth.users (id)); GRANT SELECT ON profiles TO reader, " +
			"of_nobody;",
		"2_b.sql": "CREATE FUNCTION auth.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';",
		"3_c.sql": "ALTER TABLE auth.users ADD COLUMN nick text;",
	}
	b, err := run(t, all.load(t), "2", platform)
	require.NoError(t, err)
	require.Equal(t, 1, b.Rest)
	for _, theirs := range []string{"CREATE SCHEMA", "CREATE TABLE auth", "CREATE EXTENSION", "ON SCHEMA auth"} {
		require.NotContains(t, b.Text, theirs)
	}
	require.Contains(t, b.Text, "CREATE FUNCTION auth.mine()")
	require.Contains(t, b.Text, "GRANT SELECT ON TABLE public.profiles TO of_nobody")

	_, err = run(t, all.load(t), "3", platform)
	require.ErrorIs(t, err, whimbrel.CodeSquash)
	require.ErrorContains(t, err, "alter what is there before them, and a baseline cannot say how: CREATE TABLE "+
		"auth.users")

	_, err = run(t, all.load(t), "2")
	var own *whimbrel.Error
	require.ErrorAs(t, err, &own)
	require.Contains(t, own.Remedy, "sandbox.prepare")
}
