package pgsql

import (
	"slices"
	"strings"
)

// SettingChange is what a statement does to one setting of the session.
type SettingChange struct {
	// Name is the setting's, in lower case: also "role" and "session_authorization".
	// It is empty where the statement resets all but those two.
	Name string
	// Local is set where the change ends with the transaction.
	Local bool
	// Reset is set where the setting becomes again what it was when the session began.
	Reset bool
}

// SettingChanges gives the settings that a statement changes. Only is set where it
// does nothing else, and does the same again in another session in which the same
// statements ran before: SET, RESET, DISCARD and a SELECT of set_config(…) with
// literal arguments, or such as are made of other settings.
func SettingChanges(s Statement) (changes []SettingChange, only bool) {
	words := newReader(scanner{text: s.Text})
	command := words.token
	words.advance()
	switch {
	case s.Class == Alone && s.Command == "DISCARD ALL":
		return []SettingChange{{Reset: true}, {Name: "role", Reset: true}, {Name: "session_authorization", Reset: true}}, true
	case s.Class == Query && command.is("SELECT"):
		return configured(&words)
	case s.Class != Setting:
		return nil, false
	case command.is("DISCARD"):
		return nil, true
	case command.is("RESET"):
		name := settingName(&words)
		if name == "all" {
			name = ""
		}
		return []SettingChange{{Name: name, Reset: true}}, true
	}
	return set(&words)
}

// set reads what follows SET.
func set(words *reader) ([]SettingChange, bool) {
	change := SettingChange{Local: words.accept("LOCAL")}
	if words.token.is("SESSION") {
		ahead := *words
		ahead.advance()
		if !ahead.token.is("AUTHORIZATION") {
			words.advance()
		}
	}
	if words.token.is("CONSTRAINTS") {
		return nil, false
	}
	change.Name = settingName(words)
	change.Local = change.Local || slices.Contains(ofTransaction, change.Name)
	if words.token.is("TO") || words.token.Text == "=" {
		words.advance()
	}
	change.Reset = words.token.is("DEFAULT")
	return []SettingChange{change}, true
}

// ofTransaction are settings that are the transaction's own.
var ofTransaction = []string{"transaction_isolation", "transaction_read_only", "transaction_deferrable"}

// settingName reads a setting's name, also where SET and RESET have words of their
// own for it.
func settingName(words *reader) string {
	for _, special := range []struct{ first, second, name string }{
		{"SESSION", "AUTHORIZATION", "session_authorization"}, {"TIME", "ZONE", "timezone"}, {"XML", "OPTION", "xmloption"},
		{"NAMES", "", "client_encoding"}, {"SCHEMA", "", "search_path"}, {"TRANSACTION", "", "transaction_isolation"},
	} {
		ahead := *words
		if !ahead.accept(special.first) || special.second != "" && !ahead.accept(special.second) || ahead.token.Text == "." {
			continue
		}
		*words = ahead
		return special.name
	}
	name := Identifier(words.token.Text)
	words.advance()
	for words.accept(".") {
		name += "." + Identifier(words.token.Text)
		words.advance()
	}
	return strings.ToLower(name)
}

// configured reads the list of a SELECT that consists of calls of set_config.
func configured(words *reader) (changes []SettingChange, only bool) {
	for {
		if Identifier(words.token.Text) == "pg_catalog" {
			words.advance()
			words.accept(".")
		}
		if words.token.Kind != Word || Identifier(words.token.Text) != "set_config" {
			return nil, false
		}
		words.advance()
		change, ok := call(words)
		if !ok {
			return nil, false
		}
		changes = append(changes, change)
		if words.accept("AS") || words.token.Kind == Word || words.token.Kind == QuotedIdentifier {
			words.advance()
		}
		if !words.more() {
			return changes, true
		}
		if !words.accept(",") {
			return nil, false
		}
	}
}

// call reads the arguments of set_config.
func call(words *reader) (change SettingChange, ok bool) {
	if !words.accept("(") || words.token.Kind != String || !strings.HasPrefix(words.token.Text, "'") {
		return change, false
	}
	change.Name = strings.ToLower(strings.Trim(words.token.Text, "'"))
	words.advance()
	if !words.accept(",") {
		return change, false
	}
	change.Reset = words.token.is("NULL")
	for depth := 0; depth > 0 || !words.token.is(","); words.advance() {
		if depth += words.token.nests(); depth < 0 || !words.more() || !repeatable(words.token) {
			return change, false
		}
	}
	words.advance()
	switch {
	case words.token.is("TRUE"):
		change.Local = true
	case words.token.is("FALSE"), words.token.Kind == String && isFalse(words.token):
	default:
		return change, false
	}
	words.advance()
	return change, words.accept(")")
}

// repeatable reports whether a token may be in a value that comes out the same in
// another session with the same settings.
func repeatable(token Token) bool {
	switch token.Kind {
	case String, DollarString, Number, Punctuation:
		return true
	case Operator:
		return token.Text == "||"
	case Word:
		return slices.Contains([]string{"current_setting", "pg_catalog", "text", "null", "true", "false", "coalesce",
			"nullif", "concat"}, Identifier(token.Text))
	}
	return false
}
