package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// fillTable is what has to be known of a table to make rows for it.
type fillTable struct {
	OID       uint32        `json:"oid"`
	Name      string        `json:"name"`
	Columns   []fillColumn  `json:"columns"`
	Foreign   []fillForeign `json:"foreign"`
	Checks    []fillCheck   `json:"checks"`
	Uniques   [][]int       `json:"uniques"`
	Partition []int         `json:"partition"` // columns of the partition key
	Bounds    string        `json:"bounds"`    // of all partitions, or of the one that it is
}

type fillColumn struct {
	Number   int      `json:"number"`
	Name     string   `json:"name"`
	Type     string   `json:"type"`     // with its length
	Base     string   `json:"base"`     // below domains, without its length
	Form     string   `json:"form"`     // of the base: pg_type.typtype
	Category string   `json:"category"` // of the base: pg_type.typcategory
	Element  string   `json:"element"`  // of an array
	Length   int      `json:"length"`   // in characters or bits; 0: any
	Whole    int      `json:"whole"`    // digits before the point; 0: any
	Bounded  bool     `json:"bounded"`  // Whole is known
	NotNull  bool     `json:"not_null"`
	Default  bool     `json:"default"`
	Omitted  bool     `json:"omitted"` // its value comes from the table itself
	Domain   []string `json:"domain"`  // checks of its domains
	Empty    bool     `json:"-"`       // it refers to nothing
	Digits   bool     `json:"-"`       // texts are of digits, so that they convert to other types

	candidates []string
	chosen     int
}

type fillForeign struct {
	Name          string   `json:"name"`
	Columns       []int    `json:"columns"`
	Target        string   `json:"target"`
	TargetColumns []string `json:"target_columns"`
}

type fillCheck struct {
	Name    string `json:"name"`
	Columns []int  `json:"columns"`
	Text    string `json:"text"`
}

// key reports whether a column is of a unique key, or refers to one.
func (t fillTable) key(column int) bool {
	has := func(columns []int) bool { return slices.Contains(columns, column) }
	return slices.ContainsFunc(t.Uniques, has) ||
		slices.ContainsFunc(t.Foreign, func(f fillForeign) bool { return has(f.Columns) })
}

func (t fillTable) column(number int) fillColumn {
	return t.Columns[slices.IndexFunc(t.Columns, func(c fillColumn) bool { return c.Number == number })]
}

// uniteUniquely reports whether columns of both lists are in one unique key.
func (t fillTable) uniteUniquely(a, b []int) bool {
	touches := func(unique, columns []int) bool {
		return slices.ContainsFunc(columns, func(c int) bool { return slices.Contains(unique, c) })
	}
	return slices.ContainsFunc(t.Uniques, func(unique []int) bool { return touches(unique, a) && touches(unique, b) })
}

// unique reports whether a column is a unique key all by itself.
func (t fillTable) unique(column int) bool {
	return slices.ContainsFunc(t.Uniques, func(key []int) bool { return len(key) == 1 && key[0] == column })
}

// literals are the values that constraints on a column speak of: what is
// allowed is often among them, or next to them.
func (t fillTable) literals(column int) (texts, numbers []string) {
	sources := t.column(column).Domain
	for _, check := range t.Checks {
		if slices.Contains(check.Columns, column) {
			sources = append(sources, check.Text)
		}
	}
	if slices.Contains(t.Partition, column) {
		sources = append(sources, t.Bounds)
	}
	for _, source := range sources {
		texts = append(texts, quotedLiteral().FindAllString(source, -1)...)
		numbers = append(numbers, numericLiteral().FindAllString(quotedLiteral().ReplaceAllString(source, ""), -1)...)
	}
	slices.Sort(numbers)
	return unique(texts), slices.Compact(numbers)
}

var (
	quotedLiteral  = plaintext.Pattern(`'(?:[^']|'')*'`)
	numericLiteral = plaintext.Pattern(`\b\d+(?:\.\d+)?\b`)
)

func unique(list []string) []string {
	var once []string
	for _, one := range list {
		if !slices.Contains(once, one) {
			once = append(once, one)
		}
	}
	return once
}

