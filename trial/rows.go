package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/sandbox"
)

// tracked is a row that is looked for.
type tracked struct {
	spot
	set     *set
	table   string // as SQL writes it
	key     []string
	values  []*string // of the key
	columns []string
	want    []*string // as PostgreSQL writes them
	types   []string  // of the columns when the row was inserted; "" = whatever they are now
}

func (r *tracked) String() string {
	var parts []string
	for i, column := range r.key {
		parts = append(parts, column+"="+shownValue(r.values[i]))
	}
	return r.table + " (" + strings.Join(parts, ", ") + ")"
}

func shownValue(text *string) string {
	if text == nil {
		return "NULL"
	}
	const most = 80
	if runes := []rune(*text); len(runes) > most {
		return "'" + string(runes[:most]) + "…'"
	}
	return "'" + *text + "'"
}

// table is what the catalog says about a table now.
type table struct {
	name    string // quoted, with its schema; "" if there is none
	primary []string
	columns map[string]column
}

type column struct {
	kind     string // the type without its length
	category string // pg_type.typcategory
}

// describe reads a table by the name that SQL has for it.
func (d *database) describe(ctx context.Context, name string) (table, error) {
	t := table{columns: map[string]column{}}
	rows, err := d.conn.Query(ctx,
		`SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname, format_type(a.atttypid, -1), y.typcategory::text,
	coalesce((SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), -1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type y ON y.oid = a.atttypid WHERE c.oid = to_regclass($1) ORDER BY 5`, name)
	if err != nil {
		return t, err
	}
	var attribute string
	var c column
	var place int
	_, err = pgx.ForEachRow(rows, []any{&t.name, &attribute, &c.kind, &c.category, &place}, func() error {
		t.columns[attribute] = c
		if place >= 0 {
			t.primary = append(t.primary, attribute)
		}
		return nil
	})
	return t, err
}

// expected are the rows that must be there when so many migrations are applied.
func (d *database) expected(ctx context.Context, position int) ([]*tracked, []Finding, error) {
	var rows []*tracked
	var findings []Finding
	for _, s := range d.trial.suite.sets {
		if !d.inserted[s] {
			continue
		}
		current := -1
		for i, c := range s.then {
			if c.place <= position {
				current = i
			}
		}
		if current < 0 {
			for _, r := range d.tracked {
				if r.set == s {
					rows = append(rows, r)
				}
			}
			continue
		}
		for _, row := range s.then[current].rows {
			r, finding, err := d.changed(ctx, s, s.then[current], row)
			if err != nil {
				return nil, nil, err
			}
			if finding != nil {
				findings = append(findings, *finding)
				continue
			}
			rows = append(rows, r)
		}
	}
	return rows, findings, nil
}

// changed is a row as a file says that a migration has made it.
func (d *database) changed(ctx context.Context, s *set, c change, row given) (*tracked, *Finding, error) {
	t, err := d.describe(ctx, c.table)
	if err != nil {
		return nil, nil, err
	}
	key := c.key
	if key == nil {
		key = t.primary
	}
	r := &tracked{spot: row.spot, set: s, table: c.table, key: key, columns: row.columns,
		types: make([]string, len(row.columns))}
	for i, v := range row.values {
		r.want = append(r.want, text(v.parameter(t.columns[row.columns[i]])))
	}
	for _, name := range key {
		i := slices.Index(row.columns, name)
		if i < 0 {
			finding := lostRow(r, fmt.Sprintf("a row of %s that is expected has no value for %s, by which it could be found",
				c.table, name))
			finding.Remedy = "write it, or name another key: column"
			return nil, &finding, nil
		}
		r.values = append(r.values, r.want[i])
	}
	if len(key) == 0 {
		r.key, r.values = r.columns, r.want
	}
	return r, nil, nil
}

func text(bytes []byte) *string { return texts([][]byte{bytes})[0] }

func lostRow(r *tracked, message string) Finding {
	return Finding{
		Severity: Failure, Check: CheckRows, Message: message, Path: r.Path, Line: r.Line, Column: r.Column,
		Remedy: "keep the data, or say under then: what the migration makes of it",
	}
}

