package whimbrel

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// watch looks, from a connection of its own, at who stands in the way of the
// step that is running. It connects only once there is a reason: a step that
// gave way, or one that has been running for a second.
type watch struct {
	m      *Migrator
	worker string // the application_name of the session that works

	mutex    sync.Mutex
	ref      Ref
	step     int
	began    time.Time // zero while no step runs
	blockers []Blocker // of the step that runs, or ran last

	awake chan struct{}
	quit  chan struct{}
	done  sync.WaitGroup
}

// watchAfter is how long a step runs before it is looked at; watchEvery is how
// often from then on.
const (
	watchAfter = time.Second
	watchEvery = 50 * time.Millisecond
)

// startWatch begins watching; stop ends it.
func (m *Migrator) startWatch(ctx context.Context, db *database, token int64) *watch {
	w := &watch{
		m: m, worker: applicationPrefix(db.tables) + strconv.FormatInt(token, 10),
		awake: make(chan struct{}, 1), quit: make(chan struct{}),
	}
	w.done.Go(func() { w.look(ctx) })
	return w
}

// begin says that a step runs.
func (w *watch) begin(ref Ref, step int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.ref, w.step, w.began = ref, step, time.Now()
}

// end says that no step runs, and tells who was last seen in its way.
func (w *watch) end() []Blocker {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.began = time.Time{}
	return w.blockers
}

// wake makes the watch begin at once.
func (w *watch) wake() {
	select {
	case w.awake <- struct{}{}:
	default:
	}
}

func (w *watch) stop() {
	close(w.quit)
	w.done.Wait()
}

// look polls until stop. What goes wrong here costs a report, never the run.
func (w *watch) look(ctx context.Context) {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			closing, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = conn.Close(closing)
		}
	}()
	eager := false
	var told time.Time
	var shown []int
	for w.tick(ctx, &eager) {
		ref, step, began := w.running()
		if began.IsZero() || !eager && time.Since(began) < watchAfter {
			continue
		}
		if conn == nil || conn.IsClosed() {
			opened, err := pgx.ConnectConfig(ctx, w.m.connection)
			if err != nil {
				continue
			}
			conn = opened
		}
		blockers, err := w.poll(ctx, conn)
		if err != nil || len(blockers) == 0 {
			continue
		}
		w.mutex.Lock()
		w.blockers = blockers
		w.mutex.Unlock()
		var pids []int
		for _, b := range blockers {
			pids = append(pids, b.PID)
		}
		if !slices.Equal(pids, shown) || time.Since(told) > 5*time.Second {
			shown, told = pids, time.Now()
			w.m.emit(LockWaiting{Migration: ref, Step: step, Blockers: blockers, Waited: Elapsed(time.Since(began))})
		}
	}
}

// tick waits for the next look; it reports false when the watch is over.
func (w *watch) tick(ctx context.Context, eager *bool) bool {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	select {
	case <-w.quit:
		return false
	case <-ctx.Done():
		return false
	case <-w.awake:
		*eager = true
	case <-timer.C:
	}
	return true
}

func (w *watch) running() (Ref, int, time.Time) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.ref, w.step, w.began
}

// poll asks who blocks our worker. See pg_blocking_pids in PostgreSQL's
// documentation of system information functions.
func (w *watch) poll(ctx context.Context, conn *pgx.Conn) ([]Blocker, error) {
	rows, err := conn.Query(ctx, `
SELECT DISTINCT ON (b.pid) b.pid, coalesce(b.application_name, ''), coalesce(b.usename, ''), coalesce(b.state, b.backend_type, ''),
	coalesce(b.query, ''), coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(b.xact_start, b.query_start)), 0)::float8
FROM pg_catalog.pg_stat_activity a
CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) AS blocking (pid)
JOIN pg_catalog.pg_stat_activity b ON b.pid = blocking.pid
WHERE a.application_name = $1 AND a.datname = pg_catalog.current_database() AND a.wait_event_type = 'Lock' ORDER BY b.pid`, w.worker)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Blocker, error) {
		var b Blocker
		var seconds float64
		err := row.Scan(&b.PID, &b.Application, &b.User, &b.State, &b.Query, &seconds)
		b.Query, b.Age = shorten(w.m.redact(b.Query)), Elapsed(seconds*float64(time.Second))
		return b, err
	})
}