// expressions are candidates for the values of a column, the likeliest first,
// as SQL with the number of the row in i.
func (c fillColumn) expressions(texts, numbers []string) []string {
	var candidates []string
	if few := texts; len(few) > 0 {
		if len(few) > 20 {
			few = few[:20]
		}
		if len(few) > 1 { // all of them in turn, as in a list of allowed values
			candidates = append(candidates, fmt.Sprintf("(ARRAY[%s])[1 + i %% %d]", strings.Join(few, ", "), len(few)))
		}
		candidates = append(candidates, c.plain()...)
		candidates = append(candidates, few...)
	} else {
		candidates = c.plain()
	}
	if c.Category == "N" {
		for _, n := range numbers {
			candidates = append(candidates, n, n+" + i", n+" - 1", n+" + 1", "i % "+n+" + 0")
		}
		candidates = append(candidates, "1", "0", "-i", "i % 100", "i % 10", "1 + i % 5", "0.5")
	}
	if c.Category == "S" && len(numbers) > 0 {
		for _, n := range numbers {
			if len(n) < 4 {
				candidates = append(candidates, fmt.Sprintf("right(lpad(i::text, %s, '0'), %s)", n, n),
					fmt.Sprintf("right(lpad('a' || to_hex(i), %s, 'a'), %s)", n, n))
			}
		}
	}
	return unique(candidates)
}

// plain are candidates that know nothing of constraints.
func (c fillColumn) plain() []string {
	switch {
	case c.Form == "e":
		return []string{fmt.Sprintf("(enum_range(NULL::%[1]s))[1 + i %% array_length(enum_range(NULL::%[1]s), 1)]", c.Base)}
	case c.Category == "A":
		element := fillColumn{Base: c.Element, Type: c.Element, Category: categoryOf(c.Element)}
		if of := element.plain(); len(of) > 0 {
			return []string{"ARRAY[(" + of[0] + ")::" + c.Element + "]", "'{}'"}
		}
		return []string{"'{}'"}
	case c.Form == "r":
		return []string{rangeOf(c.Base), "'empty'", "'(,)'"}
	case c.Category == "S":
		return c.strings()
	case c.Category == "N":
		return c.numbers()
	}
	return byType[c.Base]
}

func categoryOf(base string) string {
	switch base {
	case "text", "character varying", "bpchar", "citext", "name":
		return "S"
	case "smallint", "integer", "bigint", "numeric", "real", "double precision", "oid", "money":
		return "N"
	}
	return ""
}

func rangeOf(base string) string {
	switch base {
	case "daterange":
		return "daterange(date '2020-01-01' + (2 * i)::int, date '2020-01-02' + (2 * i)::int)"
	case "tsrange", "tstzrange":
		return base + "(timestamp '2020-01-01' + 2 * i * interval '1 minute', timestamp '2020-01-01 00:01' + 2 * i * " +
			"interval '1 minute')"
	}
	return base + "(2 * i, 2 * i + 1)"
}

func (c fillColumn) strings() []string {
	word := "'" + strings.ReplaceAll(c.Name, "'", "''") + " ' || i"
	if c.Length > 0 && c.Length < len(c.Name)+12 {
		word = fmt.Sprintf("right(lpad(to_hex(i), %[1]d, '0'), %[1]d)", min(c.Length, 12))
	}
	if c.Digits {
		word = "i::text"
		if c.Length > 0 {
			word = fmt.Sprintf("right(i::text, %d)", c.Length)
		}
	}
	return []string{
		word, "'user' || i || '@example.com'", "'a' || i", "lpad(i::text, 10, '0')", "'https://example.com/' || i",
		"md5(i::text)",
		"chr(65 + (i / 26 % 26)::int) || chr(65 + (i % 26)::int)",
		"chr(65 + (i / 676 % 26)::int) || chr(65 + (i / 26 % 26)::int) || chr(65 + (i % 26)::int)",
		"'+4930' || lpad(i::text, 7, '0')", "lpad((i % 100000)::text, 5, '0')", "'#' || lpad(to_hex(i % 16777216), 6, '0')",
		"i::text", "'a'", "''",
		"md5(i::text)::uuid::text", "'10.' || i / 65536 % 256 || '.' || i / 256 % 256 || '.' || i % 256",
	}
}

