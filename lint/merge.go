package lint

import (
	"cmp"
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
	// NotRun says why the statement was not run, although all before it were.
	NotRun string `json:"not_run,omitempty"`
	// Ran is what was executed of the bodies of functions and blocks.
	Ran []Ran `json:"ran,omitempty"`
	// Unseen is set where locks and reads do not show, as no transaction was open behind
	// the statement.
	Unseen bool `json:"unseen,omitempty"`
	// Unfilled says of tables without rows why none could be made up.
	Unfilled map[string]string `json:"unfilled,omitempty"`
	// Locks are those on tables that were there before the migration, which the
	// statement added to what its transaction had.
	Locks []Lock `json:"locks,omitempty"`
	// Held are the strongest locks that the transaction had when it was done.
	Held []Lock `json:"held,omitempty"`
	// Rows is how many each table had when the statement began, Read how many of them were read, Changed how
	// many were updated or deleted.
	Rows    map[string]int64 `json:"rows,omitempty"`
	Read    map[string]int64 `json:"read,omitempty"`
	Changed map[string]int64 `json:"changed,omitempty"`
	// Rewritten are tables whose files were rewritten.
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
	// Outside says why the server of a rehearsal may be the only one to refuse, and what
	// would settle it; empty where any would.
	Outside string `json:"outside,omitempty"`
}

// syntaxError is the SQLSTATE of what the server could not parse.
const syntaxError = "42601"

// data reports whether the failure may be due to the rows that were made up.
func (f *Failure) data() bool {
	return f != nil && (strings.HasPrefix(f.SQLSTATE, "22") || strings.HasPrefix(f.SQLSTATE, "23"))
}

// Run is what a rehearsal of a report's migrations gave.
type Run struct {
	Observations []Observation
	// Stopped says why nothing was run from some statement on; empty where all was.
	Stopped string
}

// Merge corrects a report by what was observed. Where both differ, observation wins:
// a finding whose scan, rewrite or error did not happen is dropped, and what happened
// without a finding gets one. That something did not happen counts only where there is
// evidence: see lacks. What was not run stays unknown.
func (l *Linter) Merge(report Report, run Run) Report {
	merged := Report{Files: slices.Clone(report.Files), Stopped: run.Stopped}
	for i := range merged.Files {
		f := &merged.Files[i]
		f.Statements = slices.Clone(f.Statements)
		f.Unused = slices.Clone(f.Unused)
		for at := range f.Statements {
			j := &f.Statements[at]
			j.Findings, j.Evidence = slices.Clone(j.Findings), slices.Clone(j.Evidence)
			o := slices.IndexFunc(run.Observations, func(o Observation) bool {
				return o.Version.Equal(f.Version) &&
					o.Statement == at
			})
			switch {
			case o >= 0 && run.Observations[o].NotRun != "":
				l.notRehearsed(f, j, run.Observations[o].NotRun)
			case o >= 0:
				l.correct(f, j, run.Observations[o])
			case !j.program:
				l.notRehearsed(f, j, cmp.Or(run.Stopped, "the rehearsal did not come to it"))
			}
			j.settle()
		}
	}
	return merged
}

// notRehearsed says of a statement that it was not run.
func (l *Linter) notRehearsed(f *File, j *Judgement, why string) {
	j.Opaque = true
	l.add(f, j, Finding{Hazard: notRehearsed, Verdict: Unknown, Message: "not rehearsed: " + why})
	j.Evidence = append(j.Evidence, Evidence{FromRehearsal, "not rehearsed: " + why})
}

func (l *Linter) correct(f *File, j *Judgement, o Observation) {
	j.Malformed = o.Failure != nil && o.Failure.Outside == "" && o.Failure.SQLSTATE == syntaxError
	if o.Failure != nil {
		l.failed(f, j, o)
		return
	}
	var kept []Finding
	var lacking string
	for _, finding := range j.Findings {
		drop, because := l.weigh(&finding, *j, o)
		if because != "" && !drop {
			lacking = because
			finding.doubted(because)
		}
		if drop {
			j.Evidence = append(j.Evidence, Evidence{FromRehearsal, because})
			continue
		}
		kept = append(kept, finding)
	}
	j.Findings = kept
	opaque := j.Opaque
	l.unforeseen(f, j, o, opaque)
	if lacking = cmp.Or(l.resolve(f, j, o), lacking); lacking != "" {
		j.Evidence = append(j.Evidence, Evidence{FromRehearsal, "not rehearsed: " + lacking})
	}
	j.effect(o, opaque)
	if len(j.Findings) == 0 && lacking == "" {
		j.Evidence = append(j.Evidence, Evidence{FromRehearsal, seen(o)})
	}
}

