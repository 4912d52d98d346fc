package alert

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/monitor"
)

// Options say what to watch for, and who is told. The zero value watches with
// the default limits and tells nobody.
type Options struct {
	Limits      Limits
	Environment string
	Link        string // to the pipeline's run
	Routes      []Route
	// Outstanding are migrations that failed in earlier processes, as
	// monitor.Outstanding finds them: their alerts are resolved when they succeed.
	Outstanding []whimbrel.Ref
	// Report hears what became of every alert at every sink, failures above all.
	// It is called by one goroutine at a time, never by the run's. May be nil.
	Report func(Delivery)
	// Timeout is how long a sink may take for one try; 10 seconds unless it is positive, as
	// for the two below.
	Timeout time.Duration
	// Tries is how often what may pass is sent; 5 unless set.
	Tries int
	// Pause is the wait before the second try, doubled for each further one;
	// half a second unless set.
	Pause time.Duration
}

func (o Options) delivering() delivering {
	return delivering{
		timeout: cmp.Or(max(o.Timeout, 0), defaultTimeout), tries: cmp.Or(max(o.Tries, 0), defaultTries),
		pause: cmp.Or(max(o.Pause, 0), defaultPause),
	}
}

// Watch raises alerts about one Migrator. Its methods may be called
// concurrently. It must be closed.
type Watch struct {
	dispatcher *dispatcher
	worker     sync.WaitGroup
	earlier    chan struct{} // the rules want to be asked sooner than before
	done       chan struct{}

	mutex  sync.Mutex
	rules  rules
	armed  time.Time // when the rules will be asked; zero: not
	closed bool
}

// Start begins to watch.
func Start(options Options) *Watch {
	w := &Watch{
		dispatcher: newDispatcher(options.Routes, options.delivering(), options.Report),
		earlier:    make(chan struct{}, 1), done: make(chan struct{}),
		rules: rules{limits: options.Limits.withDefaults(), environment: options.Environment, link: options.Link,
			runner: runner()},
	}
	for _, ref := range options.Outstanding {
		w.rules.outstanding = append(w.rules.outstanding, Alert{Migration: &ref})
	}
	w.worker.Go(w.wait)
	return w
}

// Observe is a monitor.Observer. It never waits for a sink.
func (w *Watch) Observe(o monitor.Observation) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.closed {
		return
	}
	// What was due before is told before what happened now.
	if !w.armed.IsZero() && !w.armed.After(o.Time) {
		w.dispatcher.send(w.rules.tick(o.Time)...)
	}
	w.dispatcher.send(w.rules.observe(o.Time, o.Event)...)
	w.arm()
}

// Refused tells that a safety check refused a run, which then did not begin.
func (w *Watch) Refused(refusal Refusal) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if !w.closed {
		w.dispatcher.send(w.rules.refused(time.Now(), refusal))
	}
}

// Close ends the watch and waits until the alerts are delivered, at the latest
// until the context ends: give it a deadline. The error says how many alerts
// nobody got; Report had each of them.
func (w *Watch) Close(ctx context.Context) error {
	w.mutex.Lock()
	if w.closed {
		w.mutex.Unlock()
		return nil
	}
	w.closed = true
	w.mutex.Unlock()
	close(w.done)
	w.worker.Wait()
	return w.dispatcher.close(ctx)
}

// arm wakes the waiting goroutine if the rules want to be asked sooner than it
// knows. Where it is later, it finds out when it wakes.
func (w *Watch) arm() {
	next := w.rules.next()
	if next.IsZero() || !w.armed.IsZero() && !next.Before(w.armed) {
		return
	}
	w.armed = next
	select {
	case w.earlier <- struct{}{}:
	default: // it is to wake already
	}
}

// wait asks the rules when they want to be asked.
func (w *Watch) wait() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-w.earlier:
		case <-timer.C:
		}
		timer.Reset(w.tick(time.Now()))
	}
}

// tick raises what is due and says how long to sleep.
func (w *Watch) tick(now time.Time) time.Duration {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.closed {
		return time.Hour
	}
	w.dispatcher.send(w.rules.tick(now)...)
	w.armed = w.rules.next()
	if w.armed.IsZero() {
		return time.Hour
	}
	return max(0, w.armed.Sub(now))
}

// Try sends a sample to each route, whatever it filters, one after the other,
// and says what became of each.
func Try(ctx context.Context, options Options, database string) []Delivery {
	how := options.delivering()
	var deliveries []Delivery
	for _, route := range options.Routes {
		deliveries = append(deliveries, how.deliver(ctx, route, Sample(options.Environment, database, time.Now())))
	}
	return deliveries
}
