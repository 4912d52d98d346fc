package whimbrel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// build is what a CREATE INDEX CONCURRENTLY says, as far as its outcome has to
// be recognised in the catalog.
type build struct {
	index string // unquoted; empty where the server chooses the name
	table string // as written, with its schema and quotes
	// definition is the statement for another table, in a transaction:
	// without CONCURRENTLY, IF NOT EXISTS and the names.
	before, behind string
}

// indexBuild reads a CREATE [UNIQUE] INDEX CONCURRENTLY.
func indexBuild(s migration.Statement) (build, bool) {
	if !strings.HasPrefix(s.Command, "CREATE") || !strings.HasSuffix(s.Command, "INDEX CONCURRENTLY") {
		return build{}, false
	}
	var b build
	b.before = "CREATE INDEX"
	if strings.Contains(s.Command, "UNIQUE") {
		b.before = "CREATE UNIQUE INDEX"
	}
	const (
		toConcurrently = iota
		toName
		toTable
		inTable
	)
	at := toConcurrently
	for token := range pgsql.Tokens(s.Text) {
		if token.Kind <= pgsql.BlockComment {
			continue
		}
		word := ""
		if token.Kind == pgsql.Word {
			word = strings.ToUpper(token.Text)
		}
		switch {
		case at == toConcurrently:
			if word == "CONCURRENTLY" {
				at = toName
			}
		case at == toName && word == "ON":
			at = toTable
		case at == toName && word != "IF" && word != "NOT" && word != "EXISTS":
			b.index = pgsql.Identifier(token.Text)
		case at == toTable && word == "ONLY":
		case at == toTable || at == inTable && (token.Text == "." || strings.HasSuffix(b.table, ".")):
			at = inTable
			b.table += token.Text
		case at == inTable:
			b.behind = s.Text[token.Offset:]
			return b, true
		}
	}
	return build{}, false
}

// repairIndex looks at what an earlier attempt left of a concurrent build. An
// invalid index is dropped, so that the rebuild can begin. A valid one is
// kept as the finished work, if an earlier run had begun this step and the
// index is the one that the statement describes. See "Building Indexes
// Concurrently" in PostgreSQL's documentation of CREATE INDEX.
func (r nonTransactional) repairIndex(ctx context.Context, b build) (done bool, err error) {
	p, s := r.planned, r.step
	var name string
	var valid bool
	err = r.underOurRole(ctx, p, func() error {
		return r.db.conn.QueryRow(ctx, `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid AND i.indisready
		FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE i.indrelid = pg_catalog.to_regclass($1) AND CASE WHEN $2 <> '' THEN c.relname = $2
			ELSE EXISTS (SELECT FROM `+r.db.tables.journal+` j WHERE j.version = $3 AND j.direction = $4 AND j.step = $5
				AND c.oid::text <> ALL (pg_catalog.string_to_array(j.cursor, ' '))) END
		ORDER BY i.indisvalid LIMIT 1`, b.table, b.index, p.inJournal(), string(p.Direction), s.Number).Scan(&name, &valid)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for index %s: %w", b.index, err)
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
func (r nonTransactional) others(ctx context.Context, b build) (list string, err error) {
	if b.index != "" {
		return "", nil
	}
	err = r.db.conn.QueryRow(ctx, "SELECT coalesce(pg_catalog.string_agg(indexrelid::text, ' '), '0') FROM "+
		"pg_catalog.pg_index WHERE indrelid = pg_catalog.to_regclass($1)", b.table).Scan(&list)
	return list, err
}

// describes reports whether an index is the one that the statement describes.
// The server itself says so: the same definition, made on an empty copy of the
// table in a transaction that is rolled back, reads the same.
func (r nonTransactional) describes(ctx context.Context, b build, index string) (bool, error) {
	tx, err := r.db.conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(ctx) }()
	const copyName = "whimbrel_index_copy"
	steps := []string{
		"CREATE TEMPORARY TABLE " + copyName + " (LIKE " + b.table + ")",
		b.before + " " + copyName + "_index ON pg_temp." + copyName + " " + b.behind,
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
