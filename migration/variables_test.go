package migration

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// with puts values for A and B into a statement, below an annotation that lists them.
func with(t testing.TB, statement string, values map[string]string) (Statement, error) {
	t.Helper()
	var names []string
	for _, found := range reference().FindAllStringSubmatch(statement, -1) {
		if name := found[1] + found[2] + found[3]; (name == "A" || name == "B") && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	m, err := Parse("1_a.sql", "-- +migrate Variables "+strings.Join(names, " ")+"\n"+statement+";")
	require.NoError(t, err)
	filled, err := m.WithVariables(values, false)
	if err != nil {
		return Statement{}, err
	}
	require.Equal(t, statement, filled.Up.Statements[0].Written())
	require.Equal(t, m.Up.Statements[0].Text, statement, "the migration itself is not altered")
	require.Equal(t, m.Text, filled.Text)
	return filled.Up.Statements[0], nil
}

func TestVariablesStandForValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ statement, a, want string }{
		{`SELECT * FROM t LIMIT ${A}`, "10", `SELECT * FROM t LIMIT 10`},
		{`CREATE SCHEMA tenant_${A}`, "x1", `CREATE SCHEMA tenant_x1`},
		{`SELECT ${A} FROM t`, `a, "b c", 'd;--'`, `SELECT a, "b c", 'd;--' FROM t`},
		{`SELECT ${'A'}`, `it's`, `SELECT 'it''s'`},
		{`SELECT ${'A'}`, `C:\new`, `SELECT  E'C:\\new'`},
		{`SELECT ${'A'}`, ``, `SELECT ''`},
		{`CREATE ROLE ${"A"}`, `My "Role"`, `CREATE ROLE "My ""Role"""`},
		{`SELECT 'https://${A}/x'`, `o'host`, `SELECT 'https://o''host/x'`},
		{`SELECT E'${A}'`, `a\'b`, `SELECT E'a\\''b'`},
		{`CREATE TABLE "${A}_log" (id int)`, `q"t`, `CREATE TABLE "q""t_log" (id int)`},
		{`CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT '${A}' || ${'A'}$$`, `eu-west 1`,
			`CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT 'eu-west 1' || 'eu-west 1'$$`},
		{`SELECT $x$${A}$x$, ${B}`, `v`, `SELECT $x$v$x$, b`},
		{`SELECT ${A}, ${OTHER}, ${ A }, $A /* ${A} */, 1`, `1`, `SELECT 1, ${OTHER}, ${ A }, $A /* ${A} */, 1`},
		{`SELECT ${A}${B}`, ``, `SELECT b`},
	} {
		s, err := with(t, test.statement, map[string]string{"A": test.a, "B": "b", "OTHER": "never"})
		require.NoError(t, err, test.statement)
		require.Equal(t, test.want, s.Text)
	}
}

func TestAValueSaysWhatSortOfStatementItIs(t *testing.T) {
	t.Parallel()
	s, err := with(t, "CREATE INDEX ${A} i ON t (c)", map[string]string{"A": "CONCURRENTLY"})
	require.NoError(t, err)
	require.Equal(t, pgsql.Alone, s.Class)
	require.Equal(t, "CREATE INDEX CONCURRENTLY", s.Command)
}

func TestValuesThatWouldLeaveTheirPlaceAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ statement, a, want string }{
		{`SELECT ${A}`, `1; DROP TABLE t`, `2:8: the value of A is not allowed here`},
		{`SELECT ${A}`, `1 -- x`, `2:8: the value of A is not allowed here`},
		{`SELECT ${A}`, `'open`, `2:8: the value of A is not allowed here`},
		{`SELECT ${A}`, `$x$`, `2:8: the value of A is not allowed here`},
		{`SELECT 1 -${A}`, `-1`, `2:11: with the values of its variables, a part of the statement is a comment`},
		{`SELECT /${A}`, `*`, `2:9: with the values of its variables, a part of the statement is a comment`},
		{`${A}`, `COMMIT`, `2:1: with the values of its variables, the statement ends the transaction`},
		{`SELECT 1 WHERE 'é' = '${'A'}'`, `x`, `2:23: the value of A is not allowed here`},
		{`SELECT "${"A"}"`, `x`, `2:9: the value of A is not allowed here`},
		{`SELECT U&'${A}'`, `x`, `2:11: the value of A is not allowed here`},
		{`SELECT ${"A"}`, ``, `2:8: the value of A is not allowed here`},
		{`DO $$ BEGIN PERFORM '${A}'; END $$`, `it's`, `2:22: the value of A is not allowed here`},
		{`DO $$ BEGIN PERFORM ${'A'}; END $$`, `$$`, `2:21: the value of A is not allowed here`},
		{`SELECT ${'A'}`, "a\x00b", `2:8: the value of A is no text`},
		{`SELECT ${A}, ${B}`, `1`, `2:14: variable B has no value`},
	} {
		_, err := with(t, test.statement, map[string]string{"A": test.a})
		require.Error(t, err, test.statement)
		requireProblems(t, err, "variable: 1_a.sql:"+test.want)
		require.NotContains(t, err.Error(), "DROP")
	}
}

func TestVariablesThatAreListedWrongAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"-- +migrate Variables\nSELECT 1;": "bad_annotation: 1_a.sql:1:22: Variables needs at least one word " +
			"after it",
		"-- +migrate Variables A 1B\nSELECT ${A};": `bad_annotation: 1_a.sql:1:25: invalid variable name "1B": ` +
			`it is made of letters, digits and underscores`,
		"-- +migrate Variables A A\nSELECT ${A};": "bad_annotation: 1_a.sql:1:25: variable A is listed twice",
		"-- +migrate Variables A B\nSELECT ${A}, ${C};": "variable: 1_a.sql:1:25: variable B is listed, and ${B} " +
			"appears in no statement",
	} {
		_, err := Parse("1_a.sql", text)
		requireProblems(t, err, want)
	}
}

func TestTheStoredDownMigrationKeepsTheVariablesAndNotTheirValues(t *testing.T) {
	t.Parallel()
	m, err := Parse("1_a.sql", "-- +migrate Variables A B\n-- +migrate Set search_path = ${B}\nCREATE SCHEMA ${\"A\"};\n"+
		"-- +migrate Down\nDROP SCHEMA ${\"A\"};")
	require.NoError(t, err)
	filled, err := m.WithVariables(map[string]string{"A": "secret", "B": "path"}, true)
	require.NoError(t, err)
	require.Equal(t, `DROP SCHEMA "secret"`, filled.Down.Statements[0].Text)
	require.Equal(t, "path", filled.Settings[0].Value)
	require.Equal(t, m.Up.Statements[0].Text, filled.Up.Statements[0].Text, "only one direction is asked for")
	require.NotContains(t, filled.StoredDown(), "secret")
	require.Equal(t, m.Checksum, filled.Checksum)

	stored, err := ParseStored("1", "a", m.StoredDown())
	require.NoError(t, err)
	filled, err = stored.WithVariables(map[string]string{"A": "x", "B": "y"}, true)
	require.NoError(t, err)
	require.Equal(t, `DROP SCHEMA "x"`, filled.Down.Statements[0].Text)
	_, err = stored.WithVariables(nil, true)
	require.Len(t, Problems(err), 2)
}

func TestPlacesPointIntoTheFile(t *testing.T) {
	t.Parallel()
	s, err := with(t, "SELECT ${A},\n x, ${'B'} FROM t", map[string]string{"A": "a_long_name", "B": ""})
	require.NoError(t, err)
	start := s.Start.Offset
	for part, want := range map[string]int{
		"SELECT": start, "a_long_name": start + 7, "long": start + 7, ",\n": start + 11, "x,": start + 14, "''": start + 17,
		"FROM": start + 24, "t": start + 29,
	} {
		offset := strings.LastIndex(s.Text, part)
		require.Equal(t, want, s.OffsetInFile(offset), part)
	}
	require.Equal(t, start+len(s.Written()), s.OffsetInFile(len(s.Text)))
}

// FuzzVariables looks for a value that changes more than its own place: the
// tokens around it must stay what they are, and what was in quotes in quotes.
func FuzzVariables(f *testing.F) {
	f.Add(`it's`, `a"b`)
	f.Add(`$$`, `\`)
	f.Add(`-1`, `/*`)
	f.Add(`';--`, `";`)
	statements := []string{
		`SELECT ${'A'}, x AS ${"B"} FROM t`, `SELECT 'a ${A} b', E'${B}', "n${A}" FROM t`,
		`DO $q$ BEGIN PERFORM ${'A'}, '${B}'; END $q$`, `SELECT ${A} - ${B}, 1`,
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for i, statement := range statements {
			s, err := with(t, statement, map[string]string{"A": a, "B": b})
			if err != nil {
				continue
			}
			again, err := pgsql.Split(s.Text, pgsql.Options{})
			require.NoError(t, err)
			require.Len(t, again, 1)
			if i < 3 {
				require.Equal(t, kinds(statement), kinds(strings.ReplaceAll(s.Text, " E'", "'")), "%q", s.Text)
			}
			require.GreaterOrEqual(t, s.OffsetInFile(len(s.Text)), len(statement))
		}
	})
}

// kinds are those of a text's tokens, with a reference for a token.
func kinds(text string) (all []pgsql.Kind) {
	text = reference().ReplaceAllStringFunc(text, func(found string) string {
		switch {
		case strings.Contains(found, "'"):
			return "''"
		case strings.Contains(found, `"`):
			return `"x"`
		}
		return "x"
	})
	for token := range pgsql.Tokens(strings.ReplaceAll(text, "E'", "'")) {
		if token.Kind != pgsql.Whitespace {
			all = append(all, token.Kind)
		}
	}
	return slices.Compact(all)
}
