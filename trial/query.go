package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
)

// ask runs the queries that are due when so many migrations are applied.
// They run in transactions that are rolled back.
func (d *database) ask(ctx context.Context, position int) ([]Timing, []Finding, error) {
	var timings []Timing
	var findings []Finding
	for _, q := range d.trial.suite.queries {
		if position < q.from || position > q.to {
			continue
		}
		result, median, err := d.time(ctx, q)
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused):
			last := position == len(d.trial.history.migrations) || position == q.to
			if q.after != "" || d.worked[q] || last {
				findings = append(findings, q.finding(Failure, "cannot run: %s", sandbox.Reason(err)))
			}
			continue // its tables are still to come
		case err != nil:
			return nil, nil, err
		}
		d.worked[q] = true
		timings = append(timings, Timing{Name: q.name, Median: median, Limit: q.limit,
			Runs: q.runs, Rows: len(result.Rows)})
		if median > q.limit {
			slow, err := d.slow(ctx, q, median)
			if err != nil {
				return nil, nil, err
			}
			findings = append(findings, slow)
		}
		d.medians[q] = median
		different, err := d.compareResult(ctx, q, result)
		if err != nil {
			return nil, nil, err
		}
		findings = append(findings, different...)
	}
	return timings, findings, nil
}

func (q *query) finding(severity Severity, format string, args ...any) Finding {
	return Finding{
		Severity: severity, Check: CheckQuery, Message: fmt.Sprintf("the query %q %s", q.name, fmt.Sprintf(format, args...)),
		Path: q.Path, Line: q.Line, Column: q.Column,
	}
}

// time runs a query several times and gives the median of the durations.
func (d *database) time(ctx context.Context, q *query) (*pgconn.Result, time.Duration, error) {
	var parameters [][]byte
	for _, p := range q.parameters {
		parameters = append(parameters, p.parameter(column{category: arrayIfList(p)}))
	}
	var result *pgconn.Result
	var took []time.Duration
	for range q.runs {
		one, duration, err := d.once(ctx, q.sql, parameters)
		if err != nil {
			return nil, 0, err
		}
		result, took = one, append(took, duration)
	}
	slices.Sort(took)
	median := took[len(took)/2]
	if len(took)%2 == 0 {
		median = (median + took[len(took)/2-1]) / 2
	}
	return result, median, nil
}

func arrayIfList(v value) string {
	if _, list := v.parsed.([]any); list {
		return "A"
	}
	return ""
}

// once runs SQL in a transaction that leaves nothing behind.
func (d *database) once(ctx context.Context, sql string, parameters [][]byte) (*pgconn.Result, time.Duration, error) {
	conn := d.conn.PgConn()
	if _, err := conn.Exec(ctx, "BEGIN").ReadAll(); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	result := conn.ExecParams(ctx, sql, parameters, nil, nil, nil).Read()
	took := time.Since(began)
	_, err := conn.Exec(ctx, "ROLLBACK").ReadAll()
	if result.Err != nil {
		return nil, 0, result.Err
	}
	return result, took, err
}

// slow says that a query is over its limit, what it took before this migration, and which
// tables it reads as a whole.
func (d *database) slow(ctx context.Context, q *query, median time.Duration) (Finding, error) {
	severity := Warning
	if q.fail {
		severity = Failure
	}
	f := q.finding(severity, "takes %s in the median of %s, over its limit of %s", present.Duration(median),
		present.Plural(q.runs, "run"), present.Duration(q.limit))
	if before, known := d.medians[q]; known && before <= q.limit {
		f.Message += fmt.Sprintf("; before this migration it took %s", present.Duration(before))
	}
	var parameters [][]byte
	for _, p := range q.parameters {
		parameters = append(parameters, p.parameter(column{category: arrayIfList(p)}))
	}
	result, _, err := d.once(ctx, "EXPLAIN (FORMAT JSON) "+q.sql, parameters)
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return f, nil // not everything can be explained
	}
	if err != nil {
		return f, err
	}
	var plan any
	if err := json.Unmarshal(result.Rows[0][0], &plan); err == nil {
		if tables := readWhole(plan); len(tables) > 0 {
			f.Message += "; it reads the whole of " + strings.Join(tables, ", ")
			f.Remedy = "look whether an index is missing"
		}
	}
	return f, nil
}

// readWhole gives the tables that a plan reads from end to end.
func readWhole(plan any) []string {
	var tables []string
	switch node := plan.(type) {
	case []any:
		for _, part := range node {
			tables = append(tables, readWhole(part)...)
		}
	case map[string]any:
		if name, ok := node["Relation Name"].(string); ok && node["Node Type"] == "Seq Scan" {
			tables = append(tables, name)
		}
		for _, key := range []string{"Plan", "Plans"} {
			tables = append(tables, readWhole(node[key])...)
		}
	}
	slices.Sort(tables)
	return slices.Compact(tables)
}

// compareResult compares a result with what is expected of it.
func (d *database) compareResult(ctx context.Context, q *query, result *pgconn.Result) ([]Finding, error) {
	count := len(q.rows)
	if q.count != nil {
		count = *q.count
	}
	if (q.count != nil || q.hasRows) && len(result.Rows) != count {
		return []Finding{q.finding(Failure, "gives %s, and %d expected", present.Plural(len(result.Rows), "row"), count)}, nil
	}
	var findings []Finding
	for i, expected := range q.rows {
		if expected.columns == nil && len(expected.values) != len(result.FieldDescriptions) {
			findings = append(findings, q.finding(Failure, "gives rows of %s, and row %d of the file has %d",
				present.Plural(len(result.FieldDescriptions), "value"), i+1, len(expected.values)))
			continue
		}
		got := texts(result.Rows[i])
		for j, v := range expected.values {
			at := j
			if expected.columns != nil {
				at = slices.IndexFunc(result.FieldDescriptions,
					func(f pgconn.FieldDescription) bool { return f.Name == expected.columns[j] })
			}
			if at < 0 {
				findings = append(findings, q.finding(Failure, "gives no column %s", expected.columns[j]))
				continue
			}
			field := result.FieldDescriptions[at]
			var kind, category string
			if err := d.conn.QueryRow(ctx, "SELECT format_type(oid, -1), typcategory::text FROM pg_type WHERE oid = $1",
				field.DataTypeOID).Scan(&kind, &category); err != nil {
				return nil, err
			}
			want := text(v.parameter(column{category: category}))
			same, err := d.same(ctx, want, got[at], "", kind)
			if err != nil {
				return nil, err
			}
			if !same {
				findings = append(findings, q.finding(Failure, "gives in row %d as %s %s, and %s is expected", i+1, field.Name,
					shownValue(got[at]), shownValue(want)))
			}
		}
	}
	return findings, nil
}
