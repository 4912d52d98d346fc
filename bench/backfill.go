package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// This file is about the third table: users with a document of settings each,
// which become rows of another table.

// The statement: over everything, for a range by a bare program, and as the
// documentation recommends it for a backfill.
const (
	insertPreferences = `INSERT INTO preferences SELECT u.id, u.settings->>'theme', u.settings->>'language', ` +
		`(u.settings->>'newsletter')::boolean, (u.settings->>'page_size')::integer, u.settings->>'timezone' FROM `
	insertAll      = insertPreferences + "users u"
	insertRange    = insertPreferences + "users u WHERE u.id > $1 AND u.id <= $2"
	insertSettled  = insertPreferences + "(SELECT id, settings FROM users WHERE id > :from AND id <= :to FOR KEY SHARE) u"
	insertTolerant = insertSettled + " ON CONFLICT DO NOTHING"
)

// The comparators' names in the third table.
const (
	bareInsert   = "(a) one INSERT … SELECT"
	bareBatches  = "(b) batches of 1000, a commit each"
	bareParallel = "(b) by two connections"
	bareRows     = "(c) a row at a time"
	bareTraffic  = "without a backfill"
	bareBurning  = "beside a session that only computes"
)

// backfills lists what the third table compares, on one of the servers.
func (l *lab) backfills(s sizes, on *stock) []contest {
	side := func(name string, do work) *side { return l.onUsers(name, s.users, on, do) }
	name := func(text string) string { return fmt.Sprintf("%s, %s server", text, on.name) }
	filled := fmt.Sprintf("backfill of %d", s.users)
	all := side(bareInsert, rate(s.users, insertEverything))
	one := side("whimbrel", rate(s.users, l.fill(insertSettled, "")))
	two := side("whimbrel", rate(s.users, l.fill(insertSettled, " workers=2")))
	const percentile = "99th percentile of 200 updates/s beside a backfill"
	beside := side("whimbrel", s.latencyBeside(l.fill(insertSettled, "")))
	return []contest{
		{"k rows/s", []pair{
			{name(filled), one, all, atLeast(0.8)},
			{name(filled), one, side(bareBatches, rate(s.users, inBatches(s.users, 1))), nothing},
			{name(filled), one, side(bareRows, rate(s.sample, rowByRow(s.sample))), nothing},
			{name(filled + ", ON CONFLICT"), side("whimbrel", rate(s.users, l.fill(insertTolerant, ""))), all, nothing},
			{name(filled + ", workers=2"), two, all, atLeast(1.05)},
			{name(filled + ", workers=2"), two, side(bareParallel, rate(s.users, inBatches(s.users, 2))), nothing},
		}},
		{"MB", []pair{
			{name(filled + ", workers=2, peak memory"), side("whimbrel", l.memoryOfFilling(insertSettled, " workers=2")), nil,
				atMost(60)},
		}},
		{"ms", []pair{
			{name(percentile), beside, side(bareTraffic, s.latencyBeside(waiting(s.quiet))), atMost(2)},
			{name(percentile), beside, side("beside "+bareInsert, s.latencyBeside(insertEverything)), nothing},
			{name(percentile), beside, side(bareBurning, s.latencyBeside(computing(s.quiet))), nothing},
		}},
		{"failed", []pair{{
			name("backfill beside 200 deletions/s"),
			side("whimbrel", s.besideDeletions(l.fill(insertSettled, ""))), side(bareInsert,
				s.besideDeletions(insertEverything)), atMost(0),
		}}},
	}
}

// fill runs a backfill as a process of its own, from start to end.
func (l *lab) fill(statement, options string) work {
	return func(ctx context.Context, url string, _ history) (float64, error) {
		folder, err := l.filling(statement, options)
		if err != nil {
			return 0, err
		}
		return l.command("up")(ctx, url, history{folder: folder})
	}
}

// memoryOfFilling is the most memory of that process, in megabytes.
func (l *lab) memoryOfFilling(statement, options string) work {
	return func(ctx context.Context, url string, _ history) (float64, error) {
		folder, err := l.filling(statement, options)
		if err != nil {
			return 0, err
		}
		return l.megabytes("cmd/whimbrel", "up")(ctx, url, history{folder: folder})
	}
}

// filling gives a folder with the backfill as its only migration.
func (l *lab) filling(statement, options string) (string, error) {
	folder, err := os.MkdirTemp(l.folder, "filling-")
	if err != nil {
		return "", fmt.Errorf("writing a backfill: %w", err)
	}
	text := "-- +migrate Batch users by id" + options + "\n" + statement + ";\n"
	if err := os.WriteFile(filepath.Join(folder, "1_preferences.sql"), []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("writing a backfill: %w", err)
	}
	return folder, nil
}

