package whimbrel

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// watch looks, from a connection of its own, at the queue around the step that
// is running: who is before it, and who has come to be behind it. It
// keeps the stall budget where lock_timeout alone cannot:
//
//   - A statement that waits for a second lock while it holds a first has the
//     time of both waits are in the way of others. If somebody has waited
//     behind it for as long as the budget, and it is itself waiting, it is
//     cancelled and sent again later.
//   - A statement outside a transaction may wait as long as it takes, since its
//     waiting blocks nobody, until somebody does queue behind it.
//
// A step that holds a lock because it is at work is not cancelled, only
// reported: backing off would throw the work away and begin it again.
type watch struct {
	m      *Migrator
	pooled bool   // whether a pooler is between us and the server
	query  string // what poll sends

	mutex    sync.Mutex
	worker   string // the application_name of the session that works
	ref      Ref
	step     int // its number
	mode     waitMode
	attempt  *attempt  // that the step belongs to
	active   int       // steps, or batches of one, that run
	began    time.Time // of the oldest of them
	blockers []Blocker // of the step that runs, or ran last
	cancels  time.Time // when a step was last cancelled
	stood    bool      // somebody stood behind since stalled was asked

	connected chan struct{} // closed once there is a connection
	quit      chan struct{}
	done      sync.WaitGroup
}

// watchEvery is how often the queue is looked at while a step runs, watchClosely
// how often while somebody queues behind it, and watchAfter how long a step has
// run when the first look is taken: most steps are over by then. A batch of a
// backfill locks rows, seldom more, and what is seen beside it makes the next ones
// smaller, so one look per batch is enough: looking as often as at the others would
// take more from live traffic than it gives.
const (
	watchEvery   = 20 * time.Millisecond
	watchBatches = batchTarget
	watchClosely = 5 * time.Millisecond
	watchAfter   = 20 * time.Millisecond
)

// waitMode says how long what runs may wait for locks, and so how it is watched.
type waitMode int

const (
	waitBudget  waitMode = iota // a transaction, which others wait behind: for the stall budget
	waitBatches                 // one short transaction after the other
	waitFreely                  // outside a transaction: as long as it takes, while nobody waits behind it
)

// interval is how long nobody looks at a step.
func (m waitMode) interval() time.Duration {
	if m == waitBatches {
		return watchBatches
	}
	return watchEvery
}

// startWatch begins watching; stop ends it.
func (m *Migrator) startWatch(ctx context.Context, db *database, token int64) *watch {
	w := &watch{
		m: m, pooled: db.facts.behindPool, connected: make(chan struct{}), quit: make(chan struct{}),
	}
	w.rename(db, token)
	w.done.Go(func() { w.look(ctx) })
	return w
}

// rename says which session works from now on.
func (w *watch) rename(db *database, token int64) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.worker = applicationPrefix(db.tables) + strconv.FormatInt(token, 10)
}

// begin says that a step runs. For a step that may wait for as long as it
// takes, it returns only once the queue behind it can be seen.
func (w *watch) begin(ctx context.Context, ref Ref, step int, mode waitMode, of *attempt) error {
	of.sent()
	w.mutex.Lock()
	if w.active++; w.active == 1 {
		w.began, w.blockers = time.Now(), nil
	}
	w.ref, w.step, w.mode, w.attempt = ref, step, mode, of
	w.mutex.Unlock()
	if mode != waitFreely {
		return nil
	}
	select {
	case <-w.connected:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(w.m.config.LeaseDuration):
		return &Error{
			Code: CodeConnection, Message: "no second connection could be opened to see who waits behind a statement outside " +
				"a transaction",
			Remedy: "allow this role one more connection, then run the command again",
		}
	}
}

// end says that no step runs. It tells who was last seen in its way.
func (w *watch) end() []Blocker {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.active = max(w.active-1, 0); w.active == 0 {
		w.began = time.Time{}
	}
	return w.blockers
}

// stalled reports whether anybody was seen waiting behind us since it was last
// asked.
func (w *watch) stalled() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	stood := w.stood
	w.stood = false
	return stood
}

// cancelled reports whether a cancelled statement was cancelled by the watch.
// A cancellation can come late and hit the statement after the one it was
// meant for, so a moment's grace is given.
func (w *watch) cancelled() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return time.Since(w.cancels) < time.Second
}

