// Command connectonly connects to the database that DATABASE_URL names, reads
// the history table, and ends: the least that a program can do which finds out
// that there is nothing to do. The benchmarks compare whimbrel with it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
)

func main() {
	if err := read(context.Background(), os.Getenv("DATABASE_URL")); err != nil {
		fmt.Fprintln(os.Stderr, "connectonly:", err)
		os.Exit(1)
	}
}

func read(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "SELECT version, name, executed_at, checksum FROM schema_migrations ORDER BY id",
		pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	for rows.Next() {
		if _, err := rows.Values(); err != nil {
			return err
		}
	}
	return rows.Err()
}
