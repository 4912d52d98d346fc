package sandbox

import (
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

var missingRole = plaintext.Pattern(`^role "(.+)" does not exist$`)

// Remedy says how a throw-away database gets what a migration has missed there; "" where
// it did not fail for that.
func Remedy(e *whimbrel.Error) string {
	name := missingRole().FindStringSubmatch(e.Message)
	undefined := slices.Contains([]string{"42704", "42P01", "3F000", "42883"}, e.SQLState)
	switch {
	case !undefined:
		return ""
	case name != nil:
		return "if databases have the role " + name[1] + " from elsewhere, list it in sandbox.roles of whimbrel.yaml"
	case strings.Contains(e.Message, "extension"):
		return "if databases have the extension from elsewhere, list it in sandbox.extensions of whimbrel.yaml"
	}
	return "if databases have it from elsewhere, such as a platform, create it in a file of SQL that sandbox.prepare of " +
		"whimbrel.yaml lists"
}
