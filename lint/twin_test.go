package lint_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/corpus"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
)

var update = flag.Bool("update", false, "write the golden file")

// knownDifferences are those that the rules live with. The shorter the better.
const knownDifferences = "testdata/model_differences.txt"

// What the rules believe a migration to make of the schema is what the catalog of a server
// says it has made.
func TestTheModelOfAMigrationIsWhatItMakesOnAServer(t *testing.T) {
	t.Parallel()
	server, err := devdb.Start(t.Context(), devdb.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })

	cases, err := corpus.Cases(server.Version().Major)
	require.NoError(t, err)
	for _, h := range lint.Hazards() {
		cases = append(cases, corpus.Case{Where: h.ID.String(), History: history(h), Text: h.Bad})
	}
	compared, differences := 0, ""
	for _, c := range cases {
		made, believed, ok := twins(t, conn, c)
		if !ok {
			continue
		}
		compared++
		differs := func(who, line string, others []string) {
			column, _, _ := strings.Cut(line, " ")
			if !slices.Contains(others, line) && !slices.Contains(others, column+" "+lint.UnknownType) &&
				!strings.HasSuffix(line, lint.UnknownType) {
				differences += fmt.Sprintf("%s: %s %s\n", c.Where, who, line)
			}
		}
		for _, line := range made {
			differs("the server has", line, believed)
		}
		for _, line := range believed {
			differs("lint has", line, made)
		}
	}
	require.Greater(t, compared, 300, "migrations that run")
	if *update {
		require.NoError(t, os.WriteFile(knownDifferences, []byte(differences), 0o600))
	}
	known, err := os.ReadFile(knownDifferences)
	require.NoError(t, err)
	require.Equal(t, string(known), differences, "where the two are known to differ")
}

// twins are what a migration makes behind its history by what a server says, and by what
// lint believes; not ok where the server refuses it.
func twins(t *testing.T, conn *pgx.Conn, c corpus.Case) (made, believed []string, ok bool) {
	t.Helper()
	run := func(text string) error {
		_, err := conn.PgConn().Exec(t.Context(), text).ReadAll()
		return err
	}
	require.NoError(t, run(emptied))
	texts := append(slices.Clone(c.History), c.Text)
	for _, text := range texts {
		if run(text) != nil {
			require.NoError(t, run("ROLLBACK"))
			return nil, nil, false // as what cannot be in a transaction with others, or is refused by design
		}
	}
	require.NoError(t, run("COMMIT"))
	catalog, err := rehearsal.ReadCatalog(t.Context(), conn)
	require.NoError(t, err)
	made, err = lint.Modelled(&catalog)
	require.NoError(t, err)
	believed, err = lint.Modelled(nil, parse(t, texts...)...)
	require.NoError(t, err)
	return made, believed, true
}

// emptied makes an empty database of one in which migrations ran.
const emptied = `RESET ALL; RESET SESSION AUTHORIZATION; CREATE EXTENSION IF NOT EXISTS plpgsql;
DO $$ DECLARE one record; BEGIN
FOR one IN SELECT pubname AS name FROM pg_publication LOOP EXECUTE format('DROP PUBLICATION %I', one.name); END LOOP;
FOR one IN SELECT nspname AS name FROM pg_namespace
  WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' OR nspname ~ '^pg_temp' LOOP
  EXECUTE format('DROP SCHEMA %I CASCADE', one.name);
END LOOP;
EXECUTE 'CREATE SCHEMA public';
END $$;`
