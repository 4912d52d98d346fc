package lint_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

func TestTheConfigurationTurnsHazardsOffAndUp(t *testing.T) {
	t.Parallel()
	before, text := []string{lint.ExampleSchema}, []string{"ALTER TABLE users ALTER COLUMN email DROP NOT NULL;"}
	require.Equal(t, []string{"drop-not-null"}, ids(check(t, lint.Options{}, before, text)))
	require.Empty(t, ids(check(t, lint.Options{Severities: lint.Severities{"drop-not-null": lint.Off}}, before, text)))
	report := check(t, lint.Options{Severities: lint.Severities{"drop-not-null": lint.Error}}, before, text)
	require.Equal(t, 1, report.Count(lint.Error))
}

func TestAnUnknownHazardInTheConfigurationIsRefusedWithTheNearest(t *testing.T) {
	t.Parallel()
	_, err := lint.New(lint.Options{Severities: lint.Severities{"drop-tabel": lint.Off}})
	require.EqualError(t, err, `unknown hazard "drop-tabel"; did you mean "drop-table"?`)
	_, err = lint.New(lint.Options{Severities: lint.Severities{"drop-table": "loud"}})
	require.EqualError(t, err, `hazard drop-table: invalid severity "loud"; it is off, warn, error`)
}

func TestWhatIsAllowedIsKeptWithItsReason(t *testing.T) {
	t.Parallel()
	report := check(t, lint.Options{}, []string{lint.ExampleSchema},
		[]string{"-- +migrate Allow drop-column nobody reads it\nALTER TABLE users DROP COLUMN age;"})
	require.Empty(t, report.Findings())
	s := report.Files[0].Statements[0]
	require.Equal(t, lint.Safe, s.Verdict)
	require.Equal(t, "nobody reads it", s.Findings[0].Reason)
	require.Empty(t, report.Files[0].Unused)
}

func TestWhatNoPostgreSQLCanReadIsMalformedAndWhatAnotherVersionMayReadIsUnknown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		statement    string
		major        int
		malformed    bool
		line, column int
	}{
		{"CREATE TABEL t (id int)", 0, true, 1, 8},
		{"CREATE TABLE t (a int) SOMEHOW", 0, true, 1, 24},
		{"CREATE TABLE t (\n\"größe\" int,\n é text SOMEHOW 'x')", 0, true, 3, 9},
		{"CREATE TABLE t (a int) SOMEHOW", 18, true, 1, 24},
		{"SELECT 'NOT ENFORCED' FORM t WHERE", 18, true, 0, 0},
		{"ALTER TABLE t ADD CHECK (a > 0) NOT ENFORCED", 0, false, 0, 0},
		{"ALTER TABLE t ADD CHECK (a > 0) NOT ENFORCED", 18, false, 0, 0},
		{"ALTER TABLE t ADD CHECK (a > 0) NOT ENFORCED", 17, true, 0, 0},
		{"CREATE TABLE t (a int GENERATED ALWAYS AS (1))", 0, false, 0, 0},
		{"CREATE TABLE t (a int GENERATED ALWAYS AS (1) VIRTUAL)", 0, false, 0, 0},
		{"CREATE TABLE t (a int GENERATED ALWAYS AS (1) STORED) SOMEHOW", 0, true, 0, 0},
		{"CREATE TABLE t (a int GENERATED ALWAYS AS IDENTITY) SOMEHOW", 0, true, 0, 0},
		{"CREATE TABLE t (id int, during tsrange, PRIMARY KEY (id, during WITHOUT OVERLAPS))", 0, false, 0, 0},
		{"UPDATE t SET a = 1 RETURNING WITH (OLD AS o) o.a", 0, false, 0, 0},
		{"ALTER TABLE t ADD CONSTRAINT \"n n\" NOT NULL a NOT VALID", 0, false, 0, 0},
		{"CREATE TABLE t (a int CONSTRAINT n NOT NULL) SOMEHOW", 0, true, 0, 0},
		{"VACUUM ONLY t", 0, false, 0, 0},
		{"CREATE TABLE t (system_user text)", 15, false, 0, 0},
		{"CREATE TABLE t (system_user text)", 0, false, 0, 0},
		{"CREATE TABLE t (system_user text)", 18, true, 0, 0},
	} {
		report := check(t, lint.Options{Major: test.major}, nil, []string{test.statement + ";"})
		s := report.Files[0].Statements[0]
		require.Equal(t, test.malformed, report.Malformed(), "%s on %d: %v", test.statement, test.major, s.Evidence)
		if !test.malformed {
			require.Contains(t, s.Evidence[0].Reason, "which a rehearsal on it tells", test.statement)
			continue
		}
		require.Equal(t, lint.Dangerous, s.Verdict, test.statement)
		require.Equal(t, "statement-fails", s.Findings[len(s.Findings)-1].Hazard.String(), test.statement)
		if test.line > 0 {
			at := s.Findings[0].Start
			require.Equal(t, []int{test.line, test.column}, []int{at.Line, at.Column}, test.statement)
		}
	}
}

