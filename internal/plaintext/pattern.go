package plaintext

import (
	"regexp"
	"sync"
)

// Pattern gives a function that returns the compiled expression, which is the same
// every time. It may be called concurrently. An expression that cannot be compiled is a
// mistake in the program: then the first call panics. Compiled at the start, all of them
// took a tenth of the time of a command that needs none.
func Pattern(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
