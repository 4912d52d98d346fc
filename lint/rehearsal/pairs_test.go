package rehearsal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/lint"
)

// database is an empty one of the test's.
func database(t *testing.T) (string, *pgx.Conn) {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return url, conn
}

// migrate runs files as whimbrel does.
func migrate(t *testing.T, url string, files ...string) {
	t.Helper()
	m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Migrations: parse(t, files...)}})
	require.NoError(t, err)
	_, err = m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err, files[len(files)-1])
}

// rewriteOf gives what lint prints in place of a statement.
func rewriteOf(t *testing.T, hazard string, before []string, statement string) string {
	t.Helper()
	for _, f := range text(t, before, statement).Findings() {
		if f.Hazard.String() == hazard {
			return f.Rewrite
		}
	}
	require.Failf(t, "no such finding", "%s in %s", hazard, statement)
	return ""
}

// later takes the part of a rewrite that is for a later migration out of its comments.
func later(rewrite string) string {
	var lines []string
	for line := range strings.Lines(rewrite) {
		if statement, ok := strings.CutPrefix(line, "--   "); ok {
			lines = append(lines, statement)
		}
	}
	return strings.Join(lines, "")
}

// couple is a column that gets another name or type while programs write it under both.
type couple struct {
	column    string // its type and constraints
	statement string
	hazard    string
	next      string
	values    []string // some literals of it
}

var couples = map[string]couple{
	"text":             {column: "text", values: []string{"'a'", "'b'", "''"}},
	"required":         {column: "varchar(50) NOT NULL", values: []string{"'a'", "'b'"}},
	"default":          {column: "text DEFAULT 'none'", values: []string{"'a'", "'b'"}},
	"required default": {column: "integer NOT NULL DEFAULT 7", values: []string{"1", "2", "7"}},
	"json":             {column: "json", values: []string{`'{"a": 1}'`, `'{"a":1}'`}},
	"numeric":          {column: "numeric NOT NULL DEFAULT 1.0", values: []string{"1.0", "1.00", "2"}},
	"array":            {column: "text[]", values: []string{"'{a,b}'", "'{}'"}},
	"enum":             {column: "mood NOT NULL DEFAULT 'glad'", values: []string{"'glad'", "'sad'"}},
	"collation":        {column: `text COLLATE "C" NOT NULL`, values: []string{"'a'", "'A'"}},
	"interval":         {column: "interval day to second", values: []string{"'1 day'", "'24:00:00'"}},
	"keyword": {column: "text", statement: `ALTER TABLE things RENAME COLUMN word TO "if"`, next: `"if"`,
		values: []string{"'a'"}},
	"to bigint": {column: "integer NOT NULL DEFAULT 1",
		statement: "ALTER TABLE things ALTER COLUMN word TYPE bigint", values: []string{"1", "2", "-5"}},
	"to integer": {column: "text",
		statement: "ALTER TABLE things ALTER COLUMN word TYPE integer USING word::integer", values: []string{"'1'", "'20'"}},
	"to timestamptz": {column: "timestamp NOT NULL DEFAULT '2020-01-01'",
		statement: "ALTER TABLE things ALTER COLUMN word TYPE timestamptz", values: []string{"'2025-03-30 02:30:00'",
			"'2025-10-26 02:30:00'"}},
	"to jsonb": {column: "json", statement: "ALTER TABLE things ALTER COLUMN word TYPE jsonb",
		values: []string{`'{"a": 1}'`, `'[]'`}},
	"to an enum": {column: "text NOT NULL",
		statement: "ALTER TABLE things ALTER COLUMN word TYPE mood USING word::mood", values: []string{"'glad'", "'sad'"}},
	"to text": {column: "mood DEFAULT 'sad'", statement: "ALTER TABLE things ALTER COLUMN word TYPE text",
		values: []string{"'glad'", "'sad'"}},
}

