package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// fill gives every table that was not filled before so many rows, those that
// others refer to first. What could not be filled is noted.
func (d *database) fill(ctx context.Context, rows int) error {
	tables, err := d.fillable(ctx)
	if err != nil {
		return err
	}
	changed := false
	for _, t := range inOrder(tables) {
		if d.filled[t.OID] {
			continue
		}
		d.filled[t.OID] = true
		f := &filling{database: d, table: t, rows: rows}
		why, err := f.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		changed = true
		if why != "" {
			d.trial.note(Finding{
				Severity: Warning, Check: CheckFill,
				Message: fmt.Sprintf("the table %s could not be filled with %s: %s", t.Name, present.Plural(rows, "row"), why),
				Remedy:  "give it rows in a file of tests, if its size matters",
			})
		}
	}
	if !changed {
		return nil
	}
	_, err = d.conn.Exec(ctx, "ANALYZE")
	return err
}

// filling is the attempt to fill one table.
type filling struct {
	database *database
	table    fillTable
	rows     int
	base     int // the number of the row before the first generated one

	columns []*fillColumn // those that are given a value
	joins   []join        // where values of foreign keys come from
}

// join takes the columns of a foreign key from the rows of another table.
type join struct {
	fillForeign
	count int
	index string // which of the rows, an expression of i
}

// attempts is how many combinations of values are tried for a table.
const attempts = 600

// sampleRows is how many rows are tried before all are made.
const sampleRows = 6

// spread is where the numbers of generated rows begin in tables that have rows
// of their own, so that keys are not likely to be taken.
const spread = 1_000_000

// run fills the table. why is the reason for which there are fewer rows than wanted.
func (f *filling) run(ctx context.Context) (why string, err error) {
	var existing int
	conn := f.database.conn
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+f.table.Name).Scan(&existing); err != nil || existing >= f.rows {
		return "", err
	}
	if existing > 0 {
		f.base = spread
	}
	if why, err := f.join(ctx, existing); why != "" || err != nil {
		return why, err
	}
	for i := range f.table.Columns {
		c := &f.table.Columns[i]
		if c.Omitted || f.joined(c.Number) {
			continue
		}
		if err := f.choose(ctx, c); err != nil {
			return "", err
		}
		if len(c.candidates) == 0 {
			return fmt.Sprintf("no value of type %s is known for its column %s", c.Type, c.Name), nil
		}
		f.columns = append(f.columns, c)
	}
	inserted, why, err := f.search(ctx, f.rows-existing)
	if got := existing + inserted; why == "" && err == nil && float64(got) < enough*float64(f.rows) {
		why = fmt.Sprintf("only %s fit its unique and exclusion constraints", present.Plural(got, "row"))
	}
	return why, err
}

// enough is the share of the wanted rows with which a table counts as filled.
const enough = 0.95

// join finds the rows that foreign keys can refer to.
func (f *filling) join(ctx context.Context, existing int) (why string, err error) {
	for _, key := range f.table.Foreign {
		if slices.ContainsFunc(key.Columns, f.joined) {
			continue // a column of another key; if both cannot hold, the server will say so
		}
		nullable := !slices.ContainsFunc(f.table.Columns, func(c fillColumn) bool {
			return slices.Contains(key.Columns,
				c.Number) && c.NotNull
		})
		var count int
		if key.Target != f.table.Name || existing > 0 {
			if err := f.database.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT FROM %s LIMIT %d) few",
				key.Target, f.rows)).Scan(&count); err != nil {
				return "", err
			}
		}
		if count == 0 && !nullable {
			return fmt.Sprintf("its foreign key %s needs rows of %s, which has none", key.Name, key.Target), nil
		}
		if count == 0 {
			for i := range f.table.Columns {
				if slices.Contains(key.Columns, f.table.Columns[i].Number) {
					f.table.Columns[i].Omitted = f.table.Columns[i].Omitted || !f.table.Columns[i].Default
					f.table.Columns[i].Empty = true
				}
			}
			continue
		}
		f.joins = append(f.joins, join{key, count, ""})
	}
	// Keys that are unique together go through all pairs; others go in step.
	for i := range f.joins {
		stride := 1
		for j := range i {
			if f.table.uniteUniquely(f.joins[i].Columns, f.joins[j].Columns) {
				stride = min(stride*f.joins[j].count, 1<<40)
			}
		}
		f.joins[i].index = fmt.Sprintf("(i - 1) / %d %% %d", stride, f.joins[i].count)
	}
	return "", nil
}

func (f *filling) joined(column int) bool {
	return slices.ContainsFunc(f.joins, func(j join) bool { return slices.Contains(j.Columns, column) })
}

