package forecast

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/lint"
)

// Risk is how much a migration may harm.
type Risk int

// The risks.
const (
	// Low: nobody will notice.
	Low Risk = iota
	// Medium: somebody should be there, and know what to do.
	Medium
	// High: work stops for a while, data is lost, or a running application breaks.
	High
)

var riskNames = []string{"low", "medium", "high"}

// String gives "low", "medium" or "high".
func (r Risk) String() string {
	if r < 0 || int(r) >= len(riskNames) {
		return fmt.Sprintf("risk %d", int(r))
	}
	return riskNames[r]
}

// MarshalText implements encoding.TextMarshaler.
func (r Risk) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Risk) UnmarshalText(text []byte) error {
	i := slices.Index(riskNames, string(text))
	if i < 0 {
		return fmt.Errorf("invalid risk %q", text)
	}
	*r = Risk(i)
	return nil
}

// Reason is why a migration has a risk.
type Reason struct {
	Risk    Risk   `json:"risk"`
	Message string `json:"message"`
	Line    int    `json:"line,omitempty"`   // 0: it is about the whole
	Hazard  string `json:"hazard,omitempty"` // see package lint
}

// A lock that stops work for longer than this is a high risk; from the stall budget
// on it is a medium one.
const tooLong = time.Second

// aLongTime is how long a migration may run without being one to sit beside.
const aLongTime = 10 * time.Minute

// assess gives a migration its risk, with the reasons, the gravest first.
func (m *Migration) assess(facts Facts) {
	m.Reasons = slices.Concat(m.lockReasons(facts), m.findingReasons(), m.lossReasons(), m.otherReasons())
	if len(m.Reasons) == 0 {
		m.Reasons = []Reason{{Risk: Low, Message: m.harmless()}}
	}
	slices.SortStableFunc(m.Reasons, func(a, b Reason) int { return cmp.Compare(b.Risk, a.Risk) })
	m.Risk = m.Reasons[0].Risk
}

// harmless says why nothing speaks against a migration.
func (m *Migration) harmless() string {
	if m.RecordOnly {
		return "only the history is changed"
	}
	for _, s := range m.Steps {
		if len(s.Locks) > 0 {
			return "it holds its locks for a moment only, or they stop nobody at work"
		}
	}
	return "it locks nothing that was there before"
}

// lockReasons are locks that make others wait.
func (m *Migration) lockReasons(facts Facts) []Reason {
	var all []Reason
	for _, step := range m.Steps {
		for _, group := range grouped(step.Locks, facts) {
			l := group.lock
			if !l.stops() || l.Hold == Brief {
				continue
			}
			risk := High
			switch {
			case l.Hold == HoldUnknown:
				risk = Medium
			case l.Held.Known && l.Held.About < tooLong:
				risk = Medium
			}
			message := fmt.Sprintf("%s on %s for %s: %s wait", l.Mode, group.name, l.Held, l.Mode.Stops())
			if writes := facts.writes(l.Table); writes >= 1 {
				message += fmt.Sprintf(" (about %s rows a second are written there)", roughCount(int64(writes)))
			}
			all = append(all, Reason{Risk: risk, Line: l.Line, Message: message})
		}
	}
	return all
}

func (f Facts) writes(name string) float64 {
	t, _ := f.table(name)
	return t.Writes
}

// findingReasons are the hazards that package lint has found.
func (m *Migration) findingReasons() []Reason {
	var all []Reason
	for _, step := range m.Steps {
		for _, s := range step.Statements {
			for _, f := range s.Findings {
				all = append(all, Reason{Risk: riskOf(f, step), Line: f.Start.Line, Hazard: f.Hazard.String(),
					Message: explained(f, step)})
			}
			if s.Opaque && s.Verdict == lint.Unknown && len(s.Findings) == 0 {
				all = append(all, Reason{Risk: Medium, Line: s.Line, Message: why(s)})
			}
		}
	}
	return all
}

// riskOf weighs a finding by its severity, and by how long it lasts here.
func riskOf(f lint.Finding, step Step) Risk {
	if f.Allowed {
		return Low
	}
	risk := Medium
	if f.Severity == lint.Error && f.Verdict == lint.Dangerous {
		risk = High
	}
	if f.Hazard.Record().Grows && step.Duration.Known {
		switch {
		case step.Duration.About < brief:
			return Low
		case step.Duration.About < tooLong:
			return min(risk, Medium)
		}
	}
	return risk
}

func explained(f lint.Finding, step Step) string {
	switch {
	case f.Allowed:
		return f.Message + " (allowed: " + f.Reason + ")"
	case f.Hazard.Record().Grows && step.Duration.Known && step.Duration.About < brief:
		return f.Message + "; that is " + step.Duration.String() + " on this database"
	}
	return f.Message
}

// why gives the reason for which a statement is not judged.
func why(s Statement) string {
	for _, e := range s.Evidence {
		return e.Reason
	}
	return "what it does is not known"
}

// lossReasons are data that will be gone.
func (m *Migration) lossReasons() []Reason {
	var all []Reason
	for _, l := range m.Loses {
		r := Reason{Risk: High, Line: l.Line, Message: "loses " + l.String() + ": no down migration brings the values back"}
		if l.Rows == 0 {
			r = Reason{Risk: Low, Line: l.Line, Message: "drops " + l.String()}
		}
		all = append(all, r)
	}
	return all
}

// otherReasons are about the migration as a whole.
func (m *Migration) otherReasons() []Reason {
	var all []Reason
	add := func(risk Risk, format string, arguments ...any) {
		all = append(all, Reason{Risk: risk, Message: fmt.Sprintf(format, arguments...)})
	}
	if m.RecordOnly {
		add(Medium, "the history says afterwards that it is not applied, and nothing of it is undone")
		return all
	}
	if m.Direction == whimbrel.Up {
		switch {
		case m.Down.Kind == Missing:
			add(Medium, "it has no down migration")
		case m.Down.Kind == Irreversible && m.Down.Reason != "":
			add(Medium, "it is irreversible: %s", m.Down.Reason)
		case m.Down.Kind == Irreversible:
			add(Medium, "it is irreversible")
		case m.Down.Tested == Failed:
			add(High, "its down migration failed in the rehearsal: %s", m.Down.Failure)
		}
	}
	switch m.Deploy.Order {
	case Neither:
		add(High, "a running application breaks, in whatever order they are deployed")
	case Split:
		add(Medium, "one part of it belongs before the application that goes with it, another behind")
	}
	if m.Duration.Known && m.Duration.About >= aLongTime {
		add(Medium, "it runs for %s", m.Duration)
	}
	return all
}