// weigh holds a finding against what was observed. It is dropped, with the reason, or
// kept, with what the run lacks for it to be dropped.
func (l *Linter) weigh(f *Finding, j Judgement, o Observation) (drop bool, because string) {
	tables := f.claim.on
	if f.claim.kind == unobservable || f.guessed {
		tables = o.touched()
	}
	lacks := o.lacks(f.places, tables)
	switch {
	case f.claim.happened(o):
		f.Verdict = Dangerous
		f.Evidence = Evidence{FromRehearsal, "it was seen in a run: " + f.Message}
		return false, ""
	case f.claim.kind == claimsError && o.WithRows != nil:
		f.Evidence = Evidence{FromRehearsal, "on a table with rows the server said: " + o.WithRows.Message}
		return false, ""
	case f.absent && len(o.Locks)+len(o.Lost) == 0:
		return false, "what it names is not there; whether a database has it, lint --pending tells"
	case f.claim.kind == claimsError:
		return lacks == "", cmp.Or(lacks, refutation(*f, o))
	case f.claim.kind == claimsRewrite && !f.guessed && len(f.claim.on) > 0:
		return lacks == "", cmp.Or(lacks, refutation(*f, o))
	}
	lacks = cmp.Or(lacks, o.unseen())
	if f.Hazard == opaqueDynamicDdl && len(f.places) == 0 {
		lacks = "whether all of it ran is not known"
	}
	switch {
	case f.claim.kind == claimsScan && !f.guessed && len(f.claim.on) > 0:
		return lacks == "", cmp.Or(lacks, refutation(*f, o))
	case f.Hazard == opaqueDynamicDdl, f.guessed && f.aboutTables():
		return lacks == "", cmp.Or(lacks, "it was run, and what it did is known")
	case f.Hazard == multiTableLocksInOneTransaction:
		if lacks = cmp.Or(o.lacks(j.places, nil), o.unseen()); lacks == "" && manyHeld(o) {
			return false, ""
		}
		return lacks == "", cmp.Or(lacks, "it was run, and held strong locks on one table at most")
	}
	return false, ""
}

// doubted says of a finding that is kept what the rehearsal lacks.
func (f *Finding) doubted(lacks string) {
	if f.Evidence.Source != FromText && f.Evidence.Reason != "" {
		lacks = f.Evidence.Reason + "; not rehearsed: " + lacks
	} else {
		lacks = "not rehearsed: " + lacks
	}
	f.Evidence = Evidence{FromRehearsal, lacks}
}

// resolve says whether a run tells what a text did not, and otherwise what it lacks.
func (l *Linter) resolve(f *File, j *Judgement, o Observation) string {
	if !j.Opaque {
		return ""
	}
	for _, d := range j.doubts {
		tables := o.touched()
		if d.table != "" {
			tables = append(tables, d.table)
		}
		lacks := cmp.Or(o.lacks(d.places, tables), o.unseen())
		if d.lasting {
			lacks = d.reason
		}
		if lacks == "" {
			continue
		}
		if !slices.ContainsFunc(j.Findings, func(f Finding) bool { return !f.Allowed }) {
			l.add(f, j, Finding{Hazard: notRehearsed, Verdict: Unknown, Message: "not rehearsed: " + lacks})
		}
		return lacks
	}
	j.Opaque = false
	return ""
}

