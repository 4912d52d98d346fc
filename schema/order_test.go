package schema_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/whimbrel-db/whimbrel/schema"
)

// design is a schema that was made up: statements in stages, of which those of
// one stage can run in any order.
type design [][]string

// drawDesign makes up a schema: enumerations and functions, tables with columns
// and partitions, what hangs on them, and what is said about it all.
func drawDesign(t *rapid.T) design {
	var first, tables, parts, hanging, said []string
	for i := range rapid.IntRange(1, 3).Draw(t, "types") {
		labels := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"'red'", "'green'", "'blue'", "'it''s'"}), 1, 4,
			rapid.ID).Draw(t, "labels")
		first = append(first, fmt.Sprintf("CREATE TYPE kind_%d AS ENUM (%s)", i, strings.Join(labels, ", ")),
			fmt.Sprintf("CREATE FUNCTION stamp_%d() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", i))
		if rapid.Bool().Draw(t, "privilege on a type") {
			said = append(said, fmt.Sprintf("GRANT USAGE ON TYPE kind_%d TO clerk", i),
				fmt.Sprintf("GRANT USAGE ON TYPE kind_%d TO auditor", i))
		}
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "tables") {
		table := fmt.Sprintf("table_%d", i)
		columns := rapid.Permutation([]string{"a integer NOT NULL", "b text DEFAULT 'x'", "c timestamptz", "d kind_0",
			"e numeric(8,2) CHECK (e > 0)"}).Draw(t, "columns")
		tables = append(tables, fmt.Sprintf("CREATE TABLE %s (id bigint GENERATED ALWAYS AS IDENTITY, %s, PRIMARY KEY (id, "+
			"a)) PARTITION BY RANGE (a)", table, strings.Join(columns, ", ")))
		for p := range rapid.IntRange(0, 3).Draw(t, "partitions") {
			parts = append(parts, fmt.Sprintf("CREATE TABLE %[1]s_%[2]d PARTITION OF %[1]s FOR VALUES FROM (%[3]d) TO (%[4]d)",
				table, p, p*10, p*10+10))
		}
		hanging = append(hanging, rapid.SliceOfDistinct(rapid.SampledFrom([]string{
			"CREATE INDEX ON " + table + " (b)",
			"CREATE UNIQUE INDEX " + table + "_unique ON " + table + " (id, a, b) INCLUDE (c)",
			"CREATE TRIGGER stamp BEFORE UPDATE ON " + table + " FOR EACH ROW EXECUTE FUNCTION stamp_0()",
			"CREATE POLICY mine ON " + table + " TO clerk, auditor USING (b = current_user)",
			"ALTER TABLE " + table + " ENABLE ROW LEVEL SECURITY",
			"ALTER TABLE " + table + " ALTER b SET STATISTICS 33",
			"ALTER TABLE " + table + " ADD CONSTRAINT positive CHECK (a > 0)",
			"ALTER TABLE " + table + " ADD CONSTRAINT self FOREIGN KEY (id, a) REFERENCES " + table,
			"CREATE STATISTICS " + table + "_stat ON a, b FROM " + table,
			"CREATE VIEW " + table + "_view AS SELECT a, b FROM " + table + " WHERE a > 5",
		}), rapid.ID).Draw(t, "what hangs on it")...)
		said = append(said, rapid.SliceOfDistinct(rapid.SampledFrom([]string{
			"COMMENT ON TABLE " + table + " IS 'number one'",
			"COMMENT ON COLUMN " + table + ".b IS 'letter b'",
			"GRANT SELECT ON " + table + " TO clerk",
			"GRANT INSERT, DELETE ON " + table + " TO clerk",
			"GRANT SELECT ON " + table + " TO auditor WITH GRANT OPTION",
			"GRANT UPDATE (b) ON " + table + " TO \"the boss\"",
			"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO clerk",
		}), rapid.ID).Draw(t, "what is said")...)
	}
	slices.Sort(said)
	return design{first, tables, parts, hanging, slices.Compact(said)}
}

