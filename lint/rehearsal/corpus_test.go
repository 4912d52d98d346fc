package rehearsal_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/corpus"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
	"github.com/whimbrel-db/whimbrel/migration"
)

// cases are those of the corpus for the server's version.
func cases(t testing.TB) []corpus.Case {
	t.Helper()
	all, err := corpus.Cases(server.Version().Major)
	require.NoError(t, err)
	return all
}

// comparison counts how often the locks that were foretold are those that were seen.
type comparison struct {
	sync.Mutex
	compared  int
	otherwise []string // statements whose locks were not foreseen
}

// compare holds the locks that the text foretells against those in pg_locks. What
// runs outside a transaction keeps none to be seen; what the text says that it does
// not know is not compared.
func (s *comparison) compare(c corpus.Case, f lint.File, observations []lint.Observation) {
	s.Lock()
	defer s.Unlock()
	for i, o := range observations {
		if i >= len(f.Statements) {
			return
		}
		if j := f.Statements[i]; !j.Alone && !j.Opaque && o.Failure == nil && o.WithRows == nil {
			s.compared++
			predicted := decisive(j.Effect.Locks)
			for _, earlier := range f.Statements[:i] {
				if earlier.Step == j.Step {
					for table, mode := range decisive(earlier.Effect.Locks) {
						predicted[table] = max(predicted[table], mode)
					}
				}
			}
			if seen := decisive(o.Held); !maps.Equal(seen, predicted) {
				s.otherwise = append(s.otherwise, fmt.Sprintf("%s, statement %d: foretold %v, seen %v", c.Where, i+1, predicted,
					seen))
			}
		}
	}
}

func TestTheCorpusIsJudgedWellFromTextAndHistory(t *testing.T) {
	t.Parallel()
	all := cases(t)
	require.GreaterOrEqual(t, len(all), 200)
	s := &corpus.Score{}
	for _, c := range all {
		report, err := c.ByText()
		require.NoError(t, err)
		s.Mark(c, report)
	}
	t.Log("text and history:", s, "\n"+strings.Join(s.Misses, "\n"))
	found, alarms := s.Rates()
	require.GreaterOrEqual(t, found, 85.0)
	require.LessOrEqual(t, alarms, 8.0)
}

func TestTheCorpusIsJudgedBetterWithARehearsal(t *testing.T) {
	t.Parallel()
	s, locks := &corpus.Score{}, &comparison{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases(t) {
			t.Run(c.Where, func(t *testing.T) {
				t.Parallel()
				migrations, judge, err := c.Migrations()
				require.NoError(t, err)
				result, err := rehearsal.Run(t.Context(), migrations, rehearsal.Options{Server: server,
					Lint: lint.Options{Judge: judge}})
				require.NoError(t, err)
				s.Mark(c, result.Report)
				locks.compare(c, text(t, c.History, c.Text).Files[0], result.Observations)
			})
		}
	})
	t.Log("with a rehearsal:", s, "\n"+strings.Join(s.Misses, "\n"))
	t.Logf("locks: %d statements, %d predicted otherwise\n%s", locks.compared, len(locks.otherwise),
		strings.Join(locks.otherwise, "\n"))
	require.GreaterOrEqual(t, locks.compared, 150)
	require.Empty(t, locks.otherwise)
	found, alarms := s.Rates()
	require.GreaterOrEqual(t, found, 95.0)
	require.LessOrEqual(t, alarms, 3.0)
	require.Zero(t, s.CalledSafe)
}

// readCatalog makes a schema in a database and reads it.
func readCatalog(t *testing.T, history string) *lint.Catalog {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	defer drop()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.PgConn().Exec(t.Context(), history).ReadAll()
	require.NoError(t, err)
	catalog, err := rehearsal.ReadCatalog(t.Context(), conn)
	require.NoError(t, err)
	clear(catalog.Rows) // where there are none, every table is small
	return &catalog
}

// What a catalog says must decide as the history does of which it is made.
func TestTheCorpusIsJudgedWellFromACatalog(t *testing.T) {
	t.Parallel()
	s := &corpus.Score{}
	catalogs := map[string]*lint.Catalog{}
	for _, c := range cases(t) {
		history := strings.Join(c.History, "\n")
		if catalogs[history] == nil {
			catalogs[history] = readCatalog(t, history)
		}
		linter, err := lint.New(lint.Options{Catalog: catalogs[history]})
		require.NoError(t, err)
		report, err := linter.Check(parse(t, c.Text))
		require.NoError(t, err)
		s.Mark(c, report)
	}
	t.Log("from a catalog:", s, "\n"+strings.Join(s.Misses, "\n"))
	found, alarms := s.Rates()
	require.GreaterOrEqual(t, found, 95.0)
	require.LessOrEqual(t, alarms, 3.0)
	require.Zero(t, s.CalledSafe)
}

func TestWhatIsFixedInTheCorpusRunsAndIsNoHazardAnyMore(t *testing.T) {
	t.Parallel()
	for _, c := range cases(t) {
		if c.Hazard == "" || c.History == nil {
			continue
		}
		migrations := parse(t, append(slices.Clone(c.History), c.Text)...)
		last := migrations[len(migrations)-1].Version
		judge := func(m migration.Migration) bool { return m.Version == last }
		linter, err := lint.New(lint.Options{Judge: judge})
		require.NoError(t, err)
		fixed, err := linter.Fix(migrations)
		require.NoError(t, err, c.Where)
		if !fixed[0].Changed() || len(fixed[0].Left) > 0 {
			continue
		}
		t.Run(c.Where, func(t *testing.T) {
			t.Parallel()
			result, err := rehearsal.Run(t.Context(), parse(t, append(slices.Clone(c.History), fixed[0].After)...),
				rehearsal.Options{Server: server, Lint: lint.Options{Judge: judge}})
			require.NoError(t, err)
			require.Empty(t, result.Stopped, fixed[0].After)
			require.Empty(t, ids(result.Report), fixed[0].After)
		})
	}
}
