package lint

import (
	"encoding/json"
	"slices"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Verdict is what is held of a statement.
type Verdict string

// The verdicts.
const (
	// Dangerous: it does harm to a database that is in use, and Findings say which.
	Dangerous Verdict = "hazard"
	// Safe: it does none, and Evidence says why.
	Safe Verdict = "safe"
	// Unknown: what was looked at does not tell.
	Unknown Verdict = "unknown"
)

// Report is what was found in some migrations.
type Report struct {
	Files []File `json:"files"`
	// Stopped says why a rehearsal ended early; empty where it did not, or there was
	// none.
	Stopped string `json:"stopped,omitempty"`
}

// File is one migration's part of a report.
type File struct {
	Path    string            `json:"path"`
	Version migration.Version `json:"version"`
	// Text is the whole file, to which all positions refer.
	Text       string      `json:"-"`
	Statements []Judgement `json:"statements"`
	// Allowances are the Allow annotations that no finding needed.
	Unused []migration.Allow `json:"-"`
	allows []migration.Allow
}

// Judgement is the verdict on one statement.
type Judgement struct {
	Text     string             `json:"statement"`
	Start    migration.Position `json:"-"`
	End      migration.Position `json:"-"`
	Step     int                `json:"step"` // the transaction it belongs to, counted in the file
	Verdict  Verdict            `json:"verdict"`
	Evidence []Evidence         `json:"evidence"`
	Findings []Finding          `json:"findings,omitempty"`
	Effect   Effect             `json:"effect"`
	// Alone is set where it runs outside a transaction.
	Alone bool `json:"alone,omitempty"`
	// Malformed is set where no server that is judged for can even read it: that is the
	// file's fault and no hazard.
	Malformed bool `json:"malformed,omitempty"`
	// Opaque is set where the text does not tell all that it does.
	Opaque  bool `json:"opaque,omitempty"`
	kind    kindOfStatement
	program bool // it is a script or function, no statement
	// doubts are why it is opaque; places are those of the statements of bodies that it
	// may run.
	doubts []doubt
	places []Place
	// small are tables with so few rows that going through them does not matter.
	small []string
}

// kindOfStatement tells apart what observation has to know of a statement.
type kindOfStatement int

const (
	definition kindOfStatement = iota
	dataChange
	reading
)

// Source says where a piece of evidence comes from.
type Source string

// The sources.
const (
	FromText      Source = "text"      // the statement and its file
	FromHistory   Source = "history"   // the migrations before it
	FromCatalog   Source = "catalog"   // a database
	FromRehearsal Source = "rehearsal" // the statement was run
)

// Evidence is a reason for a verdict.
type Evidence struct {
	Source Source `json:"source"`
	Reason string `json:"reason"`
}

// Finding is one hazard in one statement.
type Finding struct {
	Hazard   ID       `json:"hazard"`
	Severity Severity `json:"severity"`
	// Verdict is Dangerous, or Unknown where what is known does not decide.
	Verdict Verdict `json:"verdict"`
	// Message says what this statement does.
	Message string `json:"message"`
	// Rewrite is SQL that does the same without the harm; empty where there is none.
	Rewrite  string             `json:"rewrite,omitempty"`
	Evidence Evidence           `json:"evidence"`
	Start    migration.Position `json:"-"`
	End      migration.Position `json:"-"`
	// Allowed is set, with the reason, where the file allows the hazard.
	Allowed bool   `json:"allowed,omitempty"`
	Reason  string `json:"reason,omitempty"`

	claim   claim
	guessed bool // the statement's text is not wholly known; a run tells more
	absent  bool // what the statement names may not be there, and then it does nothing
	places  []Place
	// Fixable is set where Rewrite can be put in the statement's place by Fix, and
	// NotFixed says why it cannot where the hazard is one that Fix knows.
	Fixable  bool   `json:"fixable,omitempty"`
	NotFixed string `json:"not_fixed,omitempty"`
}

// claim is what must be observed where the statement runs, if the finding is right.
type claim struct {
	kind claimKind
	on   []string // the tables, as Effect names them
}

type claimKind int

const (
	unobservable claimKind = iota
	claimsScan
	claimsRewrite
	claimsError
)

// Effect is what a statement does to tables that were there before its migration.
type Effect struct {
	// Locks are in the order of the tables' names, the strongest of each.
	Locks    []Lock   `json:"locks,omitempty"`
	Scans    []string `json:"scans,omitempty"`
	Rewrites []string `json:"rewrites,omitempty"`
}

// Lock is a lock on a table.
type Lock struct {
	Table string `json:"table"`
	Mode  Mode   `json:"mode"`
}

// Mode is how a table is locked; a higher one is stronger.
type Mode = pgsql.LockMode

// The modes.
const (
	NoLock               = pgsql.NoLock
	AccessShare          = pgsql.AccessShare
	RowShare             = pgsql.RowShare
	RowExclusive         = pgsql.RowExclusive
	ShareUpdateExclusive = pgsql.ShareUpdateExclusive
	Share                = pgsql.Share
	ShareRowExclusive    = pgsql.ShareRowExclusive
	Exclusive            = pgsql.Exclusive
	AccessExclusive      = pgsql.AccessExclusive
)

// settle gives a judgement the verdict that its findings and evidence make.
func (j *Judgement) settle() {
	j.Verdict = Safe
	for _, f := range j.Findings {
		switch {
		case f.Allowed:
			if j.Verdict == Safe {
				j.Evidence = append(j.Evidence, Evidence{FromText, "the file allows " + f.Hazard.String() + ": " + f.Reason})
			}
		case f.Verdict == Dangerous:
			j.Verdict = Dangerous
		case j.Verdict == Safe:
			j.Verdict = Unknown
		}
	}
	if j.Verdict == Safe && j.Opaque {
		j.Verdict = Unknown
	}
}

// Verdict is the worst verdict on any statement of the file.
func (f File) Verdict() Verdict {
	worst := Safe
	for _, s := range f.Statements {
		switch s.Verdict {
		case Dangerous:
			return Dangerous
		case Unknown:
			worst = Unknown
		}
	}
	return worst
}

// Findings gives all findings that the files do not allow, in their order.
func (r Report) Findings() []Finding {
	var all []Finding
	for _, f := range r.Files {
		for _, s := range f.Statements {
			for _, finding := range s.Findings {
				if !finding.Allowed {
					all = append(all, finding)
				}
			}
		}
	}
	return all
}

// Count tells how many findings of a severity there are that the files do not
// allow, and of which it is certain that they are hazards.
func (r Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings() {
		if f.Severity == s && f.Verdict == Dangerous {
			n++
		}
	}
	return n
}

// Malformed reports whether one of the statements cannot be read by a server.
func (r Report) Malformed() bool {
	return slices.ContainsFunc(r.Files, func(f File) bool {
		return slices.ContainsFunc(f.Statements, func(j Judgement) bool { return j.Malformed })
	})
}

// MarshalJSON gives the judgement with its place.
func (j Judgement) MarshalJSON() ([]byte, error) {
	type plain Judgement
	return json.Marshal(struct {
		Line    int `json:"line"`
		Column  int `json:"column"`
		EndLine int `json:"end_line"`
		plain
	}{j.Start.Line, j.Start.Column, j.End.Line, plain(j)})
}

// MarshalJSON gives the finding with its place and the page about its hazard.
func (f Finding) MarshalJSON() ([]byte, error) {
	type plain Finding
	return json.Marshal(struct {
		Line      int `json:"line"`
		Column    int `json:"column"`
		EndLine   int `json:"end_line"`
		EndColumn int `json:"end_column"`
		plain
		Documentation string `json:"documentation,omitempty"`
	}{f.Start.Line, f.Start.Column, f.End.Line, f.End.Column, plain(f), f.Hazard.Record().Link})
}
