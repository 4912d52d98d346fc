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

	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/migration"
)

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
				d.trial.noteInsert(p.set, insertFailure(p.row.spot, "a row of "+p.set.table+" could not be inserted: "+
					sandbox.Reason(failures[i])))
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

func insertFailure(at spot, message string) Finding {
	return Finding{
		Severity: Failure, Check: CheckInsert, Message: message, Path: at.Path, Line: at.Line, Column: at.Column,
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
		return notInserted("no such table at that time")
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
			return notInserted(fmt.Sprintf("no column %q at that time", name))
		}
		names = append(names, pgx.Identifier{name}.Sanitize())
		places = append(places, fmt.Sprintf("$%d", i+1))
		parameters = append(parameters, p.row.values[i].parameter(c))
		r.types = append(r.types, c.kind)
	}
	for _, name := range slices.Concat(key, p.row.columns) {
		if _, exists := t.columns[name]; !exists {
			return notInserted(fmt.Sprintf("no column %q at that time", name))
		}
		returned = append(returned, pgx.Identifier{name}.Sanitize()+"::text")
	}
	sql := "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ") OVERRIDING SYSTEM VALUE VALUES (" +
		strings.Join(places, ", ") + ") RETURNING " + strings.Join(returned, ", ")
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
		at.Line += strings.Count(before, "\n")
		at.Column = len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	}
	d.trial.noteInsert(s, insertFailure(at, "the rows could not be inserted: "+sandbox.Reason(err)))
	_, err = conn.Exec(ctx, "ROLLBACK").ReadAll()
	return err
}

// writtenRows are the rows that the open transaction has written, in tables with a primary key.
func (d *database) writtenRows(ctx context.Context, s *set) ([]*tracked, error) {
	rows, err := d.conn.Query(ctx,
		`SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.oid >= 16384 AND n.nspname NOT IN ('`+observerSchema+
			`', 'information_schema') AND n.nspname !~ '^pg_' GROUP BY 1 ORDER BY 1`)
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
