package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Observation is what happened when a statement was run on a server, on tables
// with rows. Tables are named as Name.String does.
type Observation struct {
	Version   migration.Version `json:"version"`
	Statement int               `json:"statement"` // its index in the section
	// Failure is what the server said, if it refused.
	Failure *Failure `json:"failure,omitempty"`
	// Empty is set where the statement ran on empty tables, because the rows that
	// were made up had stood in the way of its migration; WithRows is what the server
	// had said, if that was to this statement.
	Empty    bool     `json:"empty,omitempty"`
	WithRows *Failure `json:"with_rows,omitempty"`
	// Locks are those on tables that were there before the migration, which the
	// statement added to what its transaction had.
	Locks []Lock `json:"locks,omitempty"`
	// Held are the strongest locks that the transaction had when it was done.
	Held []Lock `json:"held,omitempty"`
	// Rows is how many each table had, Read how many of them were read, Changed how
	// many were updated or deleted.
	Rows    map[string]int64 `json:"rows,omitempty"`
	Read    map[string]int64 `json:"read,omitempty"`
	Changed map[string]int64 `json:"changed,omitempty"`
	// Rewritten are tables whose files were written anew.
	Rewritten []string `json:"rewritten,omitempty"`
	// Lost are tables ("table users") and columns ("column users.name") that are not
	// there any more under their names.
	Lost         []string `json:"lost,omitempty"`
	Milliseconds float64  `json:"milliseconds"`
}

// Failure is an error of the server.
type Failure struct {
	SQLSTATE string `json:"sqlstate"`
	Message  string `json:"message"`
}

// data reports whether the failure may be due to the rows that were made up.
func (f *Failure) data() bool {
	return f != nil && (strings.HasPrefix(f.SQLSTATE, "22") || strings.HasPrefix(f.SQLSTATE, "23"))
}

// Merge corrects a report by what was observed. Where both differ, observation
// wins: a finding whose scan, rewrite or error did not happen is dropped, and what
// happened without a finding gets one.
func (l *Linter) Merge(report Report, observations []Observation) Report {
	merged := Report{Files: slices.Clone(report.Files)}
	for i := range merged.Files {
		f := &merged.Files[i]
		f.Statements = slices.Clone(f.Statements)
		for _, o := range observations {
			if o.Version.Equal(f.Version) && o.Statement < len(f.Statements) {
				f.Statements[o.Statement] = l.correct(f.Statements[o.Statement], o)
			}
		}
	}
	return merged
}

func (l *Linter) correct(j Judgement, o Observation) Judgement {
	j.Findings = slices.Clone(j.Findings)
	j.Evidence = slices.Clone(j.Evidence)
	if o.Failure != nil {
		l.failed(&j, o)
		j.settle()
		return j
	}
	var kept []Finding
	for _, f := range j.Findings {
		switch confirmed, refuted := f.claim.compare(o); {
		case refuted:
			j.Evidence = append(j.Evidence, Evidence{FromRehearsal, refutation(f, o)})
			continue
		case f.claim.kind == claimsError && o.WithRows != nil:
			f.Evidence = Evidence{FromRehearsal, "on a table with rows the server said: " + o.WithRows.Message}
		case confirmed:
			f.Verdict = Dangerous
			f.Evidence = Evidence{FromRehearsal, "it was seen in a run: " + f.Message}
		case f.Hazard == "opaque-dynamic-ddl", f.guessed && f.aboutTables():
			continue // it was run, and what it did is known now
		case f.Hazard == "multi-table-locks-in-one-transaction" && !manyHeld(o):
			continue
		case f.absent && len(o.Locks)+len(o.Lost) == 0:
			j.Evidence = append(j.Evidence, Evidence{FromRehearsal, "it was run, and what it names was not there"})
			continue
		}
		kept = append(kept, f)
	}
	j.Findings = kept
	opaque := j.Opaque
	j.Opaque = false
	l.unforeseen(&j, o, opaque)
	if !j.Alone {
		j.Effect.Locks = o.Locks
		j.Effect.Rewrites = o.Rewritten
		j.Effect.Scans = scanned(j.Effect.Scans, o, opaque)
	}
	if len(j.Findings) == 0 {
		j.Evidence = append(j.Evidence, Evidence{FromRehearsal, seen(o)})
	}
	j.settle()
	return j
}

// manyHeld reports whether a transaction held strong locks on several tables.
func manyHeld(o Observation) bool {
	strong := 0
	for _, held := range o.Held {
		if held.Mode >= ShareRowExclusive {
			strong++
		}
	}
	return strong > 1
}

// aboutTables reports whether the hazard is one of locking, reading, writing or
// losing tables, which a run shows.
func (f Finding) aboutTables() bool {
	h, _ := Lookup(f.Hazard)
	return f.claim.kind != unobservable || len(h.Locks) > 0
}