// The bare programs know beforehand which keys there are, and keep no account
// of what is done.
var insertEverything = connected(func(ctx context.Context, conn *pgx.Conn, _ history) error {
	_, err := conn.PgConn().Exec(ctx, insertAll).ReadAll()
	return err
})

// inBatches fills in batches of 1,000, each its own transaction, by so many
// connections.
func inBatches(users, connections int) work {
	const size = 1000
	return func(ctx context.Context, url string, h history) (float64, error) {
		var taken atomic.Int64
		return timed(func() error {
			failed := make([]error, connections)
			var all sync.WaitGroup
			for i := range failed {
				all.Go(func() {
					_, failed[i] = connected(func(ctx context.Context, conn *pgx.Conn, _ history) error {
						for to := taken.Add(size); to-size < int64(users); to = taken.Add(size) {
							if _, err := conn.Exec(ctx, insertRange, to-size, to); err != nil {
								return err
							}
						}
						return nil
					})(ctx, url, h)
				})
			}
			all.Wait()
			return errors.Join(failed...)
		})
	}
}

// rowByRow fills as a script does that knows no better: in one transaction it
// reads documents, looks into each, and sends an INSERT for it. It does so with
// a sample; with more rows it does not get faster.
func rowByRow(sample int) work {
	return connected(func(ctx context.Context, conn *pgx.Conn, _ history) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, "SELECT id, settings FROM users ORDER BY id LIMIT $1", sample)
			if err != nil {
				return err
			}
			type user struct {
				ID       int64
				Settings struct {
					Theme, Language, Timezone string
					Newsletter                bool
					PageSize                  int `json:"page_size"`
				}
			}
			users, err := pgx.CollectRows(rows, pgx.RowToStructByPos[user])
			if err != nil {
				return err
			}
			for _, u := range users {
				_, err := tx.Exec(ctx, "INSERT INTO preferences VALUES ($1, $2, $3, $4, $5, $6)",
					u.ID, u.Settings.Theme, u.Settings.Language, u.Settings.Newsletter, u.Settings.PageSize, u.Settings.Timezone)
				if err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// rate is how many thousand rows a second something fills, and makes sure that
// it has filled them.
func rate(rows int, fill work) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		milliseconds, err := fill(ctx, url, h)
		if err != nil {
			return 0, err
		}
		var filled int
		if err := ask(ctx, url, "SELECT count(*) FROM preferences", &filled); err != nil {
			return 0, err
		}
		if filled != rows {
			return 0, fmt.Errorf("%d rows were filled instead of %d", filled, rows)
		}
		return float64(rows) / milliseconds, nil
	}
}

// latencyBeside is the 99th percentile, in milliseconds, of updates of single
// users while something else goes on.
func (s sizes) latencyBeside(beside work) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		live := &traffic{rate: 100, keys: s.users}
		const update = "UPDATE users SET balance = balance + 1 WHERE id = $1"
		if err := live.start(ctx, url, []string{update, update}); err != nil {
			return 0, err
		}
		err := pause.For(ctx, s.warmUp)
		live.mark()
		if err == nil {
			_, err = beside(ctx, url, h)
		}
		live.stop()
		return milliseconds(live.percentile(0.99)), errors.Join(err, live.reason)
	}
}

func waiting(length time.Duration) work {
	return func(ctx context.Context, _ string, _ history) (float64, error) { return 0, pause.For(ctx, length) }
}

// computing keeps a processor busy, and touches nothing.
func computing(length time.Duration) work {
	return connected(func(ctx context.Context, conn *pgx.Conn, _ history) error {
		_, err := conn.Exec(ctx, fmt.Sprintf("DO $$ BEGIN WHILE clock_timestamp() < transaction_timestamp() + interval '%d "+
			"ms' LOOP END LOOP; END $$", length.Milliseconds()))
		return err
	})
}

// besideDeletions counts, as one or none, whether something fails a foreign key
// while users are deleted.
func (s sizes) besideDeletions(beside work) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		live := &traffic{rate: 100, keys: s.users}
		const deletion = "DELETE FROM users WHERE id = $1"
		if err := live.start(ctx, url, []string{deletion, deletion}); err != nil {
			return 0, err
		}
		_, err := beside(ctx, url, h)
		live.stop()
		if err != nil && strings.Contains(err.Error(), "violates foreign key constraint") {
			return 1, live.reason
		}
		if err = errors.Join(err, live.reason); err != nil {
			return 0, err
		}
		var left int
		err = ask(
			ctx, url, "SELECT count(*) FROM users u WHERE NOT EXISTS (SELECT FROM preferences p WHERE p.user_id = u.id)", &left)
		if err == nil && left > 0 {
			err = fmt.Errorf("%d users were left out", left)
		}
		return 0, err
	}
}

// ask runs a query for one value.
func ask(ctx context.Context, url, query string, value any) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return conn.QueryRow(ctx, query).Scan(value)
}