func (c couple) complete() couple {
	if c.statement == "" {
		c.statement, c.next = "ALTER TABLE things RENAME COLUMN word TO wort", "wort"
	}
	c.hazard = "rename-column"
	if c.next == "" {
		c.hazard, c.next = "alter-column-type-rewrite", "word_new"
	}
	return c
}

// A column and its successor hold what was last written to either, for every row,
// no matter who wrote it and when.
func TestTwoColumnsOfAPairHoldWhatWasWrittenLast(t *testing.T) {
	t.Parallel()
	for name, c := range couples {
		key := "id bigint PRIMARY KEY"
		if strings.Contains(c.column, "NOT NULL DEFAULT") {
			key = "id integer NOT NULL, part text NOT NULL DEFAULT 'p', PRIMARY KEY (id, part)"
		}
		c = c.complete()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Log("seed", seed)
			w := newWriters(t, c, key, rand.New(rand.NewPCG(seed, 0)), "", "")
			rewrite := rewriteOf(t, c.hazard, []string{w.schema}, c.statement+";")
			require.NotContains(t, rewrite, "…")
			w.follow(t, rewrite)
		})
	}
}

// forms are tables that are more than a heap with a key: what is behind the columns,
// and what else belongs to the table.
var forms = map[string]struct{ behind, besides string }{
	"with triggers": {besides: `CREATE TABLE audit (at timestamptz NOT NULL DEFAULT now(), row text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.touched := NEW.touched + 1; RETURN NEW; END $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit (row) VALUES (NEW::text); RETURN NULL; END $$;
CREATE TRIGGER aa_touch BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER zzz_touch BEFORE UPDATE OF other ON things FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER note AFTER INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION note();
`},
	"partitioned by range": {behind: " PARTITION BY RANGE (id)",
		besides: `CREATE TABLE things_1 PARTITION OF things FOR VALUES FROM (MINVALUE) TO (50);
CREATE TABLE things_2 PARTITION OF things FOR VALUES FROM (50) TO (90);
CREATE TABLE things_3 PARTITION OF things DEFAULT;
`},
	"partitioned by hash, twice": {behind: " PARTITION BY HASH (id)",
		besides: `CREATE TABLE things_1 PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE things_2 PARTITION OF things FOR VALUES WITH (MODULUS 2, REMAINDER 1) PARTITION BY RANGE (id);
CREATE TABLE things_3 PARTITION OF things_2 DEFAULT;
`},
	"inherited": {besides: "CREATE TABLE child (extra text) INHERITS (things);\n"},
}

func TestAPairHoldsWhatWasWrittenLastWhateverTheTableIs(t *testing.T) {
	t.Parallel()
	for form, table := range forms {
		for _, name := range []string{"text", "required default", "to bigint"} {
			t.Run(form+"/"+name, func(t *testing.T) {
				t.Parallel()
				seed := rand.Uint64()
				t.Log("seed", seed)
				c := couples[name].complete()
				w := newWriters(t, c, "id bigint PRIMARY KEY, touched integer NOT NULL DEFAULT 0",
					rand.New(rand.NewPCG(seed, 0)), table.behind, table.besides)
				rewrite := rewriteOf(t, c.hazard, []string{w.schema}, c.statement+";")
				require.NotEmpty(t, rewrite)
				w.follow(t, rewrite)
			})
		}
	}
}

// writers are programs of the old and of the new release.
type writers struct {
	couple
	url    string
	conn   *pgx.Conn
	random *rand.Rand
	schema string
	rows   int
}

func newWriters(t *testing.T, c couple, key string, random *rand.Rand, behind, besides string) *writers {
	w := &writers{couple: c, random: random}
	w.url, w.conn = database(t)
	w.schema = "CREATE TYPE mood AS ENUM ('sad', 'glad');\n" +
		fmt.Sprintf("CREATE TABLE things (%s, word %s, other integer NOT NULL DEFAULT 0)%s;\n%s", key, c.column, behind,
			besides) +
		"CREATE TABLE expected (id bigint PRIMARY KEY, value text);"
	migrate(t, w.url, w.schema)
	for range 60 {
		w.insert(t, "word")
	}
	return w
}

