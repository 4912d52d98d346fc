package whimbrel

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Up applies what is pending, oldest first; see Latest and Next.
func (m *Migrator) Up(ctx context.Context, options UpOptions) (Result, error) {
	return m.Migrate(ctx, optional(options.Steps, aim{Command: "up"}))
}

// planUp plans at most so many migrations; 0: all.
func planUp(s state, steps int) (Plan, error) {
	if err := s.agrees(); err != nil {
		return Plan{}, err
	}
	pending, skipped, err := s.pending()
	if err != nil {
		return Plan{}, err
	}
	if steps > 0 {
		pending = pending[:min(steps, len(pending))]
	}
	plan := Plan{Skipped: skipped, Others: s.others}
	if plan.Migrations, err = s.compileUp(pending); err != nil {
		return plan, err
	}
	most := len(s.repeatables)
	if steps > 0 {
		most = steps - len(pending)
	}
	repeated, err := s.compileAgain(most)
	plan.Migrations = append(plan.Migrations, repeated...)
	plan.restores, plan.repeats = true, most
	return plan, err
}

// compileUp makes steps of pending migrations.
func (s state) compileUp(pending []migration.Migration) ([]Planned, error) {
	planned := slices.Grow([]Planned(nil), len(pending))
	for _, m := range pending {
		if m.Empty() {
			return nil, malformed(m, migration.Position{}, CodeEmpty, "the up part has no statement",
				"write one, remove the file, or put SELECT 1 there if the version is wanted")
		}
		if m.UnreadMark != nil && !s.acceptMarks {
			return nil, asError(m.UnreadMark, CodeMalformed)
		}
		if err := s.keepsHistory(m); err != nil {
			return nil, err
		}
		p, err := s.compile(m, Up)
		if err != nil {
			return nil, err
		}
		p.unfinished = s.stoppedUp(Applied{Version: m.Version})
		planned = append(planned, p)
	}
	return planned, nil
}

// agrees refuses a state in which files and history contradict each other.
func (s state) agrees() error {
	if err := s.undone(); err != nil {
		return err
	}
	if e := s.taken(); e != nil {
		return e
	}
	if e := s.partly(); e != nil {
		return e
	}
	for _, v := range s.journal.versions() {
		if _, found := s.file(v); !found && !s.allowMissing {
			return s.abandoned(v)
		}
	}
	for _, a := range s.applied {
		if _, squashed := s.squashedIn(a); squashed {
			continue
		}
		file, found := s.file(a.Version)
		if !found && !s.allowMissing {
			return s.missing(a)
		}
		if found && !file.AcceptsChecksum(a.Checksum) {
			return changed(a, file)
		}
	}
	return nil
}

// undone refuses to go on while a migration is half-way down.
func (s state) undone() error {
	for _, e := range s.journal.toward(Down) {
		return e.halfDone()
	}
	return nil
}

// abandoned is a migration that is half done and has no file any more.
func (s state) abandoned(v migration.Version) *Error {
	a, recorded := s.recorded(v)
	if recorded {
		return missingFile(a)
	}
	return &Error{
		Code: CodeMissingFile, Version: v, Message: fmt.Sprintf("%s is half done, but has no file", v),
		Remedy: "use the checkout that has it, discard it with Migrator.Recover, or go on without it by Config.AllowMissing",
	}
}

func missingFile(a Applied) *Error {
	return &Error{
		Code: CodeMissingFile, Version: a.Version, Name: a.Name,
		Message: fmt.Sprintf("%s (%s) is applied, but has no file", a.Version, a.Name),
		Remedy: "use the checkout that has it, roll it back with Migrator.Down (its down migration is stored), or go on " +
			"without it by Config.AllowMissing",
	}
}

// missing is an applied version that has no file; it may have one by another version.
func (s state) missing(a Applied) *Error {
	e := missingFile(a)
	if file, renamed := s.renamed(a); renamed {
		e.Path = file.Path
		e.Message = fmt.Sprintf("%s (%s) is applied, and its file was renamed since: it has the version %s now, which is "+
			"pending", a.Version, a.Name, file.Version)
		e.Remedy = fmt.Sprintf("give it its old name; or, in each database, the goal BaselineOnly(%s) and then "+
			"Migrator.Forget(%s)", file.Version, a.Version)
	}
	return e
}

// renamed finds the file of an applied version that has another version now, or another
// name.
func (s state) renamed(a Applied) (migration.Migration, bool) {
	if file, found := s.file(a.Version); found {
		base := path.Base(file.Path) // by which other runners of the format know it
		names := []string{"", string(a.Version), clip(file.Name), base, strings.TrimSuffix(base, path.Ext(base))}
		return file, !a.Version.Repeatable() && !slices.Contains(names, a.Name)
	}
	applied := s.appliedVersions()
	for _, m := range s.migrations {
		if _, done := applied[m.Version.Canonical()]; !done && a.Checksum != "" && m.AcceptsChecksum(a.Checksum) {
			return m, true
		}
	}
	return migration.Migration{}, false
}

func changed(a Applied, file migration.Migration) *Error {
	return &Error{
		Code: CodeChanged, Version: a.Version, Name: a.Name, Path: file.Path,
		Message: fmt.Sprintf("the file was changed after it was applied: its checksum is %.12s…, the history has %.12s…",
			file.Checksum, a.Checksum),
		Remedy: fmt.Sprintf("put the file back and write a new migration, or accept the change with "+
			"Migrator.Accept(%s)", a.Version),
	}
}

// file gives the file of a version, which may be that of a repeatable migration.
func (s state) file(version migration.Version) (m migration.Migration, found bool) {
	if file := s.files[version.Canonical()]; file != nil {
		return *file, true
	}
	return migration.Migration{}, false
}

func (s state) appliedVersions() map[migration.Version]*Applied {
	rows := make(map[migration.Version]*Applied, len(s.applied))
	for i := range s.applied {
		rows[s.applied[i].Version.Canonical()] = &s.applied[i]
	}
	return rows
}

// pending lists what is not applied and has one of the tags that are asked for,
// oldest first, and treats late versions as the policy says.
func (s state) pending() (pending, skipped []migration.Migration, err error) {
	applied := s.appliedVersions()
	front := sync.OnceValue(s.front) // which nobody asks for where nothing is pending
	var late []migration.Migration
	pending = slices.Grow(pending, max(len(s.migrations)-len(applied), 0))
	for _, m := range s.migrations {
		_, done := applied[m.Version.Canonical()]
		if done || len(s.tags) > 0 && !m.HasTag(s.tags...) {
			continue
		}
		if front().overtook(m) {
			late = append(late, m)
			if s.policy == SkipOutOfOrder {
				continue
			}
		}
		pending = append(pending, m)
	}
	switch {
	case len(late) == 0:
		return pending, nil, nil
	case s.policy == SkipOutOfOrder:
		return pending, late, nil
	case s.policy == ApplyOutOfOrder:
		return pending, nil, nil
	}
	message := fmt.Sprintf("it is pending and older than %s, which is applied", front().newest(late[0]))
	if len(late) > 1 {
		var others []string
		for _, m := range late[1:] {
			others = append(others, m.Path)
		}
		message += "; likewise " + strings.Join(others, ", ")
	}
	return nil, nil, &Error{
		Code: CodeOutOfOrder, Version: late[0].Version, Name: late[0].Name, Path: late[0].Path, Message: message,
		Remedy: "give such files newer versions, or set Config.OutOfOrder to apply (run them now) or skip (leave them)",
	}
}
