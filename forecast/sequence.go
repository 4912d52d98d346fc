package forecast

import (
	"fmt"
	"slices"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Package lint judges migrations on their way up. So that every plan can be judged
// in the same manner, also one that goes down or down and up again, what is left to
// run of each of its migrations is written as one that goes up, under a version of
// its own by which it is found again.

// Sequence gives what a plan is going to run.
func Sequence(plan whimbrel.Plan) []migration.Migration {
	var all []migration.Migration
	for i, p := range plan.Migrations {
		if !p.RecordOnly() {
			all = append(all, written(p.Migration, remaining(p), planVersion(i)))
		}
	}
	return all
}

// finished gives what earlier runs have done of the plan's migrations.
func finished(plan whimbrel.Plan) []migration.Migration {
	var all []migration.Migration
	for i, p := range plan.Migrations {
		if section := section(p, func(s whimbrel.Step) bool { return s.Done }); len(section.Statements) > 0 {
			all = append(all, written(p.Migration, section, migration.Version(fmt.Sprintf("done-%d", i))))
		}
	}
	return all
}

// downMigrations gives the down migrations of a plan that goes up, the last one first.
//
// One of which a variable has no value is left out.
func downMigrations(plan whimbrel.Plan, variables map[string]string) []migration.Migration {
	var all []migration.Migration
	for i, p := range slices.Backward(plan.Migrations) {
		if p.Direction != whimbrel.Up || p.Migration.Kind != migration.SQL || p.RecordOnly() || !p.Migration.Reversible() {
			continue
		}
		if m, err := p.Migration.WithVariables(variables, true); err == nil {
			all = append(all, written(m, m.Down, backVersion(i)))
		}
	}
	return all
}

func written(m migration.Migration, section migration.Section, version migration.Version) migration.Migration {
	m.Up, m.Version = section, version
	return m
}

func planVersion(at int) migration.Version { return migration.Version(fmt.Sprintf("plan-%d", at)) }
func backVersion(at int) migration.Version { return migration.Version(fmt.Sprintf("back-%d", at)) }

// remaining is the part of a migration that is yet to run.
func remaining(p whimbrel.Planned) migration.Section {
	return section(p, func(s whimbrel.Step) bool { return !s.Done })
}

func section(p whimbrel.Planned, wanted func(whimbrel.Step) bool) migration.Section {
	whole := p.Migration.Up
	if p.Direction == whimbrel.Down {
		whole = p.Migration.Down
	}
	whole.Statements = nil
	for _, s := range p.Steps {
		if wanted(s) {
			whole.Statements = append(whole.Statements, s.Statements...)
		}
	}
	return whole
}

// fileOf finds the part of a report that is about a version.
func fileOf(r lint.Report, version migration.Version) lint.File {
	for _, f := range r.Files {
		if f.Version == version {
			return f
		}
	}
	return lint.File{}
}

// observationsOf gives what was observed of a version, by the index of the statement.
func observationsOf(all []lint.Observation, version migration.Version) map[int]*lint.Observation {
	found := map[int]*lint.Observation{}
	for i, o := range all {
		if o.Version == version {
			found[o.Statement] = &all[i]
		}
	}
	return found
}

func contains(all []string, name string) bool { return slices.Contains(all, name) }
