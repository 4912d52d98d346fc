package pgsql

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lexeme is a token without its place, for tables.
type lexeme struct {
	kind Kind
	text string
}

// significant gives the tokens of a text that are no white space or comment.
func significant(text string) []lexeme {
	var tokens []lexeme
	for token := range Tokens(text) {
		if !token.isSpace() {
			tokens = append(tokens, lexeme{token.Kind, token.Text})
		}
	}
	return tokens
}

// all gives all tokens of a text.
func all(text string) []lexeme {
	var tokens []lexeme
	for token := range Tokens(text) {
		tokens = append(tokens, lexeme{token.Kind, token.Text})
	}
	return tokens
}

func TestOneTokenIsReadWhole(t *testing.T) {
	t.Parallel()
	for kind, texts := range map[Kind][]string{
		Whitespace:       {" ", "\t\r\n\f\v ", "\uFEFF"},
		LineComment:      {"--", "-- a /* 'b", "---", "--+ migrate", "--é"},
		BlockComment:     {"/**/", "/***/", "/* a ' \" $$ -- b */", "/*/ */", "/* /* */ */", "/*/**/*/", "/*+*/", "/*\n*/"},
		Word:             {"a", "A1", "_a", "select", "a$b$", "a$1", "é", "日本語", "E", "u", "xe", "a\u00a0b"},
		QuotedIdentifier: {`"a"`, `""`, `"a""b"`, `"a;b"`, `"a'b"`, "\"a\nb\"", `U&"a"`, `u&"\0061"`, `"a\"`, `""""`},
		String: {
			`''`, `'a'`, `'a''b'`, `'a\'`, `'--'`, `'/*'`, `'$$'`, "'a\nb'", `''''`,
			`E'a\'b'`, `e'\\'`, `E'\''''`, `B'01'`, `x'1F'`, `N'a'`, `n'a''b'`, `U&'a\'`, `u&''''`,
			"'a'\n'b'", "'a'  \n\t'b'", "'a'\r'b'", "'a' -- c\n'b'", "'a' -- c\n -- ;\n\n 'b'", "'a'\n--\n'b'\n'c'",
			"E'a'\n'\\''", "B'0'\n'1'", "U&'a'\n'\\'",
		},
		DollarString: {"$$$$", "$$a$$", "$$a$b$$", "$a$$$a$", "$a1_é$;$b$$a$", "$a$ $A$ $a$", "$body$'$$'$body$", "$$\n$$",
			"$_$a$_$"},
		Parameter: {"$1", "$12"},
		Number:    {"1", "12.5", "1.", ".5", "1e5", "1.5E-10", "1e+3", "1_000", "0x1F", "0o17", "0b01", "0XaB_c"},
		Operator: {"+", "-", "<=", "<>", "!=", "=>", "~~*", "@-", "||", "->>", "#>>", "?|", "@@@", "|/", "`", "@+-",
			"+@-"},
		Punctuation: {"(", ")", "[", "]", ",", ";", ".", "..", ":", "::", ":="},
		Stray:       {`\`, "{", "}", "$", "\x01"},
	} {
		for _, text := range texts {
			require.Equal(t, []lexeme{{kind, text}}, all(text), "%q", text)
		}
	}
}

func TestTokensEndWhereTheServerEndsThem(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []lexeme
	}{
		"a line comment ends an operator": {
			"a @-- c\nb", []lexeme{{Word, "a"}, {Operator, "@"}, {Word, "b"}}},
		"a block comment ends an operator": {
			"a-/*x*/b", []lexeme{{Word, "a"}, {Operator, "-"}, {Word, "b"}}},
		"a star behind a slash begins a comment in an operator": {
			"a+*/*x*/b", []lexeme{{Word, "a"}, {Operator, "+*"}, {Word, "b"}}},
		"a sign ends no plain operator": {
			"a=-1", []lexeme{{Word, "a"}, {Operator, "="}, {Operator, "-"}, {Number, "1"}}},
		"signs before a comment are dropped too": {
			"a*+-/**/b", []lexeme{{Word, "a"}, {Operator, "*"}, {Operator, "+"}, {Operator, "-"}, {Word, "b"}}},
		"a sign may end an operator of special characters": {
			"a @- 1", []lexeme{{Word, "a"}, {Operator, "@-"}, {Number, "1"}}},
		"signs alone are one token each": {
			"+-+", []lexeme{{Operator, "+"}, {Operator, "-"}, {Operator, "+"}}},
		"special characters count only from the token's start": {
			"+++*-", []lexeme{{Operator, "+++*"}, {Operator, "-"}}},
		"a run without special characters is cut again and again": {
			"*-+*-+", []lexeme{{Operator, "*-+*"}, {Operator, "-"}, {Operator, "+"}}},
		"a dollar sign in a word begins no quote": {
			"a$b$c$b$", []lexeme{{Word, "a$b$c$b$"}}},
		"a quote may follow a parameter": {
			"$1$a$x$a$", []lexeme{{Parameter, "$1"}, {DollarString, "$a$x$a$"}}},
		"a tag does not begin with a digit": {
			"$1a$ $1a$", []lexeme{{Parameter, "$1"}, {Word, "a$"}, {Parameter, "$1"}, {Word, "a$"}}},
		"a tag has letters and digits only": {
			"$a-b$", []lexeme{{Stray, "$"}, {Word, "a"}, {Operator, "-"}, {Word, "b$"}}},
		"a dollar sign is shared by no two tags": {
			"$a$b$a$", []lexeme{{DollarString, "$a$b$a$"}}},
		"a range has no decimal point": {
			"1..10", []lexeme{{Number, "1"}, {Punctuation, ".."}, {Number, "10"}}},
		"letters behind a number are another token": {
			"1abc", []lexeme{{Number, "1"}, {Word, "abc"}}},
		"an exponent needs digits": {
			"1e+", []lexeme{{Number, "1"}, {Word, "e"}, {Operator, "+"}}},
		"a prefix is one letter": {
			`xe'\' 'a'`, []lexeme{{Word, "xe"}, {String, `'\'`}, {String, "'a'"}}},
		"a prefix touches its quote": {
			`E '\'`, []lexeme{{Word, "E"}, {String, `'\'`}}},
		"u& without a quote is a word and an operator": {
			`u&a`, []lexeme{{Word, "u"}, {Operator, "&"}, {Word, "a"}}},
		"strings on one line are two": {
			"'a' 'b'", []lexeme{{String, "'a'"}, {String, "'b'"}}},
		"a block comment parts strings": {
			"'a' /*\n*/ 'b'", []lexeme{{String, "'a'"}, {String, "'b'"}}},
		"a comment at the end of the text continues nothing": {
			"'a' -- 'b'", []lexeme{{String, "'a'"}}},
		"a prefix ends a continuation": {
			"'a'\nE'b'", []lexeme{{String, "'a'"}, {String, "E'b'"}}},
		"a bit string knows no doubled quotes": {
			"B'0''1'", []lexeme{{String, "B'0'"}, {String, "'1'"}}},
		"an identifier is not continued": {
			"\"a\"\n\"b\"", []lexeme{{QuotedIdentifier, `"a"`}, {QuotedIdentifier, `"b"`}}},
		"a carriage return ends a comment": {
			"-- a\rb", []lexeme{{Word, "b"}}},
		"a byte-order mark is one only at the start": {
			"\uFEFFa\uFEFF", []lexeme{{Word, "a\uFEFF"}}},
		"punctuation is read one by one": {
			"a::b:=c", []lexeme{{Word, "a"}, {Punctuation, "::"}, {Word, "b"}, {Punctuation, ":="}, {Word, "c"}}},
	} {
		require.Equal(t, c.want, significant(c.text), name)
	}
}

func TestWhatIsNeverClosedRunsToTheEnd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]lexeme{
		"'a; b":         {String, "'a; b"},
		`E'a\'`:         {String, `E'a\'`},
		`E'a\`:          {String, `E'a\`},
		"'a'\n'b":       {String, "'a'\n'b"},
		`"a; b`:         {QuotedIdentifier, `"a; b`},
		`"a""`:          {QuotedIdentifier, `"a""`},
		"$a$ b; $A$":    {DollarString, "$a$ b; $A$"},
		"/* /* */ a; b": {BlockComment, "/* /* */ a; b"},
		"/*/":           {BlockComment, "/*/"},
	} {
		require.Equal(t, []lexeme{want}, all(text), "%q", text)
	}
}

func TestTokensStopWhenTheCallerDoes(t *testing.T) {
	t.Parallel()
	count := 0
	for range Tokens("a b c") {
		count++
		if count == 2 {
			break
		}
	}
	require.Equal(t, 2, count)
}

func TestTokensKnowTheirPlace(t *testing.T) {
	t.Parallel()
	text := "\uFEFFselect 'é' -- ü\n;"
	at := 0
	for token := range Tokens(text) {
		require.Equal(t, at, token.Offset)
		require.Equal(t, token.Text, text[at:at+len(token.Text)])
		at += len(token.Text)
	}
	require.Equal(t, len(text), at)
}

func FuzzTokens(f *testing.F) {
	for _, seed := range seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var joined strings.Builder
		for token := range Tokens(text) {
			if token.Text == "" {
				t.Fatalf("an empty token at %d", token.Offset)
			}
			if token.Offset != joined.Len() {
				t.Fatalf("token %q at %d claims to be at %d", token.Text, joined.Len(), token.Offset)
			}
			joined.WriteString(token.Text)
			_ = Identifier(token.Text)
		}
		if joined.String() != text {
			t.Fatalf("the tokens join to %q", joined.String())
		}
	})
}
