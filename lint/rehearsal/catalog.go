package rehearsal

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/lint"
)

//go:embed catalog.sql
var catalogQuery string

// ReadCatalog reads what lint.Options.Catalog wants from a database, in one query.
// It needs no privileges beyond connecting, takes no lock on any table but those of
// the catalog and, for the definitions of views, ACCESS SHARE on those, and leaves
// the session as it was. The connection must not be in a transaction.
//
// With a catalog, lint.Linter.Check wants the migrations that have not run there.
func ReadCatalog(ctx context.Context, conn *pgx.Conn) (lint.Catalog, error) {
	var c lint.Catalog
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return c, fmt.Errorf("reading the catalog: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	var version int
	if err := tx.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&version); err != nil {
		return c, fmt.Errorf("reading the catalog: %w", err)
	}
	c.Major, c.Rows = version, map[string]int64{}
	path, err := tx.Query(ctx, "SELECT unnest(current_schemas(false))::text")
	if err == nil {
		c.Path, err = pgx.CollectRows(path, pgx.RowTo[string])
	}
	if err != nil {
		return c, fmt.Errorf("reading the catalog: %w", err)
	}
	// an empty path makes the server write every name with its schema
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = ''"); err != nil {
		return c, fmt.Errorf("reading the catalog: %w", err)
	}
	rows, err := tx.Query(ctx, catalogQuery)
	if err != nil {
		return c, fmt.Errorf("reading the catalog: %w", err)
	}
	var kind, text string
	var number int64
	_, err = pgx.ForEachRow(rows, []any{&kind, &number, &text}, func() error {
		switch kind {
		case "statement":
			c.Statements = append(c.Statements, text)
		case "rows":
			c.Rows[text] = number
		case "invalid":
			c.Invalid = append(c.Invalid, text)
		}
		return nil
	})
	if err != nil {
		return c, fmt.Errorf("reading the catalog: %w", err)
	}
	return c, nil
}
