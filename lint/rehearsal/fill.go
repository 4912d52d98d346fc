package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/sandbox"
)

// fill gives rows to every table that has none yet. A table for which nothing works stays
// empty, and what is observed of it then refutes nothing.
func (s *stage) fill(ctx context.Context) (err error) {
	if s.invalid, err = s.invalidIndexes(ctx); err != nil {
		return fmt.Errorf("reading which indexes are invalid: %w", err)
	}
	oids := []uint32{}
	for oid, filled := range s.filled {
		if filled {
			oids = append(oids, oid)
		}
	}
	rows, err := s.count(ctx, oids)
	if err != nil {
		return fmt.Errorf("counting rows: %w", err)
	}
	if _, err := s.conn.Exec(ctx, "SET session_replication_role = replica"); err != nil {
		return err
	}
	tables, err := sandbox.Filling{Rows: s.options.Rows, Probe: true,
		Done: func(oid uint32) bool { return s.filled[oid] && rows[oid] > 0 }}.Fill(ctx, s.conn)
	if _, reset := s.conn.Exec(context.WithoutCancel(ctx), "RESET session_replication_role"); err != nil || reset != nil {
		return errors.Join(err, reset)
	}
	for _, t := range tables {
		s.filled[t.OID], s.unfilled[t.OID] = t.Rows > 0, ""
		if t.Rows == 0 {
			s.unfilled[t.OID] = "no row could be made up: " + t.Why
		}
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
	rows, err := s.conn.Query(ctx, `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relpersistence <> 't'
		AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for some := range slices.Chunk(names, mostCounted) {
		if _, err := s.conn.Exec(ctx, "TRUNCATE "+strings.Join(some, ", ")+" CASCADE"); err != nil {
			return err
		}
	}
	clear(s.filled)
	return s.dropInvalid(ctx)
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
