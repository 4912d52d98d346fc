package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/pause"
	"github.com/whimbrel-db/whimbrel/migration"
)

// sender runs a statement on a database: as a migration, or bare.
type sender struct {
	name string
	send func(ctx context.Context, url, sql string) error
}

var (
	byWhimbrel = sender{"whimbrel", func(ctx context.Context, url, sql string) error {
		migrations, err := migration.Load(migration.Source{FS: fstest.MapFS{"1_statement.sql": {Data: []byte(sql + ";\n")}}})
		if err != nil {
			return err
		}
		m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
			Project: whimbrel.Project{Migrations: migrations}, Policy: whimbrel.Policy{MaxStall: whimbrel.DefaultMaxStall}})
		if err != nil {
			return err
		}
		return up(ctx, m)
	}}
	byItself = sender{"bare connection", func(ctx context.Context, url, sql string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(ctx) }()
		_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
		return err
	}}
)

// stalls takes the second table: the headline, an ALTER TABLE behind a reader,
// and then every statement beside every blocker.
func (l *lab) stalls(ctx context.Context, s settings) ([]Stall, error) {
	table := []Stall{}
	take := func(t trial, runs int) error {
		if s.stallRuns == 0 || !s.only.MatchString("stall: "+t.statement.name+", "+t.blocker.name) {
			return nil
		}
		row, err := t.repeat(ctx, l, runs)
		if err == nil {
			fmt.Fprintln(s.progress, strings.Join(row.cells(), "  "))
			table = append(table, row)
		}
		return err
	}
	for _, by := range []sender{byWhimbrel, byItself} {
		headline := trial{statements[0], blockers[0], by, s.warmUp, s.reader, 4, 0}
		if err := take(headline, s.readerRuns); err != nil {
			return table, err
		}
	}
	for _, each := range s.statements {
		for _, b := range s.blockers {
			if err := take(trial{each, b, byWhimbrel, s.warmUp, s.hold, 4, 2}, s.stallRuns); err != nil {
				return table, err
			}
		}
	}
	return table, nil
}

// trial is a statement beside a blocker and live traffic.
type trial struct {
	statement        statement
	blocker          blocker
	by               sender
	warmUp           time.Duration // how long traffic runs before
	hold             time.Duration // how long the blocker stays
	readers, writers int           // connections, each with 100 requests a second
}

// observation is what one trial showed.
type observation struct {
	before, slowest time.Duration
	done            time.Duration // after the blocker had left; 0 if it was done before
	failed          int
}

// repeat makes a row of several runs.
func (t trial) repeat(ctx context.Context, l *lab, runs int) (Stall, error) {
	row := Stall{Statement: t.statement.name, Blocker: fmt.Sprintf("%s, %s", t.blocker.name, t.hold), By: t.by.name,
		Runs: runs}
	var slowest, done []float64
	for range runs {
		o, err := t.run(ctx, l)
		if err != nil {
			return row, fmt.Errorf("%s beside a %s: %w", t.statement.name, t.blocker.name, err)
		}
		row.Before = max(row.Before, milliseconds(o.before))
		row.Failed += o.failed
		slowest, done = append(slowest, milliseconds(o.slowest)), append(done, milliseconds(o.done))
		if o.failed == 0 && o.slowest <= whimbrel.DefaultMaxStall+tolerance && o.done <= inTime {
			row.Kept++
		}
	}
	row.Slowest, row.Worst = median(slowest), slices.Max(slowest)
	row.Done, row.Latest = median(done), slices.Max(done)
	return row, nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// patience is how long a statement may take after its blocker has left before
// the trial is given up.
const patience = 30 * time.Second

// run makes one trial on a database of its own.
func (t trial) run(ctx context.Context, l *lab) (o observation, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.hold+patience)
	defer cancel()
	s := t.statement
	s.reads, s.writes, s.held = cmp.Or(s.reads, "accounts"), cmp.Or(s.writes, "accounts"), cmp.Or(s.held, "accounts")
	url, drop, err := l.server.FreshDatabase(ctx)
	if err != nil {
		return o, err
	}
	defer drop()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return o, err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.PgConn().Exec(ctx, schema+s.setup).ReadAll(); err != nil {
		return o, fmt.Errorf("setting up: %w", err)
	}
	live := &traffic{rate: 100, keys: keys}
	requests := slices.Concat(
		slices.Repeat([]string{"SELECT id, note FROM " + s.reads + " WHERE id = $1"}, t.readers),
		slices.Repeat([]string{"UPDATE " + s.writes + " SET balance = balance + 1 WHERE id = $1"}, t.writers))
	if err := live.start(ctx, url, requests); err != nil {
		return o, err
	}
	o.done, err = t.collide(ctx, conn, url, s, live)
	live.stop()
	o.before, o.slowest, o.failed = live.before, live.percentile(1), live.failed
	if live.reason != nil && err == nil && ctx.Err() != nil {
		err = live.reason
	}
	return o, err
}

// collide puts the blocker in the way, sends the statement, lets the blocker
// leave, and says how long after that the statement was done.
func (t trial) collide(ctx context.Context, conn *pgx.Conn, url string, s statement,
	live *traffic) (time.Duration, error) {
	if err := pause.For(ctx, t.warmUp); err != nil {
		return 0, err
	}
	leave, err := t.blocker.block(ctx, conn, s)
	if err != nil {
		return 0, err
	}
	live.mark()
	type ending struct {
		at  time.Time
		err error
	}
	ended := make(chan ending, 1)
	go func() {
		err := t.by.send(ctx, url, s.sql)
		ended <- ending{time.Now(), err}
	}()
	err = pause.For(ctx, t.hold)
	err = errors.Join(err, leave())
	left := time.Now()
	e := <-ended
	return max(e.at.Sub(left), 0), errors.Join(err, e.err)
}
