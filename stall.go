package whimbrel

import (
	"context"
	"errors"

	"github.com/whimbrel-db/whimbrel/internal/stall"
)

// monitor begins to look at the queue around the session at work.
func (r *run) monitor(ctx context.Context) *stall.Monitor {
	return stall.Start(ctx, stall.Config{
		Budget: r.m.config.MaxStall, Patience: r.m.config.LeaseDuration, Worker: r.lease.session,
		Connect: r.m.aside, Name: r.m.asideName(), Pooled: r.db.facts.behindPool,
	})
}

// watching says that a step runs. What is seen of it becomes events, and lines of the log.
func (r *run) watching(ctx context.Context, ref Ref, step int, mode stall.Mode, of *attempt) error {
	of.sent()
	m := r.m
	err := r.watch.Begin(ctx, stall.Step{Mode: mode, Notify: func(seen stall.Sight) {
		ahead := m.blockers(seen.Ahead)
		of.waited(seen.Waited, ahead)
		if seen.Blocked {
			m.emit(LockWaiting{Migration: ref, Step: step, Blockers: ahead, Waited: seen.Running})
		}
		if seen.Stalled {
			m.emit(TrafficWaiting{Migration: ref, Step: step, Waiting: m.blockers(seen.Behind),
				Longest: seen.Longest()})
		}
	}})
	if errors.Is(err, stall.ErrBlind) {
		return &Error{
			Code: CodeConnection, Err: err, Message: "no second connection could be opened to see who waits behind a " +
				"statement outside a transaction",
			Remedy: "allow this role one more connection, then run the command again",
		}
	}
	return err
}

// blockers are sessions as they may be shown.
func (m *Migrator) blockers(sessions []stall.Session) (all []Blocker) {
	for _, s := range sessions {
		all = append(all, Blocker{s.PID, s.Application, s.User, s.State, shorten(m.redact(s.Query)), s.Age})
	}
	return all
}
