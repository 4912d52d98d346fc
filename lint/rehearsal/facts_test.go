package rehearsal_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
)

// A function that the list calls steady and the server volatile would make a
// rewrite look safe.
func TestTheListOfFunctionsAgreesWithTheServer(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../functions.txt")
	require.NoError(t, err)
	listed := map[string]bool{}
	for name := range strings.FieldsSeq(string(content)) {
		listed[strings.TrimSuffix(name, "!")] = strings.HasSuffix(name, "!")
	}
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), "SELECT proname, bool_or(provolatile = 'v') FROM pg_proc WHERE pronamespace = "+
		"'pg_catalog'::regnamespace GROUP BY proname")
	require.NoError(t, err)
	var name string
	var volatile bool
	_, err = pgx.ForEachRow(rows, []any{&name, &volatile}, func() error {
		// before 15 one form of timezone, for times of day, was held to be volatile
		if is, known := listed[name]; known && volatile && name != "timezone" {
			require.True(t, is, "%s is volatile", name)
		}
		return nil
	})
	require.NoError(t, err)
}

// A copy of what an aggregate gives is one row, and would be one per batch.
func TestNoAggregateOfTheServerIsCopiedInBatches(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = "+
		"'pg_catalog'::regnamespace AND prokind = 'a' ORDER BY 1")
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		report := text(t, []string{lint.ExampleSchema}, "INSERT INTO orders (status) SELECT "+name+"(age) FROM users;")
		require.Empty(t, ids(report), name)
	}
}

// The judge's knowledge of types is compared with the server's, for every pair.
func TestEveryChangeOfTypeCostsWhatIsForetold(t *testing.T) {
	t.Parallel()
	types := []string{
		"smallint", "integer", "bigint", "oid", "numeric", "numeric(10,2)", "numeric(12,2)", "numeric(12,4)", "real",
		"double precision",
		"text", "varchar", "varchar(20)", "varchar(40)", "char(8)", "char(12)", "date", "timestamp", "timestamp(3)",
		"timestamptz",
		"timestamptz(3)", "time", "time(3)", "interval", "interval(3)", "inet", "cidr", "json", "jsonb", "bit(8)", "varbit",
		"varbit(8)", "varbit(16)", "bytea", "uuid",
		"text[]", "varchar(20)[]", "integer[]", "boolean", "xml", "interval day to second",
	}
	for _, from := range types {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			var create, alter []string
			for i, to := range types {
				create = append(create, fmt.Sprintf("CREATE TABLE t%d (a %s);", i, from))
				alter = append(alter, fmt.Sprintf("ALTER TABLE t%d ALTER COLUMN a TYPE %s;", i, to))
			}
			read := text(t, []string{strings.Join(create, "\n")}, strings.Join(alter, "\n"))
			url, drop, err := server.FreshDatabase(t.Context())
			require.NoError(t, err)
			defer drop()
			conn, err := pgx.Connect(t.Context(), url)
			require.NoError(t, err)
			defer func() { _ = conn.Close(context.Background()) }()
			_, err = conn.PgConn().Exec(t.Context(), "SET timezone = 'America/New_York';"+strings.Join(create, "\n")).ReadAll()
			require.NoError(t, err)
			for i, to := range types {
				var before, after uint32
				file := fmt.Sprintf("SELECT pg_relation_filenode('t%d')", i)
				require.NoError(t, conn.QueryRow(t.Context(), file).Scan(&before))
				if _, err := conn.Exec(t.Context(), alter[i]); err != nil {
					continue // there is no such cast
				}
				require.NoError(t, conn.QueryRow(t.Context(), file).Scan(&after))
				foretold := len(read.Files[0].Statements[i].Effect.Rewrites) > 0
				require.Equal(t, before != after, foretold, "%s to %s", from, to)
				if before != after {
					require.NotEqual(t, lint.Safe, read.Files[0].Statements[i].Verdict, "%s to %s", from, to)
				}
			}
		})
	}
}
