package whimbrel

import (
	"context"
	"fmt"
	"slices"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Down rolls back the newest applied migrations, the newest first, each in a
// transaction that also takes it off the history. The down migration is the file's,
// or the stored one where the file is not there. If one of them has none,
// nothing is rolled back at all.
func (m *Migrator) Down(ctx context.Context, options DownOptions) (Result, error) {
	return m.Migrate(ctx, optional(options.Steps, aim{Command: "down", ForceNoDown: options.ForceNoDown,
		Repeatable: options.Repeatable}))
}

// Redo takes the newest applied migrations down and up again.
func (m *Migrator) Redo(ctx context.Context, options RedoOptions) (Result, error) {
	return m.Migrate(ctx, optional(options.Steps, aim{Command: "redo"}))
}

func planDown(s state, options aim) (Plan, error) {
	newest := s.newestFirst()
	if options.Repeatable { // which go first
		newest = slices.DeleteFunc(newest, func(a Applied) bool { return a.Version.Repeatable() })
	}
	newest = newest[:min(options.Steps, len(newest))]
	planned, err := s.compileDown(newest, options.ForceNoDown)
	if err != nil || !options.Repeatable {
		return Plan{Migrations: planned}, err
	}
	before, err := s.compileWithdrawal()
	return Plan{Migrations: append(before, planned...)}, err
}

func planRedo(s state, steps int) (Plan, error) {
	if err := s.agrees(); err != nil {
		return Plan{}, err
	}
	down, err := planDown(s, aim{Steps: steps})
	if err != nil {
		return Plan{}, err
	}
	var again []migration.Migration
	for _, p := range slices.Backward(down.Migrations) {
		file, found := s.file(p.Migration.Version)
		if !found {
			return Plan{}, missingFile(Applied{Version: p.Migration.Version, Name: p.Migration.Name})
		}
		again = append(again, file)
	}
	s.journal = nil
	up, err := s.compileUp(again)
	return Plan{Migrations: append(down.Migrations, up...), restores: true}, err
}

// newestFirst lists what can be rolled back, in the order in which it would
// be: first what is half-way down, repeatable or not, then what stopped half-way up,
// then what is applied.
func (s state) newestFirst() []Applied {
	newest := slices.Clone(s.applied)
	slices.Reverse(newest)
	var halfDown, halfUp []Applied
	for _, v := range s.journal.versions() {
		a, recorded := s.recorded(v)
		switch {
		case len(s.journal.of(v).toward(Down)) > 0:
			halfDown = append(halfDown, a)
			newest = slices.DeleteFunc(newest, func(a Applied) bool { return a.Version.Equal(v) })
		case !recorded:
			halfUp = append(halfUp, a)
		}
	}
	return slices.Concat(halfDown, halfUp, newest)
}

// recorded gives a version's row of the history, or one in its place.
func (s state) recorded(v migration.Version) (a Applied, found bool) {
	for _, a := range slices.Concat(s.applied, s.repeated) {
		if a.Version.Equal(v) {
			return a, true
		}
	}
	file, _ := s.file(v)
	return Applied{Version: v, Name: file.Name}, false
}

// compileDown makes steps of down migrations, and refuses the whole list if one of
// them has none.
func (s state) compileDown(rows []Applied, force bool) ([]Planned, error) {
	var planned []Planned
	for _, a := range rows {
		if q, squashed := s.squashedIn(a); squashed {
			return nil, q.squashedAway(a)
		}
		m, isFile := s.file(a.Version)
		if !isFile {
			stored, err := migration.ParseStored(a.Version, a.Name, s.stored[a.Version.Canonical()])
			if err != nil {
				return nil, asError(err, CodeMalformed)
			}
			m = stored
		}
		reversible, err := s.reversible(m)
		if err != nil {
			return nil, err
		}
		if !reversible && !force {
			return nil, notReversible(a, m)
		}
		m.Version = a.Version // as the history spells it
		p := Planned{Migration: m, Direction: Down, Action: ActionForceDown,
			journalled: s.journal.of(a.Version).spellings()}
		if reversible {
			if p, err = s.compile(m, Down); err != nil {
				return nil, err
			}
			if !isFile {
				p.Source = SourceHistory
			}
		}
		p.unfinished = s.stoppedUp(a)
		planned = append(planned, p)
	}
	return planned, nil
}

// stoppedUp is what is done of a migration that is rolled back without ever having been
// applied as a whole; nil where it was.
func (s state) stoppedUp(a Applied) *Unfinished {
	rows := s.journal.of(a.Version).toward(Up)
	if len(rows) == 0 || a.ID != 0 {
		return nil
	}
	u := s.describeUnfinished(a.Version, Up, rows)
	return &u
}

func notReversible(a Applied, m migration.Migration) *Error {
	e := &Error{
		Code: CodeIrreversible, Version: a.Version, Name: m.Name, Direction: Down, Path: m.Path,
		Message: fmt.Sprintf("%s has no down migration, so nothing was rolled back", a.Version),
		Remedy: "write a `-- +migrate Down` part, or take it off the history without undoing anything by " +
			"DownOptions.ForceNoDown",
	}
	if m.Kind == migration.Opaque {
		e.Remedy = "take it off the history without undoing anything by DownOptions.ForceNoDown"
	} else if m.Kind != migration.SQL {
		e.Remedy = "write its down function, or take it off the history without undoing anything by DownOptions.ForceNoDown"
	}
	if m.Irreversible {
		e.Message = fmt.Sprintf("%s is irreversible, so nothing was rolled back", a.Version)
		if m.Reason != "" {
			e.Detail = m.Reason
		}
	}
	return e
}