func (w *watch) stop() {
	close(w.quit)
	w.done.Wait()
}

// look polls until stop. What goes wrong with its connection is tried again.
func (w *watch) look(ctx context.Context) {
	ctx, cancel := context.WithCancel(dial.LetFinish(ctx))
	defer cancel()
	w.done.Go(func() { // connecting must not delay stop
		select {
		case <-w.quit:
			cancel()
		case <-ctx.Done():
		}
	})
	var conn *pgx.Conn
	defer func() { dial.Close(conn) }()
	var told teller
	every, looked := watchEvery, time.Now()
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if conn == nil || conn.IsClosed() {
			opened, err := w.m.aside(ctx)
			if err != nil {
				_ = pause.For(ctx, pause.Backoff(attempt))
				continue
			}
			if conn == nil {
				close(w.connected)
			}
			conn = opened
			w.query = w.prepare(ctx, conn)
		}
		attempt = 0
		_ = pause.For(ctx, every)
		ref, step, mode, began := w.running()
		every = mode.interval()
		if began.IsZero() || time.Since(began) < watchAfter {
			continue
		}
		queues, err := w.poll(ctx, conn)
		if err != nil {
			w.query = queuesQuery
			continue
		}
		since := time.Since(looked)
		looked = time.Now()
		if i := slices.IndexFunc(queues, func(q queue) bool { return q.waiting }); i >= 0 {
			w.waited(min(since, time.Since(began)), queues[i].ahead)
		}
		for _, q := range queues {
			if len(q.behind) > 0 {
				every = watchClosely
			}
			w.judge(ctx, conn, q, mode)
			told.tell(w.m, ref, step, began, q)
		}
	}
}

// prepare gives what poll sends by a connection: to plan the question takes six times
// as long as to answer it, and it is asked again and again while live traffic needs
// the processors. A pooler may give each question to another session.
func (w *watch) prepare(ctx context.Context, conn *pgx.Conn) string {
	const name = "whimbrel_queues"
	if w.pooled {
		return queuesQuery
	}
	if _, err := conn.Prepare(ctx, name, queuesQuery); err != nil {
		return queuesQuery
	}
	return name
}

func (w *watch) running() (ref Ref, step int, mode waitMode, began time.Time) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.ref, w.step, w.mode, w.began
}

// waited notes that the step was seen waiting for a lock, for as long as nobody
// has looked: right on the average, and within an interval each time.
func (w *watch) waited(took time.Duration, blockers []Blocker) {
	w.mutex.Lock()
	of := w.attempt
	w.mutex.Unlock()
	of.waited(took, blockers)
}

// queue is what is around one session at work.
type queue struct {
	worker  int  // its pid
	waiting bool // whether it is itself waiting for a lock
	ahead   []Blocker
	behind  []Blocker // Age is for how long they have been waiting
}

// longest is for how long somebody has been waiting behind the step.
func (q queue) longest() time.Duration {
	var longest Elapsed
	for _, b := range q.behind {
		longest = max(longest, b.Age)
	}
	return time.Duration(longest)
}

// judge cancels the step if it makes others wait for longer than the budget
// without getting on itself. What it takes to notice and to cancel is taken off
// the budget.
func (w *watch) judge(ctx context.Context, conn *pgx.Conn, q queue, mode waitMode) {
	w.mutex.Lock()
	if len(q.ahead) > 0 {
		w.blockers = q.ahead
	}
	w.stood = w.stood || len(q.behind) > 0
	w.mutex.Unlock()
	budget := w.m.config.MaxStall
	if q.longest() < max(budget-mode.interval(), budget/2) || !q.waiting && mode != waitFreely {
		return
	}
	w.mutex.Lock()
	running, worker := !w.began.IsZero(), w.worker
	if running {
		w.cancels = time.Now()
	}
	w.mutex.Unlock()
	if running {
		// The name is asked for again: behind a pooler the session may be another client's by now.
		_, _ = conn.Exec(ctx, `SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity
			WHERE pid = $1 AND application_name = $2 AND state = 'active'`, q.worker, worker)
	}
}

