package pgsql

import (
	"iter"
	"strings"
)

// Kind is what a token is.
type Kind uint8

// The kinds of tokens.
const (
	// Whitespace is blanks and line ends, or a byte-order mark at the very
	// start of the text.
	Whitespace Kind = iota
	// LineComment runs from "--" to the end of the line, without the line end.
	LineComment
	// BlockComment is /* … */, with the comments nested in it.
	BlockComment
	// Word is a keyword or an identifier without quotes.
	Word
	// QuotedIdentifier is "…" or U&"…".
	QuotedIdentifier
	// String is '…', also with one of the prefixes E, B, X, N and U&, and with
	// its continuations on the following lines.
	String
	// DollarString is $$…$$ or $tag$…$tag$.
	DollarString
	// Parameter is $1, $2, …
	Parameter
	// Number is an integer or a decimal fraction, with exponent or base prefix.
	Number
	// Operator is a run of operator characters, cut as the server cuts it.
	Operator
	// Punctuation is one of ( ) [ ] , ; . : :: := and the two dots of a range.
	Punctuation
	// Stray is a character that has no meaning outside quotes, such as a
	// backslash, a brace or a lone dollar sign.
	Stray
)

// Token is one piece of a text. Its Text shares the text's memory.
type Token struct {
	Kind   Kind
	Text   string
	Offset int // in bytes, from 0
}

// Tokens cuts a text into tokens. It leaves nothing out: the texts of the
// tokens, joined, are the text. What is opened and never closed runs to the
// end of the text. Strings are read as with standard_conforming_strings on,
// PostgreSQL's default.
//
// See the chapter "Lexical Structure" of PostgreSQL's documentation.
func Tokens(text string) iter.Seq[Token] {
	return func(yield func(Token) bool) {
		scan := scanner{text: text}
		for token, ok := scan.next(); ok; token, ok = scan.next() {
			if !yield(token) {
				return
			}
		}
	}
}

// is tells whether the token is this keyword or mark. Keywords are given in
// upper case; a quoted identifier is never a keyword.
func (t Token) is(text string) bool {
	// Text of equal length in bytes that is equal under Unicode folding can
	// only differ in the case of ASCII letters, which is the server's rule.
	return (t.Kind == Word || t.Kind == Punctuation) &&
		len(t.Text) == len(text) && strings.EqualFold(t.Text, text)
}

// isSpace tells whether a token has no meaning of its own.
func (t Token) isSpace() bool { return t.Kind <= BlockComment }

// nests tells by how much a token deepens the nesting of parentheses.
func (t Token) nests() int {
	if t.Kind == Punctuation {
		switch t.Text {
		case "(", "[":
			return 1
		case ")", "]":
			return -1
		}
	}
	return 0
}

// scanner reads the tokens of a text one after the other. A copy of a scanner
// reads on independently.
type scanner struct {
	text    string
	offset  int  // where the next token begins
	escapes bool // standard_conforming_strings is off: '…' knows backslashes

	// interrupts, where set, is asked for a line comment between two lines
	// of a string literal; true ends the literal before it.
	interrupts func(comment string) bool

	// unterminated tells that the last token was opened and never closed;
	// opener is where the part that lacks its end began.
	unterminated bool
	opener       int

	run operatorRun
}

const byteOrderMark = "\uFEFF"

// next returns the next token, or false at the end of the text.
func (s *scanner) next() (Token, bool) {
	start := s.offset
	if start >= len(s.text) {
		return Token{}, false
	}
	kind, end := s.scan(start)
	s.offset = end
	return Token{Kind: kind, Text: s.text[start:end], Offset: start}, true
}

// scan returns the kind and the end of the token that begins at start.
func (s *scanner) scan(start int) (Kind, int) {
	c := s.text[start]
	switch group[c] {
	case space:
		return Whitespace, s.skip(start+1, space)
	case letter:
		return s.word(start)
	case digit:
		return Number, s.number(start)
	case operator:
		return s.operator(start)
	case punctuation:
		return s.punctuation(start)
	}
	switch c {
	case '\'':
		return String, s.literal(start, start, s.escapes, true)
	case '"':
		return QuotedIdentifier, s.identifier(start, start)
	case '$':
		return s.dollar(start)
	}
	return Stray, start + 1
}

// skip returns the end of the run of bytes of this group.
func (s *scanner) skip(at int, g byteGroup) int {
	for at < len(s.text) && group[s.text[at]] == g {
		at++
	}
	return at
}