// follow runs a rewrite piece by piece, and has both programs write in between.
func (w *writers) follow(t *testing.T, rewrite string) {
	header, body := "", rewrite
	if after, ok := strings.CutPrefix(rewrite, "-- +migrate Up notransaction\n"); ok {
		header, body = "-- +migrate Up notransaction\n", after
	}
	at := strings.Index(body, "-- +migrate Batch")
	require.Positive(t, at)
	files := []string{w.schema, header + body[:at]}
	migrate(t, w.url, files...)
	w.exec(t, "UPDATE things SET other = other + 1")
	w.check(t, "word") // which no row of may have lost
	for range 60 {
		w.write(t, "word")
	}
	w.check(t, "word")
	var busy sync.WaitGroup
	busy.Go(func() {
		for range 40 {
			w.write(t, "word")
		}
	})
	files = append(files, header+body[at:])
	migrate(t, w.url, files...)
	busy.Wait()
	for range 120 {
		w.write(t, []string{"word", w.next}[w.random.IntN(2)])
	}
	w.check(t, "word")
	w.check(t, w.next)
	w.retire(t, append(files, later(rewrite)))
}

// retire lets the old column go, and sees that the new one has all of it.
func (w *writers) retire(t *testing.T, files []string) {
	migrate(t, w.url, files...)
	name := w.next
	if name == "word_new" {
		name = "word"
	}
	w.check(t, name)
	var required, value bool
	require.NoError(t, w.conn.QueryRow(t.Context(), "SELECT attnotnull, atthasdef FROM pg_attribute WHERE attrelid = "+
		"'things'::regclass AND attname = $1",
		strings.Trim(name, `"`)).Scan(&required, &value))
	require.Equal(t, strings.Contains(w.column, "NOT NULL"), required)
	require.Equal(t, strings.Contains(w.column, "DEFAULT"), value)
}

func (w *writers) exec(t *testing.T, statement string) {
	_, err := w.conn.Exec(t.Context(), statement)
	require.NoError(t, err, statement)
}

// literal is a value, and sometimes none where that is allowed.
func (w *writers) literal() string {
	if !strings.Contains(w.column, "NOT NULL") && w.random.IntN(4) == 0 {
		return "NULL"
	}
	return w.values[w.random.IntN(len(w.values))]
}

// oldType is the column's type, in which values are compared.
func (w *writers) oldType() string {
	typ, _, _ := strings.Cut(w.column, " NOT NULL")
	typ, _, _ = strings.Cut(typ, " DEFAULT")
	typ, _, _ = strings.Cut(typ, " COLLATE")
	return typ
}

func (w *writers) expect(t *testing.T, id int, literal string) {
	w.exec(t, fmt.Sprintf("INSERT INTO expected VALUES (%d, (%s)::%s::text) ON CONFLICT (id) DO UPDATE SET value = "+
		"excluded.value", id, literal, w.oldType()))
}

func (w *writers) insert(t *testing.T, column string) {
	w.rows++
	value := w.literal()
	if value == "NULL" && column != "word" {
		value = w.values[0] // NULL cannot be told from no value
	}
	w.exec(t, fmt.Sprintf("INSERT INTO things (id, %s) VALUES (%d, %s)", column, w.rows, value))
	w.expect(t, w.rows, value)
}

