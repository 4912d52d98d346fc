package whimbrel

import (
	"context"
	"fmt"

	"github.com/whimbrel-db/whimbrel/migration"
)

// BaselineOptions say which versions Baseline records beside the one that it is given.
type BaselineOptions struct {
	// WithOlder records older pending versions, too, where the history has rows: without
	// it that is refused. On an empty history they always are.
	WithOlder bool
	// Only records the version alone, whatever is pending.
	Only bool
}

// Baseline records every file up to the version as applied, without running
// anything: for a database that was made by other means.
func (m *Migrator) Baseline(ctx context.Context, version migration.Version, options BaselineOptions) (Result, error) {
	if options.Only && options.WithOlder {
		return Result{}, &Error{Code: CodeConfiguration, Message: "Only and WithOlder contradict each other",
			Remedy: "give one of them"}
	}
	return m.Migrate(ctx, Goal{aim: aim{Command: "baseline", Version: version, Only: options.Only,
		WithOlder: options.WithOlder}})
}

func planBaseline(s state, options aim) (Plan, error) {
	for _, e := range s.journal {
		return Plan{}, e.halfDone()
	}
	version, err := s.meant(options.Version)
	if err != nil {
		return Plan{}, err
	}
	file, found := s.file(version)
	if !found || version.Repeatable() {
		return Plan{}, &Error{
			Code: CodeUnknownVersion, Version: version, Message: "no file with version " + string(version),
			Remedy: "give the version of the newest migration that the database already has",
		}
	}
	applied := s.appliedVersions()
	var plan Plan
	var older []migration.Version
	for _, m := range s.migrations {
		_, done := applied[m.Version.Canonical()]
		before := m.Version.Compare(version)
		if done || before > 0 || options.Only && before < 0 {
			continue
		}
		if before < 0 {
			older = append(older, m.Version)
		}
		plan.Migrations = append(plan.Migrations, Planned{Migration: m, Direction: Up, Action: ActionBaseline})
	}
	if len(older) > 0 && len(applied) > 0 && !options.WithOlder {
		return Plan{}, takesAlong(file, older)
	}
	return plan, nil
}

// takesAlong refuses to record what nobody named: it would never run.
func takesAlong(file migration.Migration, older []migration.Version) *Error {
	return &Error{
		Code: CodeOutOfOrder, Version: file.Version, Name: file.Name, Path: file.Path,
		Message: fmt.Sprintf("pending and older, so that they would be recorded as applied as well, and never run: %s",
			someOf(older)),
		Remedy: fmt.Sprintf("record this one alone with the goal BaselineOnly(%s); "+
			"or, if the database has all of them, use the goal BaselineWithOlder(%[1]s)", file.Version),
	}
}

// Forget takes one version off the history, and runs nothing: for what is not in the
// database any more, or never was. The version is pending then, if it has a file.
func (m *Migrator) Forget(ctx context.Context, version migration.Version) (Result, error) {
	return m.Migrate(ctx, Forget(version))
}

func planForget(s state, version migration.Version) (Plan, error) {
	version, err := s.meant(version)
	if err != nil {
		return Plan{}, err
	}
	for _, e := range s.journal.of(version) {
		return Plan{}, e.halfDone()
	}
	a, recorded := s.recorded(version)
	if !recorded {
		return Plan{}, &Error{
			Code: CodeUnknownVersion, Version: version, Message: "the history does not have version " + string(version),
			Remedy: "see what it has with Migrator.Status",
		}
	}
	gone := migration.Migration{Version: a.Version, Name: a.Name, Checksum: a.Checksum}
	return Plan{Migrations: []Planned{{Migration: gone, Direction: Down, Action: ActionForget}}}, nil
}