// word reads a word, or what begins like one: a prefixed string or identifier.
func (s *scanner) word(start int) (Kind, int) {
	if start == 0 && strings.HasPrefix(s.text, byteOrderMark) {
		return Whitespace, len(byteOrderMark)
	}
	switch s.byteAt(start + 1) {
	case '\'':
		switch s.text[start] | 0x20 {
		case 'e':
			return String, s.literal(start, start+1, true, true)
		case 'n':
			return String, s.literal(start, start+1, s.escapes, true)
		case 'b', 'x':
			return String, s.literal(start, start+1, false, false)
		}
	case '&':
		if s.text[start]|0x20 != 'u' {
			break
		}
		switch s.byteAt(start + 2) {
		case '\'':
			return String, s.literal(start, start+2, false, true)
		case '"':
			return QuotedIdentifier, s.identifier(start, start+2)
		}
	}
	at := start + 1
	for at < len(s.text) && continuesWord[s.text[at]] {
		at++
	}
	return Word, at
}

// byteAt returns a byte of the text, 0 behind its end.
func (s *scanner) byteAt(at int) byte {
	if at < len(s.text) {
		return s.text[at]
	}
	return 0
}

// broken notes what was never closed, and returns the end of the text.
func (s *scanner) broken(opener int) int {
	s.unterminated, s.opener = true, opener
	return len(s.text)
}

// literal reads a string whose quote is at quote, with its continuations:
// strings that are separated by nothing but white space with a line end in it
// are one, and are all read as the first one says.
func (s *scanner) literal(start, quote int, escapes, doubles bool) int {
	for opener := start; ; opener = quote {
		end := s.closingQuote(quote+1, escapes, doubles)
		if end < 0 {
			return s.broken(opener)
		}
		if quote = s.continuation(end); quote < 0 {
			return end
		}
	}
}

