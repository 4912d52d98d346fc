package pgsql

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// longestName is how many bytes of a name PostgreSQL keeps (NAMEDATALEN - 1).
const longestName = 63

// Identifier gives the name that an identifier denotes, as the catalog holds
// it: without quotes, in lower case if it had none, and cut to the 63 bytes
// that PostgreSQL keeps. It reads one token, so a U&"…" is taken to have the
// usual escape character, the backslash. A token that is no identifier comes
// back as it is.
//
// See "Identifiers and Key Words" in PostgreSQL's documentation.
func Identifier(token string) string {
	switch {
	case token == "":
		return ""
	case token[0] == '"':
		return truncate(unquote(token))
	case len(token) > 2 && token[0]|0x20 == 'u' && token[1:3] == `&"`:
		return truncate(decodeUnicode(unquote(token[2:])))
	case group[token[0]] == letter:
		return truncate(lower(token))
	}
	return token
}

// unquote takes the double quotes off an identifier.
func unquote(token string) string {
	name := strings.TrimSuffix(token[1:], `"`)
	return strings.ReplaceAll(name, `""`, `"`)
}

// lower folds as the server does in UTF-8: the letters of ASCII only.
func lower(word string) string {
	for i := range len(word) {
		if word[i] >= 'A' && word[i] <= 'Z' {
			return strings.Map(func(r rune) rune {
				if r >= 'A' && r <= 'Z' {
					return r + 'a' - 'A'
				}
				return r
			}, word)
		}
	}
	return word
}

// truncate cuts a name between characters.
func truncate(name string) string {
	if len(name) <= longestName {
		return name
	}
	end := longestName
	for end > 0 && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// decodeUnicode replaces the escapes \XXXX, \+XXXXXX and \\ of a U&"…". What
// is no valid escape stays as it is: the server refuses it.
func decodeUnicode(name string) string {
	var decoded strings.Builder
	for {
		i := strings.IndexByte(name, '\\')
		if i < 0 {
			decoded.WriteString(name)
			return decoded.String()
		}
		decoded.WriteString(name[:i])
		char, width := unicodeEscape(name[i:])
		if second, more := unicodeEscape(name[i+width:]); utf16.IsSurrogate(char) && more > 0 {
			char, width = utf16.DecodeRune(char, second), width+more
		}
		if width == 0 {
			char, width = '\\', 1
		}
		decoded.WriteRune(char)
		name = name[i+width:]
	}
}

// unicodeEscape reads the escape that a text begins with; its width is 0 if
// there is none.
func unicodeEscape(text string) (char rune, width int) {
	digits := 0
	switch {
	case strings.HasPrefix(text, `\\`):
		return '\\', 2
	case strings.HasPrefix(text, `\+`):
		digits, width = 6, 8
	case strings.HasPrefix(text, `\`):
		digits, width = 4, 5
	}
	if width == 0 || len(text) < width {
		return 0, 0
	}
	code, err := strconv.ParseUint(text[width-digits:width], 16, 32)
	if err != nil || code > utf8.MaxRune {
		return 0, 0
	}
	return rune(code), width
}
