package migration

import (
	"fmt"
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
	// Path is the file that the section stands in, where that is another than the
	// migration's, as in the formats of other tools; the file's text begins at Start
	// in the migration's.
	Path  string
	Start int
}

// Statement is one statement of a section, with the annotation that stands
// before it, if any.
type Statement struct {
	pgsql.Statement
	Batch  *Batch
	Assert *Assert
	// origin is nil where the statement stands in the migration's own file as in Text.
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

// withoutBlock drops the BEGIN and COMMIT that stand around all statements of
// a section, as many people write them: the engine's own transaction does it
// better. Every other statement of transaction control comes back as an error,
// since it would end the transaction in which the migration is recorded.
func (s Section) withoutBlock() (Section, []*Error) {
	if n := len(s.Statements); n > 1 && !s.NoTransaction &&
		beginsBlock(s.Statements[0]) && endsBlock(s.Statements[n-1]) {
		s.Statements = s.Statements[1 : n-1]
	}
	var problems []*Error
	for _, statement := range s.Statements {
		if statement.Class != pgsql.TransactionControl {
			continue
		}
		remedy := `remove it: whimbrel runs every migration in a transaction of its own, in which it records it; ` +
			`what must not run in one goes below "-- +migrate Up notransaction", or into a migration of its own`
		if s.NoTransaction {
			remedy = `remove it: below "notransaction" each statement runs by itself; ` +
				`what belongs into one transaction goes below a mark without "notransaction", in a migration of its own`
		}
		problems = append(problems, &Error{
			Code: CodeTransactionControl, Position: statement.Start,
			Message: fmt.Sprintf("%s is not allowed in a migration", firstLine(statement.Text)),
			Remedy:  remedy,
		})
	}
	return s, problems
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
