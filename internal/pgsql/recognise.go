package pgsql

import (
	"iter"
	"slices"
	"strings"
)

// Significant gives the tokens of a text that are neither white space nor comments.
func Significant(text string) iter.Seq[Token] {
	return func(yield func(Token) bool) {
		for token := range Tokens(text) {
			if !token.isSpace() && !yield(token) {
				return
			}
		}
	}
}

// HasKeyword reports whether one of some keywords is in a statement, outside of quotes
// and comments.
func HasKeyword(text string, keywords ...string) bool {
	for token := range Significant(text) {
		if slices.ContainsFunc(keywords, token.is) {
			return true
		}
	}
	return false
}

// IndexBuild is what a CREATE INDEX says.
type IndexBuild struct {
	Index string // unquoted; empty where the server chooses the name
	Table string // as written, with its schema and quotes
	// Before and Behind are the statement for another table, in a transaction: without
	// CONCURRENTLY, IF NOT EXISTS and the names.
	Before, Behind string
	Concurrently   bool
	IfNotExists    bool
}

// ReadIndexBuild reads a CREATE [UNIQUE] INDEX [CONCURRENTLY].
func ReadIndexBuild(s Statement) (b IndexBuild, ok bool) {
	b.Before, b.Concurrently = strings.CutSuffix(s.Command, " CONCURRENTLY")
	if b.Before != "CREATE INDEX" && b.Before != "CREATE UNIQUE INDEX" {
		return b, false
	}
	words := newReader(scanner{text: s.Text})
	for words.more() && !words.accept("INDEX") {
		words.advance()
	}
	words.accept("CONCURRENTLY")
	b.IfNotExists = words.accept("IF") && words.accept("NOT") && words.accept("EXISTS")
	if !words.token.is("ON") {
		b.Index = Identifier(words.token.Text)
		words.advance()
	}
	words.accept("ON")
	words.accept("ONLY")
	for dot := true; dot; {
		b.Table += words.token.Text
		words.advance()
		if dot = words.accept("."); dot {
			b.Table += "."
		}
	}
	b.Behind = s.Text[words.token.Offset:]
	return b, words.more()
}

// CommandIs reports whether a statement's command begins with some words.
func CommandIs(command string, beginnings ...string) bool {
	return slices.ContainsFunc(beginnings, func(b string) bool {
		return command == b || strings.HasPrefix(command, b+" ")
	})
}

// HasPhrase reports whether two keywords follow each other in a statement, outside of
// quotes and comments.
func HasPhrase(text, first, second string) bool {
	var previous Token
	for token := range Significant(text) {
		if previous.is(first) && token.is(second) {
			return true
		}
		previous = token
	}
	return false
}

// FirstWords are the first tokens of a statement that mean something.
func FirstWords(text string, most int) (words []string) {
	for token := range Significant(text) {
		if words = append(words, token.Text); len(words) == most {
			break
		}
	}
	return words
}

// IsAnyOf reports whether a word is one of some keywords, in any case.
func IsAnyOf(word string, keywords ...string) bool {
	return slices.ContainsFunc(keywords, func(keyword string) bool { return strings.EqualFold(word, keyword) })
}

// MakesOnlyNew reports whether a statement does nothing but make an empty table, a
// sequence, a type or a function, for which nothing that was there before is locked.
func MakesOnlyNew(s Statement) bool {
	switch {
	case s.Class != Definition:
		return false
	case IsAnyOf(s.Command, "CREATE TYPE", "CREATE FUNCTION", "CREATE SEQUENCE"):
		return true
	}
	return s.Command == "CREATE TABLE" && !MayTouchSession(s) &&
		!HasKeyword(s.Text, "REFERENCES", "LIKE", "INHERITS", "OF")
}

