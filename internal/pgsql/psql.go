package pgsql

import (
	"slices"
	"strings"
)

// Files that were run by psql, and dumps, hold commands of psql. Those that tell it what to
// print, or to do what is done here anyway, change nothing and are passed over where each
// is a line of its own between statements. All others are refused: what would they do?

// changesNothing reports whether a line with a command of psql does nothing to a database,
// and nothing to what follows it.
func changesNothing(line string) bool {
	words := strings.Fields(line)
	if len(words) == 0 || strings.Contains(line[1:], `\`) { // several commands, or SQL behind one
		return false
	}
	name, arguments := words[0], words[1:]
	switch name {
	case `\echo`, `\qecho`, `\warn`, `\timing`, `\pset`, `\x`, `\a`, `\t`, `\conninfo`:
		return !strings.Contains(line, "`")
	case `\restrict`, `\unrestrict`: // the fence of pg_dump
		return len(arguments) == 1
	case `\encoding`:
		return len(arguments) == 1 && isWord(arguments[0], "utf8", "utf-8", "unicode")
	case `\set`, `\unset`:
		return setsNothing(name, arguments)
	}
	return false
}

// setsNothing reports whether a variable of psql says what it prints, or that it is to stop
// at an error, as is done here.
func setsNothing(name string, arguments []string) bool {
	if len(arguments) == 0 || len(arguments) > 2 {
		return false
	}
	switch arguments[0] {
	case "QUIET", "VERBOSITY", "ECHO", "SHOW_CONTEXT", "SHOW_ALL_RESULTS":
		return true
	case "ON_ERROR_STOP":
		return name == `\set` && (len(arguments) == 1 || isWord(arguments[1], "on", "true", "yes", "1"))
	}
	return false
}

// isWord reports whether a word is one of some, in whatever case and quotes.
func isWord(word string, some ...string) bool {
	return slices.Contains(some, strings.ToLower(strings.Trim(word, `'";`)))
}

// lineAt is what a line holds from an offset on.
func (s *splitter) lineAt(offset int) string {
	line, _, _ := strings.Cut(s.text[offset:], "\n")
	return strings.TrimSuffix(line, "\r")
}
