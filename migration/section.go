package migration

import (
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// Section is what a migration does in one direction: all sections of that
// direction in the file, one after the other.
type Section struct {
	// NoTransaction is set when a mark of the direction says notransaction:
	// each statement then runs by itself.
	NoTransaction bool
	Statements    []Statement
	// Path is the file that the section is in, where that is another than the
	// migration's, as in the formats of other tools; the file's text begins at Start
	// in the migration's.
	Path  string
	Start int
	// blocks is set where BEGIN and COMMIT divide it; see divided.
	blocks bool
}

// Statement is one statement of a section, with the annotation that is
// before it, if any.
type Statement struct {
	pgsql.Statement
	Batch  *Batch
	Assert *Assert
	// block numbers the transaction block that it is in; 0 for none.
	block int
	// origin is nil where the statement is in the migration's own file as in Text.
	origin *origin
}

// origin is where a statement comes from, and what it was there before values came
// into it; empty where none did.
type origin struct {
	hook     *Migration
	written  string
	replaced []replaced
}

// Hook is the hook that the statement comes from, nil if that is the migration itself.
// Nothing that is loaded has one.
func (s Statement) Hook() *Migration {
	if s.origin == nil {
		return nil
	}
	return s.origin.hook
}

// OfHook is the statement as one of a hook.
func (s Statement) OfHook(hook *Migration) Statement {
	from := origin{hook: hook}
	if s.origin != nil {
		from.written, from.replaced = s.origin.written, s.origin.replaced
	}
	s.origin = &from
	return s
}

func beginsBlock(s Statement) bool {
	switch spelled(s) {
	case "BEGIN", "BEGIN WORK", "BEGIN TRANSACTION", "START TRANSACTION":
		return true
	}
	return false
}

func endsBlock(s Statement) bool {
	switch strings.TrimSuffix(spelled(s), " AND NO CHAIN") {
	case "COMMIT", "COMMIT WORK", "COMMIT TRANSACTION", "END", "END WORK", "END TRANSACTION":
		return true
	}
	return false
}

// spelled returns the words of a statement of transaction control.
func spelled(s Statement) string {
	var words []string
	if s.Class == pgsql.TransactionControl {
		for token := range pgsql.Tokens(s.Text) {
			if !space(token) {
				words = append(words, strings.ToUpper(token.Text))
			}
		}
	}
	return strings.Join(words, " ")
}

// space reports whether a token has no meaning for the server.
func space(token pgsql.Token) bool {
	return token.Kind == pgsql.Whitespace || token.Kind == pgsql.LineComment || token.Kind == pgsql.BlockComment
}

// terminated reports whether the statement before text ended with a semicolon,
// and not with an annotation or the end of the file.
func terminated(text string) bool {
	for token := range pgsql.Tokens(text) {
		if !space(token) {
			return token.Text == ";"
		}
	}
	return false
}

// firstLine shortens a statement for a message.
func firstLine(text string) string {
	const most = 60
	line, _, cut := strings.Cut(text, "\n")
	line = strings.TrimSpace(line)
	if runes := []rune(line); len(runes) > most {
		line, cut = string(runes[:most]), true
	}
	if cut {
		line += " …"
	}
	return line
}