// MayTouchSession reports whether a statement can change settings or the role,
// make a temporary object, or run a function that could. Of definitions, only
// those are trusted that run no function of the user's, or, as the building of
// an index, take back what it sets.
func MayTouchSession(s Statement) bool {
	trusted := CommandIs(s.Command, "CREATE TABLE", "CREATE INDEX", "CREATE TYPE", "CREATE FUNCTION", "CREATE SEQUENCE",
		"CREATE TRIGGER", "COMMENT", "GRANT", "REVOKE", "DROP")
	switch {
	case s.Class != Definition || !trusted || s.Data != nil:
		return true
	case s.Command != "CREATE TABLE" && s.Command != "CREATE SEQUENCE":
		return false
	case strings.Contains(strings.ToLower(s.Text), "pg_temp"):
		return true
	}
	previous := ""
	for token := range Significant(s.Text) {
		if IsAnyOf(token.Text, "TEMP", "TEMPORARY", "VALUES") ||
			IsAnyOf(token.Text, "AS") && !IsAnyOf(previous, "ALWAYS", "DEFAULT") { // CREATE TABLE … AS
			return true
		}
		previous = token.Text
	}
	return false
}

// Temporary gives the name of the table, view or sequence that a statement makes for
// the session, and whether that ends with the transaction; empty where it makes none.
func Temporary(s Statement) (name string, atCommit bool) {
	if s.Class != Definition {
		return "", false
	}
	words := slices.Collect(Significant(s.Text))
	is := false
	for i, token := range words {
		switch {
		case IsAnyOf(token.Text, "TEMP", "TEMPORARY", "PG_TEMP", `"pg_temp"`):
			is = true
		case IsAnyOf(token.Text, "COMMIT") && i+1 < len(words) && IsAnyOf(words[i+1].Text, "DROP"):
			atCommit = true
		case name != "" || !token.isName():
		case IsAnyOf(token.Text, "CREATE", "LOCAL", "GLOBAL", "OR", "REPLACE", "RECURSIVE", "TABLE", "VIEW", "SEQUENCE",
			"IF", "NOT", "EXISTS", "SELECT", "UNLOGGED"):
		case strings.HasPrefix(s.Command, "CREATE"):
			name = Identifier(token.Text)
		// SELECT … INTO TEMP
		case i > 0 && (IsAnyOf(words[i-1].Text, "TEMP", "TEMPORARY") || is && IsAnyOf(words[i-1].Text, "TABLE", ".")):
			name = Identifier(token.Text)
		}
	}
	if !is {
		return "", false
	}
	return name, atCommit
}

// isName tells whether a token may be a name.
func (t Token) isName() bool { return t.Kind == Word || t.Kind == QuotedIdentifier }

// Prepares gives the name of what a statement prepares for the session, if it does.
func Prepares(s Statement) string {
	if words := FirstWords(s.Text, 2); s.Command == "PREPARE" && len(words) == 2 {
		return Identifier(words[1])
	}
	return ""
}

// Names reports whether a statement names something, be it in a string.
func Names(text, name string) bool {
	for token := range Tokens(text) {
		inString := token.Kind >= String && token.Kind <= DollarString
		if token.isName() && Identifier(token.Text) == name ||
			inString && strings.Contains(strings.ToLower(token.Text), name) {
			return true
		}
	}
	return false
}

// RebuildsConcurrently recognises a REINDEX … CONCURRENTLY. Where that fails it
// leaves invalid indexes whose names end in _ccnew or _ccold, which only cost
// time and space. See "Rebuilding Indexes Concurrently" in PostgreSQL's
// documentation of REINDEX.
func RebuildsConcurrently(s Statement) bool {
	return s.Class == Alone && strings.HasPrefix(s.Command, "REINDEX")
}

// FinalizeDetach gives the statement that ends an ALTER TABLE … DETACH PARTITION …
// CONCURRENTLY that was left half done.
func FinalizeDetach(text string) (finalize string, ok bool) {
	var last Token
	for token := range Significant(text) {
		last = token
	}
	if !last.is("CONCURRENTLY") || !HasKeyword(text, "DETACH") {
		return "", false
	}
	return text[:last.Offset] + "FINALIZE", true
}
