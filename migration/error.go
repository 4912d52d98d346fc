package migration

import (
	"fmt"
	"strings"
)

// The codes of errors. They are stable: programs may depend on them.
const (
	// CodeBadName: the file looks like a migration, its name does not.
	CodeBadName = "bad_name"
	// CodeDuplicateVersion: two files have the same version.
	CodeDuplicateVersion = "duplicate_version"
	// CodeNoFolder: the folder of the migrations does not exist.
	CodeNoFolder = "no_folder"
	// CodeNotAFolder: there is a file where the folder should be.
	CodeNotAFolder = "not_a_folder"
	// CodeFolder: there is a folder where a file should be.
	CodeFolder = "folder"
	// CodeUnreadable: the file system does not hand out the file or folder.
	CodeUnreadable = "unreadable"
	// CodeTooLarge: the file is larger than MaxSize.
	CodeTooLarge = "too_large"
	// CodeEmpty: the file holds nothing but white space.
	CodeEmpty = "empty"
	// CodeEncoding: the file is no UTF-8 text, as its first bytes show.
	CodeEncoding = "encoding"
	// CodeLexical: the text breaks one of PostgreSQL's lexical rules (an
	// unterminated quote, a psql command, a NUL byte, invalid UTF-8, …).
	CodeLexical = "lexical"
	// CodeUnknownAnnotation: there is no annotation of that name.
	CodeUnknownAnnotation = "unknown_annotation"
	// CodeBadAnnotation: an annotation is not written as it must be.
	CodeBadAnnotation = "bad_annotation"
	// CodeMisplacedAnnotation: an annotation stands where it cannot work: in
	// the middle of a statement, without the statement that it needs, without
	// its counterpart, or twice.
	CodeMisplacedAnnotation = "misplaced_annotation"
	// CodeForeignAnnotation: the file is marked up for another tool.
	CodeForeignAnnotation = "foreign_annotation"
	// CodeUnreadMark: a comment looks like a mark, and is none that is read.
	CodeUnreadMark = "unread_mark"
	// CodeTransactionControl: a statement begins or ends a transaction.
	CodeTransactionControl = "transaction_control"
	// CodeVariable: a variable has no value, one that cannot stand where it is
	// wanted, or is not used.
	CodeVariable = "variable"
	// CodeRepeatable: a repeatable migration does what cannot be repeated.
	CodeRepeatable = "repeatable"
	// CodeCircle: repeatable migrations need each other.
	CodeCircle = "circle"
	// CodeHook: a hook does what only a migration can.
	CodeHook = "hook"
	// CodeIrreversible: a migration that says it is irreversible has a way back.
	CodeIrreversible = "irreversible"
	// CodeUnsupported: the file needs what only another tool has.
	CodeUnsupported = "unsupported"
	// CodeAmbiguous: a name is that of several migrations.
	CodeAmbiguous = "ambiguous"
	// CodeStoredScript: a stored way back is the source of a function, not SQL.
	CodeStoredScript = "stored_script"
)

// Error is a file that cannot be read as a migration.
type Error struct {
	Code     string // stable, for machines: "bad_name", "duplicate_version", …
	Path     string
	Position Position // zero when the error is about the file as a whole
	Message  string
	Remedy   string

	cause error
}

// Error returns "path:line:column: message", without what is unknown. The
// remedy is not in it: it is for whoever shows the error to a person.
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

// Unwrap returns the file system's error, if that is what stands behind e.
func (e *Error) Unwrap() error { return e.cause }

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
