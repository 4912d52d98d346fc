// Package migration turns files into migrations: names, versions, sections,
// annotations, checksums. It is pure: it reads files from an fs.FS and knows
// nothing of databases.
package migration

import "github.com/whimbrel-db/whimbrel/internal/pgsql"

// Position is a place in a migration's file.
type Position = pgsql.Position

// Version orders migrations: 1 to 19 decimal digits, as they stand in the
// file's name (leading zeros kept). Versions found in a history table may be
// any text. Compare with Compare or Equal, not with ==: "0001" and "1" are the
// same version.
type Version string

// Kind says what a migration is written in.
type Kind string

// The kinds of migrations.
const (
	SQL    Kind = "sql"    // a .sql file
	Script Kind = "script" // a .js, .mjs, .cjs or .ts file
	Func   Kind = "func"   // a function of the Go program
)

// Migration is one change of a database, with its way back. It is a value:
// nothing alters it after loading.
type Migration struct {
	Version Version
	Name    string // "add_users"
	Kind    Kind
	// Path names the file for a reader ("migrations/20240115120000_add_users.sql").
	Path string
	// Text is the whole file, without a byte-order mark. Positions refer to it.
	Text string
	// Checksum is the hexadecimal SHA-256 of Text with CRLF read as LF.
	Checksum string
	Up, Down Section
	// Irreversible is set by the annotation of that name, which says that
	// there is deliberately no way back; Reason is its text, which may be empty.
	Irreversible bool
	Reason       string
	Settings     []Setting
	Allows       []Allow
	// accepted are other checksums that stand for the same content.
	accepted []string
}

// Section is what a migration does in one direction: all sections of that
// direction in the file, one after the other.
type Section struct {
	// NoTransaction is set when the section's mark says notransaction: each
	// statement then runs by itself.
	NoTransaction bool
	Statements    []Statement
}

// Statement is one statement of a section, with the annotation that stands
// before it, if any.
type Statement struct {
	pgsql.Statement
	Batch  *Batch
	Assert *Assert
}

// Batch is the annotation "Batch <table> by <key> [size=…] [pause=…] [workers=…]".
type Batch struct {
	Table    string
	Key      []string // one or more columns
	Size     int      // rows per batch
	Pause    string   // a Go duration, validated
	Workers  int
	Position Position
}

// Assert is the annotation "Assert [message]": every value of the first row of
// the query that follows must be true.
type Assert struct {
	Message  string
	Position Position
}

// Setting is the annotation "Set name = value".
type Setting struct {
	Name, Value string
	Position    Position
}

// Allow is the annotation "Allow <hazard> <reason>".
type Allow struct {
	Hazard, Reason string
	Position       Position
}

// Error is a file that cannot be read as a migration.
type Error struct {
	Code     string // stable, for machines: "bad_name", "duplicate_version", …
	Path     string
	Position Position // zero when the error is about the file as a whole
	Message  string
	Remedy   string
}
