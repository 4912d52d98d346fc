package alert

import (
	"fmt"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// observe tells the rules what happened and gives what is to be said about it.
func (r *rules) observe(now time.Time, event whimbrel.Event) []Alert {
	switch e := event.(type) {
	case whimbrel.RunStarted:
		r.database, r.command, r.failed = e.Database, e.Command, false
		r.conditions = nil
	case whimbrel.LeaseWaiting:
		r.waitsForLease(now, e)
	case whimbrel.LeaseTaken:
		return r.end(now, Lease)
	case whimbrel.MigrationStarted:
		r.runs(now, e)
	case whimbrel.MigrationFinished:
		r.over(Slow, "It finished after all")
		return append(r.end(now, Slow, Lock, Traffic, Still), r.mended(now, e.Migration)...)
	case whimbrel.Failed:
		r.over(Slow, "It runs no longer, for it failed")
		if e.Error != nil && e.Error.Code == whimbrel.CodeInterrupted { // somebody wanted that
			return r.end(now, Slow, Lock, Traffic, Still)
		}
		r.failed = true
		return append([]Alert{r.failure(now, e)}, r.end(now, Slow, Lock, Traffic, Still)...)
	case whimbrel.RunFinished:
		return r.finished(now, e)
	default:
		return r.within(now, event)
	}
	return nil
}

// within is for what happens in a step.
func (r *rules) within(now time.Time, event whimbrel.Event) []Alert {
	switch e := event.(type) {
	case whimbrel.StepStarted:
		r.step = stepping{migration: e.Migration, number: e.Step, kind: e.StepKind}
		if e.StepKind == whimbrel.StepBatch {
			r.standsStill(now, "")
		}
	case whimbrel.StepFinished:
		return r.end(now, Lock, Traffic, Still)
	case whimbrel.LockWaiting:
		c := r.waitsForLock(now.Add(-e.Waited), e.Migration, e.Step)
		c.seen, c.alert.Blockers = now, sessionsOf(e.Blockers)
	case whimbrel.Retrying:
		if e.SQLState == lockNotAvailable {
			r.waitsForLock(now, e.Migration, e.Step).seen = now.Add(e.After)
		}
		return r.end(now, Traffic)
	case whimbrel.TrafficWaiting:
		r.letsOthersWait(now, e)
	case whimbrel.BatchProgress:
		ended := r.end(now, Still, Lock, Traffic)
		r.standsStill(now, "")
		return ended
	case whimbrel.BatchPaused:
		r.standsStill(now, e.Reason)
	case whimbrel.BatchResumed:
		r.standsStill(now, "")
	}
	return nil
}

// lockNotAvailable is PostgreSQL's code for a lock that was not had in time.
const lockNotAvailable = "55P03"

// over changes how the end of a condition is worded.
func (r *rules) over(reason Reason, text string) {
	for _, c := range r.conditions {
		if c.reason == reason {
			c.over = text
		}
	}
}

func (r *rules) runs(now time.Time, e whimbrel.MigrationStarted) {
	c := r.begin(Slow, now, keyOf(e.Migration, Slow), levels(level{r.limits.SlowMedium, Medium}, level{r.limits.SlowHigh,
		High}))
	slices.SortStableFunc(c.levels, func(a, b level) int { return int(a.after - b.after) })
	ref := e.Migration
	c.alert.Migration = &ref
	c.alert.Remedy = "see what it does with `whimbrel lock`; it can be stopped with Ctrl-C without losing what is done"
	c.tell = func(lasted time.Duration) (title, message string) {
		title = fmt.Sprintf("Migration %s is slow", name(ref))
		return title, fmt.Sprintf("Migration %s (%s) has been running for %s and is still at work.", name(ref),
			ref.Direction, present.Duration(lasted))
	}
}

func (r *rules) waitsForLease(now time.Time, e whimbrel.LeaseWaiting) {
	c := r.begin(Lease, now.Add(-e.Waited), string(Lease), levels(level{r.limits.Lease, Medium}))
	holder := e.Holder
	c.alert.Remedy = "see the holder with `whimbrel lock`"
	c.over = "The lease was had"
	c.tell = func(lasted time.Duration) (title, message string) {
		return "Waiting for another runner", fmt.Sprintf("This run has been waiting for the lease for %s; %s has held it "+
			"since %s.",
			present.Duration(lasted), holder.By, holder.Since.UTC().Format(time.RFC3339))
	}
}

func (r *rules) waitsForLock(since time.Time, ref whimbrel.Ref, step int) *condition {
	c := r.begin(Lock, since, keyOf(ref, Lock), levels(level{r.limits.Lock, Medium}))
	c.alert.Migration, c.alert.Step = &ref, step
	c.alert.Remedy = "end the transaction that is in the way, or leave it to the run, which tries again until its " +
		"retry budget ends"
	c.over = "It waits for no lock any longer"
	c.tell = func(lasted time.Duration) (title, message string) {
		return fmt.Sprintf("Migration %s waits for a lock", name(ref)),
			fmt.Sprintf("Step %d of migration %s (%s) has not got its lock for %s.", step, name(ref), ref.Direction,
				present.Duration(lasted))
	}
	return c
}

func (r *rules) letsOthersWait(now time.Time, e whimbrel.TrafficWaiting) {
	ref, step := e.Migration, e.Step
	c := r.begin(Traffic, now.Add(-e.Longest), keyOf(ref, Traffic), levels(level{r.limits.Traffic, High}))
	c.alert.Migration, c.alert.Step = &ref, step
	c.alert.Remedy = "stop the run if that cannot be borne: the step is rolled back"
	c.over = "The step holds nobody up any longer"
	waiting := len(e.Waiting)
	c.tell = func(lasted time.Duration) (title, message string) {
		return fmt.Sprintf("Migration %s holds others up", name(ref)),
			fmt.Sprintf("Step %d of migration %s (%s) is at work under its lock; %d sessions were seen waiting behind it, the "+
				"first of them %s ago.",
				step, name(ref), ref.Direction, waiting, present.Duration(lasted))
	}
}

func (r *rules) standsStill(now time.Time, why string) {
	ref, step := r.step.migration, r.step.number
	c := r.begin(Still, now, keyOf(ref, Still), levels(level{r.limits.Still, Medium}))
	c.alert.Migration, c.alert.Step = &ref, step
	c.over = "The backfill goes on"
	c.tell = func(lasted time.Duration) (title, message string) {
		message = fmt.Sprintf("The backfill in step %d of migration %s (%s) has not finished a batch for %s", step,
			name(ref), ref.Direction, present.Duration(lasted))
		if why != "" {
			message += ": " + why
		}
		return fmt.Sprintf("The backfill of migration %s makes no progress", name(ref)), message + "."
	}
}

// failure is the alert of a failed migration.
func (r *rules) failure(now time.Time, e whimbrel.Failed) Alert {
	a := r.about(Failed, keyOf(e.Migration, Failed))
	ref := e.Migration
	a.ID, a.Status, a.Type, a.Severity = newID(), Firing, Error, Critical
	a.Migration, a.Duration, a.Time, a.Since = &ref, e.Duration, now, now.Add(-e.Duration)
	a.Title = fmt.Sprintf("Migration %s failed", name(ref))
	a.Message = fmt.Sprintf("Migration %s (%s) failed after %s.", name(ref), ref.Direction,
		present.Duration(e.Duration))
	if e.Error != nil {
		a.Error, a.Remedy = failureOf(e.Error), e.Error.Remedy
		a.Message = fmt.Sprintf("Migration %s (%s) failed after %s: %s", name(ref), ref.Direction,
			present.Duration(e.Duration), e.Error.Error())
	}
	r.remember(a)
	return a
}

// remember keeps a failure to be resolved, once, however often it happens.
func (r *rules) remember(a Alert) {
	r.outstanding = slices.DeleteFunc(r.outstanding, func(earlier Alert) bool {
		return earlier.Key == a.Key || earlier.Key == "" && a.Migration != nil && keyOf(*earlier.Migration,
			Failed) == keyOf(*a.Migration, Failed)
	})
	r.outstanding = append(r.outstanding, a)
}

// mended resolves the failures of a migration that is done, or is out of the
// history again, which both end them.
func (r *rules) mended(now time.Time, ref whimbrel.Ref) []Alert {
	var alerts []Alert
	r.outstanding = slices.DeleteFunc(r.outstanding, func(a Alert) bool {
		if a.Migration == nil || a.Migration.Version.Canonical() != ref.Version.Canonical() {
			return false
		}
		if a.Key == "" { // of an earlier process
			a = r.earlier(*a.Migration)
		}
		alerts = append(alerts, resolved(a, now, fmt.Sprintf("Migration %s (%s) succeeded.", name(ref), ref.Direction)))
		return true
	})
	return alerts
}

// earlier is the alert that another process raised when a migration failed.
func (r *rules) earlier(ref whimbrel.Ref) Alert {
	a := r.about(Failed, keyOf(ref, Failed))
	a.Migration, a.Type, a.Severity = &ref, Error, Critical
	a.Title = fmt.Sprintf("Migration %s failed", name(ref))
	return a
}

func resolved(a Alert, now time.Time, message string) Alert {
	a.ID, a.Status, a.Time, a.Title, a.Message = newID(), Resolved, now, "Resolved: "+a.Title, message
	a.Error, a.Remedy = nil, ""
	if a.Since.IsZero() {
		a.Since = now
	}
	a.Duration = now.Sub(a.Since)
	return a
}

// refusals are the failures with which the engine declines to begin.
var refusals = []whimbrel.Code{
	whimbrel.CodeOutOfOrder, whimbrel.CodeMissingFile, whimbrel.CodeChanged, whimbrel.CodeIrreversible,
	whimbrel.CodeUnfinished,
	whimbrel.CodeJournal, whimbrel.CodeForeignTable, whimbrel.CodeForeignHistory, whimbrel.CodeTablesNewer,
	whimbrel.CodeReadOnly, whimbrel.CodeEmpty, whimbrel.CodeMalformed, whimbrel.CodeUnsupported,
}

// finished closes a run. A failure that belongs to no migration is told here.
func (r *rules) finished(now time.Time, e whimbrel.RunFinished) []Alert {
	if e.Error == nil {
		return append(r.end(now, Lease, Slow, Lock, Traffic, Still), r.runMended(now)...)
	}
	// Who gave up waiting for the lease waits no longer, but did not get it.
	r.over(Lease, "The run ended without the lease")
	ended := r.end(now, Lease, Slow, Lock, Traffic, Still)
	if r.failed || e.Error.Code == whimbrel.CodeInterrupted {
		return ended
	}
	return append([]Alert{r.runFailed(now, e)}, ended...)
}

func (r *rules) runFailed(now time.Time, e whimbrel.RunFinished) Alert {
	a := r.about(Failed, "run/"+e.Command)
	a.ID, a.Status, a.Type, a.Severity = newID(), Firing, Error, Critical
	a.Time, a.Since, a.Duration = now, now.Add(-e.Duration), e.Duration
	a.Error, a.Remedy = failureOf(e.Error), e.Error.Remedy
	a.Title = fmt.Sprintf("whimbrel %s failed", e.Command)
	a.Message = fmt.Sprintf("whimbrel %s failed: %s", e.Command, e.Error.Error())
	switch {
	case slices.Contains(refusals, e.Error.Code):
		a.Reason, a.Severity = Refused, High
		a.Title = fmt.Sprintf("whimbrel %s was refused", e.Command)
		a.Message = fmt.Sprintf("whimbrel %s did not begin: %s", e.Command, e.Error.Error())
	case e.Error.Code == whimbrel.CodeLeaseHeld:
		a.Reason, a.Severity = Lease, High
		a.Title = "Another runner held the lease"
	}
	r.remember(a)
	return a
}

// runMended resolves what was told about whole runs of this command.
func (r *rules) runMended(now time.Time) []Alert {
	var alerts []Alert
	r.outstanding = slices.DeleteFunc(r.outstanding, func(a Alert) bool {
		if a.Migration != nil || a.Command != r.command {
			return false
		}
		alerts = append(alerts, resolved(a, now, fmt.Sprintf("whimbrel %s succeeded.", a.Command)))
		return true
	})
	return alerts
}

// Refusal is what a safety check said against a run that then did not begin.
type Refusal struct {
	Command  string // "up"
	Database string // user@host:port/name
	Check    string // the check's stable name
	Message  string
	Remedy   string
	// Migration is the one in question, where it is only one.
	Migration *whimbrel.Ref
}

// refused is the alert of a refusal.
func (r *rules) refused(now time.Time, refusal Refusal) Alert {
	r.database, r.command = refusal.Database, refusal.Command
	a := r.about(Refused, "run/"+refusal.Command)
	a.ID, a.Status, a.Type, a.Severity = newID(), Firing, Error, High
	a.Time, a.Since, a.Remedy, a.Migration = now, now, refusal.Remedy, refusal.Migration
	a.Title = fmt.Sprintf("whimbrel %s was refused by a safety check", refusal.Command)
	a.Message = fmt.Sprintf("whimbrel %s did not begin, because of %s: %s", refusal.Command, refusal.Check,
		refusal.Message)
	r.remember(a)
	return a
}
