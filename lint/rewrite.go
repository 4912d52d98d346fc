package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// A rewrite is text that runs as it is printed: one migration file that does what the
// statement does, without the harm. What belongs to later migrations, because programs
// have to change first, is in it as comments.

// eachAlone heads a rewrite whose statements must not share a transaction.
const eachAlone = "-- +migrate Up notransaction\n"

// laterPrefix begins the lines of a rewrite that are for a later migration.
const laterPrefix = "--   "

// laterOn writes a migration that follows a rewrite, as comments.
func laterOn(when string, lines ...string) string {
	text := strings.ReplaceAll(strings.Join(lines, "\n"), "\n", "\n"+laterPrefix)
	return "-- " + when + ":\n" + laterPrefix + text
}

// written gives the name of a table so that it means this table where the statement
// runs, whatever the search_path is there.
func (j *judge) written(r *relation) string {
	if r.name.Schema == public && j.find(Name{Object: r.name.Object}) == r {
		return quoted(r.name.Object)
	}
	return quoted(r.name.Schema) + "." + quoted(r.name.Object)
}

// beside gives the name of something in the schema of a table, such as its indexes.
func (j *judge) beside(r *relation, name string) string {
	if r.name.Schema == public && j.path[0] == public && j.find(Name{Object: r.name.Object}) == r {
		return quoted(name)
	}
	return quoted(r.name.Schema) + "." + quoted(name)
}

// alterTo writes an ALTER TABLE.
func (j *judge) alterTo(r *relation, commands ...string) string {
	return fmt.Sprintf("ALTER TABLE %s %s;", j.written(r), strings.Join(commands, ", "))
}

// batch is how a table is gone through in ranges.
type batch struct {
	table string
	key   []string
}

// batchOf gives the ranges of a table's key, unless it has none by which whimbrel can
// go through it. Of a table that no migration makes, id is taken to be the key.
func (j *judge) batchOf(r *relation) (batch, bool) {
	if r.kind != table {
		return batch{}, false
	}
	b := batch{table: j.written(r)}
	if r.assumed {
		b.key = []string{"id"}
		return b, true
	}
	if key := r.primaryKey(); len(key) > 0 && j.ranges(r, key) {
		b.key = key
		return b, true
	}
	for _, i := range j.indexesOf(r) {
		if i.unique && i.valid && i.where == nil && i.method == "btree" && len(i.columns) > 0 && j.ranges(r, i.columns) {
			b.key = i.columns
			return b, true
		}
	}
	return batch{}, false
}

// ranges reports whether columns are of types that have ranges, and never NULL.
func (j *judge) ranges(r *relation, columns []string) bool {
	types := []string{"int2", "int4", "int8", "numeric", "text", "varchar", "uuid", "date", "timestamp", "timestamptz",
		"time"}
	return !slices.ContainsFunc(columns, func(name string) bool {
		c := r.column(name)
		return c == nil || !c.notNull || c.typ.Array || c.typ.Name.Schema != catalogSchema || !slices.Contains(types,
			c.typ.Name.Object)
	})
}

// mark is the annotation that is above the statement.
func (b batch) mark() string {
	return fmt.Sprintf("-- +migrate Batch %s by %s", b.table, strings.Join(quotedAll(b.key), ","))
}

// where is the condition of one range. The table is named by an alias where others are
// in the statement that may have columns of the same names.
func (b batch) where(alias string) string {
	var columns []string
	for _, name := range quotedAll(b.key) {
		if alias != "" {
			name = quoted(alias) + "." + name
		}
		columns = append(columns, name)
	}
	if len(columns) == 1 {
		return fmt.Sprintf("%s > :from AND %[1]s <= :to", columns[0])
	}
	list := strings.Join(columns, ", ")
	return fmt.Sprintf("(%s) > (:from) AND (%[1]s) <= (:to)", list)
}

func quotedAll(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = quoted(name)
	}
	return all
}

// fits joins parts of a name as PostgreSQL does for the names that it chooses: what
// is too long is cut off the longer of the first two parts.
//
// See makeObjectName in PostgreSQL's source.
func fits(first, second, label string) string {
	const longest = 63
	room := longest - len(label) - 1
	if second != "" {
		room--
	}
	a, b := len(first), len(second)
	for a+b > room {
		if a > b {
			a--
		} else {
			b--
		}
	}
	parts := []string{cutTo(first, a)}
	if second != "" {
		parts = append(parts, cutTo(second, b))
	}
	return strings.Join(append(parts, label), "_")
}

// cutTo shortens a text to so many bytes, between characters.
func cutTo(text string, length int) string {
	for length < len(text) && length > 0 && text[length]&0xC0 == 0x80 {
		length--
	}
	return text[:min(length, len(text))]
}

// chosen is the name that PostgreSQL chooses: the first that is not taken in the schema.
func (m *model) chosen(r *relation, second, label string, taken func(name string) bool) string {
	for n, suffix := 0, label; ; suffix = label + number(n) {
		if name := fits(r.name.Object, second, suffix); !taken(name) {
			return name
		}
		n++
	}
}

