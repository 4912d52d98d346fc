package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// fillable is a table that holds rows, with what is needed to make some up.
type fillable struct {
	oid     uint32
	name    pgx.Identifier
	columns []fillColumn
	checks  []string // definitions
	bound   string   // of a partition
	keys    []string // columns of the parent's partition key
}

type fillColumn struct {
	name     string
	typ      string // as SQL writes it
	base     string // without modifiers, and of a domain what it is made of
	category string // pg_type.typcategory
	length   int    // of a character or bit type, 0 if none
	digits   int    // before the point, of a numeric; -1 if any number
	enum     []string
	required bool
}

// fill gives rows to every table that has none yet. Row n of every table is made of
// the number n, so that what references another table finds it there. Constraints
// that this breaks are met by trying; a table for which nothing works stays empty,
// and what is observed of it then refutes nothing.
func (s *stage) fill(ctx context.Context) error {
	tables, err := s.fillables(ctx)
	if err != nil {
		return fmt.Errorf("reading which tables to fill: %w", err)
	}
	if s.invalid, err = s.invalidIndexes(ctx); err != nil {
		return fmt.Errorf("reading which indexes are invalid: %w", err)
	}
	oids := []uint32{}
	for _, t := range tables {
		oids = append(oids, t.oid)
	}
	rows, err := s.count(ctx, oids)
	if err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	for _, t := range tables {
		if s.filled[t.oid] && rows[t.oid] > 0 {
			continue
		}
		n, refused, err := s.fillTable(ctx, t)
		if err != nil {
			return fmt.Errorf("filling %s: %w", t.name.Sanitize(), err)
		}
		s.filled[t.oid] = n > 0
		s.unfilled[t.oid] = refused
	}
	return s.refresh(ctx)
}

// refresh computes materialized views, so that they have rows as well.
func (s *stage) refresh(ctx context.Context) error {
	rows, err := s.conn.Query(ctx, "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c JOIN "+
		"pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm'")
	if err != nil {
		return err
	}
	type view struct {
		OID          uint32
		Schema, Name string
	}
	views, err := pgx.CollectRows(rows, pgx.RowToStructByPos[view])
	if err != nil {
		return err
	}
	for _, v := range views {
		if s.filled[v.OID] {
			continue
		}
		name := pgx.Identifier{v.Schema, v.Name}.Sanitize()
		if _, err := s.conn.Exec(ctx, "REFRESH MATERIALIZED VIEW "+name); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.unfilled[v.OID] = err.Error()
			continue // its query does not like the rows; then it stays as it is
		}
		n, err := s.count(ctx, []uint32{v.OID})
		if err != nil {
			return err
		}
		s.filled[v.OID] = n[v.OID] > 0
	}
	return nil
}

// empty removes all rows again.
func (s *stage) empty(ctx context.Context) error {
	tables, err := s.fillables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := s.conn.Exec(ctx, "TRUNCATE "+t.name.Sanitize()+" CASCADE"); err != nil {
			return err
		}
	}
	clear(s.filled)
	return s.dropInvalid(ctx)
}

const fillablesQuery = `
SELECT c.oid, n.nspname, c.relname, coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), ''),
  ARRAY(SELECT a.attname::text FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = i.inhparent,
        unnest(p.partattrs::int2[]) WITH ORDINALITY k(attnum, place) JOIN LATERAL (SELECT * FROM pg_catalog.pg_attribute) a ON a.attnum = k.attnum
        WHERE i.inhrelid = c.oid AND a.attrelid = p.partrelid ORDER BY k.place),
  ARRAY(SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY c.oid`

const columnsQuery = `
SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format_type(b.oid, NULL), b.typcategory::text,
  CASE WHEN b.oid IN (1042, 1043) AND m.mod > 4 THEN m.mod - 4 WHEN b.oid IN (1560, 1562) THEN greatest(m.mod, 0) ELSE 0 END,
  CASE WHEN b.oid = 1700 AND m.mod > 4 THEN ((m.mod - 4) >> 16 & 65535) - ((m.mod - 4) & 65535) ELSE -1 END,
  ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder),
  a.attnotnull
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS mod) m
WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND c.oid >= 16384
ORDER BY a.attrelid, a.attnum`

