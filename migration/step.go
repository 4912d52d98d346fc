package migration

import "github.com/whimbrel-db/whimbrel/internal/pgsql"

// Step is a part of a section that is done as one. Without Alone it is a
// transaction; a batch's, in which Batch is set at the first statement, is many.
type Step struct {
	// First is the place of its first statement in the section.
	First      int
	Statements []Statement
	// Alone is set where the step is one statement outside of any transaction.
	Alone bool
}

// Steps divides a section: what may share a transaction stays together, what cannot
// run in one stands alone, in the order of the file. Assertions right below a batch
// belong to it.
func (s Section) Steps() []Step {
	var all []Step
	for i, statement := range s.Statements {
		if last := len(all) - 1; last >= 0 && s.joins(all[last], statement) {
			all[last].Statements = append(all[last].Statements, statement)
			continue
		}
		all = append(all, Step{First: i, Statements: []Statement{statement}, Alone: s.alone(statement)})
	}
	return all
}

// joins reports whether a statement belongs to the step above it.
func (s Section) joins(step Step, statement Statement) bool {
	switch {
	case statement.Batch != nil:
		return false
	case step.Statements[0].Batch != nil:
		return statement.Assert != nil
	}
	return !step.Alone && !s.alone(statement) && !s.NoTransaction
}

// alone reports whether a statement must stand outside any transaction. In a
// notransaction section that is also what may commit by itself; the rest of such a
// section gets a transaction per statement, so that it can be recorded exactly once.
func (s Section) alone(statement Statement) bool {
	if statement.Batch != nil {
		return false
	}
	return statement.Class == pgsql.Alone || s.NoTransaction && statement.Class == pgsql.Other
}
