package whimbrel

import (
	"context"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Baseline records every file up to the version as applied, without running
// anything: for a database that was made by other means.
func (m *Migrator) Baseline(ctx context.Context, version migration.Version) (Result, error) {
	return m.execute(ctx, "baseline", withoutWaysBack, func(s state) (Plan, error) { return planBaseline(s, version) })
}

func planBaseline(s state, version migration.Version) (Plan, error) {
	for _, e := range s.journal {
		return Plan{}, e.halfDone()
	}
	if _, found := s.file(version); !found || version.Repeatable() {
		return Plan{}, &Error{
			Code: CodeUnknownVersion, Version: version, Message: "there is no file with version " + string(version),
			Remedy: "give the version of the newest migration that the database already has",
		}
	}
	applied := s.appliedVersions()
	var plan Plan
	for _, m := range s.migrations {
		if _, done := applied[m.Version.Canonical()]; !done && m.Version.Compare(version) <= 0 {
			plan.Migrations = append(plan.Migrations, Planned{Migration: m, Direction: Up, RecordOnly: true})
		}
	}
	return plan, nil
}