func (c fillColumn) numbers() []string {
	switch {
	case c.Base == "smallint":
		return []string{"i % 32767"}
	case c.Base == "integer" || c.Base == "oid":
		return []string{"i % 2147483647"}
	case c.Bounded && c.Whole <= 0:
		return []string{"0"}
	case c.Bounded && c.Whole < 18:
		return []string{fmt.Sprintf("i %% 1%s", strings.Repeat("0", c.Whole))}
	}
	return []string{"i"}
}

// byType are values of types that belong to no larger family.
var byType = map[string][]string{
	"boolean": {"i % 2 = 0", "true", "false"},
	"uuid":    {"md5(i::text)::uuid"},
	"date": {"date '2020-01-01' + (i % 1000000)::int", "current_date",
		"current_date + 1 + (i % 1000000)::int"},
	"timestamp without time zone": {"timestamp '2020-01-01' + i * interval '1 minute'", "now()",
		"now() + i * interval '1 minute'"},
	"timestamp with time zone": {"timestamptz '2020-01-01 00:00+00' + i * interval '1 minute'", "now()",
		"now() + i * interval '1 minute'"},
	"time without time zone": {"time '00:00' + i * interval '1 second'"},
	"time with time zone":    {"timetz '00:00+00' + i * interval '1 second'"},
	"interval":               {"i * interval '1 second'"},
	"json":                   {"json_build_object('n', i)", "'{}'", "'[]'", `'"a"'`, "'1'"},
	"jsonb":                  {"jsonb_build_object('n', i)", "'{}'", "'[]'", `'"a"'`, "'1'"},
	"bytea":                  {"decode(md5(i::text), 'hex')", "decode(lpad(to_hex(i), 8, '0'), 'hex')", "''"},
	"inet":                   {"inet '10.0.0.0' + i % 16777216"},
	"cidr":                   {"(inet '10.0.0.0' + i % 16777216)::cidr"},
	"macaddr":                {"lpad(to_hex(i), 12, '0')::macaddr"},
	"macaddr8":               {"lpad(to_hex(i), 16, '0')::macaddr8"},
	"\"bit\"":                {"i"},
	"bit varying":            {"i::bit(64)::varbit"},
	"xml":                    {"'<n>' || i || '</n>'"},
	"tsvector":               {"to_tsvector('simple', 'word' || i)"},
	"tsquery":                {"to_tsquery('simple', 'word' || i)"},
	"point":                  {"point(i, i)"},
	"box":                    {"box(point(2 * i, 0), point(2 * i + 1, 1))"},
	"circle":                 {"circle(point(i, i), 1)"},
	"line":                   {"line(point(0, i), point(1, i + 1))"},
	"lseg":                   {"lseg(point(0, i), point(1, i))"},
	"path":                   {"path '((0,0),(1,1))'"},
	"polygon":                {"polygon '((0,0),(1,1),(1,0))'"},
	"\"char\"":               {"'a'"},
	"pg_lsn":                 {"pg_lsn '0/0' + i"},
	"hstore":                 {"''"},
	"ltree":                  {"'a' || i"},
}

// fillable reads all tables that can be filled.
func (f Filling) fillable(ctx context.Context, conn *pgx.Conn) ([]fillTable, error) {
	rows, err := conn.Query(ctx, fillableSQL, append([]string{}, f.Except...), f.Probe)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t fillTable, err error) {
		var text string
		if err := row.Scan(&text); err != nil {
			return t, err
		}
		err = json.Unmarshal([]byte(text), &t)
		for i := range t.Columns {
			t.Columns[i].Digits = f.Probe
		}
		return t, err
	})
}