func (s *stage) fillables(ctx context.Context) ([]*fillable, error) {
	rows, err := s.conn.Query(ctx, fillablesQuery)
	if err != nil {
		return nil, err
	}
	var all []*fillable
	byOID := map[uint32]*fillable{}
	var f fillable
	var schema, name string
	_, err = pgx.ForEachRow(rows, []any{&f.oid, &schema, &name, &f.bound, &f.keys, &f.checks}, func() error {
		found := f
		found.name = pgx.Identifier{schema, name}
		found.keys, found.checks = slices.Clone(f.keys), slices.Clone(f.checks)
		all = append(all, &found)
		byOID[found.oid] = &found
		return nil
	})
	if err != nil {
		return nil, err
	}
	if rows, err = s.conn.Query(ctx, columnsQuery); err != nil {
		return nil, err
	}
	var oid uint32
	var c fillColumn
	_, err = pgx.ForEachRow(rows, []any{&oid, &c.name, &c.typ, &c.base, &c.category, &c.length, &c.digits, &c.enum,
		&c.required}, func() error {
		if t := byOID[oid]; t != nil {
			c := c
			c.enum = slices.Clone(c.enum)
			t.columns = append(t.columns, c)
		}
		return nil
	})
	return all, err
}

// fillTable tries value after value for the columns that constraints speak of. Where
// nothing works, it says what the server had against the last of them.
func (s *stage) fillTable(ctx context.Context, t *fillable) (rows int64, refused string, err error) {
	values := map[string]string{}
	for _, c := range t.columns {
		values[c.name] = c.value("n")
	}
	t.bounds(values)
	if n, err := s.insert(ctx, t, values); err == nil && n > 0 || ctx.Err() != nil {
		return n, "", ctx.Err()
	}
	for _, c := range t.columns {
		candidates := t.candidates(c)
		for _, candidate := range candidates {
			before := values[c.name]
			values[c.name] = candidate
			n, err := s.insert(ctx, t, values)
			if err == nil && n > 0 || ctx.Err() != nil {
				return n, "", ctx.Err()
			}
			values[c.name] = before
		}
		if len(candidates) > 0 {
			values[c.name] = candidates[0] // what at least one of its checks names
		}
	}
	n, err := s.insert(ctx, t, values)
	var said *pgconn.PgError
	switch {
	case ctx.Err() != nil:
		return 0, "", ctx.Err()
	case errors.As(err, &said):
		return 0, "no row could be made up: " + said.Message, nil
	case err != nil:
		return 0, "", err
	case n == 0:
		return 0, "no row could be made up that the rows which are there, or its triggers, let in", nil
	}
	return n, "", nil
}

// insert puts rows into a table, past triggers and foreign keys, and leaves out
// those that others are in the way of.
func (s *stage) insert(ctx context.Context, t *fillable, values map[string]string) (int64, error) {
	var columns, expressions []string
	for _, c := range t.columns {
		if v := values[c.name]; v != "" {
			columns = append(columns, pgx.Identifier{c.name}.Sanitize())
			expressions = append(expressions, v)
		}
	}
	if len(columns) == 0 {
		return 0, nil
	}
	sql := fmt.Sprintf("SET session_replication_role = replica; INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s "+
		"FROM generate_series(1, %d) n ON CONFLICT DO NOTHING",
		t.name.Sanitize(), strings.Join(columns, ", "), strings.Join(expressions, ", "), s.options.Rows)
	results, err := s.conn.PgConn().Exec(ctx, sql).ReadAll()
	if _, reset := s.conn.Exec(ctx, "RESET session_replication_role"); reset != nil {
		return 0, reset
	}
	if err != nil {
		return 0, err
	}
	return results[len(results)-1].CommandTag.RowsAffected(), nil
}

// value is an expression of the row's number, of the column's type; empty where
// none is known, so that the column gets its default.
func (c fillColumn) value(n string) string {
	cast := func(expression string) string { return "(" + expression + ")::" + c.typ }
	switch c.base {
	case "smallint", "integer", "bigint", "real", "double precision", "oid":
		return cast(n)
	case "numeric":
		if c.digits >= 0 && c.digits < 4 {
			return cast(fmt.Sprintf("%s %% %d", n, pow10(c.digits)))
		}
		return cast(n)
	case "text", "character varying", "citext", "name":
		return cast(c.cut(n + "::text"))
	case "character":
		return cast(c.cut(n + "::text"))
	case "boolean":
		return cast(n + " % 2 = 0")
	case "date":
		return cast("date '2025-01-01' + " + n + " % 300")
	case "timestamp without time zone", "timestamp with time zone":
		return cast("timestamp '2025-01-01' + " + n + " * interval '1 hour'")
	case "time without time zone", "time with time zone":
		return cast("time '00:00' + " + n + " * interval '1 minute'")
	case "interval":
		return cast(n + " * interval '1 hour'")
	case "uuid":
		return cast("lpad(to_hex(" + n + "), 32, '0')")
	case "json", "jsonb":
		return cast("'{\"n\": ' || " + n + " || '}'")
	case "bytea":
		return cast(n + "::text::bytea")
	case "inet", "cidr":
		return cast("inet '10.0.0.0' + " + n)
	case "bit", "bit varying":
		return cast(fmt.Sprintf("%s::bit(%d)", n, max(c.length, 1)))
	}
	return c.otherValue(n, cast)
}

