package preflight

import (
	"fmt"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// were writes a number with its noun and its verb.
func were(n int, noun string) string {
	if n == 1 {
		return present.Plural(n, noun) + " was"
	}
	return present.Plural(n, noun) + " were"
}

// either writes a number in a sentence for one or for many, which has a %d.
func either(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}
