package whimbrel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// lostConnection reports whether a run may try to reconnect.
func lostConnection(ctx context.Context, err error) bool {
	var e *Error
	return err != nil && ctx.Err() == nil && errors.As(err, &e) && e.Code == CodeConnection
}

// why is the reason for which a run ends: where it was ended and lost its connection
// at the same time, which a paused process finds when it is woken, it is the former.
func why(ctx context.Context, err error) error {
	var e, cause *Error
	if errors.As(err, &e) && e.Code == CodeConnection && errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	return err
}

// losses counts how often in a row the connection was lost without getting any
// further. What ends the session each time, as a server that crashes of a statement
// does, would otherwise go on for ever.
type losses struct {
	count    int
	advanced int64 // what was done at the last of them
}

// mostLosses is how many losses in a row are borne: a server that restarts, a
// network that comes and goes.
const mostLosses = 5

// inVain counts one more, and reports whether it is one too many.
func (l *losses) inVain(advanced int64) bool {
	if advanced > l.advanced {
		l.count, l.advanced = 0, advanced
	}
	l.count++
	return l.count > mostLosses
}

func lostInVain(last error) error {
	e := *asError(last, CodeConnection)
	e.Message = fmt.Sprintf("the connection was lost %d times in a row at the same place: %s", mostLosses+1, e.Message)
	e.Remedy = "look into the server's log for what ended the sessions, a crash or a shortage of memory, before you run " +
		"the same command again"
	e.Err = last
	return &e
}

// resume reconnects after the connection broke, asks the database what
// became of the migrations that were on their way, and gives what is left of
// the plan. It goes on only while the lease is this runner's; the lease's own
// clock ends the attempts.
func (r *run) resume(ctx context.Context, left []Planned, onTheWay int, lost error, of *attempt) (
	[]Planned, error) {
	began := time.Now()
	r.m.emit(ConnectionLost{Migration: left[0].Ref(), Reason: lost.Error()})
	if err := r.reconnect(ctx, lost); err != nil {
		return left, err
	}
	s, err := r.m.read(ctx, r.db, withoutDownMigrations)
	if err != nil {
		return left, err
	}
	recorded := 0
	for recorded < onTheWay && s.shows(left[recorded]) {
		recorded++
	}
	r.m.emit(Reconnected{Migration: left[0].Ref(), Waited: time.Since(began), Recorded: recorded})
	for i, p := range left[:recorded] {
		rows := int64(unknownRows)
		if i == 0 && of.known {
			rows = of.rows
		}
		r.finished(p, s.took(p, time.Since(began)), rows)
	}
	left = left[recorded:]
	if len(left) == 0 {
		return left, nil
	}
	return left, left[0].resume(s.journal)
}

// took is how long a migration took by its record; otherwise where that has no time.
func (s state) took(p Planned, otherwise time.Duration) time.Duration {
	if row, found := s.appliedVersions()[p.Migration.Version.Canonical()]; found && p.Direction == Up {
		return row.Duration
	}
	return otherwise
}

// shows reports whether a planned migration is recorded as done.
func (s state) shows(p Planned) bool {
	if row, found := s.repeatedVersion(p.Migration.Version); found && p.Direction == Up {
		return row.Checksum == p.Migration.Checksum && len(s.objects[row.Version].gone) == 0
	} else if p.Migration.Version.Repeatable() {
		return !found && p.Direction == Down
	}
	if p.Action == RecoverDiscard {
		return len(s.journal.of(p.Migration.Version)) == 0
	}
	if p.Direction == Down && len(s.journal.of(p.Migration.Version)) > 0 {
		return false // of what stopped half-way up, the history does not tell that it was rolled back
	}
	applied := slices.ContainsFunc(s.applied, func(a Applied) bool { return a.Version.Equal(p.Migration.Version) })
	return applied == (p.Direction == Up) && p.Action != ActionAccept
}

// reconnect replaces the run's connection and joins it to the lease.
func (r *run) reconnect(ctx context.Context, lost error) error {
	r.db.close()
	r.db.onNotice = nil
	for attempt := 1; ; attempt++ {
		if r.m.stopping() {
			return &Error{
				Code: CodeInterrupted, Message: "interrupted while reconnecting: " + asError(lost, CodeConnection).Message,
				Err:    lost,
				Remedy: "run the same command again: it goes on where this one stopped",
			}
		}
		if err := pause.For(ctx, pause.Backoff(attempt)); err != nil {
			return r.m.serverError(ctx, "reconnecting", err)
		}
		db, err := r.m.connect(ctx)
		if err != nil {
			if lostConnection(ctx, err) || r.m.stopping() {
				continue
			}
			return err
		}
		db.ready, db.glanced = true, nil // what is on its way may still change it
		r.db = db
		if err := r.lease.rejoin(ctx, db); err != nil {
			if lostConnection(ctx, r.m.serverError(ctx, "joining the lease again", err)) {
				db.close()
				continue
			}
			return r.m.serverError(ctx, "joining the lease again", err)
		}
		if err := r.prepareTemplates(ctx); err != nil {
			return r.m.serverError(ctx, "preparing", err)
		}
		return nil
	}
}