// scanned gives the tables that are gone through: of those that the text tells, the
// ones of which rows were read, if there were any; and where the text does not tell,
// those that were read whole.
func scanned(told []string, o Observation, opaque bool) []string {
	var all []string
	for _, t := range told {
		if o.Empty || o.Rows[t] == 0 || o.Read[t] > 0 || slices.Contains(o.Rewritten, t) {
			all = append(all, t)
		}
	}
	for t, rows := range o.Rows {
		if opaque && rows > 0 && o.Read[t] >= rows && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	slices.Sort(all)
	return all
}

// compare holds a claim against an observation. Neither is true where the tables
// had no rows, or the claim is none that can be seen.
func (c claim) compare(o Observation) (confirmed, refuted bool) {
	rows := false
	for _, t := range c.on {
		rows = rows || o.Rows[t] > 0
	}
	happened := func(t string) bool {
		return c.kind == claimsRewrite && slices.Contains(o.Rewritten, t) || c.kind == claimsScan && (o.Read[t] > 0 || slices.Contains(o.Rewritten, t))
	}
	switch {
	case c.kind == claimsError && len(c.on) == 0 && !o.Empty:
		return false, true
	case c.kind == claimsError:
		return false, rows && !o.Empty
	case c.kind == unobservable || !rows || o.Empty || len(c.on) == 0:
		return false, false
	}
	confirmed = slices.ContainsFunc(c.on, happened)
	return confirmed, !confirmed
}

func refutation(f Finding, o Observation) string {
	switch f.claim.kind {
	case claimsError:
		return "it was run, and the server did not refuse it"
	case claimsRewrite:
		return fmt.Sprintf("it was run on %s with rows, and nothing was written anew", strings.Join(f.claim.on, ", "))
	}
	return fmt.Sprintf("it was run on %s with %d rows, and none was read", f.claim.on[0], o.Rows[f.claim.on[0]])
}

// seen says what a statement did that did no harm.
func seen(o Observation) string {
	var locks []string
	for _, lock := range o.Locks {
		locks = append(locks, fmt.Sprintf("%s on %s", lock.Mode, lock.Table))
	}
	if len(locks) == 0 {
		return "it was run, and locked no table that was there before"
	}
	return "it was run: it took " + strings.Join(locks, ", ") + ", and wrote nothing anew"
}

// failed is for a statement that the server refused.
func (l *Linter) failed(j *Judgement, o Observation) {
	for i := range j.Findings {
		f := &j.Findings[i]
		if f.claim.kind == claimsError {
			f.Evidence = Evidence{FromRehearsal, "the server said: " + o.Failure.Message}
			return
		}
	}
	if o.Failure.data() && !o.Empty {
		return // the rows that were made up may be to blame
	}
	l.add(j, Finding{Hazard: "statement-fails", Message: fmt.Sprintf("the server refuses: %s (SQLSTATE %s)", o.Failure.Message, o.Failure.SQLSTATE)})
}

func (l *Linter) add(j *Judgement, f Finding) {
	h, _ := Lookup(f.Hazard)
	f.Severity, f.Verdict, f.Start, f.End = h.Severity, Dangerous, j.Start, j.End
	if s, ok := l.options.Severities[f.Hazard]; ok {
		f.Severity = s
	}
	f.Evidence = Evidence{FromRehearsal, "it was seen when it was run"}
	if f.Severity != Off {
		j.Findings = append(j.Findings, f)
	}
}

// unforeseen finds what happened and no finding tells.
func (l *Linter) unforeseen(j *Judgement, o Observation, opaque bool) {
	told := func(table string) bool {
		return slices.Contains(j.small, table) || slices.ContainsFunc(j.Findings, func(f Finding) bool {
			return slices.Contains(f.claim.on, table) || f.claim.kind == unobservable && strings.Contains(f.Message, table)
		})
	}
	for _, t := range o.Rewritten {
		if !told(t) && o.Rows[t] > 0 {
			l.add(j, Finding{Hazard: "observed-rewrite", Message: fmt.Sprintf("%s was written anew while nobody could read or write it", t)})
		}
	}
	for _, held := range o.Held {
		t := held.Table
		read := o.Rows[t] > 0 && o.Read[t] >= o.Rows[t]
		if held.Mode >= Share && read && (j.kind == definition || opaque) && !told(t) && !slices.Contains(o.Rewritten, t) {
			l.add(j, Finding{Hazard: "observed-scan", Message: fmt.Sprintf("all rows of %s were read under %s: %s wait until that is done", t, held.Mode, held.Mode.Stops())})
		}
	}
	if !opaque {
		return
	}
	for _, name := range o.Lost {
		hazard := "drop-table"
		if strings.HasPrefix(name, "column ") {
			hazard = "drop-column"
		}
		l.add(j, Finding{Hazard: hazard, Message: fmt.Sprintf("%s is not there any more; code that still uses it fails", name)})
	}
	for t, n := range o.Changed {
		if o.Rows[t] > 0 && n*2 >= o.Rows[t] {
			l.add(j, Finding{Hazard: "unbatched-data-change", Message: fmt.Sprintf("%d of %d rows of %s were changed in one transaction", n, o.Rows[t], t)})
		}
	}
}