// closingQuote returns the place behind a string's closing quote, or -1.
func (s *scanner) closingQuote(at int, escapes, doubles bool) int {
	for {
		var i int
		if escapes {
			i = strings.IndexAny(s.text[at:], `'\`)
		} else {
			i = strings.IndexByte(s.text[at:], '\'')
		}
		if i < 0 {
			return -1
		}
		at += i
		switch {
		case s.text[at] == '\\':
			if at += 2; at > len(s.text) {
				return -1
			}
		case doubles && s.byteAt(at+1) == '\'':
			at += 2
		default:
			return at + 1
		}
	}
}

// continuation returns the place of the quote that continues a string that
// ended at at, or -1.
func (s *scanner) continuation(at int) int {
	newline := false
	for {
		switch c := s.byteAt(at); {
		case c == '\'' && newline:
			return at
		case c == '\n' || c == '\r':
			newline = true
			at++
		case group[c] == space:
			at++
		case c == '-' && s.byteAt(at+1) == '-':
			end := s.lineEnd(at)
			if newline && s.interrupts != nil && s.interrupts(s.text[at:end]) {
				return -1
			}
			at = end
		default:
			return -1
		}
	}
}

// lineEnd returns where the line ends; for the server a carriage return does.
func (s *scanner) lineEnd(at int) int {
	for at < len(s.text) && s.text[at] != '\n' && s.text[at] != '\r' {
		at++
	}
	return at
}

// identifier reads a quoted identifier whose quote is at quote.
func (s *scanner) identifier(start, quote int) int {
	for at := quote + 1; ; at += 2 {
		i := strings.IndexByte(s.text[at:], '"')
		if i < 0 {
			return s.broken(start)
		}
		if at += i; s.byteAt(at+1) != '"' {
			return at + 1
		}
	}
}

// dollar reads a dollar-quoted string or a parameter, or a lone dollar sign.
func (s *scanner) dollar(start int) (Kind, int) {
	if group[s.byteAt(start+1)] == digit {
		return Parameter, s.skip(start+2, digit)
	}
	tag := dollarTag(s.text[start:])
	if tag == "" {
		return Stray, start + 1
	}
	body := start + len(tag)
	i := strings.Index(s.text[body:], tag)
	if i < 0 {
		return DollarString, s.broken(start)
	}
	return DollarString, body + i + len(tag)
}

// dollarTag returns the $tag$ that a text begins with, or nothing.
func dollarTag(text string) string {
	for at := 1; at < len(text); at++ {
		switch c := text[at]; {
		case c == '$':
			return text[:at+1]
		case !continuesWord[c] || at == 1 && group[c] == digit:
			return ""
		}
	}
	return ""
}

// number reads a number. Letters behind it are left to the next token, as
// PostgreSQL did before 15; since then the server refuses them.
func (s *scanner) number(at int) int {
	if s.text[at] == '0' {
		switch s.byteAt(at+1) | 0x20 {
		case 'x', 'o', 'b':
			if end := s.digits(at+2, isHexadecimal); end > at+2 {
				return end
			}
		}
	}
	at = s.digits(at, isDecimal)
	if s.byteAt(at) == '.' && s.byteAt(at+1) != '.' {
		at = s.digits(at+1, isDecimal)
	}
	if s.byteAt(at)|0x20 == 'e' {
		exponent := at + 1
		if c := s.byteAt(exponent); c == '+' || c == '-' {
			exponent++
		}
		if end := s.digits(exponent, isDecimal); end > exponent {
			return end
		}
	}
	return at
}

// digits returns the end of a run of digits, single underscores among them.
func (s *scanner) digits(at int, isDigit func(byte) bool) int {
	for isDigit(s.byteAt(at)) || s.byteAt(at) == '_' && isDigit(s.byteAt(at+1)) {
		at++
	}
	return at
}

func isDecimal(c byte) bool { return c >= '0' && c <= '9' }

func isHexadecimal(c byte) bool { return isDecimal(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// punctuation reads a mark, or a number that begins with its point.
func (s *scanner) punctuation(start int) (Kind, int) {
	next := s.byteAt(start + 1)
	switch s.text[start] {
	case '.':
		if isDecimal(next) {
			return Number, s.number(start)
		}
		if next == '.' {
			return Punctuation, start + 2
		}
	case ':':
		if next == ':' || next == '=' {
			return Punctuation, start + 2
		}
	}
	return Punctuation, start + 1
}

// operatorRun is what is known of a run of operator characters. It is kept
// from one token to the next, because a run like "+++…" is a token for every
// character and must not be read to its end for each of them.
type operatorRun struct {
	end     int // where the run, or what a comment leaves of it, ends
	special int // behind the last character that lets an operator end in + or -
	solid   int // behind the last character that is neither + nor -
}

// operator reads an operator or a comment. As in the server's scanner, "--"
// and "/*" begin a comment wherever they stand, and an operator ends in + or -
// only if it has one of the characters ~ ! @ # ^ & | ` ? % in it.
func (s *scanner) operator(start int) (Kind, int) {
	if s.beginsComment(start) {
		if s.text[start] == '-' {
			return LineComment, s.lineEnd(start)
		}
		return BlockComment, s.blockComment(start)
	}
	if start >= s.run.end {
		s.run = s.operatorRun(start)
	}
	last := s.text[s.run.end-1]
	if last != '+' && last != '-' || s.run.special > start {
		return Operator, s.run.end
	}
	return Operator, max(s.run.solid, start+1)
}

// operatorRun reads a run of operator characters up to a comment.
func (s *scanner) operatorRun(start int) operatorRun {
	var run operatorRun
	at := start
	for ; group[s.byteAt(at)] == operator && !s.beginsComment(at); at++ {
		switch s.text[at] {
		case '+', '-':
			continue
		case '~', '!', '@', '#', '^', '&', '|', '`', '?', '%':
			run.special = at + 1
		}
		run.solid = at + 1
	}
	run.end = at
	return run
}

// beginsComment tells whether a comment begins at at.
func (s *scanner) beginsComment(at int) bool {
	switch s.text[at] {
	case '-':
		return s.byteAt(at+1) == '-'
	case '/':
		return s.byteAt(at+1) == '*'
	}
	return false
}

// blockComment reads a comment with the comments nested in it.
func (s *scanner) blockComment(start int) int {
	depth := 0
	for at := start; at+1 < len(s.text); {
		switch {
		case s.text[at] == '/' && s.text[at+1] == '*':
			depth++
			at += 2
		case s.text[at] == '*' && s.text[at+1] == '/':
			depth--
			if at += 2; depth == 0 {
				return at
			}
		default:
			at++
		}
	}
	return s.broken(start)
}

// byteGroup sorts bytes by the token they begin.
type byteGroup uint8

const (
	other byteGroup = iota
	space
	letter
	digit
	operator
	punctuation
)

// group gives the group of each byte. Every byte beyond ASCII is a letter to
// the server, a no-break space too.
var group = func() (groups [256]byteGroup) {
	set := func(bytes string, g byteGroup) {
		for i := range len(bytes) {
			groups[bytes[i]] = g
		}
	}
	for c := 0x80; c < 0x100; c++ {
		groups[c] = letter
	}
	for c := 'a'; c <= 'z'; c++ {
		groups[c], groups[c-'a'+'A'] = letter, letter
	}
	set("_", letter)
	set("0123456789", digit)
	set(" \t\n\r\f\v", space)
	set("~!@#^&|`?+-*/%<>=", operator)
	set("()[],;.:", punctuation)
	return groups
}()

// continuesWord tells which bytes may be in a word behind the first.
var continuesWord = func() (set [256]bool) {
	for c, g := range group {
		set[c] = g == letter || g == digit || c == '$'
	}
	return set
}()
