package trial

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

func TestEverySlipInAFileOfTestsHasItsPlaceAndAWayOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, message, remedy string }{
		{"rows:\n  - tabel: a", `t/a.yaml:2:5: unknown key "tabel"`, "did you mean table?"},
		{"queries: {}\n", "t/a.yaml:1:10: a list is expected here", "dash"},
		{"- a", "t/a.yaml:1:1: a mapping is expected here", "queries, rows"},
		{"other: 1", `t/a.yaml:1:1: unknown key "other"`, "the keys are queries, rows"},
		{"rows:\n  - {table: a, rows: [{a: 1}]}", "t/a.yaml:2:5: it must be said once when the rows of a are inserted",
			"before: VERSION"},
		{"rows:\n  - {table: a, before: 1, at: 1, rows: [{a: 1}]}", "t/a.yaml:2:5: it must be said once", "at: VERSION"},
		{"rows:\n  - {before: 1, rows: [{a: 1}]}", "t/a.yaml:2:5: the rows are for no table", "table: NAME"},
		{"rows:\n  - {table: a, before: 1}", "t/a.yaml:2:5: there are no rows for a", "rows:"},
		{"rows:\n  - {table: a, before: one, rows: [{a: 1}]}", `t/a.yaml:2:24: invalid version "one" of a migration`,
			"digits"},
		{"rows:\n  - {table: a, before: 1, rows: [1]}", "t/a.yaml:2:34: a row is a mapping of columns to values",
			"{column: value"},
		{"rows:\n  - {table: a, before: 9, rows: [{a: 1}]}", "t/a.yaml:2:5: migration 9 does not exist", "version"},
		{"rows:\n  - {table: a, before: 2, rows: [{a: 1}], then: [{after: 1, rows: []}]}",
			"the rows are only inserted after migration 1", "later"},
		{"rows:\n  - {table: a, before: 1, rows: [{a: 1}], then: [{after: 1}]}", "it is not said what the rows are then",
			"rows: []"},
		{"rows:\n  - {table: a, before: 1, rows: [{a: 1}], then: [{rows: []}]}",
			"it is not said which migration changes the rows", "after: VERSION"},
		{"rows:\n  - {table: a, before: 1, rows: [{a: 1, a: 2}]}", "t/a.yaml:2:41: mapping key \"a\" already defined", ""},
		{"rows: [{table: [a], before: 1, rows: [{a: 1}]}]", "t/a.yaml:1:16: a text is expected here", "colon"},
		{"rows: [{table: a, before: 1, rows: [{a: !!binary aGk=}]}]",
			"t/a.yaml:1:41: a value with tag is not understood here",
			"quotes"},
		{"queries:\n  - {sql: SELECT 1}", "t/a.yaml:2:5: the query has no name", "name:"},
		{"queries:\n  - {name: q}", `t/a.yaml:2:5: the query "q" has no SQL`, "sql:"},
		{"queries: [{name: q, sql: x, max_duration: soon}]", `t/a.yaml:1:43: invalid duration "soon"`, "50ms"},
		{"queries: [{name: q, sql: x, max_duration: -1}]", `t/a.yaml:1:43: invalid duration "-1"`, "50ms"},
		{"queries: [{name: q, sql: x, runs: 0}]", `t/a.yaml:1:35: invalid number "0"`, "from 1"},
		{"queries: [{name: q, sql: x, fail: maybe}]", `t/a.yaml:1:35: "maybe" is neither true nor false`, "true"},
		{"queries: [{name: q, sql: x, row_count: 2, rows: [[1]]}]", `expects 2 rows and lists 1`, "row_count"},
		{"queries: [{name: q, sql: x}, {name: q, sql: y}]", `t/a.yaml:1:30: there are two queries named "q"`, "name"},
		{"queries: [{name: q, sql: x, after: 7}]", "migration 7 does not exist", "version"},
		{"rows: [", "t/a.yaml:1:7:", ""},
	} {
		s, err := readSuite(fstest.MapFS{"a.yaml": {Data: []byte(c.text)}}, "t")
		if err == nil {
			err = s.check(history{migrations: []migration.Migration{{Version: "1"}, {Version: "2"}}})
		}
		require.ErrorContains(t, err, c.message, c.text)
		var e *whimbrel.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, whimbrel.CodeConfiguration, e.Code)
		if c.remedy != "" {
			require.Contains(t, allRemedies(err), c.remedy, c.text)
		}
	}
}

func allRemedies(err error) string {
	var text string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			text += allRemedies(one) + "\n"
		}
		return text
	}
	var e *whimbrel.Error
	if errors.As(err, &e) {
		return e.Remedy
	}
	return text
}

func TestValuesReachTheServerAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	s := &suite{}
	require.NoError(t, s.addYAML("a.yaml", []byte(`
rows:
  - table: a
    before: 0007
    key: [x, y]
    rows:
      - {a: 12345678901234567890123.450, b: "07", c: 0x10, d: 1_000, e: true, f: null, g: ~, h: .inf, i: -.Inf, j: .nan, k: 2024-01-01, l: [1, {a: b}], m: text with blanks}
      - n: |
          two
          lines
`)))
	var written []string
	for _, v := range append(s.sets[0].rows[0].values, s.sets[0].rows[1].values...) {
		if v.null {
			v.text = "NULL"
		}
		written = append(written, v.text)
	}
	require.Equal(t, []string{
		"12345678901234567890123.450", "07", "16", "1000", "true", "NULL", "NULL", "Infinity", "-Infinity", "NaN",
		"2024-01-01", `[1,{"a":"b"}]`, "text with blanks", "two\nlines\n",
	}, written)
	require.Equal(t, migration.Version("0007"), s.sets[0].before)
	require.Equal(t, []string{"x", "y"}, s.sets[0].key)
}

func TestDurationsOfQueriesAreMillisecondsOrHaveAUnit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": time.Second, "max_duration: 50": 50 * time.Millisecond,
		"max_duration: 1.5s": 1500 * time.Millisecond, "max_duration: 0.25": 250 * time.Microsecond} {
		s := &suite{}
		require.NoError(t, s.addYAML("a.yaml", []byte("queries:\n  - name: q\n    sql: SELECT 1\n    "+text+"\n")))
		require.Equal(t, want, s.queries[0].limit)
		require.Equal(t, 5, s.queries[0].runs)
	}
}

func TestOnlyFilesOfTestsAreRead(t *testing.T) {
	t.Parallel()
	s, err := readSuite(fstest.MapFS{
		"README.md": {Data: []byte("rows")}, "_draft.yaml": {Data: []byte("nonsense")},
		".hidden.yml": {Data: []byte("nonsense")}, "sub/a.yaml": {Data: []byte("nonsense")},
		"empty.yaml": {Data: []byte("# nothing yet\n")}, "1_a.sql": {Data: []byte("SELECT 1")},
	}, "t")
	require.NoError(t, err)
	require.Len(t, s.sets, 1)
	require.Empty(t, s.queries)
	_, err = readSuite(fstest.MapFS{"rows.sql": {Data: []byte("SELECT 1")}}, "t")
	require.ErrorContains(t, err, "t/rows.sql: the name of a file of rows begins with the version of a migration")
}

func FuzzReadingTests(f *testing.F) {
	for _, text := range []string{
		"rows:\n  - {table: a, before: 1, rows: [{a: 1}], then: [{after: 2, rows: []}]}",
		"queries: [{name: q, sql: x, rows: [[1], {a: 2}, 3]}]", "rows: &a [*a]", "? {a: b}\n: c", "rows:\n-", "<<: {a: 1}",
		"a: b: c", "rows: {x: }", "rows:\n  - ", "queries:\n  - name:", "\"rows\": !!binary x", "rows: |\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		s, err := readSuite(fstest.MapFS{"a.yaml": {Data: []byte(text)}}, "t")
		if err == nil {
			_ = s.check(history{migrations: []migration.Migration{{Version: "1"}}})
		}
	})
}

func TestValuesAddedToAnEnumAreTold(t *testing.T) {
	t.Parallel()
	d := func(from, to string) schema.Difference {
		return schema.Difference{Change: schema.Changed, Reference: schema.Reference{Kind: "type", Name: "public.mood"},
			Property: "labels", From: from, To: to}
	}
	added, only := addedValues(d(`'a', 'b'`, `'a', 'it''s, so', 'b', E'x\\y'`))
	require.True(t, only)
	require.Equal(t, []string{`'it''s, so'`, `E'x\\y'`}, added)
	for _, other := range []schema.Difference{d(`'a', 'b'`, `'b'`), d(`'a', 'b'`, `'b', 'a'`), d(`'a'`, `'x'`),
		d(`'a'`, ``), d("", "'")} {
		_, only := addedValues(other)
		require.False(t, only && other.From != "", other.String())
	}
}

func FuzzLabels(f *testing.F) {
	f.Add(`'a', 'it''s'`)
	f.Add(`'`)
	f.Fuzz(func(t *testing.T, list string) {
		require.LessOrEqual(t, len(strings.Join(labels(list), "")), len(list))
	})
}
