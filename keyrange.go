package whimbrel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// keys are the columns by which a table is gone through in ranges.
type keys struct {
	table   string // quoted, with its schema
	columns []keyColumn
	total   int64 // the server's estimate of the table's rows; 0 if it has none
	at      migration.Position
}

type keyColumn struct {
	Name      string `json:"name"`
	OID       uint32 `json:"oid"`
	Type      string `json:"type"`      // as format_type writes it
	Collation string `json:"collation"` // quoted; empty for the type's own
	NotNull   bool   `json:"not_null"`
}

// key is the values of a key's columns as PostgreSQL writes them; nil is the
// place before all.
type key []string

// span is a range of keys: what comes after From, up to and with To.
type span struct {
	From key `json:"from"`
	To   key `json:"to"`
}

// asRange gives the span with the types of its values.
func (s span) asRange(k *keys) Range {
	values := func(key key) []KeyValue {
		var out []KeyValue
		for i, text := range key {
			out = append(out, KeyValue{Text: text, Type: k.columns[i].OID})
		}
		return out
	}
	return Range{From: values(s.From), To: values(s.To)}
}

// findKeys asks the catalog for the key of a batch step, and refuses one by
// which a table cannot be gone through.
func findKeys(ctx context.Context, conn *pgx.Conn, b migration.Batch) (*keys, error) {
	refuse := func(remedy, format string, args ...any) error {
		return &Error{Code: CodeMalformed, Line: b.Position.Line, Column: b.Position.Column, Message: fmt.Sprintf(format,
			args...), Remedy: remedy}
	}
	var raw []byte
	err := conn.QueryRow(ctx, `
SELECT pg_catalog.json_build_object(
	'table', pg_catalog.format('%I.%I', n.nspname, c.relname),
	'total', (SELECT coalesce(sum(greatest(p.reltuples, 0)), 0)::bigint FROM pg_catalog.pg_class p
		WHERE p.oid = c.oid OR p.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid) WHERE isleaf)),
	'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname, 'oid', a.atttypid::bigint,
			'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
			'collation', CASE WHEN a.attcollation <> t.typcollation THEN
				(SELECT pg_catalog.format('%I.%I', cn.nspname, co.collname) FROM pg_catalog.pg_collation co JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) ELSE '' END)
		ORDER BY pg_catalog.array_position($2::text[], a.attname::text))
		FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY ($2)),
	'indexed', EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid JOIN pg_catalog.pg_am am ON am.oid = ic.relam
		WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND am.amname = 'btree'
		AND $2 = (SELECT pg_catalog.array_agg(a.attname::text ORDER BY x.n) FROM pg_catalog.unnest(i.indkey::int[]) WITH ORDINALITY AS x(attnum, n)
			JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.attnum WHERE x.n <= pg_catalog.cardinality($2::text[]))))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)`, pgx.Identifier(b.TableName()).Sanitize(), b.Key).Scan(&raw)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, refuse("correct the name below `-- +migrate Batch`", "the table of the batch, %s, does not exist",
			b.Table)
	}
	if err != nil {
		return nil, fmt.Errorf("looking at the key of table %s: %w", b.Table, err)
	}
	var found struct {
		Table   string      `json:"table"`
		Total   int64       `json:"total"`
		Columns []keyColumn `json:"columns"`
		Indexed bool        `json:"indexed"`
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return nil, fmt.Errorf("reading the catalog's answer: %w", err)
	}
	for _, name := range b.Key {
		i := slices.IndexFunc(found.Columns, func(c keyColumn) bool { return c.Name == name })
		switch {
		case i < 0:
			return nil, refuse("name columns of that table", "table %s has no column %q", b.Table, name)
		case !found.Columns[i].NotNull:
			return nil, refuse("go by a key that is NOT NULL, such as the primary key",
				"column %q of %s may be NULL, and rows where it is would be left out", name, b.Table)
		case smallest(found.Columns[i].Type) == unknownType:
			return nil, refuse("go by a key of integers, numbers, text, uuid, dates or times",
				"a key of type %s cannot be gone through in ranges", found.Columns[i].Type)
		}
	}
	if !found.Indexed {
		return nil, refuse("create it, or go by the primary key", "table %s has no valid btree index that begins with "+
			"(%s): every batch would read the whole table", b.Table, strings.Join(b.Key, ", "))
	}
	return &keys{table: found.Table, columns: found.Columns, total: found.Total, at: b.Position}, nil
}

func (k *keys) list() string {
	var names []string
	for _, c := range k.columns {
		names = append(names, pgx.Identifier{c.Name}.Sanitize())
	}
	return strings.Join(names, ", ")
}

// literals writes a key's values so that they have the columns' types.
func (k *keys) literals(conn *pgx.Conn, values key) string {
	var out []string
	for i, value := range values {
		text := literal(conn, value)
		if value == "" {
			text = "''"
		}
		out = append(out, text+"::"+k.columns[i].Type)
	}
	return strings.Join(out, ", ")
}

