package monitor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel"
)

// Attempt is a line of the engine's log.
type Attempt struct {
	whimbrel.LogEntry
}

// Ran reports whether the attempt was to run a migration, rather than to record
// something about one (baseline, adoption, an accepted edit, a forced down).
func (a Attempt) Ran() bool { return a.Action == "up" || a.Action == "down" }

// Failed reports whether the attempt failed, or was killed.
func (a Attempt) Failed() bool { return a.Outcome == "failed" || a.Outcome == "killed" }

// Stopped reports whether somebody stopped the attempt, which is no failure.
func (a Attempt) Stopped() bool { return a.Outcome == "stopped" }

// Historian reads the engine's log; a whimbrel.Migrator is one.
type Historian interface {
	History(ctx context.Context, options whimbrel.HistoryOptions) ([]whimbrel.LogEntry, error)
}

// ReadAttempts reads the log, from the oldest line to the newest: those since a
// time, or all of them where that is zero. It only reads. Where there is no log
// yet, there are no attempts.
func ReadAttempts(ctx context.Context, from Historian, since time.Time) ([]Attempt, error) {
	entries, err := from.History(ctx, whimbrel.HistoryOptions{Since: since})
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	return Attempts(entries), nil
}

// Attempts takes lines of the log that come as the engine gives them, the newest
// first, and gives them in the order in which they were written.
func Attempts(entries []whimbrel.LogEntry) []Attempt {
	var attempts []Attempt
	for _, e := range slices.Backward(entries) {
		attempts = append(attempts, Attempt{LogEntry: e})
	}
	return attempts
}

// Outstanding gives the migrations whose newest attempt failed, in the order of
// those failures: what is to be reported as mended once it succeeds. Any way to
// get a migration into the history, and any way out of it, mends its failures.
func Outstanding(attempts []Attempt) []whimbrel.Ref {
	var refs []whimbrel.Ref
	for _, a := range attempts {
		if a.Stopped() { // it neither failed nor mended anything
			continue
		}
		kept := refs[:0]
		for _, ref := range refs {
			if ref.Version.Canonical() != a.Version.Canonical() {
				kept = append(kept, ref)
			}
		}
		refs = kept
		if a.Ran() && a.Failed() {
			refs = append(refs, whimbrel.Ref{Version: a.Version, Name: a.Name, Direction: whimbrel.Direction(a.Action)})
		}
	}
	return refs
}
