package sandbox

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

// Filling says how tables get rows.
type Filling struct {
	Rows   int                   // that each is to have
	Except []string              // tables that get none, with their schema, as quote_ident writes both
	Done   func(oid uint32) bool // tables that have been filled
	// Probe is set where rows are there for a look at what statements do: each partition gets
	// its own, past triggers and foreign keys, which only a superuser can do, and texts are of
	// digits, so that they convert to other types.
	Probe bool
}

// Filled is a table that was filled, as far as it could be.
type Filled struct {
	OID  uint32
	Name string
	Rows int
	Why  string // there are fewer rows than wanted
}

// Fill gives every table rows that respect its constraints, those that others refer to
// first. Keys are high, to keep clear of those that migrations write.
func (f Filling) Fill(ctx context.Context, conn *pgx.Conn) (all []Filled, err error) {
	tables, err := f.fillable(ctx, conn)
	if err != nil {
		return nil, err
	}
	for _, t := range inOrder(tables) {
		if f.Done(t.OID) {
			continue
		}
		filling := &filling{Filling: f, conn: conn, table: t}
		rows, why, err := filling.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		all = append(all, Filled{t.OID, t.Name, rows, why})
	}
	return all, nil
}

// filling is the attempt to fill one table.
type filling struct {
	Filling
	conn  *pgx.Conn
	table fillTable

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

// spread is where the numbers of rows begin in keys, so that those that a migration
// writes are not taken. Few of the last digits are low: a key may be short.
const spread = 1_000_500

// run fills the table. why is the reason for which there are fewer rows than wanted.
func (f *filling) run(ctx context.Context) (rows int, why string, err error) {
	var existing int
	if err := f.conn.QueryRow(ctx, "SELECT count(*) FROM "+f.table.Name).Scan(&existing); err != nil ||
		existing >= f.Rows {
		return existing, "", err
	}
	if why, err := f.join(ctx, existing); why != "" || err != nil {
		return existing, why, err
	}
	for i := range f.table.Columns {
		c := &f.table.Columns[i]
		if c.Omitted || f.joined(c.Number) {
			continue
		}
		c.candidates = f.expressions(c)
		f.columns = append(f.columns, c)
	}
	if why := f.known(); why != "" {
		return existing, why, nil
	}
	if likeliest, err := f.quickly(ctx, f.Rows-existing); likeliest > 0 || err != nil {
		return existing + likeliest, "", err
	}
	for _, c := range f.columns {
		if err := f.choose(ctx, c); err != nil {
			return existing, "", err
		}
	}
	if why := f.known(); why != "" {
		return existing, why, nil
	}
	inserted, why, err := f.search(ctx, f.Rows-existing)
	rows = existing + inserted
	if why == "" && err == nil && float64(rows) < enough*float64(f.Rows) {
		why = fmt.Sprintf("only %s fit its unique and exclusion constraints", present.Plural(rows, "row"))
	}
	return rows, why, err
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
			if err := f.conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT FROM %s LIMIT %d) few",
				key.Target, f.Rows)).Scan(&count); err != nil {
				return "", err
			}
		}
		if count == 0 && f.Probe {
			continue // rows that refer to each other have the same numbers
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
		f.joins[i].index = fmt.Sprintf("(n.i - 1) / %d %% %d", stride, f.joins[i].count)
	}
	return "", nil
}

func (f *filling) joined(column int) bool {
	return slices.ContainsFunc(f.joins, func(j join) bool { return slices.Contains(j.Columns, column) })
}

// expressions are the candidates for a column, the likeliest first.
func (f *filling) expressions(c *fillColumn) []string {
	if c.Empty {
		return []string{"NULL"}
	}
	all := c.expressions(f.table.literals(c.Number))
	if !c.NotNull {
		all = append(all, "NULL")
	}
	return all
}