// choose keeps the candidates for a column that the server can compute; of a
// column that must be unique, those that give a value to each row, if there are any.
func (f *filling) choose(ctx context.Context, c *fillColumn) error {
	if c.Empty {
		c.candidates = []string{"NULL"}
		return nil
	}
	var distinct []string
	for _, candidate := range c.expressions(f.table.literals(c.Number)) {
		result, _, err := f.database.once(ctx, fmt.Sprintf("SELECT ((%s)::%s)::text FROM generate_series(%d::bigint, %d) i",
			candidate, c.Type, f.base+1, f.base+sampleRows), nil)
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused):
			continue // what it gives does not fit the type, or not its domain
		case err != nil:
			return err
		}
		c.candidates = append(c.candidates, candidate)
		values := map[string]bool{}
		for _, row := range result.Rows {
			values[string(row[0])] = true
		}
		if len(values) == sampleRows {
			distinct = append(distinct, candidate)
		}
	}
	if f.table.unique(c.Number) && len(distinct) > 0 {
		c.candidates = distinct
	}
	if !c.NotNull {
		c.candidates = append(c.candidates, "NULL")
	}
	return nil
}

// search tries combinations of candidates, first with a few rows and then with
// all, until they are accepted.
func (f *filling) search(ctx context.Context, rows int) (inserted int, why string, err error) {
	tries := map[string]int{} // by what refused
	for range attempts {
		_, _, err := f.database.once(ctx, f.insert(min(sampleRows, rows)), nil)
		if err == nil {
			tag, failed := f.database.conn.Exec(ctx, f.insert(rows))
			inserted, err = int(tag.RowsAffected()), failed
		}
		var refused *pgconn.PgError
		if err == nil || !errors.As(err, &refused) {
			return inserted, "", err
		}
		guilty := f.guilty(refused)
		if len(guilty) == 0 {
			return 0, reason(err), nil
		}
		key := refused.Code + refused.ConstraintName + refused.ColumnName
		tries[key]++
		if !next(guilty, tries[key]) {
			return 0, "no values were found that fit: " + reason(err), nil
		}
	}
	return 0, fmt.Sprintf("no values were found that fit, in %d attempts", attempts), nil
}

// guilty are the columns whose values a constraint has refused.
func (f *filling) guilty(refused *pgconn.PgError) []*fillColumn {
	var numbers []int
	switch refused.Code {
	case "23514": // check_violation; a row without a partition is one without a name
		numbers = f.table.Partition
		for _, check := range f.table.Checks {
			if check.Name == refused.ConstraintName {
				numbers = check.Columns
			}
		}
	case "23502": // not_null_violation
	default:
		return nil
	}
	var columns []*fillColumn
	for _, c := range f.columns {
		if slices.Contains(numbers, c.Number) || refused.Code == "23502" && c.Name == refused.ColumnName {
			columns = append(columns, c)
		}
	}
	return columns
}

// next sets the columns to their combination of a number, and reports whether there is one.
func next(columns []*fillColumn, number int) bool {
	for _, c := range columns {
		c.chosen = number % len(c.candidates)
		number /= len(c.candidates)
	}
	return number == 0
}

// insert is the statement for so many rows.
func (f *filling) insert(rows int) string {
	var names, values, from []string
	from = append(from, fmt.Sprintf("generate_series(%d::bigint, %d) i", f.base+1, f.base+rows))
	for n, j := range f.joins {
		var keys []string
		for k, number := range j.Columns {
			column := f.table.column(number)
			names = append(names, pgx.Identifier{column.Name}.Sanitize())
			values = append(values, fmt.Sprintf("f%d.k%d", n, k))
			keys = append(keys, fmt.Sprintf("%s AS k%d", pgx.Identifier{j.TargetColumns[k]}.Sanitize(), k))
		}
		from = append(from, fmt.Sprintf("JOIN (SELECT %s, row_number() OVER () - 1 AS n FROM (SELECT * FROM %s LIMIT %d) "+
			"few) f%d ON f%d.n = %s",
			strings.Join(keys, ", "), j.Target, j.count, n, n, j.index))
	}
	for _, c := range f.columns {
		names = append(names, pgx.Identifier{c.Name}.Sanitize())
		values = append(values, fmt.Sprintf("(%s)::%s", c.candidates[c.chosen], c.Type))
	}
	if len(names) == 0 { // the table gives its columns their values
		return fmt.Sprintf("INSERT INTO %s SELECT FROM %s ON CONFLICT DO NOTHING", f.table.Name, from[0])
	}
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s ON CONFLICT DO NOTHING", f.table.Name,
		strings.Join(names, ", "), strings.Join(values, ", "), strings.Join(from, " "))
}