// queuesQuery is what poll asks: about the sessions called $1, and without those
// called $2.
const queuesQuery = `
WITH worker AS MATERIALIZED (
	SELECT a.pid, a.wait_event_type IS NOT DISTINCT FROM 'Lock' AS waiting FROM pg_catalog.pg_stat_activity a
	WHERE a.application_name = $1 AND a.datname = pg_catalog.current_database() AND a.state = 'active'
), waiters AS MATERIALIZED (
	SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.wait_event_type = 'Lock'
	UNION
	SELECT l.pid FROM pg_catalog.pg_locks l WHERE NOT l.granted AND (SELECT NOT pg_catalog.pg_has_role('pg_read_all_stats', 'member'))
)
SELECT worker.pid, worker.waiting, near.ahead, b.pid, coalesce(b.application_name, ''), coalesce(b.usename, ''), coalesce(b.state, b.backend_type, ''), coalesce(b.query, ''),
	extract(epoch FROM pg_catalog.clock_timestamp() - CASE WHEN near.ahead THEN coalesce(b.xact_start, b.query_start) ELSE b.query_start END)::float8
FROM worker CROSS JOIN LATERAL (
	SELECT true AS ahead, pid FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(worker.pid)) AS pid WHERE worker.waiting AND pid NOT IN (SELECT w.pid FROM worker w)
	UNION
	SELECT false, waiters.pid FROM waiters WHERE waiters.pid NOT IN (SELECT w.pid FROM worker w) AND worker.pid = ANY (pg_catalog.pg_blocking_pids(waiters.pid))
) near JOIN pg_catalog.pg_stat_activity b ON b.pid = near.pid AND coalesce(b.backend_type, 'client backend') = 'client backend' OR b.pid = near.pid AND near.ahead
WHERE b.application_name IS DISTINCT FROM $2
ORDER BY worker.pid, near.ahead, b.pid`

// poll asks the server for the queues around our sessions, of which most are
// empty and left out, and so is this run's watch and the keeper of its lease: a
// concurrent build that waits for their snapshots waits for a moment. pg_locks
// stops all taking of locks while it is read, so it is only read where the role
// may not see in pg_stat_activity who waits. See pg_blocking_pids and pg_locks in
// PostgreSQL's documentation.
func (w *watch) poll(ctx context.Context, conn *pgx.Conn) ([]queue, error) {
	w.mutex.Lock()
	worker := w.worker
	w.mutex.Unlock()
	rows, err := conn.Query(ctx, w.query, worker, w.m.asideName())
	if err != nil {
		return nil, err
	}
	var queues []queue
	var pid int
	var waiting, ahead bool
	var b Blocker
	var seconds *float64
	_, err = pgx.ForEachRow(rows, []any{&pid, &waiting, &ahead, &b.PID, &b.Application, &b.User, &b.State, &b.Query,
		&seconds}, func() error {
		if n := len(queues); n == 0 || queues[n-1].worker != pid {
			queues = append(queues, queue{worker: pid, waiting: waiting})
		}
		q := &queues[len(queues)-1]
		b.Age = 0
		if seconds != nil {
			b.Age = Elapsed(*seconds * float64(time.Second))
		}
		b.Query = shorten(w.m.redact(b.Query))
		if ahead {
			q.ahead = append(q.ahead, b)
		} else {
			q.behind = append(q.behind, b)
		}
		return nil
	})
	return queues, err
}

// teller makes events of what was seen, but not one for every look.
type teller struct {
	ahead   []int
	at      time.Time
	stalled time.Time // the beginning of the step whose stall was told
}

func (t *teller) tell(m *Migrator, ref Ref, step int, began time.Time, q queue) {
	if len(q.ahead) > 0 {
		var pids []int
		for _, b := range q.ahead {
			pids = append(pids, b.PID)
		}
		if !slices.Equal(pids, t.ahead) || time.Since(t.at) > 5*time.Second {
			t.ahead, t.at = pids, time.Now()
			m.emit(LockWaiting{Migration: ref, Step: step, Blockers: q.ahead, Waited: Elapsed(time.Since(began))})
		}
	}
	if q.longest() >= m.config.MaxStall && !t.stalled.Equal(began) {
		t.stalled = began
		m.emit(TrafficWaiting{Migration: ref, Step: step, Waiting: q.behind, Longest: Elapsed(q.longest())})
	}
}
