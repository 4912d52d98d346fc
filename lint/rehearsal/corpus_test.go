package rehearsal_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
	"github.com/whimbrel-db/whimbrel/migration"
)

// labelled is a case of the corpus.
type labelled struct {
	where   string // file and line
	about   string
	hazard  string // empty for a safe one
	history []string
	text    string
	until   int // the last version of PostgreSQL that it is for; 0 for all
}

// corpus reads lint/testdata/corpus; columns.txt says how it is written.
func corpus(t testing.TB) []labelled {
	t.Helper()
	folder := filepath.Join("..", "testdata", "corpus")
	schema, err := os.ReadFile(filepath.Join(folder, "schema.sql"))
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	require.NoError(t, err)
	var all []labelled
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		line := 1
		for _, block := range strings.Split(string(content), "\n\n") {
			if c, ok := readCase(block, string(schema)); ok && (c.until == 0 || c.until >= server.Version().Major) {
				c.where = fmt.Sprintf("%s:%d", filepath.Base(file), line)
				all = append(all, c)
			}
			line += strings.Count(block, "\n") + 2
		}
	}
	return all
}

func readCase(block, schema string) (labelled, bool) {
	c := labelled{history: []string{schema}}
	var body []string
	for _, line := range strings.Split(strings.Trim(block, "\n"), "\n") {
		label, about, _ := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "#"):
		case c.about == "" && label == "safe":
			c.about = about
		case c.about == "" && strings.HasPrefix(label, "hazard "):
			c.hazard, c.about = strings.TrimPrefix(label, "hazard "), about
		case strings.HasPrefix(line, "+until "):
			c.until, _ = strconv.Atoi(strings.TrimPrefix(line, "+until "))
		case line == "+none":
			c.history = nil
		case strings.HasPrefix(line, "+ "):
			c.history = append(c.history, strings.TrimPrefix(line, "+ "))
		default:
			body = append(body, line)
		}
	}
	c.text = strings.Join(body, "\n")
	return c, c.about != ""
}

// score counts how a judge did.
type score struct {
	sync.Mutex
	hazards, found, exact, calledSafe, harmless, alarms int
	misses                                              []string
	compared                                            int
	otherwise                                           []string // statements whose locks were not foreseen
}

// compare holds the locks that the text foretells against those in pg_locks. What
// runs outside a transaction keeps none to be seen; what the text says that it does
// not know is not compared.
func (s *score) compare(c labelled, f lint.File, observations []lint.Observation) {
	s.Lock()
	defer s.Unlock()
	for i, o := range observations {
		if i >= len(f.Statements) {
			return
		}
		if j := f.Statements[i]; !j.Alone && j.Verdict != lint.Unknown && o.Failure == nil && o.WithRows == nil {
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
				s.otherwise = append(s.otherwise, fmt.Sprintf("%s, statement %d: foretold %v, seen %v", c.where, i+1, predicted, seen))
			}
		}
	}
}

// mark counts a verdict, and notes where it is wrong.
func (s *score) mark(c labelled, f lint.File, found []string) {
	s.Lock()
	defer s.Unlock()
	verdict := f.Verdict()
	allowed := len(found) == 0 && verdict == lint.Dangerous
	switch {
	case c.hazard == "":
		s.harmless++
		if verdict == lint.Dangerous && !allowed {
			s.alarms++
			s.misses = append(s.misses, fmt.Sprintf("%s: false alarm (%s): %v", c.where, c.about, found))
		}
		return
	case verdict == lint.Dangerous:
		s.found++
		if slices.Contains(found, c.hazard) {
			s.exact++
		} else {
			s.misses = append(s.misses, fmt.Sprintf("%s: %v in place of %s (%s)", c.where, found, c.hazard, c.about))
		}
	case verdict == lint.Safe:
		s.calledSafe++
		fallthrough
	default:
		s.misses = append(s.misses, fmt.Sprintf("%s: %s not found (%s), called %s", c.where, c.hazard, c.about, verdict))
	}
	s.hazards++
}

func (s *score) rates() (found, alarms float64) {
	return 100 * float64(s.found) / float64(s.hazards), 100 * float64(s.alarms) / float64(s.harmless)
}

func (s *score) String() string {
	found, alarms := s.rates()
	return fmt.Sprintf("%d of %d hazards found (%.1f %%), %d by their name; %d false alarms in %d harmless ones (%.1f %%); %d hazards called safe",
		s.found, s.hazards, found, s.exact, s.alarms, s.harmless, alarms, s.calledSafe)
}

