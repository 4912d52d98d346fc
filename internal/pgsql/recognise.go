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
