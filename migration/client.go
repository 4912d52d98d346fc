package migration

import (
	"regexp"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// The last line of a script that was written for another tool says so. Its
// functions are then called with that tool's object in place of a client:
//
//	// +migrate Client knex
const clientMark = "// +migrate Client "

var clientLine = plaintext.Pattern(`(?:^|\n)` + regexp.QuoteMeta(clientMark) + `([^\s]+)\s*$`)

// WithClient is the text of a script, with the line at its end that says which
// tool it was written for, if it does not have it. No other line of it moves.
func WithClient(text, tool string) string {
	if ClientOf(text) == tool {
		return text
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + clientMark + tool + "\n"
}

// ClientOf is the tool that a script was written for; "" for whimbrel.
func ClientOf(text string) string {
	if found := clientLine().FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}
