package main

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
)

// interruption turns signals into a way to end. The first one closes stop,
// where a command is prepared to end after its current step, and cancels the
// context otherwise; the second one always cancels.
type interruption struct {
	stop   chan struct{}
	gentle atomic.Bool
	// came is set when any signal came.
	came atomic.Bool

	cancel context.CancelFunc
	done   chan struct{}
	wait   sync.WaitGroup
	notice func()
}

// watch begins to listen. notice is called when a gentle end begins. The
// caller must call end.
func watch(ctx context.Context, signals <-chan os.Signal, notice func()) (context.Context, *interruption) {
	ctx, cancel := context.WithCancel(ctx)
	i := &interruption{stop: make(chan struct{}), done: make(chan struct{}), cancel: cancel, notice: notice}
	i.wait.Go(func() { i.listen(signals) })
	return ctx, i
}

func (i *interruption) listen(signals <-chan os.Signal) {
	for {
		select {
		case <-i.done:
			return
		case <-signals:
		}
		if i.came.Swap(true) || !i.gentle.Load() {
			i.cancel()
			continue
		}
		close(i.stop)
		i.notice()
	}
}

// end stops listening and waits until that is so.
func (i *interruption) end() {
	close(i.done)
	i.wait.Wait()
	i.cancel()
}

// gently says that the command ends by itself, after its current step, when
// the channel is closed.
func (i *interruption) gently() <-chan struct{} {
	i.gentle.Store(true)
	return i.stop
}

// atOnce says that there is nothing to finish: the next signal ends the command.
func (i *interruption) atOnce() { i.gentle.Store(false) }