// next finds the end of the range of about so many rows after a key, and how
// many rows are in it; none where there is no row up to the limit.
func (k *keys) next(ctx context.Context, conn *pgx.Conn, after, limit key, size int) (to key, rows int64, err error) {
	var conditions []string
	if after != nil {
		conditions = append(conditions, "("+k.list()+") > ("+k.literals(conn, after)+")")
	}
	if limit != nil {
		conditions = append(conditions, "("+k.list()+") <= ("+k.literals(conn, limit)+")")
	}
	where := ""
	if len(conditions) > 0 {
		where = " WHERE " + strings.Join(conditions, " AND ")
	}
	var texts, descending []string
	for _, c := range k.columns {
		name := pgx.Identifier{c.Name}.Sanitize()
		texts, descending = append(texts, name+"::text"), append(descending, name+" DESC")
	}
	// The row at the end is found without touching those before it twice. Only
	// what is left, fewer rows, has to be counted.
	err = conn.QueryRow(ctx, fmt.Sprintf("SELECT ARRAY[%[5]s] FROM (SELECT %[1]s FROM %[2]s%[3]s ORDER BY %[1]s OFFSET "+
		"%[4]d LIMIT 1) AS batch",
		k.list(), k.table, where, size-1, strings.Join(texts, ", "))).Scan((*[]string)(&to))
	if !errors.Is(err, pgx.ErrNoRows) {
		return to, int64(size), err
	}
	err = conn.QueryRow(ctx, fmt.Sprintf("WITH batch AS MATERIALIZED (SELECT %[1]s FROM %[2]s%[3]s ORDER BY %[1]s LIMIT "+
		"%[4]d) "+
		"SELECT ARRAY[%[5]s], (SELECT count(*) FROM batch) FROM batch ORDER BY %[6]s LIMIT 1",
		k.list(), k.table, where, size, strings.Join(texts, ", "), strings.Join(descending, ", "))).Scan((*[]string)(&to),
		&rows)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, 0, nil
	}
	return to, rows, err
}

// below gives a key that lies before the table's first one, for the beginning
// of the first range; nil where the table is empty.
func (k *keys) below(ctx context.Context, conn *pgx.Conn) (key, error) {
	first, rows, err := k.next(ctx, conn, nil, nil, 1)
	if err != nil || rows == 0 {
		return nil, err
	}
	for i := len(first) - 1; i >= 0; i-- {
		if less, ok := smaller(k.columns[i].Type, first[i]); ok {
			lower := slices.Clone(first)
			lower[i] = less
			return lower, nil
		}
	}
	return nil, &Error{
		Code: CodeMalformed, Line: k.at.Line, Column: k.at.Column,
		Message: fmt.Sprintf("the first key of %s is %s, and no value lies below it for :from to begin at", k.table,
			strings.Join(first, ", ")),
		Remedy: "treat that row in a statement of its own, and go by another key",
	}
}

// What smallest answers besides a value.
const (
	unknownType = "\x00unknown"
	oneLess     = "\x00one less" // there is no smallest value to write, but one below each
)

// smallest is the least value of a type that can be written.
func smallest(formatted string) string {
	base, _, _ := strings.Cut(formatted, "(")
	switch {
	case base == "smallint", base == "integer", base == "bigint", base == "numeric":
		return oneLess
	case base == "real", base == "double precision":
		return "-Infinity"
	case base == "uuid":
		return "00000000-0000-0000-0000-000000000000"
	case base == "text", base == "character varying", base == "character", base == "name":
		return ""
	case base == "bytea":
		return `\x`
	case base == "date", strings.HasPrefix(base, "timestamp"):
		return "-infinity"
	}
	return unknownType
}

// smaller gives a value of a type that lies below another, if there is one.
func smaller(formatted, value string) (string, bool) {
	least := smallest(formatted)
	if least != oneLess {
		return least, value != least && least != unknownType
	}
	if base, _, _ := strings.Cut(formatted, "("); base == "numeric" {
		n, ok := new(big.Float).SetString(value)
		if !ok {
			return "", false // NaN and infinities
		}
		floor, _ := n.Int(nil)
		return floor.Sub(floor, big.NewInt(1)).String(), true
	}
	n, err := strconv.ParseInt(value, 10, 64)
	lowest := map[string]int64{"smallint": -1 << 15, "integer": -1 << 31, "bigint": -1 << 63}[formatted]
	return strconv.FormatInt(n-1, 10), err == nil && n > lowest
}

// bind puts the ends of a range in place of :from and :to. The second result
// translates an offset in the new text to one in the old.
func bind(text, from, to string) (string, func(int) int) {
	type shift struct{ at, by int } // from at on, in the new text
	var b strings.Builder
	var shifts []shift
	colon, copied := -1, 0
	for token := range pgsql.Tokens(text) {
		value := ""
		if colon >= 0 && token.Kind == pgsql.Word {
			value = map[string]string{"from": from, "to": to}[token.Text]
		}
		if value != "" {
			b.WriteString(text[copied:colon])
			shifts = append(shifts, shift{b.Len(), colon - b.Len()})
			b.WriteString(value)
			copied = token.Offset + len(token.Text)
			shifts = append(shifts, shift{b.Len(), copied - b.Len()})
		}
		colon = -1
		if token.Kind == pgsql.Punctuation && token.Text == ":" {
			colon = token.Offset
		}
	}
	b.WriteString(text[copied:])
	return b.String(), func(offset int) int {
		by := 0
		for i, s := range shifts {
			if offset < s.at {
				break
			}
			by = s.by
			if i%2 == 0 { // inside a value: its placeholder
				by = s.at + s.by - offset
			}
		}
		return offset + by
	}
}
