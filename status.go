package whimbrel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Status tells what is applied, what is pending, and who holds the lease. It
// only reads, so it works for a role that may not write and on a replica.
func (m *Migrator) Status(ctx context.Context) (Status, error) {
	db, err := m.connect(ctx)
	if err != nil {
		return Status{}, err
	}
	defer db.close()
	s, err := m.read(ctx, db, withReversibility)
	if err != nil {
		return Status{}, err
	}
	status := Status{
		Database: m.database(), Server: strings.Fields(db.facts.Shown)[0], Table: db.tables.schema + "." + db.tables.name,
		Initialised: db.ready || db.history() != nil, Applied: s.describeApplied(), Pending: s.describePending(),
		Unfinished: []Unfinished{},
	}
	status.Others = s.others
	if err := db.newer(); err != nil {
		status.Newer = asError(err, CodeTablesNewer)
	}
	if status.Holder, err = m.holder(ctx, db); err != nil {
		return Status{}, m.serverError(ctx, "reading the lease", err)
	}
	if len(s.journal) > 0 {
		s.holder = status.Holder
		if s.stored, err = db.storedDownMigrations(ctx, s); err != nil {
			return Status{}, m.serverError(ctx, "reading the stored down migrations", err)
		}
		status.Unfinished = s.unfinished()
	}
	return status, nil
}

// describeApplied sets the history's rows beside the files.
func (s state) describeApplied() []Applied {
	out := []Applied{}
	for _, a := range s.applied {
		file, found := s.file(a.Version)
		q, squashed := s.squashedIn(a)
		a.Missing = !found && !squashed
		if squashed {
			a.SquashedIn, a.Reversible = q.file.Path, false
		} else if found {
			a.Path, a.Reason = file.Path, file.Reason
			a.Changed = !file.AcceptsChecksum(a.Checksum)
			a.Reversible = file.Reversible()
		}
		if file, renamed := s.renamed(a); renamed && !squashed {
			a.RenamedTo = file.Path
		}
		a.RollingBack = len(s.journal.of(a.Version).toward(Down)) > 0
		out = append(out, a)
	}
	out = append(out, s.describeRepeated()...)
	slices.SortStableFunc(out, func(a, b Applied) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// describePending lists what is not applied, whatever the policy would say.
func (s state) describePending() []Pending {
	everything := s
	everything.policy = ApplyOutOfOrder
	late := s
	late.policy = SkipOutOfOrder
	files, _, _ := everything.pending()
	_, skipped, _ := late.pending()
	out := []Pending{}
	for _, m := range files {
		p := Pending{Ref: Ref{Version: m.Version, Name: m.Name, Path: m.Path, Direction: Up}, Tags: m.Tags}
		p.OutOfOrder = slices.ContainsFunc(skipped, func(o migration.Migration) bool { return o.Version.Equal(m.Version) })
		if m.Kind != migration.SQL {
			p.Steps = 1
		} else if planned, err := s.compile(m, Up); err == nil {
			p.Steps, p.Done = len(planned.Steps), planned.done()
		}
		out = append(out, p)
	}
	return append(out, s.describeStale()...)
}

// Verify compares the history with the files: what is pending, missing or
// changed, and what stopped half-way. It only reads.
func (m *Migrator) Verify(ctx context.Context) (Verification, error) {
	db, err := m.connect(ctx)
	if err != nil {
		return Verification{}, err
	}
	defer db.close()
	s, err := m.read(ctx, db, withoutDownMigrations)
	if err != nil {
		return Verification{}, err
	}
	differences := s.differences(db.tables)
	if err := db.newer(); err != nil {
		e := asError(err, CodeTablesNewer)
		differences = append([]Difference{{Kind: string(e.Code), Message: e.Message, Remedy: e.Remedy}}, differences...)
	}
	return Verification{
		Database: m.database(), Applied: len(s.applied) + len(s.repeated), Differences: differences,
		Warnings: append(s.unreadMarks(), s.renamings()...),
	}, nil
}

// unreadMarks tells of applied files in which the down migration may have run with the up migration.
func (s state) unreadMarks() (warnings []Difference) {
	for _, a := range slices.Concat(s.applied, s.repeated) {
		if file, found := s.file(a.Version); found && file.UnreadMark != nil {
			warnings = append(warnings, Difference{
				Kind: string(file.UnreadMark.Code), Version: a.Version, Name: a.Name, Path: file.Path,
				Message: fmt.Sprintf("line %d: %s", file.UnreadMark.Position.Line, file.UnreadMark.Message),
				Remedy:  "see whether the database has what the file makes; if not, write a migration that makes it",
			})
		}
	}
	return warnings
}

func (s state) differences(t tables) []Difference {
	out := []Difference{}
	add := func(kind string, version migration.Version, name, path, message, remedy string) {
		out = append(out, Difference{Kind: kind, Version: version, Name: name, Path: path, Message: message, Remedy: remedy})
	}
	for _, a := range s.applied {
		if _, squashed := s.squashedIn(a); squashed {
			continue
		}
		file, found := s.file(a.Version)
		if !found {
			e := s.missing(a)
			add(string(e.Code), a.Version, a.Name, "", e.Message, e.Remedy)
		} else if !file.AcceptsChecksum(a.Checksum) {
			e := changed(a, file)
			add(string(e.Code), a.Version, a.Name, file.Path, e.Message, e.Remedy)
		}
	}
	for _, a := range s.repeated {
		if _, found := s.file(a.Version); !found {
			e := gone(a, t)
			add(string(e.Code), a.Version, a.Name, "", e.Message, e.Remedy)
		}
	}
	if e := s.taken(); e != nil {
		add(string(e.Code), e.Version, e.Name, e.Path, e.Message, e.Remedy)
	}
	if e := s.partly(); e != nil {
		add(string(e.Code), e.Version, e.Name, e.Path, e.Message, e.Remedy)
	}
	for _, u := range s.unfinished() {
		half := s.journal.of(u.Version).toward(u.Direction)[0].halfDone()
		add("unfinished", u.Version, u.Name, u.Path, u.String(), half.Remedy)
	}
	for _, p := range s.describePending() {
		message := fmt.Sprintf("%s is not applied", p.Version)
		if len(p.Lost) > 0 {
			message = fmt.Sprintf("%s is to run again: it defines %s, which is not there", p.Version, strings.Join(p.Lost, ", "))
		} else if p.Again {
			message = fmt.Sprintf("%s is to run again: its file has changed, or what it defines, or rests on, was replaced",
				p.Version)
		}
		add("pending", p.Version, p.Name, p.Path, message, s.wayOut(p))
	}
	return out
}

// wayOut is what to do about what is pending.
func (s state) wayOut(p Pending) string {
	if p.Version.Repeatable() || len(s.applied) == 0 {
		return "apply it with Migrator.Up"
	}
	return fmt.Sprintf("apply it with Migrator.Up; if the database has it already, record it alone with "+
		"the goal BaselineOnly(%s)", p.Version)
}

// renamings are applied files that have another name since.
func (s state) renamings() (out []Difference) {
	for _, a := range s.applied {
		if _, found := s.file(a.Version); !found {
			continue
		}
		if file, renamed := s.renamed(a); renamed {
			out = append(out, Difference{
				Kind: "renamed", Version: a.Version, Name: a.Name, Path: file.Path,
				Message: fmt.Sprintf("the file was renamed after it was applied: the history calls it %s", a.Name),
				Remedy:  "nothing: its version tells that it is applied; if it is another migration, give it another version",
			})
		}
	}
	return out
}
