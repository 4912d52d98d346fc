package rehearsal

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/lint"
)

// lookBefore notes what there is at the moment before a statement runs: how many rows
// the tables have that the transaction may have changed, and what it has read so far.
func (s *stage) lookBefore(ctx context.Context, before *picture, held []lint.Lock) error {
	changed := func(t state) bool {
		name := t.name.String()
		return held == nil || slices.ContainsFunc(held, func(l lint.Lock) bool {
			return l.Table == name &&
				l.Mode >= lint.RowExclusive
		})
	}
	oids := []uint32{}
	for oid, t := range before.tables {
		if t.holdsRows && changed(t) {
			oids = append(oids, oid)
		}
	}
	rows, err := s.count(ctx, oids)
	if err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	for oid, n := range rows {
		t := before.tables[oid]
		t.rows = n
		before.tables[oid] = t
	}
	if before.read, err = s.counts(ctx); err != nil { // what transactions before have read may still be counted
		return err
	}
	return nil
}

// asOurselves makes a part of a transaction ours, whatever the file has set.
const asOurselves = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE; SET LOCAL row_security = off; SET " +
	"LOCAL statement_timeout = 0"

// mostCounted is how many tables are counted at a time: each is locked meanwhile.
const mostCounted = 50

// count counts the rows of tables as the session sees them. A savepoint takes back the
// locks that this takes, and the settings that it needs: the file may have made the
// session another role's.
func (s *stage) count(ctx context.Context, oids []uint32) (map[uint32]int64, error) {
	all := map[uint32]int64{}
	begin, end := "SAVEPOINT whimbrel_rehearsal", "ROLLBACK TO SAVEPOINT whimbrel_rehearsal; RELEASE SAVEPOINT "+
		"whimbrel_rehearsal"
	if s.conn.PgConn().TxStatus() == 'I' {
		begin, end = "BEGIN", "ROLLBACK"
	}
	slices.Sort(oids)
	for some := range slices.Chunk(oids, mostCounted) {
		if _, err := s.conn.Exec(ctx, begin+"; "+asOurselves); err != nil {
			return nil, err
		}
		err := s.countSome(ctx, some, all)
		if _, ended := s.conn.Exec(ctx, end); err == nil {
			err = ended
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s *stage) countSome(ctx context.Context, oids []uint32, all map[uint32]int64) error {
	var names []string
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(oids), " ", ","), "[]")
	rows, err := s.conn.Query(ctx,
		`SELECT pg_catalog.format('SELECT %s::pg_catalog.oid, pg_catalog.count(*) FROM ONLY %I.%I', c.oid, n.nspname, c.relname)
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid IN (`+list+`) AND (c.relkind = 'r' OR c.relispopulated AND c.relkind = 'm')`)
	if err == nil {
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil || len(names) == 0 {
		return err
	}
	if rows, err = s.conn.Query(ctx, strings.Join(names, " UNION ALL ")); err != nil {
		return err
	}
	var oid uint32
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&oid, &n}, func() error { all[oid] = n; return nil })
	return err
}

// calling are the commands by which a statement may run the body of a function.
var calling = plaintext.Pattern(
	`^(?i:DO|CALL|SELECT|WITH|VALUES|INSERT|UPDATE|DELETE|MERGE|COPY|EXPLAIN|EXECUTE|CREATE TABLE AS|REFRESH)\b`)

// longestHeard is up to which length a statement is listened to: the server writes
// out the tree of each.
const longestHeard = 64 << 10

// listen runs a statement while the server tells of every statement that it analyzes,
// which it does with a statement of a function's body when that first runs, and with
// the text of an EXECUTE each time. So it is known what of the bodies did run.
//
// See "debug_print_parse" in PostgreSQL's documentation.
func (s *stage) listen(ctx context.Context, o *lint.Observation, run func() error) error {
	local := s.conn.PgConn().TxStatus() == 'T'
	var print, messages string
	err := s.conn.QueryRow(ctx, `SELECT current_setting('debug_print_parse'), current_setting('client_min_messages'),
		set_config('debug_pretty_print', 'off', $1), set_config('client_min_messages', 'log', $1), set_config('debug_print_parse', 'on', $1)`, local).
		Scan(&print, &messages, nil, nil, nil)
	if err != nil {
		return err
	}
	s.listening, s.notices = true, nil
	failed := run()
	s.listening = false
	for _, n := range s.notices {
		if ran, ok := ranOf(n); ok && !slices.Contains(o.Ran, ran) {
			o.Ran = append(o.Ran, ran)
		}
	}
	s.notices = nil
	if s.conn.IsClosed() || s.conn.PgConn().TxStatus() == 'E' {
		return failed // the rollback takes the settings back
	}
	local = local && s.conn.PgConn().TxStatus() == 'T'
	_, err = s.conn.Exec(ctx, "SELECT set_config('debug_print_parse', $1, $3), set_config('client_min_messages', $2, $3)",
		print, messages, local)
	if failed != nil {
		return failed
	}
	return err
}

// The contexts of messages, as the server writes them.
var (
	inBlock = plaintext.Pattern(
		`(?s)^(?:SQL statement|SQL expression|PL/pgSQL expression|PL/pgSQL assignment) "(.*?)"\nPL/pgSQL function (.+?) line (\d+) at ([^\n]*)`)
	inFunction = plaintext.Pattern(`^SQL function "(.+?)" (?:during startup|statement)`)
)

// ranOf reads what ran where from the context of a message about it.
func ranOf(n *pgconn.Notice) (lint.Ran, bool) {
	if m := inBlock().FindStringSubmatch(n.Where); m != nil {
		line, err := strconv.Atoi(m[3])
		return lint.Ran{Function: functionName(m[2]), Line: line, Text: m[1]}, err == nil
	}
	if m := inFunction().FindStringSubmatch(n.Where); m != nil {
		return lint.Ran{Function: m[1]}, true
	}
	return lint.Ran{}, false
}

// functionName takes the name out of a signature, without its schema.
func functionName(signature string) string {
	name, _, _ := strings.Cut(signature, "(")
	return strings.Trim(name[strings.LastIndex(name, ".")+1:], `"`)
}

// dropInvalid drops the indexes that failed builds have left since the tables were
// filled, as the engine does before it builds once more.
func (s *stage) dropInvalid(ctx context.Context) error {
	invalid, err := s.invalidIndexes(ctx)
	if err != nil {
		return err
	}
	for _, name := range invalid {
		if slices.Contains(s.invalid, name) {
			continue
		}
		if _, err := s.conn.Exec(ctx, "DROP INDEX "+name); err != nil {
			return err
		}
	}
	return nil
}

// invalidIndexes lists the indexes that back no constraint and are invalid, quoted.
func (s *stage) invalidIndexes(ctx context.Context) ([]string, error) {
	rows, err := s.conn.Query(ctx, `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_index i
		JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname <> 'pg_toast'
		  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid)`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