// checkRows looks for every row that must be there.
func (d *database) checkRows(ctx context.Context, position int,
	when string) (findings []Finding, looked int, err error) {
	rows, findings, err := d.expected(ctx, position)
	if err != nil {
		return nil, 0, err
	}
	tables := map[string]table{}
	for _, r := range rows {
		t, known := tables[r.table]
		if !known {
			if t, err = d.describe(ctx, r.table); err != nil {
				return nil, 0, err
			}
			tables[r.table] = t
		}
		found, err := d.checkRow(ctx, r, t, when)
		if err != nil {
			return nil, 0, err
		}
		findings = append(findings, found...)
	}
	return findings, len(rows), nil
}

func (d *database) checkRow(ctx context.Context, r *tracked, t table, when string) ([]Finding, error) {
	lost := func(format string, args ...any) []Finding {
		return []Finding{lostRow(r, when+" "+fmt.Sprintf(format, args...))}
	}
	if t.name == "" {
		return lost("the row %s is lost: its table is gone", r), nil
	}
	var conditions, selected []string
	var parameters [][]byte
	for i, name := range r.key {
		if _, exists := t.columns[name]; !exists {
			return lost("the row %s cannot be found: its column %s is gone", r, name), nil
		}
		condition := pgx.Identifier{name}.Sanitize() + " IS NULL"
		if r.values[i] != nil {
			parameters = append(parameters, []byte(*r.values[i]))
			condition = pgx.Identifier{name}.Sanitize() + fmt.Sprintf(" = $%d", len(parameters))
		}
		conditions = append(conditions, condition)
	}
	selected = append(selected, "NULL")
	for _, name := range r.columns {
		if _, exists := t.columns[name]; exists {
			selected = append(selected, pgx.Identifier{name}.Sanitize()+"::text")
		}
	}
	result := d.conn.PgConn().ExecParams(ctx, "SELECT "+strings.Join(selected, ", ")+" FROM "+t.name+" WHERE "+
		strings.Join(conditions, " AND "), parameters, nil, nil, nil).Read()
	var refused *pgconn.PgError
	switch {
	case errors.As(result.Err, &refused):
		return lost("the row %s cannot be found: %s", r, sandbox.Reason(result.Err)), nil
	case result.Err != nil:
		return nil, result.Err
	case len(result.Rows) == 0:
		return lost("the row %s is lost", r), nil
	}
	return d.compareRow(ctx, r, t, texts(result.Rows[0])[1:], lost)
}

// compareRow compares value by value; got are those of the columns that exist.
func (d *database) compareRow(ctx context.Context, r *tracked, t table, got []*string,
	lost func(string, ...any) []Finding) ([]Finding, error) {
	var findings []Finding
	for i, name := range r.columns {
		c, exists := t.columns[name]
		if !exists {
			findings = append(findings, lost("the row %s has no %s any more, which was %s", r, name, shownValue(r.want[i]))...)
			continue
		}
		is := got[0]
		got = got[1:]
		same, err := d.same(ctx, r.want[i], is, r.types[i], c.kind)
		if err != nil {
			return nil, err
		}
		if !same {
			findings = append(findings, lost("the row %s is changed: %s was %s and is %s", r, name, shownValue(r.want[i]),
				shownValue(is))...)
		}
	}
	return findings, nil
}

// same reports whether a value is still what it was, though its type may be
// another: read as the old type it must be equal, so that nothing was cut off.
// Where it cannot be read as that, the old value read as the new type counts.
func (d *database) same(ctx context.Context, want, got *string, was, is string) (bool, error) {
	if want == nil || got == nil {
		return want == got, nil
	}
	if *want == *got {
		return true, nil
	}
	for _, kind := range []string{was, is} {
		if kind == "" {
			continue
		}
		if kind == "json" { // has no equality of its own
			kind = "jsonb"
		}
		result := d.conn.PgConn().ExecParams(ctx, "SELECT ($1::text)::"+kind+" = ($2::text)::"+kind, [][]byte{[]byte(*want),
			[]byte(*got)}, nil, nil, nil).Read()
		var refused *pgconn.PgError
		switch {
		case errors.As(result.Err, &refused):
			continue
		case result.Err != nil:
			return false, result.Err
		}
		return string(result.Rows[0][0]) == "t", nil
	}
	return false, nil
}