const fillableSQL = `
WITH RECURSIVE base AS ( -- what domains stand for
	SELECT oid, oid AS base, NULL::int4 AS mod, ARRAY[]::oid[] AS domains FROM pg_type WHERE typtype <> 'd'
	UNION ALL
	SELECT t.oid, b.base, coalesce(b.mod, nullif(t.typtypmod, -1)), b.domains || t.oid FROM pg_type t
		JOIN base b ON b.oid = t.typbasetype WHERE t.typtype = 'd'
)
SELECT json_build_object('oid', c.oid::bigint, 'name', quote_ident(n.nspname) || '.' || quote_ident(c.relname),
	'columns', (SELECT coalesce(json_agg(json_build_object('number', a.attnum, 'name', a.attname,
			'type', format_type(a.atttypid, a.atttypmod), 'base', format_type(y.oid, -1), 'form', y.typtype, 'category',
				y.typcategory,
			'element', coalesce(format_type(nullif(y.typelem, 0), NULL), ''),
			'length', CASE WHEN m.mod > 0 AND y.typname IN ('varchar', 'bpchar') THEN m.mod - 4 WHEN m.mod > 0
				AND y.typname IN ('bit', 'varbit') THEN m.mod ELSE 0 END,
			'whole', CASE WHEN m.mod > 0 AND y.typname = 'numeric' THEN ((m.mod - 4) >> 16 & 65535) - ((m.mod - 4) & 2047) ELSE 0
				END,
			'bounded', coalesce(m.mod > 0 AND y.typname = 'numeric', false),
			'not_null', a.attnotnull OR EXISTS (SELECT FROM pg_type o WHERE o.oid = ANY (b.domains) AND o.typnotnull), 'default',
				a.atthasdef,
			'omitted', a.attgenerated <> '',
			'domain', (SELECT json_agg(pg_get_constraintdef(k.oid)) FROM pg_constraint k WHERE k.contypid = ANY (b.domains))
		) ORDER BY a.attnum), '[]')
		FROM pg_attribute a JOIN base b ON b.oid = a.atttypid JOIN pg_type y ON y.oid = b.base
		CROSS JOIN LATERAL (SELECT coalesce(b.mod, nullif(a.atttypmod, -1)) AS mod) m
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
	'foreign', (SELECT json_agg(json_build_object('name', k.conname, 'columns', k.conkey, 'target',
		quote_ident(tn.nspname) || '.' || quote_ident(tc.relname),
			'target_columns', (SELECT json_agg(ta.attname ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY u(number,
				place) JOIN pg_attribute ta ON ta.attrelid = k.confrelid AND ta.attnum = u.number)) ORDER BY k.conname)
		FROM pg_constraint k JOIN pg_class tc ON tc.oid = k.confrelid JOIN pg_namespace tn ON tn.oid = tc.relnamespace
		WHERE k.conrelid = c.oid AND k.contype = 'f' AND (k.conparentid = 0 OR c.relispartition)),
	'checks', (SELECT json_agg(json_build_object('name', k.conname, 'columns', k.conkey, 'text',
		pg_get_constraintdef(k.oid)))
		FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'),
	'uniques', (SELECT json_agg(i.indkey::int2[]) FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique),
	'partition', CASE WHEN c.relispartition THEN (SELECT json_agg(a.attnum) FROM pg_inherits h
		JOIN pg_partitioned_table p ON p.partrelid = h.inhparent
			JOIN pg_attribute k ON k.attrelid = p.partrelid AND k.attnum = ANY (p.partattrs::int2[])
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = k.attname WHERE h.inhrelid = c.oid)
		ELSE (SELECT to_json(p.partattrs::int2[]) FROM pg_partitioned_table p WHERE p.partrelid = c.oid) END,
	'bounds', CASE WHEN c.relispartition THEN coalesce(pg_get_partition_constraintdef(c.oid),
		'') WHEN c.relkind = 'p' THEN (SELECT coalesce(string_agg(pg_get_partition_constraintdef(l.relid), ' '), '')
		FROM pg_partition_tree(c.oid) l WHERE l.isleaf) ELSE '' END
)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (CASE WHEN $2::bool THEN c.relkind = 'r' ELSE c.relkind IN ('r', 'p') AND NOT c.relispartition END)
AND c.oid >= 16384 AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
AND quote_ident(n.nspname) || '.' || quote_ident(c.relname) <> ALL ($1)
AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY c.oid`

// inOrder puts tables behind those that they refer to; circles are cut
// somewhere.
func inOrder(tables []fillTable) []fillTable {
	byName := map[string]fillTable{}
	for _, t := range tables {
		byName[t.Name] = t
	}
	var ordered []fillTable
	visited := map[string]bool{}
	var visit func(fillTable)
	visit = func(t fillTable) {
		if visited[t.Name] {
			return
		}
		visited[t.Name] = true
		for _, f := range t.Foreign {
			if target, known := byName[f.Target]; known {
				visit(target)
			}
		}
		ordered = append(ordered, t)
	}
	for _, t := range tables {
		visit(t)
	}
	return ordered
}
