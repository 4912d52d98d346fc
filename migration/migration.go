// Package migration turns files into migrations: names, versions, sections,
// annotations, checksums. It is pure: it reads files from an fs.FS and knows
// nothing of databases. Everything in it may be called concurrently.
//
// Load reads whole folders; Parse reads one file; ParseStored reads the way
// back that a history table keeps. What they return are values that nothing
// alters afterwards.
package migration

import (
	"io/fs"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// Position is a place in a migration's file.
type Position = pgsql.Position

// Kind says what a migration is written in.
type Kind string

// The kinds of migrations.
const (
	SQL    Kind = "sql"    // a .sql file
	Script Kind = "script" // a .js, .mjs, .cjs or .ts file
	Func   Kind = "func"   // a function of the Go program
	// Opaque is what cannot be run here, and may all the same have been applied:
	// by the tool that it was written for. Migration.Unfit says why.
	Opaque Kind = "opaque"
)

// Migration is one change of a database, with its down migration. It is a value:
// nothing alters it after loading.
type Migration struct {
	Version Version
	Name    string // "add_users"
	Kind    Kind
	// Path names the file for a reader ("migrations/20240115120000_add_users.sql").
	Path string
	// Folder is where the file lies; nil for what has none. It is not part of
	// what the migration is.
	Folder fs.FS
	// Text is the whole file, without a byte-order mark and with LF as line ends, whichever
	// the file has. Positions refer to it.
	Text string
	// Checksum is the hexadecimal SHA-256 of Text. It is empty for what has no file:
	// functions and stored down migrations.
	Checksum string
	Up, Down Section
	// Irreversible is set by the annotation of that name, which says that
	// there is deliberately no down migration; Reason is its text, which may be empty.
	Irreversible bool
	Reason       string
	// Settings hold for the whole file, in both directions, wherever they
	// are in it. No name occurs twice.
	Settings []Setting
	Allows   []Allow
	// Tags are what up --tag chooses by. None occurs twice.
	Tags []string
	// Variables are the names that the file lists; see WithVariables.
	Variables []Variable
	// After are the repeatable migrations that must run before this one, which is
	// repeatable itself.
	After []After
	// Squashes are the versions of the migrations that this one replaces, itself
	// among them: a database that has them does not run it.
	Squashes []Version
	// Unfit is why an Opaque migration cannot be run; nil for all others.
	Unfit *Error
	// UnreadMark is where a comment in the up migration looks like the mark of the down migration and
	// is none that is read; nil where there is none. The file can be loaded: it may have
	// been applied as it is.
	UnreadMark *Error
	// storedDown is what StoredDown answers.
	storedDown string
	// mixed and mixedMarked are the SHA-256 of the file as it is, without and with a
	// byte-order mark, where its line ends are not all of one kind.
	mixed, mixedMarked string
}

// Empty reports whether m is an SQL migration whose up part holds no
// statement, as a file that create has just written. Loading such a file is
// fine; running it would record that nothing was done.
func (m Migration) Empty() bool {
	return m.Kind == SQL && len(m.Up.Statements) == 0
}

// DoingNothing is m with a statement that does nothing where one of its directions has
// none. Its text and its checksum stay. It is for files of tools to which such a section
// is no mistake.
func (m Migration) DoingNothing(down bool) Migration {
	section := &m.Up
	if down {
		section = &m.Down
	}
	if len(section.Statements) > 0 || m.Kind != SQL {
		return m
	}
	nothing := pgsql.Statement{Text: "SELECT 1", Start: pgsql.PositionAt(m.Text, len(m.Text)), Class: pgsql.Query,
		Command: "SELECT"}
	section.Statements = []Statement{{Statement: nothing}}
	if down {
		m.storedDown = nothing.Text + ";\n"
	}
	return m
}

// Reversible reports whether m can be undone. For SQL that is known: there is
// a statement in a Down section. A script or a function is presumed to have a
// down migration; anyone who loads it sees whether it has one.
func (m Migration) Reversible() bool {
	if m.Irreversible || m.Kind == Opaque {
		return false
	}
	return m.Kind != SQL || len(m.Down.Statements) > 0
}
