package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// A file may divide itself into transactions, as psql would run it: each block from BEGIN
// to COMMIT is a step, and so is each statement between blocks. One block around all of a
// section says nothing more than the section, and is dropped: the engine's own transaction
// does it better, as it records the migration in it.

// Blocks reports whether the section has transaction blocks of its own, so that it is no
// longer all or nothing.
func (s Section) Blocks() bool { return s.blocks }

// divided takes BEGIN and COMMIT out of the section, and remembers what stood between
// them. Transaction control that is left over comes back as errors: it would end the
// transaction in which the migration is recorded.
func (s Section) divided() (Section, []*Error) {
	if s.oneBlock() {
		s.Statements = s.Statements[1 : len(s.Statements)-1]
	}
	if !slices.ContainsFunc(s.Statements,
		func(statement Statement) bool { return statement.Class == pgsql.TransactionControl }) {
		return s, nil
	}
	d := divider{section: s}
	s.blocks = slices.ContainsFunc(s.Statements, begins)
	for _, statement := range s.Statements {
		d.take(statement, s.blocks)
	}
	if d.open != nil {
		d.wrong(*d.open, "write COMMIT below its statements", "%s opens a transaction block that nothing ends",
			firstLine(d.open.Text))
	}
	s.Statements = d.kept
	return s, d.problems
}

// oneBlock reports whether one plain block stands around all statements.
func (s Section) oneBlock() bool {
	n := len(s.Statements)
	if n < 2 || s.NoTransaction || !beginsBlock(s.Statements[0]) || !endsBlock(s.Statements[n-1]) {
		return false
	}
	return !slices.ContainsFunc(s.Statements[1:n-1], func(statement Statement) bool {
		return begins(statement) || endsBlock(statement) || setsTransaction(statement)
	})
}

// begins reports whether a statement opens a block, with whatever options.
func begins(s Statement) bool {
	words := spelled(s)
	return strings.HasPrefix(words, "BEGIN") || strings.HasPrefix(words, "START TRANSACTION")
}

// divider goes through the statements of a section.
type divider struct {
	section  Section
	kept     []Statement
	problems []*Error
	open     *Statement // the BEGIN of the open block
	number   int        // of the last block
}

func (d *divider) wrong(at Statement, remedy, format string, args ...any) {
	d.problems = append(d.problems, &Error{
		Code: CodeTransactionControl, Position: at.Start, Message: fmt.Sprintf(format, args...), Remedy: remedy,
	})
}

func (d *divider) take(s Statement, blocks bool) {
	inside := d.open != nil
	switch {
	case s.Class != pgsql.TransactionControl:
		d.keep(s)
	case begins(s) && inside:
		d.wrong(s, "write COMMIT above it", "%s is in a transaction block that line %d opens", firstLine(s.Text),
			d.open.Start.Line)
	case begins(s):
		d.number++
		d.open = &s
		d.options(s)
	case endsBlock(s) && inside:
		d.open = nil
	case endsBlock(s):
		d.wrong(s, "remove it, or write BEGIN above what belongs together", "%s ends a transaction block that nothing opens",
			firstLine(s.Text))
	case setsTransaction(s) && inside:
		d.keep(s)
	case ofSavepoint(s) && (inside || !blocks && !d.section.NoTransaction):
		d.keep(s)
	case ofSavepoint(s):
		d.wrong(s, "put it between BEGIN and COMMIT", "%s is outside any transaction", firstLine(s.Text))
	default:
		d.wrong(s, "remove it: whimbrel runs a migration in a transaction of its own, in which it records it; "+
			"BEGIN and COMMIT around statements make a transaction of them", "%s is not allowed in a migration",
			firstLine(s.Text))
	}
}

// keep keeps a statement, as one of the open block.
func (d *divider) keep(s Statement) {
	if d.open != nil {
		s.block = d.number
		switch {
		case s.Batch != nil:
			d.wrong(s, "put it below COMMIT", "a Batch is many transactions, and cannot be in a block")
		case s.Class == pgsql.Alone:
			d.wrong(s, "put it below COMMIT", "%s cannot run inside a transaction block", firstLine(s.Text))
		}
	}
	d.kept = append(d.kept, s)
}

// options has the block begin with what its BEGIN said of it.
func (d *divider) options(begin Statement) {
	words := spelled(begin)
	for _, head := range []string{"BEGIN", "START TRANSACTION", "WORK", "TRANSACTION"} {
		words = strings.TrimSpace(strings.TrimPrefix(words, head))
	}
	// It means something only to what reads and nothing else.
	words = strings.Trim(strings.NewReplacer("NOT DEFERRABLE", "", "DEFERRABLE", "").Replace(words), " ,")
	switch {
	case words == "":
	case strings.Contains(words, "READ ONLY"):
		d.wrong(begin, "leave READ ONLY away", "a block that only reads cannot be recorded")
	default:
		set := begin
		set.Text, set.Command, set.Class = "SET TRANSACTION "+words, "SET TRANSACTION", pgsql.TransactionControl
		set.Batch, set.Assert, set.block = nil, nil, d.number
		d.kept = append(d.kept, set)
	}
}

// setsTransaction reports whether a statement says how its transaction is to be, and that
// it may write.
func setsTransaction(s Statement) bool {
	words := spelled(s)
	return (strings.HasPrefix(words, "SET TRANSACTION ") || strings.HasPrefix(words, "SET LOCAL TRANSACTION ")) &&
		!strings.Contains(words, "READ ONLY") && !strings.Contains(words, "SNAPSHOT") && !strings.Contains(words,
		"DEFERRABLE")
}

// ofSavepoint reports whether a statement divides a transaction and leaves it open.
func ofSavepoint(s Statement) bool {
	words := spelled(s)
	return strings.HasPrefix(words, "SAVEPOINT ") || strings.HasPrefix(words, "RELEASE ") ||
		strings.HasPrefix(words, "ROLLBACK TO ") || strings.HasPrefix(words, "ROLLBACK WORK TO ") ||
		strings.HasPrefix(words, "ROLLBACK TRANSACTION TO ")
}
