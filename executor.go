package whimbrel

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pause"
	"github.com/whimbrel-db/whimbrel/internal/stall"
	"github.com/whimbrel-db/whimbrel/migration"
)

// executor runs the steps of one kind: transactional, nonTransactional, batched, scripted.
type executor interface {
	// execute runs the step until it is done, and records it, as often as it backs off.
	// The rows are those that it has changed, with what earlier runs did.
	execute(ctx context.Context) (rows int64, err error)
}

// execution is a step on its way, over one connection.
type execution struct {
	*run
	planned Planned
	step    Step
	last    bool          // the step that records the migration
	earlier time.Duration // what the steps before it took
	began   time.Time     // the step
	attempt *attempt      // at the migration
}

func (e *execution) executor() executor {
	switch {
	case e.step.code != nil:
		return scripted{e}
	case e.step.Kind == StepAlone:
		return nonTransactional{e}
	case e.step.Kind == StepBatch:
		return batched{e}
	}
	return transactional{e}
}

// execute runs the step. One that is done is the last, since those behind it were taken
// out of the file: it is left to record the migration.
func (e *execution) execute(ctx context.Context) (int64, error) {
	if e.step.Done {
		return e.finish(ctx, e.step.rows)
	}
	if err := e.prelude(ctx, e.step); err != nil {
		return 0, err
	}
	return e.executor().execute(ctx)
}

// spent is what the migration has taken so far.
func (e *execution) spent() time.Duration { return e.earlier + time.Since(e.began) }

// counted notes how many rows the step has changed, if it is the last one: the answer to
// its record may be lost.
func (e *execution) counted(rows int64) {
	if e.last {
		e.attempt.rows, e.attempt.known = e.attempt.before+rows, true
	}
}

// finish records a step that is done, in a transaction, and only that is tried again.
func (e *execution) finish(ctx context.Context, rows int64) (int64, error) {
	e.step.rows = rows
	e.counted(rows)
	_, err := e.persist(ctx, stall.Transactional, func() (int64, error) { return 0, e.record(ctx) })
	return rows, err
}

// record says in the journal, or in the history, that what ran outside a transaction is
// done. The settings that the file has behind its last statement are run in that
// transaction.
func (e *execution) record(ctx context.Context) error {
	p, s := e.planned, e.step
	var before message
	if !e.last && e.keepsSession(p) && (s.code != nil || mayChangeSession(s.Body()[0])) {
		before = e.observed(p, s.Body(), nil)
	}
	before = append(append(before, e.giveBack(p)...), e.stepOpening(p)...)
	_, err := e.transaction(ctx, p, s, len(s.Statements)-s.Trailing, before, e.ending(e.spent()))
	return err
}

// persist sends what a step consists of until it succeeds, fails for good, or the retry
// budget ends. Only what left nothing behind is sent again.
func (e *execution) persist(ctx context.Context, mode stall.Mode, once func() (int64, error)) (int64, error) {
	began, ref := time.Now(), e.planned.Ref()
	for attempt := 1; ; attempt++ {
		if err := e.lease.held(); err != nil {
			return 0, err
		}
		if err := e.watching(ctx, ref, e.step.Number, mode, e.attempt); err != nil {
			return 0, err
		}
		sent := time.Now()
		rows, err := once()
		e.watch.End()
		if err == nil {
			return rows, nil
		}
		refused, passes := e.passesByItself(err)
		if threwOurStatementsAway(err) && !e.spelling {
			e.spelling = true
			continue
		}
		if !passes || ctx.Err() != nil {
			return 0, err
		}
		wait := pause.Backoff(attempt)
		if time.Since(began)+wait > e.m.config.RetryBudget {
			return 0, &exhausted{cause: err, attempts: attempt, took: time.Since(began), blockers: e.attempt.blockers()}
		}
		e.m.emit(Retrying{Migration: ref, Step: e.step.Number, Attempt: attempt, After: wait,
			SQLState: refused.Code, Reason: e.m.redact(refused.Message)})
		if e.m.stopping() {
			return 0, interrupted()
		}
		if err := pause.For(ctx, wait); err != nil {
			return 0, err
		}
		e.attempt.backedOff(time.Since(sent), refused.Message)
	}
}

// exhausted is a step that backed off until the retry budget ended.
type exhausted struct {
	cause    error
	attempts int
	took     time.Duration
	blockers []Blocker
}

func (e *exhausted) Error() string { return e.cause.Error() }
func (e *exhausted) Unwrap() error { return e.cause }

// passesByItself reports whether a failure is one that passes by itself: a lock that
// could not be had in time, a deadlock, a serialisation failure, or a statement
// that the stall monitor cancelled for the sake of others.
func (r *run) passesByItself(err error) (*pgconn.PgError, bool) {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return nil, false
	}
	switch refused.Code {
	case "55P03", "40P01", "40001":
		return refused, true
	case "57014":
		return refused, r.watch.Cancelled()
	}
	return refused, false
}

// threwOurStatementsAway reports that one of the prepared statements is gone,
// as after a DEALLOCATE ALL in this migration or an earlier one.
func threwOurStatementsAway(err error) bool {
	var f *failure
	var refused *pgconn.PgError
	return errors.As(err, &f) && f.statement < 0 && errors.As(err, &refused) && refused.Code == "26000"
}

// transactional runs statements as one transaction with their record.
type transactional struct{ *execution }

func (t transactional) execute(ctx context.Context) (int64, error) {
	p, s := t.planned, t.step
	rows, err := t.persist(ctx, stall.Transactional, func() (int64, error) {
		return t.transaction(ctx, p, s, s.Prelude, t.stepOpening(p), t.ending(t.earlier))
	})
	var refused *pgconn.PgError
	if s.apart && errors.As(err, &refused) && refused.Code == "25001" {
		// Only the catalog told that it cannot be in a transaction, as with
		// REINDEX of a partitioned table; the section allows to run it without.
		t.planned.journalled = append(slices.Clone(p.journalled), migration.Version(p.inJournal()))
		return nonTransactional(t).execute(ctx)
	}
	return rows, err
}