func certain(r lint.Report) []string {
	var all []string
	for _, f := range r.Findings() {
		if f.Verdict == lint.Dangerous {
			all = append(all, f.Hazard)
		}
	}
	return all
}

func TestTheCorpusIsJudgedWellFromTextAndHistory(t *testing.T) {
	t.Parallel()
	all := corpus(t)
	require.GreaterOrEqual(t, len(all), 200)
	s := &score{}
	for _, c := range all {
		migrations := parse(t, append(slices.Clone(c.history), c.text)...)
		last := migrations[len(migrations)-1].Version
		linter, err := lint.New(lint.Options{Judge: func(m migration.Migration) bool { return m.Version == last }})
		require.NoError(t, err)
		report, err := linter.Check(migrations)
		require.NoError(t, err)
		s.mark(c, report.Files[0], certain(report))
	}
	t.Log("text and history:", s, "\n"+strings.Join(s.misses, "\n"))
	found, alarms := s.rates()
	require.GreaterOrEqual(t, found, 85.0)
	require.LessOrEqual(t, alarms, 8.0)
}

func TestTheCorpusIsJudgedBetterWithARehearsal(t *testing.T) {
	t.Parallel()
	s := &score{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range corpus(t) {
			t.Run(c.where, func(t *testing.T) {
				t.Parallel()
				migrations := parse(t, append(slices.Clone(c.history), c.text)...)
				last := migrations[len(migrations)-1].Version
				result, err := rehearsal.Run(t.Context(), migrations, rehearsal.Options{Server: server, Lint: lint.Options{
					Judge: func(m migration.Migration) bool { return m.Version == last },
				}})
				require.NoError(t, err)
				s.mark(c, result.Report.Files[0], certain(result.Report))
				s.compare(c, text(t, c.history, c.text).Files[0], result.Observations)
			})
		}
	})
	t.Log("with a rehearsal:", s, "\n"+strings.Join(s.misses, "\n"))
	t.Logf("locks: %d statements, %d predicted otherwise\n%s", s.compared, len(s.otherwise), strings.Join(s.otherwise, "\n"))
	require.GreaterOrEqual(t, s.compared, 150)
	require.Empty(t, s.otherwise)
	found, alarms := s.rates()
	require.GreaterOrEqual(t, found, 95.0)
	require.LessOrEqual(t, alarms, 3.0)
	require.Zero(t, s.calledSafe)
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
	s := &score{}
	catalogs := map[string]*lint.Catalog{}
	for _, c := range corpus(t) {
		history := strings.Join(c.history, "\n")
		if catalogs[history] == nil {
			catalogs[history] = readCatalog(t, history)
		}
		linter, err := lint.New(lint.Options{Catalog: catalogs[history]})
		require.NoError(t, err)
		report, err := linter.Check(parse(t, c.text))
		require.NoError(t, err)
		s.mark(c, report.Files[0], certain(report))
	}
	t.Log("from a catalog:", s, "\n"+strings.Join(s.misses, "\n"))
	found, alarms := s.rates()
	require.GreaterOrEqual(t, found, 95.0)
	require.LessOrEqual(t, alarms, 3.0)
	require.Zero(t, s.calledSafe)
}

func TestWhatIsFixedInTheCorpusRunsAndIsNoHazardAnyMore(t *testing.T) {
	t.Parallel()
	for _, c := range corpus(t) {
		if c.hazard == "" || c.history == nil {
			continue
		}
		migrations := parse(t, append(slices.Clone(c.history), c.text)...)
		last := migrations[len(migrations)-1].Version
		judge := func(m migration.Migration) bool { return m.Version == last }
		linter, err := lint.New(lint.Options{Judge: judge})
		require.NoError(t, err)
		fixed, err := linter.Fix(migrations)
		require.NoError(t, err, c.where)
		if !fixed[0].Changed() || len(fixed[0].Left) > 0 {
			continue
		}
		t.Run(c.where, func(t *testing.T) {
			t.Parallel()
			result, err := rehearsal.Run(t.Context(), parse(t, append(slices.Clone(c.history), fixed[0].After)...), rehearsal.Options{Server: server, Lint: lint.Options{Judge: judge}})
			require.NoError(t, err)
			require.Empty(t, result.Stopped, fixed[0].After)
			require.Empty(t, ids(result.Report), fixed[0].After)
		})
	}
}
