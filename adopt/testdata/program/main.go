// Command program is the migration tools of others in one: those that are
// written in Go, as libraries. Tests have it apply what they then adopt.
//
//	program atlas|goose|golang-migrate|sql-migrate|tern URL FOLDER STEPS
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"

	"github.com/golang-migrate/migrate/v4"
	_ "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	_ "github.com/golang-migrate/migrate/v4/source/file"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	tern "github.com/jackc/tern/v2/migrate"
	"github.com/pressly/goose/v3"
	sqlmigrate "github.com/rubenv/sql-migrate"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: program TOOL URL FOLDER STEPS")
		os.Exit(2)
	}
	steps, err := strconv.Atoi(os.Args[4])
	if err == nil {
		err = run(context.Background(), os.Args[1], os.Args[2], os.Args[3], steps)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run applies so many migrations.
func run(ctx context.Context, tool, url, folder string, steps int) error {
	switch tool {
	case "golang-migrate":
		m, err := migrate.New("file://"+folder, "pgx5"+url[len("postgres"):])
		if err != nil {
			return err
		}
		return m.Steps(steps)
	case "tern":
		return runTern(ctx, url, folder, steps)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer db.Close()
	switch tool {
	case "atlas":
		return runAtlas(ctx, db, folder, steps)
	case "sql-migrate":
		_, err := sqlmigrate.ExecMax(db, "postgres", &sqlmigrate.FileMigrationSource{Dir: folder}, sqlmigrate.Up, steps)
		return err
	}
	if err := goose.SetDialect("postgres"); err != nil {
		return err
	}
	goose.SetLogger(goose.NopLogger())
	for range steps {
		if err := goose.UpByOneContext(ctx, db, folder); err != nil {
			return err
		}
	}
	return nil
}

func runTern(ctx context.Context, url, folder string, steps int) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	m, err := tern.NewMigrator(ctx, conn, "public.schema_version")
	if err != nil {
		return err
	}
	m.Data = map[string]any{"prefix": "shop"}
	if err := m.LoadMigrations(os.DirFS(folder)); err != nil {
		return err
	}
	now, err := m.GetCurrentVersion(ctx)
	if err != nil {
		return err
	}
	return m.MigrateTo(ctx, now+int32(steps))
}
