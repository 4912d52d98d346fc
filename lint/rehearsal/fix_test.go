package rehearsal_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// casesEnvironment is how many random files TestAFixedFileDoesTheSame tries, and
// seedEnvironment the first one's seed.
const (
	casesEnvironment = "WHIMBREL_TEST_FIX_CASES"
	seedEnvironment  = "WHIMBREL_TEST_FIX_SEED"
)

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}

// fix rewrites the last migration.
func fix(t *testing.T, before, file string) lint.Fixed {
	t.Helper()
	linter, err := lint.New(lint.Options{Major: server.Version().Major,
		Judge: func(m migration.Migration) bool { return m.Version == "002" }})
	require.NoError(t, err)
	fixed, err := linter.Fix(parse(t, before, file))
	require.NoError(t, err)
	require.Len(t, fixed, 1)
	return fixed[0]
}

// A file and what --fix makes of it leave the same schema and the same rows, up and down.
// What is fixed once is not fixed again.
func TestAFixedFileDoesTheSame(t *testing.T) {
	t.Parallel()
	first := number(t, seedEnvironment, rand.Uint64N(1<<40))
	t.Logf("%s=%d", seedEnvironment, first)
	var compared atomic.Int64
	cases := number(t, casesEnvironment, 24)
	t.Cleanup(func() {
		t.Logf("%d of %d files were fixed and compared", compared.Load(), cases)
		require.Greater(t, compared.Load(), int64(cases/10))
	})
	for n := range cases {
		seed := first + n
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			d := drawing{rand.New(rand.NewPCG(seed, 0))}
			before, file := d.schema(), d.file()
			fixed := fix(t, before, file)
			if !fixed.Changed() {
				return
			}
			original, _ := upAndDown(t, before, file)
			if original == nil {
				return // the server refuses it
			}
			result, err := upAndDown(t, before, fixed.After)
			require.NoError(t, err, "%s\nfixed:\n%s", file, fixed.After)
			compared.Add(1)
			for _, step := range []string{"up", "down"} {
				require.Empty(t, schema.Diff(original[step].schema, result[step].schema), "%s\n%s\nfixed:\n%s", step, file,
					fixed.After)
				require.Empty(t, differing(original[step].rows, result[step].rows), "%s\n%s\nfixed:\n%s", step, file, fixed.After)
			}
			again := fix(t, before, fixed.After)
			require.False(t, again.Changed(), "%s\nagain:\n%s", fixed.After, again.After)
			require.Subset(t, hazardsOf(slices.Concat(fixed.Done, fixed.Left)), hazardsOf(again.Left), "%s\nfixed:\n%s", file,
				fixed.After)
		})
	}
}

// hazardsOf gives what was found.
func hazardsOf(findings []lint.Finding) (all []string) {
	for _, f := range findings {
		all = append(all, f.Hazard.String())
	}
	return all
}

// state is a database's schema, and what is in its tables.
type state struct {
	schema schema.Schema
	rows   map[string][]string // by table
}

// differing gives rows of tables that are not the same.
func differing(a, b map[string][]string) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(a)) {
		for i := range max(len(a[name]), len(b[name])) {
			if i >= len(a[name]) || i >= len(b[name]) || a[name][i] != b[name][i] {
				all = append(all, fmt.Sprintf("%s: %d and %d rows, %v and %v", name, len(a[name]), len(b[name]),
					a[name][min(i, len(a[name])):min(i+1, len(a[name]))], b[name][min(i, len(b[name])):min(i+1, len(b[name]))]))
				break
			}
		}
	}
	return all
}

// upAndDown runs a file on a schema, up and down, and says what each leaves.
func upAndDown(t *testing.T, before, file string) (map[string]state, error) {
	t.Helper()
	url, conn := database(t)
	m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Migrations: parse(t, before, file)}})
	require.NoError(t, err)
	all := map[string]state{}
	if _, err = m.Up(t.Context(), whimbrel.UpOptions{}); err != nil {
		return nil, err
	}
	all["up"] = stateOf(t, conn)
	if _, err = m.Down(t.Context(), whimbrel.DownOptions{}); err != nil {
		return nil, err
	}
	all["down"] = stateOf(t, conn)
	return all, nil
}

func stateOf(t *testing.T, conn *pgx.Conn) state {
	t.Helper()
	s := state{rows: map[string][]string{}}
	var err error
	s.schema, err = schema.Read(t.Context(), conn, schema.Options{})
	require.NoError(t, err)
	tables, err := conn.Query(t.Context(),
		`SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'app')
		AND tablename NOT LIKE 'schema_migrations%' AND tablename <> 'migration_lock' ORDER BY 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	require.NoError(t, err)
	for _, name := range names {
		// Values that differ from run to run count as given.
		rows, err := conn.Query(t.Context(), `SELECT (SELECT string_agg(key || '=' ||
			CASE WHEN value ~ '^([0-9a-f-]{36}$|\d{4}-\d\d-\d\dT)' OR key LIKE 'serial%' THEN 'some' ELSE coalesce(value, 'NULL') END, ',' ORDER BY key)
			FROM json_each_text(row_to_json(t))) FROM `+name+` t ORDER BY 1`)
		require.NoError(t, err)
		s.rows[name], err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
	}
	return s
}
