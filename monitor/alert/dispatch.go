package alert

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// Delivery says what became of an alert at a sink.
type Delivery struct {
	Route string // its name
	Alert Alert
	Err   error // nil when it was delivered
	Took  time.Duration
	Tries int
}

// delivering is how alerts are delivered.
type delivering struct {
	timeout time.Duration // of one try
	tries   int
	pause   time.Duration // before the second try; doubled for each further one
}

const (
	defaultTimeout = 10 * time.Second
	defaultTries   = 5
	defaultPause   = 500 * time.Millisecond
	longestPause   = 30 * time.Second
	queueLength    = 64
)

// Errors of alerts that no sink has got.
var (
	errFull      = errors.New("dropped: too many alerts wait for this sink already")
	errAbandoned = errors.New("given up: the run ended and the sink has not answered")
)

// dispatcher has a queue and a goroutine for every sink.
type dispatcher struct {
	how    delivering
	report func(Delivery)

	queues  []*queue
	workers sync.WaitGroup
	context context.Context
	cancel  context.CancelFunc
	telling sync.Mutex
}

// queue are the alerts that wait for one sink.
type queue struct {
	route  Route
	alerts chan Alert

	mutex   sync.Mutex
	pending []Alert // not delivered yet, the one under way included
}

func newDispatcher(routes []Route, how delivering, report func(Delivery)) *dispatcher {
	d := &dispatcher{how: how, report: report}
	d.context, d.cancel = context.WithCancel(context.Background())
	for _, route := range routes {
		q := &queue{route: route, alerts: make(chan Alert, queueLength)}
		d.queues = append(d.queues, q)
		d.workers.Go(func() { d.work(q) })
	}
	return d
}

// send hands alerts to the queues. It never blocks.
func (d *dispatcher) send(alerts ...Alert) {
	for _, a := range alerts {
		for _, q := range d.queues {
			if !q.route.wants(a) {
				continue
			}
			q.mutex.Lock()
			full := len(q.pending) >= queueLength
			if !full {
				q.pending = append(q.pending, a)
				q.alerts <- a // there is room: pending counts what is in it
			}
			q.mutex.Unlock()
			if full {
				// The caller is a run: it must not wait for anyone who reads reports.
				d.workers.Go(func() { d.tell(Delivery{Route: q.route.Name, Alert: a, Err: errFull}) })
			}
		}
	}
}

func (d *dispatcher) work(q *queue) {
	for a := range q.alerts {
		delivery := d.how.deliver(d.context, q.route, a)
		q.mutex.Lock()
		abandoned := len(q.pending) == 0
		if !abandoned {
			q.pending = q.pending[1:]
		}
		q.mutex.Unlock()
		if abandoned { // that was told already
			return
		}
		d.tell(delivery)
	}
}

func (d *dispatcher) tell(delivery Delivery) {
	if d.report == nil {
		return
	}
	d.telling.Lock()
	defer d.telling.Unlock()
	d.report(delivery)
}

// close waits until all alerts are delivered, at the latest until the context
// ends. What is not delivered by then is reported, and the sinks are told to
// stop. A sink that does not is left behind.
func (d *dispatcher) close(ctx context.Context) error {
	for _, q := range d.queues {
		close(q.alerts)
	}
	defer d.cancel()
	done := make(chan struct{})
	go func() { // ends with the workers
		d.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	d.cancel()
	undelivered := 0
	for _, q := range d.queues {
		q.mutex.Lock()
		left := q.pending
		q.pending = nil
		q.mutex.Unlock()
		for _, a := range left {
			undelivered++
			d.tell(Delivery{Route: q.route.Name, Alert: a, Err: errAbandoned})
		}
	}
	if undelivered == 0 {
		return nil
	}
	return fmt.Errorf("%d alerts were not delivered in time", undelivered)
}

// deliver sends an alert until the sink has it, fails for good, or has failed
// often enough.
func (how delivering) deliver(ctx context.Context, route Route, a Alert) Delivery {
	began := time.Now()
	delivery := Delivery{Route: route.Name, Alert: a}
	longest := how.pause
	for {
		delivery.Tries++
		delivery.Err = how.try(ctx, route.Sink, a)
		delivery.Took = time.Since(began)
		var passing *temporary
		if delivery.Err == nil || !errors.As(delivery.Err, &passing) || delivery.Tries == how.tries || ctx.Err() != nil {
			return delivery
		}
		wait := min(max(longest/2+rand.N(longest/2+1), passing.wait), longestPause)
		longest *= 2
		if pause.For(ctx, wait) != nil {
			return delivery
		}
	}
}

func (how delivering) try(ctx context.Context, sink Sink, a Alert) (err error) {
	ctx, cancel := context.WithTimeout(ctx, how.timeout)
	defer cancel()
	defer func() {
		if fault := recover(); fault != nil { // a sink's fault must not end a migration
			err = fmt.Errorf("the sink panicked: %v", fault)
		}
	}()
	return sink.Send(ctx, a)
}
