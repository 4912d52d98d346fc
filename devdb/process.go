package devdb

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"
)

// process is a program that we started and that we will wait for.
type process struct {
	pid   int
	done  chan struct{} // closed when the program has ended and was waited for
	err   error         // how it ended; to be read after done
	walls Walls         // those that it runs behind
}

// launch starts a program and waits for it in a goroutine, so that it never becomes a zombie. For a bound program that
// goroutine stays on one operating system thread, because Linux ends the program together with the thread that started
// it, not with the process. A thread that has entered the walls stays behind them: it is never given back, and ends
// with the goroutine. (Go starts new threads from one that is not locked, so that nothing else of this program inherits
// the walls.)
func launch(command *exec.Cmd, lifetime lifetime, walls *confinement) (*process, error) {
	p := &process{done: make(chan struct{})}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		if lifetime == bound {
			runtime.LockOSThread()
			if !walls.any() {
				defer runtime.UnlockOSThread()
			}
		}
		release, err := p.begin(command, lifetime, walls)
		started <- err
		if err != nil {
			return
		}
		p.err = command.Wait()
		release()
	}()
	go func() { // not behind the walls
		defer close(p.done)
		<-ended
		endOurs(p.pid, walls)
	}()
	return p, <-started
}

// begin starts the program, on the thread that it will live with.
func (p *process) begin(command *exec.Cmd, lifetime lifetime, walls *confinement) (release func(), err error) {
	if err := walls.enter(); err != nil {
		return nil, err
	}
	if err := startOurs(command); err != nil {
		return nil, err
	}
	p.pid, release = command.Process.Pid, func() {}
	walls.limit(p.pid)
	if lifetime != bound {
		return release, nil
	}
	if release, err = guard(p.pid); err != nil {
		_ = command.Process.Kill()
		_ = command.Wait()
		return nil, err
	}
	return release, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// failure is the error of a program that should still run; nil while it does.
func (p *process) failure() error {
	if !p.ended() {
		return nil
	}
	if p.err == nil {
		return errors.New("it ended at once")
	}
	return fmt.Errorf("it ended at once (%w)", p.err)
}

// shutdown is one of PostgreSQL's ways to stop; see https://www.postgresql.org/docs/current/server-shutdown.html.
type shutdown int

const (
	fast      shutdown = iota // ends the sessions, writes a checkpoint
	immediate                 // ends the processes; the next start recovers from the log
	kill                      // the operating system's last word
)

// patience is how long each way of stopping may take before a rougher one is tried.
const patience = 5 * time.Second

// pollInterval is how often a server is asked whether it is ready, or gone.
const pollInterval = 2 * time.Millisecond

// stopProcess stops the server with that process number, and returns when gone says that it is gone, or when ctx ends.
func stopProcess(ctx context.Context, binaries Binaries, pid int, mode shutdown, gone func() bool) error {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		if err := signal(binaries, pid, mode); err != nil {
			return fmt.Errorf("stopping the PostgreSQL server, process %d: %w", pid, err)
		}
		rougher := time.Now().Add(patience)
		for time.Now().Before(rougher) {
			if gone() {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("stopping the PostgreSQL server, process %d: %w", pid, ctx.Err())
			case <-poll.C:
			}
		}
		mode = min(mode+1, kill)
	}
}
