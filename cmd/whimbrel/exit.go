package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/project"
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

// codeRefused is the code of what a check before production stopped.
const codeRefused whimbrel.Code = "refused"

// exits is the one table of exit statuses: what they mean, what to do after them, and
// which failures end in them. The help and docs/troubleshooting.md are made of it.
// Whatever has to be corrected in files or flags before anything can run is wrong use;
// what a person has to look into first is refused; the rest may be tried again.
var exits = []exitRow{
	{status: exitDone, meaning: "done, or nothing to do"},
	{
		status: exitFailed, meaning: "failed",
		then: "correct what the error names, if anything, and run the same command again",
		codes: []whimbrel.Code{
			whimbrel.CodeConnection, whimbrel.CodePermission, whimbrel.CodeReadOnly, whimbrel.CodeLeaseLost,
			whimbrel.CodeStatement, whimbrel.CodeAssertion, whimbrel.CodeScript, whimbrel.CodeLockTimeout,
			whimbrel.CodeInternal,
		},
	},
	{
		status: exitWrongUse, meaning: "wrong use: flags, configuration, malformed files",
		then: "nothing was tried: correct the flags or the files",
		codes: append([]whimbrel.Code{
			project.CodeUsage, whimbrel.CodeConfiguration, whimbrel.CodeMalformed, whimbrel.CodeEmpty,
			whimbrel.CodeUnsupported, whimbrel.CodeUnknownVersion, adopt.CodeNotFound,
		}, ofFiles...),
	},
	{
		status: exitRefused,
		meaning: "refused: a check, a hazard, history and files that disagree, an irreversible migration, a stale plan, a " +
			"question answered no",
		then: "read the error first: somebody has to decide",
		codes: []whimbrel.Code{
			codeRefused, whimbrel.CodeOutOfOrder, whimbrel.CodeChanged, whimbrel.CodeMissingFile, whimbrel.CodePartlySquashed,
			whimbrel.CodeUnfinished, whimbrel.CodeJournal, whimbrel.CodeForeignTable, whimbrel.CodeForeignHistory,
			whimbrel.CodeTablesNewer, whimbrel.CodeIrreversible, whimbrel.CodeSquash,
			whimbrel.CodePlanStale, whimbrel.CodeProtected, adopt.CodeContradiction, adopt.CodeDisagreement,
		},
	},
	{
		status: exitLeaseHeld, meaning: "another runner holds the lease", then: "run the same command again when it is done",
		codes: []whimbrel.Code{whimbrel.CodeLeaseHeld},
	},
	{
		status: exitDifferences, meaning: "pending migrations (status --exit-code), differences (verify)",
		then: "the command worked: look at what it found",
	},
	{
		status: exitInterrupted, meaning: "interrupted; the next run goes on where this one stopped",
		then: "run the same command again", codes: []whimbrel.Code{whimbrel.CodeInterrupted},
	},
}

// ofFiles are the codes of files that cannot be read as migrations. The engine uses
// whimbrel.CodeUnsupported for the same.
var ofFiles = []whimbrel.Code{
	migration.CodeBadName, migration.CodeDuplicateVersion, migration.CodeNoFolder, migration.CodeNotAFolder,
	migration.CodeFolder, migration.CodeUnreadable, migration.CodeTooLarge, migration.CodeEmpty, migration.CodeEncoding,
	migration.CodeLexical, migration.CodeUnknownAnnotation, migration.CodeBadAnnotation, migration.CodeMisplacedAnnotation,
	migration.CodeForeignAnnotation, migration.CodeUnreadMark, migration.CodeTransactionControl, migration.CodeVariable,
	migration.CodeRepeatable,
	migration.CodeCircle, migration.CodeHook, migration.CodeIrreversibleWithDown, migration.CodeStoredScript,
	migration.CodeAmbiguous,
}

// exitRow is a status of the table.
type exitRow struct {
	status        int
	meaning, then string
	codes         []whimbrel.Code
}

// exitTable is the table as the help shows it.
func exitTable() string {
	var b strings.Builder
	for _, row := range exits {
		lines := strings.Split(ansi.Wordwrap(row.meaning, 71, ""), "\n")
		fmt.Fprintf(&b, "  %-5d%s\n", row.status, strings.Join(lines, "\n       "))
	}
	return strings.TrimRight(b.String(), "\n")
}

// exitStatus says how a run that ended with err exits.
func exitStatus(err error) int {
	var ended endedError
	var file *migration.Error
	var own *whimbrel.Error
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &ended):
		return ended.status()
	case errors.As(err, &file):
		return exitWrongUse
	case errors.As(err, &own):
		return exitOfCode(own.Code)
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

func exitOfCode(code whimbrel.Code) int {
	for _, row := range exits {
		if slices.Contains(row.codes, code) {
			return row.status
		}
	}
	return exitFailed
}

// endedError ends a command whose output has already said why. It is not printed.
type endedError interface {
	error
	status() int
}

// differenceError ends a command that worked and found what its caller asked about.
type differenceError struct{}

func (differenceError) Error() string { return "there are differences" }
func (differenceError) status() int   { return exitDifferences }

// refusedError ends a command that a check, a hazard or a person's no has stopped.
type refusedError struct{}

func (refusedError) Error() string { return "a check or a hazard stops the run" }
func (refusedError) status() int   { return exitRefused }

// malformedError ends a command that found files malformed.
type malformedError struct{}

func (malformedError) Error() string { return "files are malformed" }
func (malformedError) status() int   { return exitWrongUse }

// failedTestError ends a command in which a test failed.
type failedTestError struct{}

func (failedTestError) Error() string { return "a test failed" }
func (failedTestError) status() int   { return exitFailed }

// told reports whether a command's output has already said why it ended.
func told(err error) bool {
	var ended endedError
	return errors.As(err, &ended)
}

// usage is an error in flags or arguments.
func usage(remedy, format string, args ...any) error {
	return &whimbrel.Error{Code: project.CodeUsage, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}