// shuffled is the same in another order, with objects in between that come and go, and so use up numbers.
func (d design) shuffled(t *rapid.T) design {
	var other design
	for _, stage := range d {
		stage = append(slices.Clone(stage), "CREATE TABLE passing (x serial); DROP TABLE passing")
		other = append(other, rapid.Permutation(stage).Draw(t, "order"))
	}
	for i, statement := range other[1] { // a column that is no longer there takes a number too
		if table, isTable := strings.CutPrefix(statement, "CREATE TABLE table_"); isTable {
			name, _, _ := strings.Cut(table, " ")
			other[1][i] = strings.Replace(statement, "(id bigint", "(gone integer, id bigint", 1) + "; ALTER TABLE table_" +
				name + " DROP COLUMN gone"
		}
	}
	return other
}

// without leaves out one statement of the last two stages, on which no other depends.
func (d design) without(t *rapid.T) (design, bool) {
	places := []int{}
	for _, stage := range []int{3, 4} {
		if len(d[stage]) > 0 {
			places = append(places, stage)
		}
	}
	if len(places) == 0 {
		return nil, false
	}
	other := slices.Clone(d)
	stage := rapid.SampledFrom(places).Draw(t, "stage")
	i := rapid.IntRange(0, len(d[stage])-1).Draw(t, "statement")
	other[stage] = slices.Delete(slices.Clone(d[stage]), i, i+1)
	return other, true
}

// build makes a design in a transaction, reads it, and rolls it back.
func (d design) build(t require.TestingT, conn *pgx.Conn) schema.Schema {
	run := func(sql string) {
		_, err := conn.PgConn().Exec(context.Background(), sql).ReadAll()
		require.NoError(t, err, sql)
	}
	run("BEGIN")
	defer run("ROLLBACK")
	for _, stage := range d {
		if len(stage) > 0 {
			run(strings.Join(stage, ";\n"))
		}
	}
	s, err := schema.Read(context.Background(), conn, schema.Options{})
	require.NoError(t, err)
	return s
}

func TestTheOrderInWhichASchemaWasMadeMakesNoDifferenceAndAMissingStatementDoes(t *testing.T) {
	t.Parallel()
	conn := fresh(t)
	rapid.Check(t, func(r *rapid.T) {
		d := drawDesign(r)
		made := d.build(r, conn)
		other := d.shuffled(r).build(r, conn)
		require.Empty(r, lines(schema.Diff(made, other)))
		require.Equal(r, made.Fingerprint(), other.Fingerprint())
		if less, can := d.without(r); can {
			lacking := less.build(r, conn)
			require.NotEmpty(r, schema.Diff(made, lacking))
			require.NotEqual(r, made.Fingerprint(), lacking.Fingerprint())
		}
	})
}

// drawSchema makes up any schema at all, with few names, so that two of them have much in common.
func drawSchema(t *rapid.T, label string) schema.Schema {
	var objects []schema.Object
	table := schema.Object{Kind: "table", Name: "public.t"}
	if rapid.Bool().Draw(t, label+" table") {
		objects = append(objects, table)
	}
	for i, name := range rapid.Permutation([]string{"a", "b", "c", "d", "e"}).Draw(t, label+" columns")[:rapid.IntRange(0,
		5).Draw(t, label+" number")] {
		objects = append(objects, schema.Object{
			Kind: "column", Name: "public.t." + name, Parents: []schema.Reference{table.Reference()},
			Properties: map[string]string{"position": fmt.Sprint(i + 1),
				"type": rapid.SampledFrom([]string{"text", "integer"}).Draw(t, label+" type")},
		})
	}
	return schema.Schema{Objects: objects}
}

func TestNothingDiffersExactlyWhenTheFingerprintsAreTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		a, b := drawSchema(r, "a"), drawSchema(r, "b")
		require.Equal(r, a.Fingerprint() == b.Fingerprint(), len(schema.Diff(a, b)) == 0, "%v", lines(schema.Diff(a, b)))
		require.Empty(r, schema.Diff(a, a))
		there, back := schema.Diff(a, b), schema.Diff(b, a)
		require.Equal(r, len(there) == 0, len(back) == 0)
	})
}
