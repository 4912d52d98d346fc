package whimbrel

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// repairIndex looks at what an earlier attempt left of a concurrent build. An
// invalid index is dropped, so that the rebuild can begin. A valid one is
// kept as the finished work, if an earlier run had begun this step and the
// index is the one that the statement describes. See "Building Indexes
// Concurrently" in PostgreSQL's documentation of CREATE INDEX.
func (r nonTransactional) repairIndex(ctx context.Context, b pgsql.IndexBuild) (done bool, err error) {
	p, s := r.planned, r.step
	var name string
	var valid bool
	err = r.underOurRole(ctx, p, func() error {
		return r.db.conn.QueryRow(ctx, `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid AND i.indisready
		FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE i.indrelid = pg_catalog.to_regclass($1) AND CASE WHEN $2 <> '' THEN c.relname = $2
			ELSE EXISTS (SELECT FROM `+r.db.tables.journal+` j WHERE j.version = $3 AND j.direction = $4 AND j.step = $5
				AND c.oid::text <> ALL (pg_catalog.string_to_array(j.cursor, ' '))) END
		ORDER BY i.indisvalid LIMIT 1`, b.Table, b.Index, p.inJournal(), string(p.Direction), s.Number).Scan(&name, &valid)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for index %s: %w", b.Index, err)
	}
	if !valid {
		r.m.emit(IndexRepaired{Migration: p.Ref(), Index: name, Action: "dropped_invalid"})
		if err := r.lease.held(); err != nil {
			return false, err
		}
		_, err := r.db.conn.PgConn().Exec(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name).ReadAll()
		return false, err
	}
	if !s.Started {
		return false, nil // the server will say that the name is taken
	}
	same, err := r.describes(ctx, b, name)
	if err != nil || !same {
		return false, err
	}
	r.m.emit(IndexRepaired{Migration: p.Ref(), Index: name, Action: "kept_valid"})
	return true, nil
}

// others lists the indexes that the table has before a build whose name the
// server chooses, so that the new one can be told from them.
func (r nonTransactional) others(ctx context.Context, b pgsql.IndexBuild) (list string, err error) {
	if b.Index != "" {
		return "", nil
	}
	err = r.db.conn.QueryRow(ctx, "SELECT coalesce(pg_catalog.string_agg(indexrelid::text, ' '), '0') FROM "+
		"pg_catalog.pg_index WHERE indrelid = pg_catalog.to_regclass($1)", b.Table).Scan(&list)
	return list, err
}

// describes reports whether an index is the one that the statement describes.
// The server itself says so: the same definition, made on an empty copy of the
// table in a transaction that is rolled back, reads the same.
func (r nonTransactional) describes(ctx context.Context, b pgsql.IndexBuild, index string) (bool, error) {
	tx, err := r.db.conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	const copyName = "whimbrel_index_copy"
	steps := []string{
		"CREATE TEMPORARY TABLE " + copyName + " (LIKE " + b.Table + ")",
		b.Before + " " + copyName + "_index ON pg_temp." + copyName + " " + b.Behind,
	}
	for _, sql := range steps {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return false, fmt.Errorf("comparing index %s with its statement: %w", index, err)
		}
	}
	var same bool
	err = tx.QueryRow(ctx,
		`SELECT pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef($1::regclass), '^.*? ON .*? USING ', '') =
		pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef($2::regclass), '^.*? ON .*? USING ', '')
		AND (SELECT indisunique FROM pg_catalog.pg_index WHERE indexrelid = $1::regclass) = (SELECT indisunique FROM pg_catalog.pg_index WHERE indexrelid = $2::regclass)`,
		index, "pg_temp."+copyName+"_index").Scan(&same)
	return same, err
}
