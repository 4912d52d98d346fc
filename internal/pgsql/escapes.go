package pgsql

import "strings"

// escapesAfter tells whether '…' knows backslashes after the statement that a
// scanner is about to read: standard_conforming_strings may be set by SET,
// RESET, DISCARD ALL and SELECT set_config(…), with literal values.
func escapesAfter(scan scanner, command string) bool {
	switch command {
	case "DISCARD ALL":
		return false
	case "RESET", "SET", "SET LOCAL", "SET SESSION", "SELECT":
	default:
		return scan.escapes
	}
	words := newReader(scan)
	words.advance()
	switch command {
	case "RESET":
		if words.token.is("ALL") || words.isConformingStrings() {
			return false
		}
	case "SET", "SET LOCAL", "SET SESSION":
		if command != "SET" {
			words.advance()
		}
		if !words.isConformingStrings() {
			break
		}
		words.advance()
		if words.token.is("TO") || words.token.Text == "=" {
			words.advance()
			return isFalse(words.token)
		}
	case "SELECT":
		if Identifier(words.token.Text) == "pg_catalog" {
			words.advance()
			words.accept(".")
		}
		if Identifier(words.token.Text) != "set_config" {
			break
		}
		words.advance()
		if words.accept("(") && words.isConformingStrings() {
			words.advance()
			if words.accept(",") && words.token.Kind == String {
				return isFalse(words.token)
			}
		}
	}
	return scan.escapes
}

// isConformingStrings tells whether the token, a word or a literal, names the
// setting standard_conforming_strings.
func (r *reader) isConformingStrings() bool {
	name := strings.Trim(Identifier(r.token.Text), "'")
	return strings.EqualFold(name, "standard_conforming_strings")
}
