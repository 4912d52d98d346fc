// Package pgsql holds PostgreSQL's lexical rules: it cuts a text into
// statements with exact positions and says what sort of statement each one is.
//
// It follows the chapter "Lexical Structure" of PostgreSQL's documentation and
// the server's own scanner. It does not parse: whether a statement is valid is
// for the server to say. Everything here is a pure function of its input, is
// linear in it, and may be called concurrently.
package pgsql

// Position is a place in a text.
type Position struct {
	Offset int // in bytes, from 0
	Line   int // from 1
	Column int // in characters (not bytes), from 1
}

// Class is what a statement does, as far as its leading keywords tell.
type Class uint8

// The classes of statements.
const (
	// Other is a statement that belongs to no other class (VACUUM's
	// relatives that may run in a transaction, LISTEN, CALL, DO, …).
	Other Class = iota
	// TransactionControl begins, ends or divides a transaction, or sets its
	// properties: BEGIN, COMMIT, SAVEPOINT, SET TRANSACTION, PREPARE TRANSACTION, …
	TransactionControl
	// Alone is a statement that PostgreSQL refuses inside a transaction
	// block: CREATE INDEX CONCURRENTLY, VACUUM, CREATE DATABASE, …
	Alone
	// Definition defines or alters a schema object.
	Definition
	// Change alters rows: INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM.
	Change
	// Query reads: SELECT, VALUES, TABLE, SHOW, EXPLAIN, COPY TO.
	Query
	// Setting alters the session: SET, RESET, DISCARD.
	Setting
	// Mark is not SQL: it is a line comment that Options.Mark claimed.
	Mark
)

// Statement is one statement of a text. Its strings share the text's memory.
type Statement struct {
	// Text runs from the first token to the last, without the semicolon,
	// without the comments around it, and without inline COPY data.
	Text  string
	Start Position // of Text
	Class Class
	// Command is the leading keywords in upper case, as far as they name
	// the command: "CREATE UNIQUE INDEX CONCURRENTLY", "ALTER TABLE", "COPY".
	Command string
	// Data is what stood between a COPY … FROM stdin and its final line
	// "\.", as pg_dump writes it, with its line ends; nil for all other statements.
	Data *string
}

// End is the place behind the statement, before the semicolon.
func (s Statement) End() Position {
	end := s.Start
	end.pass(s.Text)
	return end
}

// Options change how Split reads a text. The zero value is right for SQL from
// a string.
type Options struct {
	// Mark is asked for every line comment that is the first thing on its
	// line, outside quotes and bodies, with the comment's text ("-- …",
	// without the line end). Where it answers true, the comment ends the
	// statement before it, if one is open, and is in the result as a
	// statement of class Mark.
	Mark func(comment string) bool
}

// Error is a text that breaks a lexical rule.
type Error struct {
	Position Position
	Message  string // what is wrong, without the position
	Remedy   string // what to do about it
}