func TestASyntaxErrorMakesAFileMalformedWhateverIsConfigured(t *testing.T) {
	t.Parallel()
	for _, options := range []lint.Options{{Severities: lint.Severities{"statement-fails": lint.Off}}, {Down: true}} {
		text := "-- +migrate Allow statement-fails for a test\nSELECT 1;\n-- +migrate Down\nCREATE TABEL t ();\n"
		if !options.Down {
			text = "CREATE TABEL t ();\n"
		}
		report := check(t, options, nil, []string{text})
		require.True(t, report.Malformed())
		require.NotEqual(t, lint.Safe, report.Files[0].Verdict())
	}
}

func TestEveryVerdictHasEvidence(t *testing.T) {
	t.Parallel()
	for _, h := range lint.Hazards() {
		for _, f := range check(t, lint.Options{}, history(h), append([]string{h.Bad}, h.Good...)).Files {
			for _, s := range f.Statements {
				require.NotEmpty(t, append(s.Evidence, evidence(s)...), s.Text)
			}
		}
	}
}

func evidence(s lint.Judgement) []lint.Evidence {
	var all []lint.Evidence
	for _, f := range s.Findings {
		all = append(all, f.Evidence)
	}
	return all
}

func TestTheWayDownIsJudgedOnTheSchemaThatAllMigrationsLeave(t *testing.T) {
	t.Parallel()
	linter, err := lint.New(lint.Options{Down: true})
	require.NoError(t, err)
	report, err := linter.Check(parse(t, lint.ExampleSchema,
		"CREATE INDEX CONCURRENTLY i ON users (age);\n-- +migrate Down\nDROP INDEX i;"))
	require.NoError(t, err)
	require.Equal(t, []string{"drop-index-not-concurrent"}, ids(report))
}

func TestALinterMayBeUsedConcurrently(t *testing.T) {
	t.Parallel()
	linter, err := lint.New(lint.Options{})
	require.NoError(t, err)
	migrations := parse(t, lint.ExampleSchema, "DROP TABLE users;")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			report, err := linter.Check(migrations)
			if err != nil || len(report.Findings()) != 1 {
				t.Errorf("%v, %v", report.Findings(), err)
			}
		})
	}
	group.Wait()
}

func TestACatalogSaysWhatIsSmall(t *testing.T) {
	t.Parallel()
	catalog := lint.Catalog{Statements: []string{lint.ExampleSchema}, Rows: map[string]int64{"public.users": 40,
		"public.orders": 5_000_000}}
	linter, err := lint.New(lint.Options{Catalog: &catalog})
	require.NoError(t, err)
	report, err := linter.Check(parse(t, "CREATE INDEX i ON users (age);", "CREATE INDEX k ON orders (total);"))
	require.NoError(t, err)
	require.Equal(t, lint.Safe, report.Files[0].Verdict())
	require.Equal(t, lint.FromCatalog, report.Files[0].Statements[0].Evidence[0].Source)
	require.Equal(t, lint.Dangerous, report.Files[1].Verdict())
}

func TestObservationWins(t *testing.T) {
	t.Parallel()
	linter, err := lint.New(lint.Options{})
	require.NoError(t, err)
	report := check(t, lint.Options{}, []string{lint.ExampleSchema},
		[]string{"ALTER TABLE users ALTER COLUMN age TYPE bigint;"})
	seen := lint.Observation{Version: "002", Rows: map[string]int64{"users": 100},
		Locks: []lint.Lock{{Table: "users", Mode: lint.AccessExclusive}}}
	require.Empty(t, ids(linter.Merge(report, lint.Run{Observations: []lint.Observation{seen}})),
		"nothing was rewritten")
	seen.Rewritten = []string{"users"}
	require.Equal(t, []string{"alter-column-type-rewrite"},
		ids(linter.Merge(report, lint.Run{Observations: []lint.Observation{seen}})))
	require.Equal(t, []string{"alter-column-type-rewrite"}, ids(report), "the report that was given is as it was")
	seen.Rewritten, seen.Rows = nil, map[string]int64{"users": 0}
	require.NotEmpty(t, ids(linter.Merge(report, lint.Run{Observations: []lint.Observation{seen}})),
		"an empty table refutes nothing")
}

func FuzzJudging(f *testing.F) {
	for _, h := range lint.Hazards() {
		f.Add(h.Bad)
		f.Add(strings.Join(h.Good, "\n"))
	}
	linter, err := lint.New(lint.Options{})
	require.NoError(f, err)
	schema, err := migration.Parse("001_schema.sql", lint.ExampleSchema)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := migration.Parse("002_fuzz.sql", text)
		if err != nil {
			return
		}
		report, err := linter.Check([]migration.Migration{schema, m})
		require.NoError(t, err)
		_ = report.Text(lint.Style{}, true)
		_, err = linter.Fix([]migration.Migration{schema, m})
		require.NoError(t, err)
	})
}

// 200 files, as the project promises to judge within a second.
func BenchmarkTwoHundredFiles(b *testing.B) {
	texts := []string{lint.ExampleSchema}
	for i := range 199 {
		texts = append(texts, fmt.Sprintf("CREATE TABLE t%d (id bigint PRIMARY KEY, user_id bigint REFERENCES users (id), "+
			"name text);\nCREATE INDEX ON t%[1]d (name);\nALTER TABLE users ADD COLUMN c%[1]d text DEFAULT 'x';\n", i))
	}
	migrations := parse(b, texts...)
	linter, err := lint.New(lint.Options{})
	require.NoError(b, err)
	for b.Loop() {
		if _, err := linter.Check(migrations); err != nil {
			b.Fatal(err)
		}
	}
}
