package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// traffic is a live application: connections that read or write a row by its
// key, each so many times a second.
type traffic struct {
	rate int // requests per second and connection
	keys int // the highest that is asked for

	quit    chan struct{}
	running sync.WaitGroup

	mutex  sync.Mutex
	began  bool            // the statement was sent
	before time.Duration   // the slowest request until then
	since  []time.Duration // of all requests that ended after that
	failed int
	reason error // of the last request that failed
}

// start opens a connection for each request, which has a key as $1, and begins.
// stop must be called.
func (t *traffic) start(ctx context.Context, url string, requests []string) error {
	t.quit = make(chan struct{})
	for _, sql := range requests {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			t.stop()
			return fmt.Errorf("connecting the traffic: %w", err)
		}
		t.running.Go(func() {
			defer func() { _ = conn.Close(ctx) }()
			t.send(ctx, conn, sql)
		})
	}
	return nil
}

// send makes one connection's requests until stop. A request that waits is
// waited for, so its time counts.
func (t *traffic) send(ctx context.Context, conn *pgx.Conn, sql string) {
	tick := time.NewTicker(time.Second / time.Duration(t.rate))
	defer tick.Stop()
	for {
		select {
		case <-t.quit:
			return
		case <-tick.C:
		}
		began := time.Now()
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeExec, 2+rand.N(t.keys-1))
		t.record(time.Since(began), err)
		if conn.IsClosed() {
			return
		}
	}
}

func (t *traffic) record(took time.Duration, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if err != nil {
		t.failed++
		t.reason = err
	}
	if t.began {
		t.since = append(t.since, took)
	} else {
		t.before = max(t.before, took)
	}
}

// mark says that the statement is sent now.
func (t *traffic) mark() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.began = true
}

// percentile gives the time that this share of the requests since the mark did
// not exceed. It is asked for after stop.
func (t *traffic) percentile(share float64) time.Duration {
	if len(t.since) == 0 {
		return 0
	}
	slices.Sort(t.since)
	return t.since[int(math.Ceil(share*float64(len(t.since))))-1]
}

// stop ends the traffic, and returns when all requests are answered.
func (t *traffic) stop() {
	close(t.quit)
	t.running.Wait()
}
