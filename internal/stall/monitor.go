// Package stall keeps the stall budget where lock_timeout alone cannot. It looks, from a
// connection of its own, at the queue around the session at work: who is before it, and
// who has come to be behind it.
//
//   - A statement that waits for a second lock while it holds a first blocks others for the
//     time of both waits. If somebody has waited behind it for as long as the budget, and
//     it is itself waiting, it is cancelled, to be sent again later.
//   - A statement outside a transaction may wait as long as it takes, since its
//     waiting blocks nobody, until somebody does queue behind it.
//
// A step that holds a lock because it is at work is not cancelled, only
// reported: backing off would throw the work away and begin it again.
package stall

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// How often the queue is looked at while a step runs, and how long a step has run when
// the first look is taken: most steps are over by then. A batch of a backfill locks rows,
// seldom more, and what is seen beside it makes the next ones smaller, so one look per
// batch is enough: looking as often as at the others would take more from live traffic
// than it gives.
const (
	interval       = 20 * time.Millisecond
	batchInterval  = 200 * time.Millisecond
	queuedInterval = 5 * time.Millisecond // while somebody queues behind the step
	firstLook      = 20 * time.Millisecond
)

// Session is another session in the queue. Age is that of its transaction where it is
// ahead of the step, and for how long it has been waiting where it is behind.
type Session struct {
	PID                             int
	Application, User, State, Query string
	Age                             time.Duration
}

// Mode says how long what runs may wait for locks, and so how it is watched.
type Mode int

// The modes.
const (
	Transactional    Mode = iota // a transaction, which others wait behind: for the budget
	Batches                      // one short transaction after the other
	NonTransactional             // as long as it takes, while nobody waits behind it
)

// Step is what runs.
type Step struct {
	Mode   Mode
	Notify func(Sight) // is told what is seen around the step, by one goroutine at a time
}

// interval is how long nobody looks at a step.
func (m Mode) interval() time.Duration {
	if m == Batches {
		return batchInterval
	}
	return interval
}

// Sight is what one look saw around one session at work.
type Sight struct {
	// Ahead are those that the step waits for, and Behind those that wait for it.
	Ahead, Behind []Session
	// Waited is for how long the step has been waiting since the last look: right on the
	// average, and within an interval each time.
	Waited time.Duration
	// Blocked is set when others are ahead than were before, and every few seconds;
	// Running is since when the step has been running.
	Blocked bool
	Running time.Duration
	// Stalled is set once a step: somebody has waited behind it for longer than the budget.
	Stalled bool
}

// Longest is for how long somebody has been waiting behind the step.
func (s Sight) Longest() (longest time.Duration) {
	for _, b := range s.Behind {
		longest = max(longest, b.Age)
	}
	return longest
}

// Config is what a Monitor needs to know.
type Config struct {
	Budget   time.Duration // how long others may wait behind a step that does not get on
	Patience time.Duration // how long Begin waits until the queue can be seen
	Worker   func() string // the application_name of the session at work
	Connect  func(context.Context) (*pgx.Conn, error)
	Name     string // the application_name of what Connect opens: in nobody's way
	Pooled   bool   // whether a pooler is between us and the server
}

// ErrBlind says that the queue behind a step cannot be seen.
var ErrBlind = errors.New("no connection to see who waits behind a statement outside a transaction")

// Monitor watches the steps of one run.
type Monitor struct {
	config Config

	mutex   sync.Mutex
	step    Step
	active  int       // steps, or batches of one, that run
	began   time.Time // the oldest of them
	cancels time.Time // when a step was last cancelled
	queued  bool      // somebody stood behind since Queued was asked

	// What was reported: blockers, when, and the beginning of the step whose stall was.
	blockers     []Session
	at, reported time.Time

	connected chan struct{} // closed once there is a connection
	cancel    context.CancelFunc
	done      sync.WaitGroup
}

// Start begins watching; Stop ends it.
func Start(ctx context.Context, config Config) *Monitor { return start(ctx, config, config.connect) }

