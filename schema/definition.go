package schema

import (
	"slices"

	"github.com/whimbrel-db/whimbrel/internal/pattern"
)

// expressions are the properties that have SQL in them which the server wrote
// out of the parsed form. The bodies of functions and comments are what people
// wrote, and left alone.
var expressions = []string{"definition", "default", "generated", "using", "check", "rows", "partition key"}

// castArray is how the server writes what "column IN ('a', 'b')" becomes for a
// column of type varchar; castElement is one of the values.
var (
	castArray   = pattern.Of(`\(ARRAY\[(` + varcharConstant + `(?:, ` + varcharConstant + `)*)\]\)::text\[\]`)
	castElement = pattern.Of(varcharConstant)
)

const varcharConstant = `'(?:[^']|'')*'::character varying(?:\(\d+\))?`

// normal undoes what a dump and its restoration change in a definition without a
// change of meaning: a cast of an array of constants is read back as
// an array of casts.
func normal(property, value string) string {
	if !slices.Contains(expressions, property) {
		return value
	}
	return castArray().ReplaceAllStringFunc(value, func(array string) string {
		return "ARRAY[" + castElement().ReplaceAllString(castArray().FindStringSubmatch(array)[1], "($0)::text") + "]"
	})
}
