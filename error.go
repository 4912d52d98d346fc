package whimbrel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Code names a kind of failure. Codes are stable, and each is an error to compare with:
// errors.Is(err, whimbrel.CodeLeaseHeld).
type Code = migration.Code

// The codes of the engine's errors. Those of malformed files come from package
// migration and are passed on as they are.
const (
	CodeConfiguration Code = "configuration" // the Config or an option is wrong
	CodeConnection    Code = "connection"    // the server cannot be reached, or the connection broke
	CodePermission    Code = "permission"    // the role lacks a right
	CodeReadOnly      Code = "read_only"     // a replica, or a session that may only read
	CodeForeignTable  Code = "foreign_table" // the history table belongs to another tool
	// another tool has applied what is pending, and there is no history of ours
	CodeForeignHistory Code = "foreign_history"
	CodeTablesNewer    Code = "tables_newer"     // a newer whimbrel has upgraded its tables
	CodeUnsupported    Code = "unsupported"      // this build or server cannot run that
	CodeMalformed      Code = "malformed"        // a migration that cannot be run as it is written
	CodeEmpty          Code = "empty_migration"  // a pending migration without a statement
	CodeOutOfOrder     Code = "out_of_order"     // pending versions older than the newest applied one
	CodeMissingFile    Code = "missing_file"     // a version is applied but its file is not there
	CodeChanged        Code = "checksum_changed" // a file was edited after it was applied
	CodePartlySquashed Code = "partly_squashed"  // a database has some of what a squashed file replaces
	CodeSquash         Code = "squash_refused"   // migrations cannot be squashed so that it comes to the same
	CodeIrreversible   Code = "irreversible"     // a migration cannot be rolled back
	CodeUnknownVersion Code = "unknown_version"  // the version asked for exists nowhere
	CodeUnfinished     Code = "unfinished"       // a migration stopped half-way in the other direction
	CodeJournal        Code = "journal_mismatch" // a done step no longer reads as it did
	CodeLeaseHeld      Code = "lease_held"       // another runner holds the lease
	CodeLeaseLost      Code = "lease_lost"       // another runner took the lease, or it could not be renewed
	CodeStatement      Code = "statement_failed" // PostgreSQL refused a statement
	CodeAssertion      Code = "assertion_failed" // an Assert did not hold
	CodeScript         Code = "script_failed"    // a script or a function threw
	CodeLockTimeout    Code = "lock_timeout"     // the retry budget ended before a lock could be had
	CodeProtected      Code = "protected"        // a protected database, and nobody allowed the change
	CodePlanStale      Code = "plan_stale"       // a plan no longer applies: see PlanChanges
	CodeInterrupted    Code = "interrupted"      // the caller asked to stop
	CodeInternal       Code = "internal"         // a fault of whimbrel's
)

// Error is every failure of the engine: what happened, where, and what to do.
// It never holds a password.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`

	Version   migration.Version `json:"version,omitempty"`
	Name      string            `json:"name,omitempty"`
	Direction Direction         `json:"direction,omitempty"`
	Path      string            `json:"path,omitempty"`
	Line      int               `json:"line,omitempty"`   // from 1; 0 when unknown
	Column    int               `json:"column,omitempty"` // in characters, from 1

	// Statement is the line of the failing statement that is to blame,
	// shortened, and below it a caret under the position.
	Statement string `json:"statement,omitempty"`

	// Batch is the range of keys of the batch of a backfill that failed.
	Batch *KeyRange `json:"batch,omitempty"`

	// What PostgreSQL said, when it was the server that refused.
	SQLState   string `json:"sqlstate,omitempty"`
	Detail     string `json:"detail,omitempty"`
	Hint       string `json:"hint,omitempty"`
	Where      string `json:"where,omitempty"`
	Constraint string `json:"constraint,omitempty"`

	// Err is the cause, for errors.As and errors.Is.
	Err error `json:"-"`
}

// Error says in one line where and what: "path:line:column: message (SQLSTATE …)".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Path != "" {
		b.WriteString(e.Path)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.SQLState != "" {
		fmt.Fprintf(&b, " (SQLSTATE %s)", e.SQLState)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the Code.
func (e *Error) Is(target error) bool { return target == e.Code }

// asError turns whatever failed into an *Error; what has no better code gets fallback.
func asError(err error, fallback Code) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var file *migration.Error
	if errors.As(err, &file) {
		return &Error{
			Code: file.Code, Message: file.Message, Remedy: file.Remedy,
			Path: file.Path, Line: file.Position.Line, Column: file.Position.Column, Err: err,
		}
	}
	var code Code
	if errors.As(err, &code) {
		fallback = code
	}
	return &Error{Code: fallback, Message: err.Error(), Err: err}
}
