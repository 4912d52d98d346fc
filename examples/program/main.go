// Program shows a program that carries its migrations with it: SQL files that
// are embedded, and one between them that is written in Go. It brings the
// database of DATABASE_URL up to date and says what it did.
package main

import (
	"context"
	"embed"
	"fmt"
	"io"
	"net/mail"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

//go:embed migrations/*.sql
var files embed.FS

func main() {
	if err := migrate(context.Background(), os.Getenv("DATABASE_URL"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// migrate applies what is pending. It may run in any number of processes at once.
func migrate(ctx context.Context, url string, out io.Writer) error {
	migrations, err := migration.Load(migration.Source{FS: files, Dir: "migrations", Label: "migrations"})
	if err != nil {
		return err
	}
	migrator, err := whimbrel.New(whimbrel.Config{
		Target: whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Migrations: migrations, Functions: []whimbrel.Function{{
			Version: "20250102090000", Name: "normalise_emails",
			Up: normaliseEmails,
			// What was written before is not known any more, and what is there
			// now is as good.
			Down: func(context.Context, pgx.Tx) error { return nil },
		}}},
		Listener: func(r whimbrel.Record) {
			if done, ok := r.Event.(whimbrel.MigrationFinished); ok {
				_, _ = fmt.Fprintln(out, done.Migration.Version, done.Migration.Name)
			}
		},
	})
	if err != nil {
		return err
	}
	_, err = migrator.Up(ctx, whimbrel.UpOptions{})
	return err
}

// normaliseEmails does what SQL is bad at: it reads addresses as mail does.
func normaliseEmails(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, "SELECT id, email FROM users FOR UPDATE")
	if err != nil {
		return err
	}
	emails := map[int64]string{}
	var id int64
	var email string
	if _, err := pgx.ForEachRow(rows, []any{&id, &email}, func() error {
		address, err := mail.ParseAddress(email)
		if err != nil {
			return fmt.Errorf("user %d: %w", id, err)
		}
		emails[id] = strings.ToLower(address.Address)
		return nil
	}); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for id, email := range emails {
		batch.Queue("UPDATE users SET email = $2 WHERE id = $1", id, email)
	}
	return tx.SendBatch(ctx, batch).Close()
}
