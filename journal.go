package whimbrel

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel/migration"
)

// This file reads the journal. It has rows of a version from the first step of a
// chain that is done until the transaction that completes the version, or takes it
// off the history: that one removes them all, in both directions and under every
// spelling, whether it is a chain itself or not.

// journal are the rows of the journal, by version, direction and step.
type journal []journalEntry

// journalEntry is a row of the journal.
type journalEntry struct {
	version   migration.Version
	direction Direction
	step      int // or a part of one, from partsOfSteps on
	hash      string
	done      bool
	cursor    string // what is to be remembered of a step
	rows      int64  // changed
	total     int64  // of a backfill's table, as it was estimated; 0 if unknown
	keys      int64  // of it gone through
	token     int64  // of the lease under which it was written last
	// Who began it, and when.
	since          time.Time
	name           string // of the migration
	by, host, tool string
	// schema is the schemaVersion of the program that wrote it.
	schema int
	kept   kept // of the session as the step left it
}

// partsOfSteps is where the journal's numbers for parts of steps begin: the
// batches of a step, by their workers. See backfill.
const partsOfSteps = 1_000_000

// of gives the rows of a version.
func (j journal) of(version migration.Version) (own journal) {
	for _, e := range j {
		if e.version.Equal(version) {
			own = append(own, e)
		}
	}
	return own
}

// toward gives the rows of a direction.
func (j journal) toward(d Direction) (own journal) {
	for _, e := range j {
		if e.direction == d {
			own = append(own, e)
		}
	}
	return own
}

// spellings are the forms in which the rows write their versions: a file may have
// been renamed from 3_x to 003_x while it was half done.
func (j journal) spellings() (all []migration.Version) {
	for _, e := range j {
		if !slices.Contains(all, e.version) {
			all = append(all, e.version)
		}
	}
	return all
}

// versions lists what is half done, the newest first.
func (j journal) versions() (all []migration.Version) {
	for _, e := range j {
		if !slices.ContainsFunc(all, e.version.Equal) {
			all = append(all, e.version)
		}
	}
	slices.SortFunc(all, func(a, b migration.Version) int { return b.Compare(a) })
	return all
}

// isDone reports whether a step is, by these rows.
func (j journal) isDone(step int) bool {
	return slices.ContainsFunc(j, func(e journalEntry) bool { return e.step == step && e.done })
}

// isPart reports whether the row is about a part of a step, and of which step.
func (e journalEntry) isPart() (step int, is bool) {
	return e.step / partsOfSteps, e.step >= partsOfSteps
}

// advanced reports whether the row of a part says that something is done which a
// run would pass over.
func (e journalEntry) advanced() bool {
	var p place
	err := json.Unmarshal([]byte(e.cursor), &p)
	return err != nil || p.Low != nil || len(p.Spans) > 0 || p.Ended
}

// inJournal is the migration's version as the journal spells it.
func (p Planned) inJournal() string {
	if len(p.journalled) > 0 {
		return string(p.journalled[0])
	}
	return string(p.Migration.Version)
}

// resume marks the steps that the journal knows, and refuses a file in which what was
// done no longer reads as it did.
func (p *Planned) resume(all journal) error {
	all = all.of(p.Migration.Version)
	p.journalled = all.spellings()
	for i := range p.Steps {
		s := &p.Steps[i]
		s.Done, s.Started, s.rows, s.keys, s.total, s.kept = false, false, 0, 0, 0, kept{}
	}
	p.kept = nil
	if p.Action == RecoverRestart {
		return nil
	}
	own := all.toward(p.Direction)
	for _, entry := range own {
		if number, part := entry.isPart(); part && own.isDone(number) {
			continue
		}
		if err := p.resumeAt(entry); err != nil {
			return err
		}
	}
	return nil
}

// resumeAt does so for one row.
func (p *Planned) resumeAt(entry journalEntry) error {
	number, part := entry.isPart()
	if !part {
		number = entry.step
	}
	i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Number == number })
	switch {
	case part && i >= 0 && p.Steps[i].partHash() == entry.hash:
		s := &p.Steps[i]
		s.rows, s.keys, s.total = s.rows+entry.rows, s.keys+entry.keys, max(s.total, entry.total)
		return nil
	case part && !entry.advanced():
		return nil // nothing of it is done
	case i >= 0 && !part && p.Steps[i].isHashed(entry.hash):
		p.Steps[i].Done, p.Steps[i].Started, p.Steps[i].rows, p.Steps[i].kept = entry.done, !entry.done, entry.rows, entry.kept
		return nil
	case !part && !entry.done:
		return nil // it was begun and never finished: whatever is there now runs
	case p.keep(i, entry):
		return nil
	case part:
		return p.rewritten(i, fmt.Sprintf("step %d of %s is half done, and now reads otherwise", number, p.Migration.Version))
	}
	return p.rewritten(i, fmt.Sprintf("step %d of %s was done by an earlier run, and now reads otherwise",
		number, p.Migration.Version))
}

// rewritten refuses a file whose step an earlier run has done, or half done, with
// another text. i is the step's index; -1 where there is none any more.
func (p *Planned) rewritten(i int, message string) error {
	e := &Error{
		Code: CodeJournal, Message: message, Direction: p.Direction,
		Path: p.Migration.Path, Version: p.Migration.Version, Name: p.Migration.Name,
		Remedy: "put back what an earlier run has done of it, which leaves what comes after free to be edited; " +
			"or let Migrator.Recover show what is done, and go on with the new text, restart or discard it",
	}
	if p.Direction == Up {
		e.Remedy += "; or roll it back with Migrator.Down"
	}
	if i >= 0 && len(p.Steps[i].Statements) > 0 {
		e.Line, e.Column = p.Steps[i].Statements[0].Start.Line, p.Steps[i].Statements[0].Start.Column
	}
	return e
}

// halfDone refuses to go on while a migration is half-way.
func (e journalEntry) halfDone() *Error {
	finish := "Migrator.Up"
	if e.direction == Down {
		finish = "Migrator.Down"
	}
	return &Error{
		Code: CodeUnfinished, Version: e.version, Direction: e.direction,
		Message: fmt.Sprintf("%s is half-way %s: an earlier run stopped in it", e.version, e.direction),
		Remedy:  "finish it with " + finish + ", or see Migrator.Recover",
	}
}
