package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// lookAtLocks reads what the session has locked of the tables that were there, and
// what of it is new since the statement before.
//
// See "pg_locks" in PostgreSQL's documentation.
func (s *stage) lookAtLocks(ctx context.Context, before *picture, o *lint.Observation, held []lint.Lock) error {
	rows, err := s.conn.Query(ctx, `SELECT relation, mode FROM pg_catalog.pg_locks
		WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted AND relation IS NOT NULL`)
	if err != nil {
		return err
	}
	strongest := map[string]lint.Mode{}
	var oid uint32
	var mode string
	_, err = pgx.ForEachRow(rows, []any{&oid, &mode}, func() error {
		if t, was := before.tables[oid]; was {
			name := t.name.String()
			strongest[name] = max(strongest[name], pgsql.LockModeOf(mode))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for name, mode := range strongest {
		lock := lint.Lock{Table: name, Mode: mode}
		o.Held = append(o.Held, lock)
		if !slices.Contains(held, lock) {
			o.Locks = append(o.Locks, lock)
		}
	}
	byName := func(a, b lint.Lock) int { return strings.Compare(a.Table, b.Table) }
	slices.SortFunc(o.Held, byName)
	slices.SortFunc(o.Locks, byName)
	return nil
}

// lookAtCounts reads how many rows of each table the transaction has read and
// changed, less what it had before the statement.
func (s *stage) lookAtCounts(ctx context.Context, before *picture, o *lint.Observation) error {
	now, err := s.counts(ctx)
	if err != nil {
		return err
	}
	for oid, is := range now {
		t, was := before.tables[oid]
		if !was || s.conn.PgConn().TxStatus() != 'T' {
			continue
		}
		earlier := before.read[oid]
		if n := is.read - earlier.read; n > 0 {
			o.Read[t.name.String()] = n
		}
		if n := is.changed - earlier.changed; n > 0 {
			o.Changed[t.name.String()] = n
		}
	}
	before.read = now
	return nil
}

// counts reads the counters of the rows of each table that the session has read and
// changed. Building an index, rewriting a table and checking a constraint count as
// reading. Within a transaction the counters only grow.
//
// See "The Cumulative Statistics System" in PostgreSQL's documentation, functions
// pg_stat_get_xact_….
func (s *stage) counts(ctx context.Context) (map[uint32]counts, error) {
	rows, err := s.conn.Query(ctx,
		`SELECT c.oid, pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid),
		pg_stat_get_xact_tuples_updated(c.oid) + pg_stat_get_xact_tuples_deleted(c.oid)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'`)
	if err != nil {
		return nil, err
	}
	all := map[uint32]counts{}
	var oid uint32
	var c counts
	_, err = pgx.ForEachRow(rows, []any{&oid, &c.read, &c.changed}, func() error {
		all[oid] = c
		return nil
	})
	return all, err
}

func reader(text string) io.Reader { return strings.NewReader(text) }

// aboveFrom is the comparison with a range's lower bound, which is not in the range.
var aboveFrom = plaintext.Pattern(`>(\s*\(?\s*:from)`)

// wholeRange writes a batch's statement for all keys of its table at once, or says
// why it does not run.
func (s *stage) wholeRange(ctx context.Context, statement migration.Statement) (text, notRun string, err error) {
	b := statement.Batch
	var values, rising, falling []string
	for _, name := range b.Key {
		key := pgx.Identifier{name}.Sanitize()
		values, rising, falling = append(values, key+"::text"), append(rising, key), append(falling, key+" DESC")
	}
	edge := func(order []string) (string, error) {
		rows, err := s.conn.Query(ctx, fmt.Sprintf("SELECT ARRAY[%s] FROM %s WHERE (%s) IS NOT NULL ORDER BY %s LIMIT 1",
			strings.Join(values, ", "), pgx.Identifier(b.TableName()).Sanitize(), strings.Join(rising, ", "),
			strings.Join(order, ", ")))
		if err != nil {
			return "", err
		}
		key, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]string])
		if err != nil {
			return "", err
		}
		for i, value := range key {
			key[i] = quote(value)
		}
		return strings.Join(key, ", "), nil
	}
	from, err := edge(rising)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", b.Table + " had no rows for a batch", nil
	}
	if err != nil {
		return "", "", err
	}
	to, err := edge(falling)
	if err != nil {
		return "", "", err
	}
	text = aboveFrom().ReplaceAllString(statement.Text, ">=$1") // the first key is in
	return strings.NewReplacer(":from", from, ":to", to).Replace(text), "", nil
}