func (c fillColumn) otherValue(n string, cast func(string) string) string {
	switch {
	case len(c.enum) > 0:
		var labels []string
		for _, label := range c.enum {
			labels = append(labels, quote(label))
		}
		return cast(fmt.Sprintf("(ARRAY[%s])[%s %% %d + 1]", strings.Join(labels, ", "), n, len(labels)))
	case c.category == "A":
		return cast("'{}'")
	case c.category == "R" && strings.HasPrefix(c.base, "ts"):
		return cast(fmt.Sprintf("'[' || (timestamp '2025-01-01' + %s * interval '1 hour') || ',' || (timestamp "+
			"'2025-01-01' + (%[1]s + 1) * interval '1 hour') || ')'", n))
	case c.category == "R" && c.base == "daterange":
		return cast(fmt.Sprintf("'[' || (date '2025-01-01' + %s) || ',' || (date '2025-01-01' + %[1]s + 1) || ')'", n))
	case c.category == "R":
		return cast(fmt.Sprintf("'[' || %s || ',' || (%[1]s + 1) || ')'", n))
	case c.base == "point":
		return cast("point(" + n + ", " + n + ")")
	case c.base == "tsvector" || c.base == "money":
		return cast(n + "::text")
	}
	return ""
}

func (c fillColumn) cut(expression string) string {
	if c.length > 0 {
		return fmt.Sprintf("left(%s, %d)", expression, c.length)
	}
	return expression
}

func pow10(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// constants finds the constants of a constraint or bound, as the server writes them.
var constants = plaintext.Pattern(`'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b`)

// candidates are other values for a column of which a check speaks.
func (t *fillable) candidates(c fillColumn) []string {
	var all []string
	named := false
	word := regexp.MustCompile(`(^|[^\w"])"?` + regexp.QuoteMeta(c.name) + `"?([^\w"]|$)`)
	for _, check := range t.checks {
		if !word.MatchString(check) {
			continue
		}
		named = true
		for _, constant := range constants().FindAllString(check, 6) {
			quoted := constant
			if !strings.HasPrefix(constant, "'") {
				quoted = "'" + constant + "'"
			}
			all = append(all, quoted+"::"+c.typ)
		}
		all = append(all, "(n % 10 + 1)::text::"+c.typ, "lpad(n::text, 8, 'x')::text::"+c.typ)
	}
	if named && !c.required {
		all = append(all, "NULL")
	}
	if c.category == "S" && c.required && len(all) == 0 && strings.Contains(c.typ, ".") {
		all = append(all, "'x'::"+c.typ)
	}
	return all
}

// bounds gives a partition's key the values that belong into it.
func (t *fillable) bounds(values map[string]string) {
	if t.bound == "" || len(t.keys) == 0 {
		return
	}
	switch {
	case strings.HasPrefix(t.bound, "FOR VALUES FROM ("):
		lower, _, _ := strings.Cut(strings.TrimPrefix(t.bound, "FOR VALUES FROM ("), ") TO (")
		for i, value := range strings.Split(lower, ", ") {
			if i < len(t.keys) && value != "MINVALUE" {
				t.set(values, t.keys[i], value)
			}
		}
	case strings.HasPrefix(t.bound, "FOR VALUES IN ("):
		for _, value := range constants().FindAllString(t.bound, 1) {
			t.set(values, t.keys[0], value)
		}
	case t.bound == "DEFAULT":
		for _, c := range t.columns {
			if slices.Contains(t.keys, c.name) {
				values[c.name] = c.far()
			}
		}
	}
}

func (t *fillable) set(values map[string]string, key, value string) {
	for _, c := range t.columns {
		if c.name == key {
			values[key] = quote(strings.Trim(value, "'")) + "::" + c.typ
		}
	}
}

// far is a value that no other partition is likely to hold.
func (c fillColumn) far() string {
	switch c.category {
	case "D":
		return "(timestamp '1970-01-01' + n * interval '1 hour')::" + c.typ
	case "N":
		return "(n + 1000000)::" + c.typ
	case "S":
		return "('zz' || n)::" + c.typ
	}
	return c.value("n")
}