// effect puts what was seen in the place of what was read, as far as all was run.
func (j *Judgement) effect(o Observation, opaque bool) {
	if j.Alone || o.Unseen {
		return
	}
	if o.Empty || o.lacks(j.places, nil) == "" {
		j.Effect.Locks = o.Locks
		j.Effect.Rewrites = o.Rewritten
		j.Effect.Scans = scanned(j.Effect.Scans, o, opaque)
		return
	}
	for _, lock := range o.Locks {
		at := slices.IndexFunc(j.Effect.Locks, func(l Lock) bool { return l.Table == lock.Table })
		if at < 0 {
			j.Effect.Locks = append(j.Effect.Locks, lock)
		} else {
			j.Effect.Locks[at].Mode = max(j.Effect.Locks[at].Mode, lock.Mode)
		}
	}
	for _, t := range o.Rewritten {
		if !slices.Contains(j.Effect.Rewrites, t) {
			j.Effect.Rewrites = append(j.Effect.Rewrites, t)
		}
	}
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
	return f.claim.kind != unobservable || len(f.Hazard.Record().Locks) > 0
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

// happened reports whether what is claimed was seen.
func (c claim) happened(o Observation) bool {
	return slices.ContainsFunc(c.on, func(t string) bool {
		switch {
		case o.Rows[t] == 0 || o.Empty:
			return false
		case slices.Contains(o.Rewritten, t):
			return c.kind == claimsRewrite || c.kind == claimsScan
		}
		return c.kind == claimsScan && o.Read[t] > 0
	})
}

func refutation(f Finding, o Observation) string {
	switch f.claim.kind {
	case claimsError:
		return "it was run, and the server did not refuse it"
	case claimsRewrite:
		return fmt.Sprintf("it was run on %s with rows, and nothing was rewritten", strings.Join(f.claim.on, ", "))
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
	return "it was run: it took " + strings.Join(locks, ", ") + ", and rewrote nothing"
}

// failed is for a statement that the server refused.
func (l *Linter) failed(f *File, j *Judgement, o Observation) {
	said := fmt.Sprintf("the server refuses: %s (SQLSTATE %s)", o.Failure.Message, o.Failure.SQLSTATE)
	if o.Failure.Outside == "" && o.Failure.data() && !o.Empty {
		o.Failure.Outside = "invented rows may be to blame; try the migration on a copy"
	}
	for i := range j.Findings {
		finding := &j.Findings[i]
		if finding.claim.kind != claimsError {
			continue
		}
		finding.Evidence = Evidence{FromRehearsal, "the server said: " + o.Failure.Message}
		if o.Failure.Outside == "" && !finding.Allowed && finding.Severity == Error {
			finding.Verdict = Dangerous
			return
		}
	}
	if o.Failure.Outside != "" {
		l.notRehearsed(f, j, said+": "+o.Failure.Outside)
		return
	}
	l.add(f, j, Finding{Hazard: statementFails, Message: said})
	j.Opaque = true // whatever the configuration makes of the hazard
}

// add adds a finding to a statement, unless the configuration turns it off; the file
// may allow it.
func (l *Linter) add(file *File, j *Judgement, f Finding) {
	f.Severity, f.Verdict = l.options.Severities.of(f.Hazard), cmp.Or(f.Verdict, Dangerous)
	f.Start, f.End = j.Start, j.End
	f.Evidence = Evidence{FromRehearsal, "it was seen when it was run"}
	if f.Hazard == notRehearsed {
		f.Evidence = Evidence{}
	}
	for _, allow := range file.allows {
		if allow.Hazard == f.Hazard.String() {
			f.Allowed, f.Reason = true, allow.Reason
			file.Unused = slices.DeleteFunc(file.Unused, func(u migration.Allow) bool { return u.Position == allow.Position })
		}
	}
	if f.Severity != Off {
		j.Findings = append(j.Findings, f)
	}
}

// unforeseen finds what happened and no finding tells.
func (l *Linter) unforeseen(f *File, j *Judgement, o Observation, opaque bool) {
	told := func(table string) bool {
		return slices.Contains(j.small, table) || slices.ContainsFunc(j.Findings, func(f Finding) bool {
			return slices.Contains(f.claim.on, table) || f.claim.kind == unobservable && strings.Contains(f.Message, table)
		})
	}
	for _, t := range o.Rewritten {
		if !told(t) && o.Rows[t] > 0 {
			l.add(f, j, Finding{Hazard: observedRewrite, Message: fmt.Sprintf("%s was rewritten while nobody could read "+
				"or write it", t)})
		}
	}
	for _, held := range o.Held {
		t := held.Table
		read := o.Rows[t] > 0 && o.Read[t] >= o.Rows[t]
		if held.Mode >= Share && read && (j.kind == definition || opaque) && !told(t) && !slices.Contains(o.Rewritten, t) {
			l.add(f, j, Finding{Hazard: observedScan, Message: fmt.Sprintf("all rows of %s were read under %s: %s wait "+
				"until that is done", t, held.Mode, held.Mode.Stops())})
		}
	}
	if !opaque {
		return
	}
	for _, name := range o.Lost {
		hazard := dropTable
		if strings.HasPrefix(name, "column ") {
			hazard = dropColumn
		}
		l.add(f, j, Finding{Hazard: hazard, Message: fmt.Sprintf("%s is not there any more; code that still uses it fails",
			name)})
	}
	for t, n := range o.Changed {
		if o.Rows[t] > 0 && n*2 >= o.Rows[t] {
			l.add(f, j, Finding{Hazard: unbatchedDataChange, Message: fmt.Sprintf("%d of %d rows of %s were changed in "+
				"one transaction", n, o.Rows[t], t)})
		}
	}
}