func start(ctx context.Context, config Config, connect func(context.Context) (server, error)) *Monitor {
	ctx, cancel := context.WithCancel(dial.LetFinish(ctx))
	m := &Monitor{config: config, connected: make(chan struct{}), cancel: cancel}
	m.done.Go(func() { m.watch(ctx, connect) })
	return m
}

// Stop ends the watching.
func (m *Monitor) Stop() {
	m.cancel()
	m.done.Wait()
}

// Begin says that a step runs. For a step that may wait for as long as it
// takes, it returns only once the queue behind it can be seen.
func (m *Monitor) Begin(ctx context.Context, step Step) error {
	m.mutex.Lock()
	if m.active++; m.active == 1 {
		m.began = time.Now()
	}
	m.step = step
	m.mutex.Unlock()
	if step.Mode != NonTransactional {
		return nil
	}
	select {
	case <-m.connected:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(m.config.Patience):
		return ErrBlind
	}
}

// End says that a step does not run any more.
func (m *Monitor) End() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.active = max(m.active-1, 0); m.active == 0 {
		m.began = time.Time{}
	}
}

// Queued reports whether anybody was seen waiting behind a step since it was last asked.
func (m *Monitor) Queued() bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	queued := m.queued
	m.queued = false
	return queued
}

// Cancelled reports whether a cancelled statement was cancelled by the monitor.
// A cancellation can come late and hit the statement after the one it was
// meant for, so a moment's grace is given.
func (m *Monitor) Cancelled() bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return time.Since(m.cancels) < time.Second
}

// watch looks until Stop, over one connection after the other.
func (m *Monitor) watch(ctx context.Context, connect func(context.Context) (server, error)) {
	connected := sync.OnceFunc(func() { close(m.connected) })
	for attempt := 1; ctx.Err() == nil; attempt++ {
		if on, err := connect(ctx); err == nil {
			connected()
			if m.look(ctx, on) {
				attempt = 1
			}
			on.close()
		}
		_ = pause.For(ctx, pause.Backoff(attempt))
	}
}

// look looks until that fails, and reports whether it has ever worked.
func (m *Monitor) look(ctx context.Context, on server) (worked bool) {
	looked := time.Now()
	for wait := interval; pause.For(ctx, wait) == nil; {
		m.mutex.Lock()
		step, began := m.step, m.began
		m.mutex.Unlock()
		wait = step.Mode.interval()
		if began.IsZero() || time.Since(began) < firstLook {
			continue
		}
		worker := m.config.Worker()
		queues, err := on.queues(ctx, worker)
		if err != nil {
			return worked
		}
		waited := min(time.Since(looked), time.Since(began))
		looked, worked = time.Now(), true
		for _, q := range queues {
			if len(q.Behind) > 0 {
				wait = queuedInterval
			}
			if q.waiting { // of several batches, one
				q.Waited, waited = waited, 0
			}
			q.Running = time.Since(began)
			if m.judge(&q, step, began) {
				on.cancel(ctx, q.worker, worker)
			}
			step.Notify(q.Sight)
		}
	}
	return worked
}

// judge says whether to cancel the step: if it makes others wait for longer than the
// budget without getting on itself. What it takes to notice and to cancel is taken off
// the budget. It also says what is to be reported, which is not every sight.
func (m *Monitor) judge(q *queue, step Step, began time.Time) (cancel bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.queued = m.queued || len(q.Behind) > 0
	longest, budget := q.Longest(), m.config.Budget
	if longest >= budget && !m.reported.Equal(began) {
		m.reported, q.Stalled = began, true
	}
	same := slices.EqualFunc(q.Ahead, m.blockers, func(a, b Session) bool { return a.PID == b.PID })
	if len(q.Ahead) > 0 && (!same || time.Since(m.at) > 5*time.Second) {
		m.blockers, m.at, q.Blocked = q.Ahead, time.Now(), true
	}
	cancel = longest >= max(budget-step.Mode.interval(), budget/2) && (q.waiting || step.Mode == NonTransactional) &&
		!m.began.IsZero()
	if cancel {
		m.cancels = time.Now()
	}
	return cancel
}
