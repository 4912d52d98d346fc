package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/migration"
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
	rows, err := d.conn.Query(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname, format_type(a.atttypid, -1), y.typcategory::text,
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

// insertDue inserts the sets of a place that are not in yet. What fails is
// noted with the migration that they belong to, and is no error.
func (d *database) insertDue(ctx context.Context, place int, wanted func(*set) bool) error {
	var waiting []pendingRow
	for _, s := range d.trial.suite.sets {
		if s.place != place || d.inserted[s] || !wanted(s) {
			continue
		}
		d.inserted[s] = true
		if s.script != "" {
			if err := d.insertScript(ctx, s); err != nil {
				return err
			}
			continue
		}
		for _, row := range s.rows {
			waiting = append(waiting, pendingRow{s, row})
		}
	}
	// Rows may refer to each other in any order, across files as well.
	for len(waiting) > 0 {
		var again []pendingRow
		var failures []error
		for _, p := range waiting {
			err := d.insert(ctx, p)
			var refused *pgconn.PgError
			switch {
			case err == nil:
			case !errors.As(err, &refused) && !errors.As(err, new(notInserted)):
				return err
			default:
				again, failures = append(again, p), append(failures, err)
			}
		}
		if len(again) == len(waiting) {
			for i, p := range again {
				d.trial.noteInsert(p.set, insertFailure(p.row.spot, "a row of "+p.set.table+" could not be inserted: "+reason(failures[i])))
			}
			return nil
		}
		waiting = again
	}
	return nil
}

type pendingRow struct {
	set *set
	row given
}

// notInserted is a reason of our own not to insert a row.
type notInserted string

func (n notInserted) Error() string { return string(n) }

// reason is what the server said, in one line.
func reason(err error) string {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return err.Error()
	}
	text := refused.Message
	if refused.Detail != "" {
		text += " (" + strings.TrimSuffix(refused.Detail, ".") + ")"
	}
	return text
}

func insertFailure(at spot, message string) Finding {
	return Finding{
		Severity: Failure, Check: CheckInsert, Message: message, Path: at.path, Line: at.line, Column: at.column,
		Remedy: "correct the row; the others were inserted",
	}
}

// insert inserts one row and keeps it as the server wrote it.
func (d *database) insert(ctx context.Context, p pendingRow) error {
	t, err := d.describe(ctx, p.set.table)
	if err != nil {
		return err
	}
	if t.name == "" {
		return notInserted("there is no such table at that time")
	}
	key := p.set.key
	if key == nil {
		key = t.primary
	}
	if key == nil {
		key = p.row.columns
	}
	r := &tracked{spot: p.row.spot, set: p.set, table: p.set.table, key: key, columns: p.row.columns}
	var names, places, returned []string
	var parameters [][]byte
	for i, name := range p.row.columns {
		c, exists := t.columns[name]
		if !exists {
			return notInserted(fmt.Sprintf("there is no column %q at that time", name))
		}
		names = append(names, pgx.Identifier{name}.Sanitize())
		places = append(places, fmt.Sprintf("$%d", i+1))
		parameters = append(parameters, p.row.values[i].parameter(c))
		r.types = append(r.types, c.kind)
	}
	for _, name := range slices.Concat(key, p.row.columns) {
		if _, exists := t.columns[name]; !exists {
			return notInserted(fmt.Sprintf("there is no column %q at that time", name))
		}
		returned = append(returned, pgx.Identifier{name}.Sanitize()+"::text")
	}
	sql := "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ") OVERRIDING SYSTEM VALUE VALUES (" + strings.Join(places, ", ") + ") RETURNING " + strings.Join(returned, ", ")
	result := d.conn.PgConn().ExecParams(ctx, sql, parameters, nil, nil, nil).Read()
	if result.Err != nil {
		return result.Err
	}
	if len(result.Rows) != 1 {
		return notInserted("a trigger or a rule kept it out")
	}
	written := texts(result.Rows[0])
	r.values, r.want = written[:len(key)], written[len(key):]
	d.tracked = append(d.tracked, r)
	return nil
}

// parameter is a value as the server reads it for a column.
func (v value) parameter(c column) []byte {
	switch {
	case v.null:
		return nil
	case v.structured && c.category == "A":
		if list, ok := v.parsed.([]any); ok {
			return []byte(arrayLiteral(list))
		}
	}
	return []byte(v.text)
}

// arrayLiteral writes an array as PostgreSQL reads it.
func arrayLiteral(list []any) string {
	var elements []string
	for _, element := range list {
		switch e := element.(type) {
		case nil:
			elements = append(elements, "NULL")
		case []any:
			elements = append(elements, arrayLiteral(e))
		default:
			text := fmt.Sprint(e)
			if structured, ok := e.(map[string]any); ok {
				if written, err := json.Marshal(structured); err == nil {
					text = string(written)
				}
			}
			elements = append(elements, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)+`"`)
		}
	}
	return "{" + strings.Join(elements, ",") + "}"
}

func texts(row [][]byte) []*string {
	all := make([]*string, len(row))
	for i, v := range row {
		if v != nil {
			text := string(v)
			all[i] = &text
		}
	}
	return all
}

