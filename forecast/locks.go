package forecast

import (
	"slices"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/lint"
)

// settle adds up what the statements of a step take, and says how long the step
// holds which lock. A transaction keeps its locks to the end, so what comes behind
// the statement that took one counts as well.
func (s *Step) settle() {
	if s.Kind == whimbrel.StepScript || s.Kind == whimbrel.StepFunc {
		s.Duration = Estimate{Basis: "what a program will send to the server cannot be read from its text"}
		s.Statements = append(s.Statements, Statement{
			Line: 1, Command: string(s.Kind), Verdict: lint.Unknown, Rows: 0, Duration: s.Duration, Opaque: true,
			Evidence: []lint.Evidence{{Source: lint.FromText, Reason: s.Duration.Basis}},
		})
		return
	}
	held := map[string]int{} // indexes of s.Locks
	for i := range s.Statements {
		told := &s.Statements[i]
		s.Duration = s.Duration.plus(told.Duration)
		told.Locks = slices.DeleteFunc(slices.Clone(told.Locks), func(l lint.Lock) bool {
			at, has := held[l.Table]
			return has && s.Locks[at].Mode >= l.Mode
		})
		for _, l := range told.Locks {
			at, has := held[l.Table]
			if !has {
				at = len(s.Locks)
				held[l.Table] = at
				s.Locks = append(s.Locks, Lock{Table: l.Table})
			}
			s.Locks[at].Mode, s.Locks[at].Line = l.Mode, told.Line
			s.Locks[at].Hold, s.Locks[at].Held = s.hold(i)
		}
	}
	if s.Kind == whimbrel.StepBatch {
		for i := range s.Locks { // each batch is a transaction of its own
			s.Locks[i].Hold, s.Locks[i].Held = Brief, Estimate{Known: true, Basis: "by one batch after the other"}
		}
	}
}

// hold is how long a lock is held that a statement takes.
func (s *Step) hold(from int) (Hold, Estimate) {
	var whole Estimate
	works := false
	for _, told := range s.Statements[from:] {
		whole = whole.plus(told.Duration)
		works = works || len(told.touched()) > 0
		if told.Opaque {
			return HoldUnknown, Estimate{About: whole.About, Basis: "what runs meanwhile cannot be read from its text"}
		}
	}
	if works && (!whole.Known || whole.About >= brief) {
		return Long, whole
	}
	return Brief, whole
}

// stops reports whether a lock makes ordinary work wait.
func (l Lock) stops() bool { return l.Mode >= lint.Share }

// Held gives the locks that a step has after one of its statements, the strongest of
// each table, by the names of the tables: what pg_locks has at that moment of tables
// that were there before the migration. Of what runs outside a transaction it gives
// those that are taken on the way.
func (s Step) Held(after int) map[string]lint.Mode {
	held := map[string]lint.Mode{}
	for _, told := range s.Statements[:after+1] {
		for _, l := range told.Locks {
			held[l.Table] = max(held[l.Table], l.Mode)
		}
	}
	return held
}
