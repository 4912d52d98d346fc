package schema

import (
	"slices"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// expressions are the properties that have SQL in them which the server wrote
// out of the parsed form. The bodies of functions and comments are what people
// wrote, and left alone.
var expressions = []string{"definition", "default", "generated", "using", "check", "rows", "partition key"}

// castArray is how the server writes what "column IN ('a', 'b')" becomes for a
// column of type varchar; castElement is one of the values.
var (
	castArray   = plaintext.Pattern(`\(ARRAY\[(` + varcharConstant + `(?:, ` + varcharConstant + `)*)\]\)::text\[\]`)
	castElement = plaintext.Pattern(varcharConstant)
)

const varcharConstant = `'(?:[^']|'')*'::character varying(?:\(\d+\))?`

// normal undoes what a dump and its restoration change in a definition without a
// change of meaning: a cast of an array of constants is read back as
// an array of casts. In the text of a routine or a comment no line end counts: it may have
// been written from a checkout that converts them.
func normal(property, value string) string {
	if property == "body" || property == "comment" {
		return plaintext.LF(value)
	}
	if !slices.Contains(expressions, property) {
		return value
	}
	return castArray().ReplaceAllStringFunc(value, func(array string) string {
		return "ARRAY[" + castElement().ReplaceAllString(castArray().FindStringSubmatch(array)[1], "($0)::text") + "]"
	})
}
