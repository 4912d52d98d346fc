package whimbrel

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// invalidCopies finds what such failures leave, except where somebody is at
// work on the table at this moment.
const invalidCopies = `FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.relid = i.indrelid AND p.pid <> pg_catalog.pg_backend_pid())`

// copies lists the invalid copies that are there before a rebuild, and not its own.
func (r nonTransactional) copies(ctx context.Context) (list string, err error) {
	err = r.db.conn.QueryRow(ctx, "SELECT coalesce(pg_catalog.string_agg(i.indexrelid::text, ' '), '0') "+
		invalidCopies).Scan(&list)
	return list, err
}

// dropCopies removes the invalid copies that an attempt at this step has left:
// those that were not there when it began, as the journal tells.
func (r nonTransactional) dropCopies(ctx context.Context) error {
	p := r.planned
	var names []string
	err := r.underOurRole(ctx, p, func() error {
		rows, err := r.db.conn.Query(ctx, "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) "+invalidCopies+
			" AND EXISTS (SELECT FROM "+r.db.tables.journal+" j WHERE j.version = $1 AND j.direction = $2 AND j.step = $3 AND "+
			"c.oid::text <> ALL (pg_catalog.string_to_array(j.cursor, ' ')))",
			p.inJournal(), string(p.Direction), r.step.Number)
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return fmt.Errorf("looking for what a failed REINDEX left: %w", err)
	}
	for _, name := range names {
		if err := r.lease.held(); err != nil {
			return err
		}
		r.m.emit(IndexRepaired{Migration: p.Ref(), Index: name, Action: "dropped_invalid"})
		if _, err := r.db.conn.PgConn().Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}
