package pgsql

import "strings"

// reader goes through the tokens of a statement, past white space and comments.
type reader struct {
	scan  scanner
	token Token // the one that is looked at; without text behind the last
}

func newReader(scan scanner) reader {
	words := reader{scan: scan}
	words.advance()
	return words
}

// more tells whether there is a token to look at.
func (r *reader) more() bool { return r.token.Text != "" }

// advance looks at the next token.
func (r *reader) advance() {
	for {
		token, ok := r.scan.next()
		if r.token = token; !ok || !token.isSpace() {
			return
		}
	}
}

// accept advances if the token is this keyword or mark.
func (r *reader) accept(text string) bool {
	if !r.token.is(text) {
		return false
	}
	r.advance()
	return true
}

// skipName advances past a name, with or without schema.
func (r *reader) skipName() {
	r.advance()
	for r.accept(".") {
		r.advance()
	}
}

// options reads a list "(name [=] value, …)", if one follows: whether each
// name is switched on. A name without a value is.
func (r *reader) options() map[string]bool {
	if !r.accept("(") {
		return nil
	}
	options := map[string]bool{}
	name := ""
	for ; r.more() && !r.token.is(")"); r.advance() {
		switch {
		case r.token.is(","):
			name = ""
		case name == "":
			name = Identifier(r.token.Text)
			options[name] = true
		case r.token.Text != "=":
			options[name] = !isFalse(r.token)
		}
	}
	r.advance()
	return options
}

// optionsBehindWith reads the list of the next WITH.
func (r *reader) optionsBehindWith() map[string]bool {
	for r.more() && !r.token.is("WITH") {
		r.advance()
	}
	r.advance()
	return r.options()
}

// isFalse tells whether a word, number or literal is one of PostgreSQL's ways
// to write false; for on and off, and true and false, any beginning that is
// not ambiguous will do.
func isFalse(token Token) bool {
	value := strings.ToLower(strings.Trim(token.Text, `'"`))
	switch {
	case value == "":
		return false
	case value == "0", strings.HasPrefix("false", value), strings.HasPrefix("no", value):
		return true
	}
	return value != "o" && strings.HasPrefix("off", value)
}
