// Package bench measures whimbrel against a bare connection that sends the
// same SQL. Run it with `go test -bench . ./bench`; the figures that count are
// the ratios, since both sides are measured in one run, in turns.
package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
)

var server *devdb.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = devdb.Start(context.Background(), devdb.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, "the benchmarks need a PostgreSQL server:", err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// small makes n small migrations: a table with a key each.
func small(n int) fstest.MapFS {
	folder := fstest.MapFS{}
	for i := range n {
		folder[fmt.Sprintf("%06d_table.sql", i+1)] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"CREATE TABLE table_%d (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now());\n-- +migrate Down\nDROP TABLE table_%d;\n", i, i)}
	}
	return folder
}

func load(b testing.TB, folder fstest.MapFS) []migration.Migration {
	b.Helper()
	migrations, err := migration.Load(migration.Source{FS: folder})
	if err != nil {
		b.Fatal(err)
	}
	return migrations
}

// compare runs both sides in turns, each on a fresh database, and reports the
// medians and their ratio.
func compare(b *testing.B, ours, bare func(url string) time.Duration) {
	b.Helper()
	var oursTook, bareTook []time.Duration
	for b.Loop() {
		for _, side := range []struct {
			run  func(string) time.Duration
			took *[]time.Duration
		}{{ours, &oursTook}, {bare, &bareTook}} {
			url, drop, err := server.FreshDatabase(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			*side.took = append(*side.took, side.run(url))
			drop()
		}
	}
	b.ReportMetric(median(oursTook).Seconds()*1000, "ours-ms")
	b.ReportMetric(median(bareTook).Seconds()*1000, "bare-ms")
	b.ReportMetric(float64(median(oursTook))/float64(median(bareTook)), "ratio")
	b.ReportMetric(0, "ns/op")
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func timed(b testing.TB, f func() error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// BenchmarkUp is an up of 1,000 small migrations, against one connection that
// sends one message per migration, each its own transaction, recording nothing.
func BenchmarkUp(b *testing.B) {
	migrations := load(b, small(1000))
	compare(b, func(url string) time.Duration {
		m, err := whimbrel.New(whimbrel.Config{DatabaseURL: url, Migrations: migrations})
		if err != nil {
			b.Fatal(err)
		}
		return timed(b, func() error { _, err := m.Up(b.Context(), whimbrel.UpOptions{}); return err })
	}, func(url string) time.Duration {
		return timed(b, func() error { return sendBare(b.Context(), url, migrations) })
	})
}

func sendBare(ctx context.Context, url string, migrations []migration.Migration) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, m := range migrations {
		if _, err := conn.PgConn().Exec(ctx, m.Up.Statements[0].Text).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkNothingToDo is an up that finds its 1,000 migrations applied,
// against one connection that reads the same table.
func BenchmarkNothingToDo(b *testing.B) {
	migrations := load(b, small(1000))
	url, drop, err := server.FreshDatabase(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer drop()
	m, err := whimbrel.New(whimbrel.Config{DatabaseURL: url, Migrations: migrations})
	if err != nil {
		b.Fatal(err)
	}
	up := func() error { _, err := m.Up(b.Context(), whimbrel.UpOptions{}); return err }
	if err := up(); err != nil {
		b.Fatal(err)
	}
	var oursTook, bareTook []time.Duration
	for b.Loop() {
		oursTook = append(oursTook, timed(b, up))
		bareTook = append(bareTook, timed(b, func() error { return readBare(b.Context(), url) }))
	}
	b.ReportMetric(median(oursTook).Seconds()*1000, "ours-ms")
	b.ReportMetric(median(bareTook).Seconds()*1000, "bare-ms")
	b.ReportMetric(float64(median(oursTook))/float64(median(bareTook)), "ratio")
	b.ReportMetric(0, "ns/op")
}

func readBare(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "SELECT version, name, executed_at, checksum FROM schema_migrations ORDER BY id", pgx.QueryExecModeExec)
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
