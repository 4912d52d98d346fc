package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// traffic is a live application: connections that read or write a row by its
// key, each so many times a second.
type traffic struct {
	readers, writers int
	rate             int // requests per second and connection

	quit    chan struct{}
	running sync.WaitGroup

	mutex   sync.Mutex
	began   bool          // the statement was sent
	before  time.Duration // the slowest request until then
	slowest time.Duration // the slowest that ended after that
	failed  int
	reason  error // of the last request that failed
}

// start opens the connections and begins. stop must be called.
func (t *traffic) start(ctx context.Context, url string, s statement) error {
	t.quit = make(chan struct{})
	requests := make([]string, 0, t.readers+t.writers)
	for range t.readers {
		requests = append(requests, "SELECT id, note FROM "+s.reads+" WHERE id = $1")
	}
	for range t.writers {
		requests = append(requests, "UPDATE "+s.writes+" SET balance = balance + 1 WHERE id = $1")
	}
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
		_, err := conn.Exec(ctx, sql, pgx.QueryExecModeExec, 2+rand.N(keys-1))
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
		t.slowest = max(t.slowest, took)
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

// stop ends the traffic, and returns when all requests are answered.
func (t *traffic) stop() {
	close(t.quit)
	t.running.Wait()
}
