package js

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// limit watches a script while it runs, and stops it.
type limit struct {
	vm       *goja.Runtime
	options  Options
	baseline uint64 // bytes on the heap before the script
	live     uint64 // bytes above the baseline after the last forced collection

	collecting bool        // a forced collection is under way
	collected  chan uint64 // its outcome

	since    atomic.Int64 // when it began to compute, in nanoseconds of the monotonic clock; 0 while it waits
	started  time.Time
	mutex    sync.Mutex
	stopped  error // why
	end      chan struct{}
	watching sync.WaitGroup
}

// look is how often the limits are looked at. Reading the size of the heap
// takes less than a microsecond.
const look = 10 * time.Millisecond

// watch begins to watch; close ends it.
func watch(ctx context.Context, vm *goja.Runtime, options Options) *limit {
	l := &limit{vm: vm, options: options, baseline: heap(), started: time.Now(), end: make(chan struct{}),
		collected: make(chan uint64, 1)}
	l.watching.Go(func() {
		ticker := time.NewTicker(look)
		defer ticker.Stop()
		for {
			select {
			case <-l.end:
				return
			case <-ctx.Done():
				l.stop(context.Cause(ctx))
				return
			case <-ticker.C:
				if err := l.exceeded(); err != nil {
					l.stop(err)
					return
				}
			}
		}
	})
	return l
}

func (l *limit) close() {
	close(l.end)
	l.watching.Wait()
}

// computing and waiting tell where the time goes.
func (l *limit) computing() { l.since.Store(int64(time.Since(l.started)) + 1) }
func (l *limit) waiting()   { l.since.Store(0) }

// stop ends the script at its next instruction; nothing in it can catch that.
// The first reason counts.
func (l *limit) stop(reason error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.stopped == nil {
		l.stopped = reason
		l.vm.Interrupt(reason)
	}
}

// reason is why the script was stopped, nil if it was not.
func (l *limit) reason() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.stopped
}

func (l *limit) exceeded() error {
	if since := l.since.Load(); since > 0 && time.Since(l.started)-time.Duration(since) > l.options.Compute {
		return &whimbrel.Error{Code: whimbrel.CodeScript,
			Message: fmt.Sprintf("the script has computed for more than %s without asking the database anything",
				l.options.Compute),
			Remedy: "look for a loop that does not end; work on many rows belongs into SQL"}
	}
	if !l.tooLarge() {
		return nil
	}
	return l.outOfMemory()
}

func (l *limit) outOfMemory() error {
	return &whimbrel.Error{Code: whimbrel.CodeScript,
		Message: fmt.Sprintf("the script needs more than its %s of memory", present.Bytes(l.options.Memory)),
		Remedy:  "read fewer rows at a time, as client.batch does, or do the work in SQL"}
}

// tooLarge looks at the heap. Where garbage may be in it, that is collected, not
// more often than once per quarter of the limit; meanwhile looking goes on,
// since a collection may have to wait for a large string to be copied. What is
// far beyond the limit cannot be garbage only, as the heap is collected anyway
// when it has doubled.
func (l *limit) tooLarge() bool {
	most, above := uint64(l.options.Memory), l.above()
	if above > 3*most+l.baseline {
		return true
	}
	select {
	case l.live = <-l.collected:
		l.collecting = false
	default:
	}
	if !l.collecting && above > max(most, l.live+most/4) {
		l.collecting = true
		l.watching.Go(func() {
			runtime.GC()
			now := heap()
			l.collected <- now - min(now, l.baseline)
		})
	}
	return l.live > most
}

// above is how much the heap has grown.
func (l *limit) above() uint64 {
	now := heap()
	return now - min(now, l.baseline)
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
