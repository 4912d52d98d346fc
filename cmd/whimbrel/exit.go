package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt"
	"github.com/whimbrel-db/whimbrel/migration"
)

// The exit statuses of the program. They are stable.
const (
	exitDone        = 0
	exitFailed      = 1
	exitWrongUse    = 2
	exitRefused     = 3
	exitLeaseHeld   = 4
	exitDifferences = 5
	exitInterrupted = 130
)

// codeUsage is the code of errors in flags and arguments.
const codeUsage whimbrel.Code = "usage"

// codeRefused is the code of what a check before production stopped.
const codeRefused whimbrel.Code = "refused"

// exits is the one table of exit statuses: what they mean, and which failures
// end in them. Whatever has to be put right in files or flags before anything
// can run is wrong use.
var exits = []struct {
	status  int
	meaning string
	codes   []whimbrel.Code
}{
	{exitDone, "done, or nothing to do", nil},
	{exitFailed, "failed", []whimbrel.Code{
		whimbrel.CodeConnection, whimbrel.CodePermission, whimbrel.CodeReadOnly, whimbrel.CodeForeignTable,
		whimbrel.CodeOutOfOrder, whimbrel.CodeMissingFile, whimbrel.CodePartlySquashed, whimbrel.CodeChanged, whimbrel.CodeUnfinished,
		whimbrel.CodeLeaseLost, whimbrel.CodeStatement, whimbrel.CodeAssertion, whimbrel.CodeScript, whimbrel.CodeLockTimeout,
		adopt.CodeNotFound, adopt.CodeDisagreement, whimbrel.CodeInternal,
	}},
	{exitWrongUse, "wrong use: flags, configuration, malformed files", []whimbrel.Code{
		codeUsage, whimbrel.CodeConfiguration, whimbrel.CodeMalformed, whimbrel.CodeEmpty,
		whimbrel.CodeUnsupported, whimbrel.CodeUnknownVersion, whimbrel.CodeJournal,
	}},
	{exitRefused, "refused: by a check, a hazard, a missing way back, a contradiction, a frozen plan that does not hold any more", []whimbrel.Code{
		codeRefused, adopt.CodeContradiction, whimbrel.CodeNoWayBack, whimbrel.CodeSquash, whimbrel.CodePlanMoved,
	}},
	{exitLeaseHeld, "another runner holds the lease", []whimbrel.Code{whimbrel.CodeLeaseHeld}},
	{exitDifferences, "pending migrations (status --exit-code), differences (verify)", nil},
	{exitInterrupted, "interrupted; the next run goes on where this one stopped", []whimbrel.Code{whimbrel.CodeInterrupted}},
}

// exitTable is the table as the help shows it.
func exitTable() string {
	var b strings.Builder
	for _, row := range exits {
		fmt.Fprintf(&b, "  %-5d%s\n", row.status, row.meaning)
	}
	return strings.TrimRight(b.String(), "\n")
}

// exitStatus says how a run that ended with err exits.
func exitStatus(err error) int {
	if err == nil {
		return exitDone
	}
	var difference differenceError
	if errors.As(err, &difference) {
		return exitDifferences
	}
	var refused refusedError
	if errors.As(err, &refused) {
		return exitRefused
	}
	var malformed malformedError
	if errors.As(err, &malformed) {
		return exitWrongUse
	}
	var file *migration.Error
	if errors.As(err, &file) {
		return exitWrongUse
	}
	var own *whimbrel.Error
	if errors.As(err, &own) {
		return exitOfCode(own.Code)
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitFailed
}

func exitOfCode(code whimbrel.Code) int {
	for _, row := range exits {
		for _, c := range row.codes {
			if c == code {
				return row.status
			}
		}
	}
	return exitFailed
}

// differenceError ends a command that worked and found what its caller asked
// about. It is not printed.
type differenceError struct{}

func (differenceError) Error() string { return "there are differences" }

// refusedError ends a command whose output has already said what stops a run. It
// is not printed.
type refusedError struct{}

func (refusedError) Error() string { return "a check or a hazard stops the run" }

// malformedError ends a command whose output has already said what is wrong with the
// files. It is not printed.
type malformedError struct{}

func (malformedError) Error() string { return "files are malformed" }

// failedTestError ends a command whose output has already said what failed. It
// is not printed.
type failedTestError struct{}

func (failedTestError) Error() string { return "a test failed" }

// told reports whether a command's output has already said why it ended.
func told(err error) bool {
	var difference differenceError
	var refused refusedError
	var malformed malformedError
	var failed failedTestError
	return errors.As(err, &difference) || errors.As(err, &refused) || errors.As(err, &malformed) || errors.As(err, &failed)
}

// usage is an error in flags or arguments.
func usage(remedy, format string, args ...any) error {
	return &whimbrel.Error{Code: codeUsage, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}
