package whimbrel

import (
	"encoding/json"
	"sync"
	"time"
)

// attempt gathers what the log keeps of one attempt at a migration beside its
// outcome: its steps, and what each of them waited for.
type attempt struct {
	mutex sync.Mutex
	steps []StepEntry   // those of this run, in their order
	began time.Time     // of the last of them
	ended bool          // the last of them has
	mark  time.Duration // what it had waited for locks when it was sent last
	ahead []Blocker     // for whom it was seen to wait since
	// before is how many rows the earlier steps have changed; rows is how many all of
	// them have, once that is known, before the answer to the record.
	before, rows int64
	known        bool
}

// shownBlockers is how many sessions are kept of those that a step waited for.
const shownBlockers = 5

// begin says that a step begins. One that is begun again goes on.
func (a *attempt) begin(s Step) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if n := len(a.steps); n > 0 && a.steps[n-1].Step == s.Number {
		return
	}
	a.steps = append(a.steps, StepEntry{Step: s.Number, Kind: s.Kind, Summary: s.Summary()})
	a.began, a.ended, a.mark = time.Now(), false, 0
}

// end says that the step is done.
func (a *attempt) end(took time.Duration, rows int64) {
	a.change(func(s *StepEntry) { s.Duration, s.Rows, a.ended = took, rows, true })
}

// sent says that the step is sent to the server, for the first time or again.
func (a *attempt) sent() {
	a.change(func(s *StepEntry) { a.mark, a.ahead = s.LockWait, nil })
}

// backedOff says that the step was stopped to be sent again, and what that cost;
// for what it waited is part of that.
func (a *attempt) backedOff(took time.Duration, reason string) {
	a.change(func(s *StepEntry) {
		s.Retries++
		s.Backoff += took
		s.Reason, s.LockWait = reason, a.mark
	})
}

// waited says that the step was seen waiting for a lock.
func (a *attempt) waited(took time.Duration, blockers []Blocker) {
	a.change(func(s *StepEntry) {
		s.LockWait += took
		if len(blockers) > 0 {
			a.ahead = blockers
			s.standing(blockers)
		}
	})
}

// blockers are those for whom the step was last seen to wait since it was sent.
func (a *attempt) blockers() []Blocker {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.ahead
}

// paused says that a backfill waited before its next batch.
func (a *attempt) paused(took time.Duration, reason string) {
	a.change(func(s *StepEntry) {
		s.Paused += took
		s.PausedFor = reason
	})
}

// standing keeps who stood in the step's way, without the queries, which may
// hold anything.
func (s *StepEntry) standing(blockers []Blocker) {
	s.Blockers = nil
	for _, b := range blockers[:min(len(blockers), shownBlockers)] {
		b.Query = ""
		s.Blockers = append(s.Blockers, b)
	}
}

// change is about the last step.
func (a *attempt) change(how func(*StepEntry)) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if n := len(a.steps); n > 0 {
		how(&a.steps[n-1])
	}
}

// strain is what all steps together waited.
type strain struct {
	retries           int
	backoff, lockWait time.Duration
}

func (a *attempt) strain() strain {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	var all strain
	for _, s := range a.steps {
		all.retries += s.Retries
		all.backoff += s.Backoff
		all.lockWait += s.LockWait
	}
	return all
}

// story is the steps as the log keeps them, in JSON. It is empty where there is
// nothing to tell: one step, which waited for nothing. The step that is not over
// yet is told with its time so far if it failed; if it is the one that records
// the attempt, its time is what is left of the whole.
func (a *attempt) story(failed bool) string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if n := len(a.steps); n == 0 || n == 1 && a.steps[0].Step == 1 && a.steps[0].quiet() {
		return ""
	}
	told := append([]StepEntry(nil), a.steps...)
	if last := &told[len(told)-1]; failed && !a.ended {
		last.Duration, last.Failed = time.Since(a.began), true
	}
	text, err := json.Marshal(told)
	if err != nil {
		return "" // of texts and numbers: it cannot fail, and must not fail a migration
	}
	return string(text)
}

func (s *StepEntry) quiet() bool {
	return s.Retries == 0 && s.LockWait == 0 && s.Paused == 0
}