// known leaves columns of which no value is known to their defaults; why is one without.
func (f *filling) known() (why string) {
	f.columns = slices.DeleteFunc(f.columns, func(c *fillColumn) bool {
		unknown := len(c.candidates) == 0
		if unknown && !c.Default && why == "" {
			why = fmt.Sprintf("no value of type %s is known for its column %s", c.Type, c.Name)
		}
		return unknown
	})
	return why
}

// quickly fills the table with the likeliest values; where they do not fit, with nothing.
func (f *filling) quickly(ctx context.Context, rows int) (inserted int, err error) {
	tx, err := f.conn.Begin(ctx)
	if err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, f.insert(rows))
	if got := tag.RowsAffected(); err == nil && float64(got) >= enough*float64(rows) {
		return int(got), tx.Commit(ctx)
	}
	var refused *pgconn.PgError
	if rolled := tx.Rollback(ctx); err == nil || errors.As(err, &refused) {
		err = rolled
	}
	return 0, err
}

// choose keeps the candidates for a column that the server can compute; of a
// column that must be unique, those that give a value to each row, if there are any.
func (f *filling) choose(ctx context.Context, c *fillColumn) error {
	var distinct, computed []string
	for _, candidate := range c.candidates {
		rows, err := f.conn.Query(ctx, fmt.Sprintf("SELECT (%s)::text FROM generate_series(1::bigint, %d) n(i)",
			f.value(c, candidate), sampleRows))
		var texts []*string
		if err == nil {
			texts, err = pgx.CollectRows(rows, pgx.RowTo[*string])
		}
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused):
			continue // what it gives does not fit the type, or not its domain
		case err != nil:
			return err
		}
		computed = append(computed, candidate)
		values := map[string]bool{}
		for _, text := range texts {
			if text != nil {
				values[*text] = true
			}
		}
		if len(values) == sampleRows {
			distinct = append(distinct, candidate)
		}
	}
	c.candidates = computed
	if f.table.unique(c.Number) && len(distinct) > 0 {
		c.candidates = distinct
		if !c.NotNull {
			c.candidates = append(c.candidates, "NULL")
		}
	}
	return nil
}

// search tries combinations of candidates, first with a few rows and then with
// all, until they are accepted.
func (f *filling) search(ctx context.Context, rows int) (inserted int, why string, err error) {
	tries := map[string]int{} // by what refused
	for range attempts {
		tag, err := f.conn.Exec(ctx, f.insert(rows))
		var refused *pgconn.PgError
		if err == nil || !errors.As(err, &refused) {
			return int(tag.RowsAffected()), "", err
		}
		guilty := f.guilty(refused)
		if len(guilty) == 0 {
			return 0, Reason(err), nil
		}
		key := refused.Code + refused.ConstraintName + refused.ColumnName
		tries[key]++
		if !next(guilty, tries[key]) {
			return 0, "no values were found that fit: " + Reason(err), nil
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
	from = append(from, fmt.Sprintf("generate_series(1::bigint, %d) n(i)", rows))
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
		values = append(values, f.value(c, c.candidates[c.chosen]))
	}
	if len(names) == 0 { // the table gives its columns their values
		return fmt.Sprintf("INSERT INTO %s SELECT FROM %s ON CONFLICT DO NOTHING", f.table.Name, from[0])
	}
	return fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s ON CONFLICT DO NOTHING",
		f.table.Name,
		strings.Join(names, ", "), strings.Join(values, ", "), strings.Join(from, " "))
}

// value is a candidate as a value of its column: in keys, the number of a row is a high one.
func (f *filling) value(c *fillColumn, candidate string) string {
	typed := fmt.Sprintf("(%s)::%s", candidate, c.Type)
	if !f.table.key(c.Number) {
		return typed
	}
	return fmt.Sprintf("(SELECT %s FROM (SELECT n.i + %d) high(i))", typed, spread)
}

// Reason is what the server said, in one line.
func Reason(err error) string {
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
