package pgsql_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

func one(t *testing.T, text string) pgsql.Statement {
	t.Helper()
	all, err := pgsql.Split(text, pgsql.Options{})
	require.NoError(t, err, text)
	require.Len(t, all, 1, text)
	return all[0]
}

func TestKeywordsCountOutsideOfQuotesAndComments(t *testing.T) {
	t.Parallel()
	require.True(t, pgsql.HasKeyword("GRANT SELECT on a TO b", "ON"))
	require.False(t, pgsql.HasKeyword(`GRANT "ON" TO b -- ON`, "ON"))
	require.True(t, pgsql.HasPhrase("COPY a to /* there */ STDOUT", "TO", "STDOUT"))
	require.False(t, pgsql.HasPhrase("COPY a TO 'STDOUT'", "TO", "STDOUT"))
	require.True(t, pgsql.CommandIs("DROP TABLE", "DROP"))
	require.False(t, pgsql.CommandIs("DROPS", "DROP"))
}

func TestWhatAnIndexBuildSaysIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pgsql.IndexBuild{
		"CREATE INDEX CONCURRENTLY ON users (name)": {Table: "users", Before: "CREATE INDEX", Behind: "(name)",
			Concurrently: true},
		"create unique index if not exists \"By Name\" on only app . \"Users\" using btree (name)": {Index: "By Name",
			Table: `app."Users"`, Before: "CREATE UNIQUE INDEX", Behind: "using btree (name)", IfNotExists: true},
	} {
		b, ok := pgsql.ReadIndexBuild(one(t, text))
		require.True(t, ok, text)
		require.Equal(t, want, b, text)
	}
	for _, text := range []string{"DROP INDEX CONCURRENTLY i", "CREATE TABLE index (a int)", "CREATE INDEX i ON users"} {
		_, ok := pgsql.ReadIndexBuild(one(t, text))
		require.False(t, ok, text)
	}
}

func TestStatementsThatLeaveTheSessionAsItIsAreTrusted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ touches, onlyNew bool }{
		"CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY)": {false, true},
		"CREATE TABLE a (id int REFERENCES b)":                 {false, false},
		"CREATE TABLE a (LIKE b)":                              {false, false},
		"CREATE TABLE a AS SELECT 1":                           {true, false},
		"CREATE TEMP TABLE a (id int)":                         {true, false},
		"CREATE TABLE pg_temp.a (id int)":                      {true, false},
		"CREATE TYPE mood AS ENUM ('well')":                    {false, true},
		"CREATE INDEX ON a (id)":                               {false, false},
		"CREATE INDEX CONCURRENTLY ON a (id)":                  {true, false},
		"DROP TABLE a":                                         {false, false},
		"ALTER TABLE a ADD COLUMN b int":                       {true, false},
		"SELECT 1":                                             {true, false},
	} {
		s := one(t, text)
		require.Equal(t, want.touches, pgsql.MayTouchSession(s), text)
		require.Equal(t, want.onlyNew, pgsql.MakesOnlyNew(s), text)
	}
}

func TestWhatIsMadeForTheSessionHasAName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		name     string
		atCommit bool
	}{
		"CREATE TEMP TABLE IF NOT EXISTS mine (id int) ON COMMIT DROP": {"mine", true},
		"CREATE OR REPLACE TEMPORARY VIEW \"Mine\" AS SELECT 1":        {"Mine", false},
		"SELECT 1 AS a INTO TEMP mine":                                 {"mine", false},
		"CREATE TABLE ours (id int)":                                   {"", false},
	} {
		name, atCommit := pgsql.Temporary(one(t, text))
		require.Equal(t, want.name, name, text)
		require.Equal(t, want.atCommit, atCommit, text)
	}
	require.Equal(t, "mine", pgsql.Prepares(one(t, "PREPARE mine AS SELECT 1")))
	require.Empty(t, pgsql.Prepares(one(t, "SELECT mine")))
	require.True(t, pgsql.Names("EXECUTE Mine", "mine"))
	require.True(t, pgsql.Names("SELECT f('drop Mine')", "mine"))
	require.False(t, pgsql.Names("SELECT mines", "mine"))
}

func TestAHalfDoneDetachHasAStatementThatEndsIt(t *testing.T) {
	t.Parallel()
	end, ok := pgsql.FinalizeDetach("ALTER TABLE a DETACH PARTITION b CONCURRENTLY -- now")
	require.True(t, ok)
	require.Equal(t, "ALTER TABLE a DETACH PARTITION b FINALIZE", end)
	_, ok = pgsql.FinalizeDetach("ALTER TABLE a DETACH PARTITION b")
	require.False(t, ok)
	_, ok = pgsql.FinalizeDetach("DROP INDEX CONCURRENTLY i")
	require.False(t, ok)
}
