package whimbrel

import (
	"context"
	"fmt"

	"github.com/whimbrel-db/whimbrel/migration"
)

// To goes up or down until exactly the migrations up to the version are
// applied: newer ones are rolled back, older pending ones are applied. Version
// "0" rolls back everything.
func (m *Migrator) To(ctx context.Context, version migration.Version, options ToOptions) (Result, error) {
	return m.Migrate(ctx, Goal{aim: aim{Command: "to", Version: version, ForceNoDown: options.ForceNoDown,
		Repeatable: options.Repeatable}})
}

func planTo(s state, options aim) (Plan, error) {
	version, err := s.meant(options.Version)
	if err != nil {
		return Plan{}, err
	}
	if err := s.knows(version); err != nil {
		return Plan{}, err
	}
	var newer []Applied
	for _, a := range s.newestFirst() {
		switch {
		case a.Version.Repeatable() && options.Repeatable: // which go first
		case a.Version.Repeatable() || a.Version.Compare(version) > 0:
			newer = append(newer, a)
		case len(s.journal.of(a.Version).toward(Down)) > 0: // it is to stay applied, and is not any more
			return Plan{}, s.journal.of(a.Version).toward(Down)[0].halfDone()
		default:
			if _, found := s.file(a.Version); a.ID == 0 && !found && !s.allowMissing {
				return Plan{}, s.abandoned(a.Version)
			}
		}
	}
	down, err := s.compileDown(newer, options.ForceNoDown)
	if err != nil {
		return Plan{}, err
	}
	if len(newer) == 0 {
		if err := s.agrees(); err != nil {
			return Plan{}, err
		}
	}
	if options.Repeatable && len(newer) > 0 {
		before, err := s.compileWithdrawal()
		if err != nil {
			return Plan{}, err
		}
		down = append(before, down...)
	}
	applied := s.appliedVersions()
	var older []migration.Migration
	for _, m := range s.migrations {
		if _, done := applied[m.Version.Canonical()]; !done && m.Version.Compare(version) <= 0 {
			older = append(older, m)
		}
	}
	up, err := s.compileUp(older)
	return Plan{Migrations: append(down, up...), Others: s.others, restores: len(older) > 0}, err
}

// knows refuses a version that is neither a file nor applied.
func (s state) knows(version migration.Version) error {
	if version.Equal("0") {
		return nil
	}
	if version.Repeatable() {
		return &Error{
			Code: CodeUnknownVersion, Version: version,
			Message: fmt.Sprintf("%s is repeatable: it has no place in the order to go to", version),
			Remedy:  "name a migration with a number",
		}
	}
	if _, found := s.file(version); found {
		return nil
	}
	if _, found := s.appliedVersions()[version.Canonical()]; found {
		return nil
	}
	return &Error{
		Code: CodeUnknownVersion, Version: version, Message: fmt.Sprintf("no migration %s, neither as a file nor "+
			"in the history", version),
		Remedy: "see the versions with Migrator.Status",
	}
}
