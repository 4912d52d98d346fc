package migration

import (
	"fmt"
	"strings"
)

// Code names a kind of failure, of files and of the engine. Codes are stable: programs may compare them.
type Code string

// Error makes a Code an error to compare with: errors.Is(err, migration.CodeBadName) holds of
// every *Error with that Code.
func (c Code) Error() string { return string(c) }

// The codes of files.
const (
	// CodeBadName: the file looks like a migration, its name does not.
	CodeBadName Code = "bad_name"
	// CodeDuplicateVersion: two files have the same version.
	CodeDuplicateVersion Code = "duplicate_version"
	// CodeNoFolder: the folder of the migrations does not exist.
	CodeNoFolder Code = "no_folder"
	// CodeNotAFolder: there is a file where the folder should be.
	CodeNotAFolder Code = "not_a_folder"
	// CodeFolder: there is a folder where a file should be.
	CodeFolder Code = "folder"
	// CodeUnreadable: the file system does not hand out the file or folder.
	CodeUnreadable Code = "unreadable"
	// CodeTooLarge: the file is larger than MaxSize.
	CodeTooLarge Code = "too_large"
	// CodeEmpty: the file holds nothing but white space.
	CodeEmpty Code = "empty"
	// CodeEncoding: the file is no UTF-8 text, as its first bytes show.
	CodeEncoding Code = "encoding"
	// CodeLexical: the text breaks one of PostgreSQL's lexical rules (an
	// unterminated quote, a psql command, a NUL byte, invalid UTF-8, …).
	CodeLexical Code = "lexical"
	// CodeUnknownAnnotation: no annotation of that name.
	CodeUnknownAnnotation Code = "unknown_annotation"
	// CodeBadAnnotation: an annotation is not written as it must be.
	CodeBadAnnotation Code = "bad_annotation"
	// CodeMisplacedAnnotation: an annotation is where it cannot work: in
	// the middle of a statement, without the statement that it needs, without
	// its counterpart, or twice.
	CodeMisplacedAnnotation Code = "misplaced_annotation"
	// CodeForeignAnnotation: the file is marked up for another tool.
	CodeForeignAnnotation Code = "foreign_annotation"
	// CodeUnreadMark: a comment looks like a mark, and is none that is read.
	CodeUnreadMark Code = "unread_mark"
	// CodeTransactionControl: a statement begins or ends a transaction.
	CodeTransactionControl Code = "transaction_control"
	// CodeVariable: a variable has no value, one that cannot stand where it is
	// wanted, or is not used.
	CodeVariable Code = "variable"
	// CodeRepeatable: a repeatable migration does what cannot be repeated.
	CodeRepeatable Code = "repeatable"
	// CodeCircle: repeatable migrations need each other.
	CodeCircle Code = "circle"
	// CodeHook: a hook does what only a migration can.
	CodeHook Code = "hook"
	// CodeIrreversibleWithDown: a migration that says it is irreversible has a down migration.
	CodeIrreversibleWithDown Code = "irreversible_with_down"
	// CodeUnsupported: the file needs what only another tool has.
	CodeUnsupported Code = "unsupported"
	// CodeAmbiguous: a name is that of several migrations.
	CodeAmbiguous Code = "ambiguous"
	// CodeStoredScript: a stored down migration is the source of a function, not SQL.
	CodeStoredScript Code = "stored_script"
)

// Error is a file that cannot be read as a migration.
type Error struct {
	Code     Code
	Path     string
	Position Position // zero when the error is about the file as a whole
	Message  string
	Remedy   string

	cause error
}

// Error returns "path:line:column: message", without what is unknown. The
// remedy is not in it: it is for anyone who shows the error to a person.
func (e *Error) Error() string {
	var place strings.Builder
	place.WriteString(e.Path)
	if e.Position.Line > 0 {
		if e.Path == "" {
			place.WriteString("line ")
		} else {
			place.WriteString(":")
		}
		fmt.Fprintf(&place, "%d:%d", e.Position.Line, e.Position.Column)
	}
	if place.Len() == 0 {
		return e.Message
	}
	return place.String() + ": " + e.Message
}

// Unwrap returns the file system's error, if that is what is behind e.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the Code.
func (e *Error) Is(target error) bool { return target == e.Code }

// Problems returns every *Error that err holds, in order. Load and Parse
// report all that is wrong at once, in one joined error.
func Problems(err error) []*Error {
	switch err := err.(type) { //nolint:errorlint // it unwraps by itself, to find all and not only the first
	case *Error:
		return []*Error{err}
	case interface{ Unwrap() []error }:
		var problems []*Error
		for _, one := range err.Unwrap() {
			problems = append(problems, Problems(one)...)
		}
		return problems
	case interface{ Unwrap() error }:
		return Problems(err.Unwrap())
	}
	return nil
}
