// Embed shows a program that brings its database up to date when it starts: with the pool
// that it has, from migrations that are embedded, while it prints how far it is. Any number
// of instances may start at once: one migrates, and the others wait for it for a while.
package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/pool"
)

//go:embed migrations/*.sql
var files embed.FS

func main() {
	ctx := context.Background()
	db := must(pgxpool.New(ctx, os.Getenv("DATABASE_URL"))) // the pool that the program works with
	config := whimbrel.Config{Target: pool.Target(db)}
	config.Migrations = must(migration.Load(migration.Source{FS: files, Dir: "migrations"}))
	config.Listener, config.LockWait = progress, 2*time.Second
	_, err := must(whimbrel.New(config)).Up(ctx, whimbrel.UpOptions{})
	switch {
	case errors.Is(err, whimbrel.CodeLeaseHeld):
		fmt.Println("another instance is migrating:", err)
	case err != nil:
		log.Fatal(err)
	}
	db.Close()
}

// progress prints what is worth a line.
func progress(r whimbrel.Record) {
	switch e := r.Event.(type) {
	case whimbrel.MigrationStarted:
		fmt.Println(e.Migration.Version, e.Migration.Name, "…")
	case whimbrel.BatchProgress:
		fmt.Println(e.Keys, "of about", e.Total, "keys")
	case whimbrel.MigrationFinished:
		fmt.Println(e.Migration.Version, e.Migration.Name, "done in", e.Duration.Round(time.Millisecond))
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