// insertScript runs an SQL file in a transaction and keeps the rows that it wrote.
func (d *database) insertScript(ctx context.Context, s *set) error {
	conn := d.conn.PgConn()
	d.known = nil // it may define something
	if _, err := conn.Exec(ctx, "BEGIN").ReadAll(); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, s.script).ReadAll()
	var rows []*tracked
	if err == nil {
		rows, err = d.writtenRows(ctx, s)
	}
	if err == nil {
		if _, err = conn.Exec(ctx, "COMMIT").ReadAll(); err == nil {
			d.tracked = append(d.tracked, rows...)
			return nil
		}
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return err
	}
	at := s.spot
	if refused.Position > 0 {
		before := string([]rune(s.script)[:min(int(refused.Position)-1, len([]rune(s.script)))])
		at.line += strings.Count(before, "\n")
		at.column = len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	}
	d.trial.noteInsert(s, insertFailure(at, "the rows could not be inserted: "+reason(err)))
	_, err = conn.Exec(ctx, "ROLLBACK").ReadAll()
	return err
}

// writtenRows are the rows that the open transaction has written, in tables with a primary key.
func (d *database) writtenRows(ctx context.Context, s *set) ([]*tracked, error) {
	rows, err := d.conn.Query(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.oid >= 16384 AND n.nspname NOT IN ('`+observerSchema+`', 'information_schema') AND n.nspname !~ '^pg_' GROUP BY 1 ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	columns := map[string][]string{}
	var names []string
	var name string
	var list []string
	if _, err := pgx.ForEachRow(rows, []any{&name, &list}, func() error {
		if !slices.Contains(d.own, name) {
			names = append(names, name)
			columns[name] = slices.Clone(list)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var all []*tracked
	for _, name := range names {
		t, err := d.describe(ctx, name)
		if err != nil {
			return nil, err
		}
		var types, selected []string
		for _, c := range slices.Concat(t.primary, columns[name]) {
			selected = append(selected, pgx.Identifier{c}.Sanitize()+"::text")
		}
		for _, c := range columns[name] {
			types = append(types, t.columns[c].kind)
		}
		results, err := d.conn.PgConn().Exec(ctx, "SELECT "+strings.Join(selected, ", ")+" FROM ONLY "+name+
			" WHERE xmin::text::bigint = pg_current_xact_id()::text::numeric % 4294967296").ReadAll()
		if err != nil {
			return nil, err
		}
		for _, row := range results[0].Rows {
			written := texts(row)
			all = append(all, &tracked{
				spot: s.spot, set: s, table: name, key: t.primary, values: written[:len(t.primary)],
				columns: columns[name], want: written[len(t.primary):], types: types,
			})
		}
	}
	return all, nil
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
	r := &tracked{spot: row.spot, set: s, table: c.table, key: key, columns: row.columns, types: make([]string, len(row.columns))}
	for i, v := range row.values {
		r.want = append(r.want, text(v.parameter(t.columns[row.columns[i]])))
	}
	for _, name := range key {
		i := slices.Index(row.columns, name)
		if i < 0 {
			finding := lostRow(r, fmt.Sprintf("a row of %s that is expected has no value for %s, by which it could be found", c.table, name))
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
		Severity: Failure, Check: CheckRows, Message: message, Path: r.path, Line: r.line, Column: r.column,
		Remedy: "keep the data, or say under then: what the migration makes of it",
	}
}

// checkRows looks for every row that must be there.
func (d *database) checkRows(ctx context.Context, position int, when string) (findings []Finding, looked int, err error) {
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
	result := d.conn.PgConn().ExecParams(ctx, "SELECT "+strings.Join(selected, ", ")+" FROM "+t.name+" WHERE "+strings.Join(conditions, " AND "), parameters, nil, nil, nil).Read()
	var refused *pgconn.PgError
	switch {
	case errors.As(result.Err, &refused):
		return lost("the row %s cannot be found: %s", r, reason(result.Err)), nil
	case result.Err != nil:
		return nil, result.Err
	case len(result.Rows) == 0:
		return lost("the row %s is lost", r), nil
	}
	return d.compareRow(ctx, r, t, texts(result.Rows[0])[1:], lost)
}

// compareRow compares value by value; got are those of the columns that exist.
func (d *database) compareRow(ctx context.Context, r *tracked, t table, got []*string, lost func(string, ...any) []Finding) ([]Finding, error) {
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
			findings = append(findings, lost("the row %s is changed: %s was %s and is %s", r, name, shownValue(r.want[i]), shownValue(is))...)
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
		result := d.conn.PgConn().ExecParams(ctx, "SELECT ($1::text)::"+kind+" = ($2::text)::"+kind, [][]byte{[]byte(*want), []byte(*got)}, nil, nil, nil).Read()
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

// noteInsert keeps a failure to insert, once, for the migration before or after which it was to happen.
func (t *trial) noteInsert(s *set, f Finding) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	version := s.before
	if version == "" {
		version = s.at
	}
	for _, known := range t.inserts[version.Canonical()] {
		if known.Path == f.Path && known.Line == f.Line && known.Column == f.Column {
			return
		}
	}
	if t.inserts == nil {
		t.inserts = map[migration.Version][]Finding{}
	}
	t.inserts[version.Canonical()] = append(t.inserts[version.Canonical()], f)
}
