package migration

import (
	"slices"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// Step is a part of a section that is done as one. Without Alone it is a
// transaction; a batch's is many.
type Step struct {
	// First is the place of its first statement in the section.
	First      int
	Statements []Statement
	// Alone is set where the step is one statement outside of any transaction.
	Alone bool
	// Prelude counts the statements at the head of the step, and Trailing those at its
	// end, that only change settings of the session and belong to no transaction of
	// the step: by themselves they would be steps at whose end nothing is done.
	Prelude, Trailing int
}

// Body is what the step does, without the settings around it.
func (s Step) Body() []Statement { return s.Statements[s.Prelude : len(s.Statements)-s.Trailing] }

// Steps divides a section: what may share a transaction stays together, what cannot
// run in one is alone, in the order of the file. Assertions right below a batch
// belong to it. What only sets up the session is never a step: it belongs to the one
// that follows, or, where none does, to the last.
func (s Section) Steps() []Step {
	divided := s.divide()
	all := make([]Step, 0, len(divided))
	prelude := 0
	for i, step := range divided {
		last := i == len(divided)-1
		switch {
		case !step.settings():
			step.First -= prelude
			step.Statements = s.Statements[step.First : step.First+prelude+len(step.Statements)]
			step.Prelude, prelude = prelude, 0
		case !last:
			prelude += len(step.Statements)
			continue
		case len(all) == 0: // there is nothing else
			step.Statements, step.First = s.Statements, 0
		default:
			before := &all[len(all)-1]
			before.Statements = s.Statements[before.First:]
			if before.Alone || before.Body()[0].Batch != nil {
				before.Trailing = prelude + len(step.Statements)
			}
			continue
		}
		step.Statements = slices.Clip(step.Statements)
		all = append(all, step)
	}
	return all
}

// divide cuts a section where one step ends and another begins.
func (s Section) divide() []Step {
	var all []Step
	for i, statement := range s.Statements {
		if last := len(all) - 1; last >= 0 && s.joins(all[last], statement) {
			all[last].Statements = s.Statements[all[last].First : i+1]
			continue
		}
		all = append(all, Step{First: i, Statements: s.Statements[i : i+1], Alone: s.alone(statement)})
	}
	return all
}

// settings reports whether a step would only change settings.
func (s Step) settings() bool {
	return !s.Alone && !slices.ContainsFunc(s.Statements, func(statement Statement) bool {
		_, only := pgsql.SettingChanges(statement.Statement)
		return !only || statement.Assert != nil || statement.Batch != nil
	})
}

// joins reports whether a statement belongs to the step above it.
func (s Section) joins(step Step, statement Statement) bool {
	switch {
	case statement.Batch != nil:
		return false
	case s.blocks && step.Statements[0].Batch == nil:
		return statement.block != 0 && statement.block == step.Statements[0].block
	case step.Statements[0].Batch != nil:
		return statement.Assert != nil
	}
	return !step.Alone && !s.alone(statement) && !s.NoTransaction
}

// alone reports whether a statement must stand outside any transaction. In a
// notransaction section that is also what may commit by itself; the rest of such a
// section gets a transaction per statement, so that it can be recorded exactly once.
func (s Section) alone(statement Statement) bool {
	if statement.Batch != nil || statement.block != 0 {
		return false
	}
	return statement.Class == pgsql.Alone || s.NoTransaction && statement.Class == pgsql.Other
}
