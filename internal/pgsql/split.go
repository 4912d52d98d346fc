package pgsql

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// Split cuts a text into its statements, in order. It cuts where the server
// does: at semicolons outside quotes, comments, parentheses and the bodies of
// functions; and it takes the data behind a COPY … FROM stdin for what they
// are. Empty statements yield nothing.
//
// The error, if any, is an *Error that says where the text breaks a lexical
// rule; there are no statements then. Split does not keep the text, but the
// statements share its memory. Its time is linear in the text.
//
// SET standard_conforming_strings changes how the statements behind it are
// read, as in psql. (The server reads a message as a whole before it runs any
// of it, so that such a statement must be sent in a message before theirs.)
func Split(text string, options Options) ([]Statement, error) {
	all := make([]Statement, 0, min(strings.Count(text, ";")+1, 64)) // which is enough for most files
	for s, err := range Statements(text, options) {
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Statements is Split that hands out one statement at a time and keeps none, for
// texts with very many. The error, if any, comes last.
func Statements(text string, options Options) iter.Seq2[Statement, error] {
	return func(yield func(Statement, error) bool) {
		s := splitter{text: text, mark: options.Mark, freshLine: true, yield: yield}
		s.place = Position{Line: 1, Column: 1}
		s.scan = scanner{text: text, interrupts: options.Mark}
		if err := s.split(); err != nil && !s.stopped {
			yield(Statement{}, err)
		}
	}
}

func (s *splitter) split() error {
	if err := checkEncoding(s.text); err != nil {
		return err
	}
	for token, ok := s.scan.next(); ok && !s.stopped; token, ok = s.scan.next() {
		if err := s.take(token); err != nil {
			return err
		}
	}
	if s.stopped {
		return nil
	}
	if s.nesting > 0 {
		return s.fault(s.body, "BEGIN ATOMIC has no END",
			"close the body with END; every statement in it, the last one too, ends with a semicolon")
	}
	return s.finish(false)
}

// Error gives position and message as compilers do: "line:column: message".
func (e *Error) Error() string { return e.Position.String() + ": " + e.Message }

// splitter is the state of Split between two tokens.
type splitter struct {
	text    string
	mark    func(string) bool
	scan    scanner
	place   Position // moves along with the statements
	yield   func(Statement, error) bool
	stopped bool // nobody wants more of them

	freshLine bool // nothing but blanks stood on this line yet

	// Of the statement that is open:
	open     bool
	start    Position
	end      int   // behind its last token
	depth    int   // of parentheses and brackets
	form     form  // what its first words say about its shape
	previous Token // its last token
	nesting  int   // of blocks in a body BEGIN ATOMIC … END
	body     int   // where the outermost BEGIN stands
	atStart  bool  // within a body: at the start of a statement
}

// take adds a token to the statement that is open, opens or ends one.
func (s *splitter) take(token Token) error {
	if s.scan.unterminated {
		return s.unterminated(token)
	}
	switch token.Kind {
	case Whitespace:
		s.freshLine = s.freshLine || strings.ContainsAny(token.Text, "\r\n")
		return nil
	case LineComment:
		first := s.freshLine
		s.freshLine = false
		if first && s.mark != nil && s.nesting == 0 && s.mark(token.Text) {
			return s.takeMark(token)
		}
		return nil
	case BlockComment:
		s.freshLine = false
		return nil
	case QuotedIdentifier:
		if strings.TrimLeft(token.Text, "uU&") == `""` {
			return s.fault(token.Offset, "a quoted identifier is empty", "write a name between the double quotes")
		}
	case Stray:
		if token.Text == `\` {
			if line := s.lineAt(token.Offset); s.freshLine && !s.open && changesNothing(line) {
				s.scan.offset = token.Offset + len(line)
				return nil
			}
			return s.psqlCommand(token.Offset)
		}
	}
	s.freshLine = false
	if token.Text == ";" && s.depth == 0 && s.nesting == 0 {
		return s.finish(true)
	}
	s.extend(token)
	return nil
}

// extend makes a token part of the open statement.
func (s *splitter) extend(token Token) {
	if !s.open {
		s.open = true
		s.place.advance(s.text, token.Offset)
		s.start = s.place
	}
	s.end = token.Offset + len(token.Text)
	s.depth = max(s.depth+token.nests(), 0)
	if s.form == routineForm && s.depth == 0 {
		s.followBody(token)
	}
	s.form = s.form.follow(token, s.previous, s.depth)
	s.previous = token
}

// followBody counts the blocks of a body BEGIN ATOMIC … END. Within it a block
// begins and ends only where a statement could begin, which tells its END from
// the one of a CASE, and its BEGIN from a column of that name.
func (s *splitter) followBody(token Token) {
	switch opens := token.is("ATOMIC") && s.previous.is("BEGIN"); {
	case s.nesting == 0:
		if opens {
			s.nesting, s.body = 1, s.previous.Offset
		}
		s.atStart = opens
	case s.atStart && token.is("BEGIN"):
		s.nesting++
	case s.atStart && opens: // the second word of BEGIN ATOMIC
	case s.atStart && token.is("END"):
		s.nesting--
		s.atStart = false
	default:
		s.atStart = token.is(";")
	}
}

// finish ends the open statement, with or without a semicolon, and adds it to
// the result.
func (s *splitter) finish(semicolon bool) error {
	if !s.open {
		return nil
	}
	s.place.advance(s.text, s.end)
	scan := scanner{text: s.text[:s.end], offset: s.start.Offset, escapes: s.scan.escapes}
	class, command := classify(scan)
	statement := Statement{
		Text:    s.text[s.start.Offset:s.end],
		Start:   s.start,
		Class:   class,
		Command: command,
	}
	if s.form == copyFromStdinForm {
		if err := s.takeData(&statement, semicolon); err != nil {
			return err
		}
	}
	s.scan.escapes = escapesAfter(scan, command)
	s.stopped = !s.yield(statement, nil)
	s.open, s.depth, s.form, s.previous = false, 0, unknownForm, Token{}
	return nil
}

// takeMark adds a comment that Options.Mark claimed.
func (s *splitter) takeMark(token Token) error {
	if err := s.finish(false); err != nil || s.stopped {
		return err
	}
	s.place.advance(s.text, token.Offset)
	mark := Statement{Text: token.Text, Start: s.place, Class: Mark}
	s.place.advance(s.text, token.Offset+len(token.Text))
	s.stopped = !s.yield(mark, nil)
	return nil
}

// takeData reads the data of a COPY … FROM stdin: the lines behind the line
// with its semicolon, up to the line "\.".
func (s *splitter) takeData(statement *Statement, semicolon bool) error {
	line, _, hasLines := strings.Cut(s.text[s.scan.offset:], "\n")
	start, length := s.scan.offset+len(line)+1, -1
	rest := scanner{text: s.text[:start-1], offset: s.scan.offset}
	for token, ok := rest.next(); ok && semicolon; token, ok = rest.next() {
		if token.Kind != Whitespace && token.Kind != LineComment {
			return s.fault(token.Offset, "text between COPY … FROM stdin and its data",
				"begin the data on the line behind the semicolon, and other statements behind their end")
		}
	}
	if semicolon && hasLines {
		length = dataLength(s.text[start:])
	}
	if length < 0 {
		return s.fault(statement.Start.Offset, `COPY … FROM stdin without data that end with a line "\."`,
			`write the data on the lines behind the semicolon, and "\." on a line of its own behind them`)
	}
	data := s.text[start : start+length]
	statement.Data = &data
	s.scan.offset = start + length + len(endOfData)
	return nil
}

const endOfData = `\.`

// dataLength gives the length of the data before the line that ends them, or
// -1 if there is none.
func dataLength(text string) int {
	for at := 0; ; at += len(endOfData) {
		i := strings.Index(text[at:], endOfData)
		if i < 0 {
			return -1
		}
		at += i
		if at > 0 && text[at-1] != '\n' {
			continue
		}
		switch behind := text[at+len(endOfData):]; {
		case behind == "", behind == "\r", behind[0] == '\n', strings.HasPrefix(behind, "\r\n"):
			return at
		}
	}
}

// form is what the first words of a statement say about its shape.
type form uint8

const (
	unknownForm       form = iota // no token yet
	createForm                    // CREATE
	createOrForm                  // CREATE OR
	routineForm                   // CREATE [OR REPLACE] FUNCTION | PROCEDURE
	copyForm                      // COPY, direction not yet known
	copyFromForm                  // COPY … FROM
	copyFromStdinForm             // COPY … FROM STDIN
	plainForm                     // anything else
)

// follow gives the form after one more token. Its cost for a statement whose
// form is settled is one comparison.
func (f form) follow(token, previous Token, depth int) form {
	switch f {
	case unknownForm:
		switch {
		case token.is("CREATE"):
			return createForm
		case token.is("COPY"):
			return copyForm
		}
		return plainForm
	case createForm, createOrForm:
		switch {
		case token.is("OR"), token.is("REPLACE"):
			return createOrForm
		case token.is("FUNCTION"), token.is("PROCEDURE"):
			return routineForm
		}
		return plainForm
	case copyForm:
		switch {
		case depth > 0 || previous.is("."): // a column, or a table with such a name
		case token.is("FROM"):
			return copyFromForm
		case token.is("TO"):
			return plainForm
		}
	case copyFromForm:
		// The server takes STDOUT for STDIN here.
		if token.is("STDIN") || token.is("STDOUT") {
			return copyFromStdinForm
		}
		return plainForm
	}
	return f
}

// fault makes the error that breaks a split off.
func (s *splitter) fault(offset int, message, remedy string) *Error {
	return &Error{Position: PositionAt(s.text, offset), Message: message, Remedy: remedy}
}

// unterminated is the error for a token that was opened and never closed.
func (s *splitter) unterminated(token Token) error {
	at := s.scan.opener
	switch token.Kind {
	case BlockComment:
		return s.fault(at, "a comment is never closed",
			"close it with */; comments nest, so every /* in it needs its own")
	case QuotedIdentifier:
		return s.fault(at, "a quoted identifier is never closed",
			`close it with a double quote; a double quote within it is written ""`)
	case DollarString:
		tag := dollarTag(token.Text)
		return s.fault(at, fmt.Sprintf("the dollar-quoted string %s is never closed", tag),
			fmt.Sprintf("close it with %s, spelled exactly as at its start", tag))
	}
	return s.fault(at, "a string is never closed",
		"close it with a single quote; a single quote within it is written ''")
}

// psqlCommand is the error for a backslash outside quotes.
func (s *splitter) psqlCommand(at int) error {
	name := s.text[at:]
	if i := strings.IndexFunc(name[1:], func(r rune) bool {
		return group[byte(min(r, 0xff))] != letter && !strings.ContainsRune(".+!?", r)
	}); i >= 0 {
		name = name[:1+i]
	}
	const notSQL = "the commands of psql are not SQL; "
	remedy := notSQL + "take it out"
	switch name {
	case endOfData:
		return s.fault(at, `the end of data "\." without a COPY … FROM stdin before it`,
			"take it out, or write the COPY … FROM stdin; in front of the data")
	case `\copy`:
		remedy = notSQL + "use COPY … FROM stdin with the data on the lines behind it"
	case `\i`, `\ir`, `\include`, `\include_relative`:
		remedy = notSQL + "put the included file into a migration of its own"
	case `\`:
		return s.fault(at, "a backslash outside quotes", "take it out, or quote it")
	}
	return s.fault(at, "psql command "+name, remedy)
}

// checkEncoding finds bytes that PostgreSQL can hold in no text.
func checkEncoding(text string) error {
	valid := utf8.ValidString(text)
	if valid && strings.IndexByte(text, 0) < 0 {
		return nil
	}
	for at, char := range text {
		switch {
		case char == 0:
			return &Error{
				Position: PositionAt(text, at),
				Message:  "a NUL byte",
				Remedy:   "take it out; if the file is UTF-16, save it as UTF-8",
			}
		case char == utf8.RuneError && !strings.HasPrefix(text[at:], string(utf8.RuneError)):
			return &Error{
				Position: PositionAt(text, at),
				Message:  fmt.Sprintf("the byte 0x%02x is not valid UTF-8 here", text[at]),
				Remedy:   "save the file as UTF-8",
			}
		}
	}
	return nil
}
