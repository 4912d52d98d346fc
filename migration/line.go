package migration

import (
	"strings"
	"unicode/utf8"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// line is an annotation's line that is read from left to right. It knows where
// in the file it is.
type line struct {
	text  string
	next  int // where to read on
	start Position
}

// position is where in the file the line is read on.
func (l *line) position() Position {
	return Position{
		Offset: l.start.Offset + l.next,
		Line:   l.start.Line,
		Column: l.start.Column + utf8.RuneCountInString(l.text[:l.next]),
	}
}

func (l *line) wrong(code Code, message, remedy string) *Error {
	return &Error{Code: code, Position: l.position(), Message: message, Remedy: remedy}
}

func (l *line) atEnd() bool { return l.next == len(l.text) }

func (l *line) at(what string) bool { return strings.HasPrefix(l.text[l.next:], what) }

func (l *line) atBlank() bool { return l.atEnd() || l.at(" ") || l.at("\t") }

func (l *line) skipBlanks() {
	for !l.atEnd() && l.atBlank() {
		l.next++
	}
}

// until reads up to one of the characters, or to the end.
func (l *line) until(characters string) string {
	from := l.next
	for !l.atEnd() && strings.IndexByte(characters, l.text[l.next]) < 0 {
		l.next++
	}
	return l.text[from:l.next]
}

// word reads up to the next blank.
func (l *line) word() string { return l.until(" \t") }

// rest reads what is left, without the blanks around it.
func (l *line) rest() string {
	l.skipBlanks()
	rest := l.text[l.next:]
	l.next = len(l.text)
	return strings.TrimRight(rest, " \t\r\n\f\v")
}

// qualifiedName reads identifiers with dots between them, and nothing else up
// to the next blank.
func (l *line) qualifiedName() ([]string, bool) {
	var parts []string
	before := l.next
	for {
		part, ok := l.identifier()
		if !ok {
			l.next = before
			return nil, false
		}
		parts = append(parts, part)
		if !l.at(".") {
			break
		}
		l.next++
	}
	if !l.atBlank() || len(parts) > 2 {
		l.next = before
		return nil, false
	}
	return parts, true
}

// identifier reads a name and returns it as the catalog has it: in lower case
// if it is without quotes.
func (l *line) identifier() (string, bool) {
	for token := range pgsql.Tokens(l.text[l.next:]) {
		closed := strings.Count(token.Text, `"`)%2 == 0
		name := pgsql.Identifier(token.Text)
		if token.Kind != pgsql.Word && (token.Kind != pgsql.QuotedIdentifier || !closed) || name == "" {
			break
		}
		l.next += len(token.Text)
		return name, true
	}
	return "", false
}