// write is one statement of a program that knows the column under one name.
func (w *writers) write(t *testing.T, column string) {
	id, value := w.random.IntN(w.rows)+1, w.literal()
	switch w.random.IntN(10) {
	case 0:
		w.insert(t, column)
	case 3:
		w.exec(t, fmt.Sprintf("INSERT INTO things (id, %[1]s) VALUES (%d, %s) ON CONFLICT ON CONSTRAINT things_pkey DO "+
			"UPDATE SET %[1]s = excluded.%[1]s", column, id, w.values[0]))
		w.expect(t, id, w.values[0])
	case 4:
		w.copy(t, column)
	case 5:
		w.exec(t, fmt.Sprintf("UPDATE things SET word = %s, %s = %[1]s WHERE id = %[3]d", value, w.next, id))
		w.expect(t, id, value)
	case 6:
		w.rows++
		w.exec(t, fmt.Sprintf("INSERT INTO things (id, word, %s) VALUES (%d, %s, %s)", w.next, w.rows,
			w.values[len(w.values)-1], w.values[0]))
		w.expect(t, w.rows, w.values[0]) // the new column wins
	case 1:
		w.exec(t, fmt.Sprintf("UPDATE things SET other = other + 1 WHERE id = %d", id))
	case 2:
		if !strings.Contains(w.column, "DEFAULT") && strings.Contains(w.column, "NOT NULL") {
			return
		}
		w.rows++
		w.exec(t, fmt.Sprintf("INSERT INTO things (id) VALUES (%d)", w.rows))
		_, value, given := strings.Cut(w.column, "DEFAULT ")
		if !given {
			value = "NULL"
		}
		w.expect(t, w.rows, value)
	default:
		w.exec(t, fmt.Sprintf("UPDATE things SET %s = %s, other = 5 WHERE id = %d", column, value, id))
		w.expect(t, id, value)
	}
}

// copy is a program that loads rows.
func (w *writers) copy(t *testing.T, column string) {
	w.rows++
	var text string
	require.NoError(t, w.conn.QueryRow(t.Context(), fmt.Sprintf("SELECT (%s)::%s::text", w.values[0],
		w.oldType())).Scan(&text))
	_, err := w.conn.PgConn().CopyFrom(t.Context(), strings.NewReader(fmt.Sprintf("%d\t%s\n", w.rows, text)),
		"COPY things (id, "+column+") FROM STDIN")
	require.NoError(t, err)
	w.expect(t, w.rows, w.values[0])
}

func (w *writers) check(t *testing.T, column string) {
	var wrong int
	query := fmt.Sprintf("SELECT count(*) FROM things t FULL JOIN expected e ON e.id = t.id WHERE t.id IS NULL OR e.id "+
		"IS NULL OR (t.%s%s)::text IS DISTINCT FROM e.value", column, w.back(column))
	require.NoError(t, w.conn.QueryRow(t.Context(), query).Scan(&wrong))
	require.Zero(t, wrong, "rows in which %s is not what was written last", column)
}

// back converts the new column's values for the comparison.
func (w *writers) back(column string) string {
	if w.oldType() == "timestamp" && column != "word" {
		return " AT TIME ZONE 'UTC'"
	}
	return "::" + w.oldType()
}

// What the text gives no rewrite for that would run is not printed.
func TestNoPairIsPrintedThatCouldNotRun(t *testing.T) {
	t.Parallel()
	schema := "CREATE DOMAIN label AS text DEFAULT 'x';\n" +
		"CREATE TABLE people (id bigint PRIMARY KEY, a label, b int, c int GENERATED ALWAYS AS (b + 1) STORED);\n" +
		"CREATE TABLE heap (a int, b text);\nCREATE VIEW v AS SELECT id FROM people;"
	for _, statement := range []string{
		"ALTER TABLE people RENAME COLUMN a TO z;", "ALTER TABLE people RENAME COLUMN c TO z;",
		"ALTER TABLE heap RENAME COLUMN a TO z;",
		"ALTER VIEW v RENAME COLUMN id TO z;", "ALTER TABLE unknown RENAME COLUMN a TO z;",
		"ALTER TABLE heap ALTER COLUMN a TYPE bigint;",
		"ALTER TABLE people ALTER COLUMN b TYPE bigint USING b * 2;",
	} {
		report := text(t, []string{schema}, statement)
		i := slices.IndexFunc(report.Findings(), func(f lint.Finding) bool {
			return f.Hazard.String() == "rename-column" || f.Hazard.String() == "alter-column-type-rewrite"
		})
		require.GreaterOrEqual(t, i, 0, statement)
		require.Empty(t, report.Findings()[i].Rewrite, statement)
	}
}