// constraintTaken reports whether a constraint of a schema has a name.
func (m *model) constraintTaken(schema string, others ...string) func(name string) bool {
	return func(name string) bool {
		if slices.Contains(others, name) {
			return true
		}
		for n, r := range m.relations {
			if n.Schema == schema && r.constraint(name) != nil {
				return true
			}
		}
		return false
	}
}

// relationTaken reports whether a table, an index or a sequence of a schema has a name.
func (m *model) relationTaken(schema string) func(name string) bool {
	return func(name string) bool {
		full := Name{schema, name}
		return m.relations[full] != nil && !m.relations[full].assumed || m.indexes[full] != nil
	}
}

// keyTaken is asked for the index of a key, which is a constraint as well.
func (m *model) keyTaken(schema string, others ...string) func(name string) bool {
	relation, constraint := m.relationTaken(schema), m.constraintTaken(schema, others...)
	return func(name string) bool { return relation(name) || constraint(name) }
}

// checkName is the name that PostgreSQL gives a CHECK without one: it has a column in
// it if the expression is about a single one.
func (m *model) checkName(r *relation, expr *ast.Node, others ...string) string {
	columns := columnsIn(expr)
	slices.Sort(columns)
	if columns = slices.Compact(columns); len(columns) != 1 {
		columns = []string{""}
	}
	return m.chosen(r, columns[0], "check", m.constraintTaken(r.name.Schema, others...))
}

// several is the part of a name that replaces several columns.
//
// See ChooseIndexNameAddition in PostgreSQL's source.
func several(columns []string) string { return cutTo(strings.Join(columns, "_"), 63) }

// foreignName is the name that PostgreSQL gives a foreign key without one.
func (m *model) foreignName(r *relation, columns []string, others ...string) string {
	return m.chosen(r, several(columns), "fkey", m.constraintTaken(r.name.Schema, others...))
}

// keyName is the name that PostgreSQL gives a key without one, and its index.
func (m *model) keyName(r *relation, c *ast.Constraint, columns []string, others ...string) string {
	if c.Contype == ast.ConstrType_CONSTR_PRIMARY {
		return m.chosen(r, "", "pkey", m.keyTaken(r.name.Schema, others...))
	}
	return m.chosen(r, several(append(slices.Clone(columns), texts(c.Including)...)), "key", m.keyTaken(r.name.Schema,
		others...))
}

// notNullSteps is SET NOT NULL without a scan under its lock: a CHECK proves it.
func (j *judge) notNullSteps(r *relation, column string) string {
	name := quoted(j.chosen(r, column, "given", j.constraintTaken(r.name.Schema)))
	return strings.Join([]string{
		j.alterTo(r, fmt.Sprintf("ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID", name, quoted(column))),
		j.alterTo(r, "VALIDATE CONSTRAINT "+name),
		j.alterTo(r, fmt.Sprintf("ALTER COLUMN %s SET NOT NULL", quoted(column))),
		j.alterTo(r, "DROP CONSTRAINT "+name),
	}, "\n")
}

// spot is a place in a statement's text where something can be put in.
type spot struct {
	text  string
	words []pgsql.Token // of the text, without space and comments, outside of parentheses
	end   int           // behind the last token
}

func spotsOf(text string) spot {
	s := spot{text: text}
	depth := 0
	for token := range pgsql.Tokens(text) {
		if token.Kind <= pgsql.BlockComment {
			continue
		}
		s.end = token.Offset + len(token.Text)
		if token.Text == ")" || token.Text == "]" {
			depth--
		}
		if depth == 0 && token.Kind == pgsql.Word {
			s.words = append(s.words, token)
		}
		if token.Text == "(" || token.Text == "[" {
			depth++
		}
	}
	return s
}

// find gives the first of some keywords that stand outside of parentheses.
func (s spot) find(keywords ...string) (pgsql.Token, bool) {
	for _, token := range s.words {
		if slices.ContainsFunc(keywords, func(k string) bool { return strings.EqualFold(k, token.Text) }) {
			return token, true
		}
	}
	return pgsql.Token{}, false
}

// restrict adds a condition to the statement: to its WHERE, or as one, before the
// keywords that may follow.
func (s spot) restrict(condition string, following ...string) string {
	end := s.end
	if next, found := s.find(following...); found {
		end = next.Offset
	}
	head, tail := strings.TrimRight(s.text[:end], " \t\r\n"), s.text[end:]
	head, comments := splitComments(head)
	if tail != "" || comments != "" {
		tail = comments + "\n" + tail
	}
	where, found := s.find("WHERE")
	if !found || where.Offset >= end {
		return strings.TrimRight(head+" WHERE "+condition+tail, "\n")
	}
	at := where.Offset + len(where.Text)
	return strings.TrimRight(head[:at]+" "+condition+" AND ("+head[at:]+")"+tail, "\n")
}

// splitComments takes the comments off the end of a text.
func splitComments(text string) (head, comments string) {
	end := spotsOf(text).end
	return text[:end], text[end:]
}

// append puts text behind the last word of a statement, before its comments.
func (s spot) append(addition string) string { return s.text[:s.end] + addition + s.text[s.end:] }
