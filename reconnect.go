package whimbrel

import (
	"context"
	"errors"
	"slices"
	"time"
)

// lostConnection reports whether a run may try to connect anew.
func lostConnection(ctx context.Context, err error) bool {
	var e *Error
	return err != nil && ctx.Err() == nil && errors.As(err, &e) && e.Code == CodeConnection
}

// resume connects anew after the connection broke in the middle of a
// migration, asks the database what became of it, and does what is left. It
// goes on only while the lease is this runner's; the lease's own clock ends the
// attempts.
func (r *run) resume(ctx context.Context, p Planned, lost error) (rows int64, err error) {
	began := time.Now()
	r.m.emit(ConnectionLost{Migration: p.Ref(), Reason: lost.Error()})
	if err := r.reconnect(ctx, lost); err != nil {
		return 0, err
	}
	s, err := r.m.read(ctx, r.db, false)
	if err != nil {
		return 0, err
	}
	recorded := slices.ContainsFunc(s.applied, func(a Applied) bool { return a.Version.Equal(p.Migration.Version) })
	done := recorded == (p.Direction == Up) && !p.accept
	r.m.emit(Reconnected{Migration: p.Ref(), Waited: Elapsed(time.Since(began)), Recorded: done})
	if done {
		return 0, nil
	}
	if err := p.resume(s.journal); err != nil {
		return 0, err
	}
	return r.migrate(ctx, p)
}

// reconnect replaces the run's connection and joins it to the lease.
func (r *run) reconnect(ctx context.Context, lost error) error {
	r.db.close()
	for attempt := 1; ; attempt++ {
		if r.m.stopping() {
			return asError(lost, CodeConnection)
		}
		if err := pause(ctx, backoff(attempt)); err != nil {
			return r.m.serverError(ctx, "connecting anew", err)
		}
		db, err := r.m.connect(ctx)
		if err != nil {
			if lostConnection(ctx, err) {
				continue
			}
			return err
		}
		db.ready = true
		r.db = db
		if err := r.lease.rejoin(ctx, db); err != nil {
			return r.m.serverError(ctx, "joining the lease again", err)
		}
		if err := r.prepareTemplates(ctx); err != nil {
			return r.m.serverError(ctx, "preparing", err)
		}
		return nil
	}
}
