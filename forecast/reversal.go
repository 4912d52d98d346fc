package forecast

import (
	"slices"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Reversal is how a migration can be undone. Of one that goes down it is what runs.
type Reversal struct {
	Kind DownKind `json:"kind"`
	// Reason is why it is irreversible, as the file has it.
	Reason string `json:"reason,omitempty"`
	// Loses is what is lost on the way down.
	Loses []Loss `json:"loses,omitempty"`
	// Tested says whether it ran in the rehearsal. That it leads back to what was
	// there before is what the tester proves.
	Tested Tested `json:"tested"`
	// Failure is what the server said when it was tried.
	Failure string `json:"failure,omitempty"`
}

// DownKind says where a down migration comes from.
type DownKind string

// The kinds of down migrations.
const (
	FromFile     DownKind = "file"         // the file has it, and the history keeps it
	FromHistory  DownKind = "stored"       // only the history has it
	Irreversible DownKind = "irreversible" // deliberately none
	Missing      DownKind = "missing"
)

// Tested says whether a down migration was tried.
type Tested string

// Whether it was tried.
const (
	NotTested Tested = "no"
	Ran       Tested = "ran"
	Failed    Tested = "failed"
)

// reversal says how a migration of a plan can be undone.
func (t *teller) reversal(at int, p whimbrel.Planned) Reversal {
	w := Reversal{Kind: FromFile, Tested: NotTested}
	hasOne, version, section := p.Reversible(), backVersion(at), p.Migration.Down
	switch {
	case p.Migration.Irreversible:
		w.Kind, w.Reason = Irreversible, p.Migration.Reason
		return w
	case !hasOne || p.RecordOnly() && p.Direction == whimbrel.Down:
		w.Kind = Missing
		return w
	case p.Direction == whimbrel.Down:
		version, section = planVersion(at), remaining(p)
		if p.Source == whimbrel.SourceHistory {
			w.Kind = FromHistory
		}
	}
	if p.Migration.Kind != migration.SQL {
		return w
	}
	w.Loses = t.losses(section)
	observed := observationsOf(slices.Concat(t.judged.Observations, t.judged.BackObservations), version)
	for _, o := range observed {
		if o.Failure != nil {
			w.Tested, w.Failure = Failed, o.Failure.Message
			return w
		}
	}
	if n := len(section.Statements); n > 0 && len(observed) == n {
		w.Tested = Ran
	}
	return w
}
