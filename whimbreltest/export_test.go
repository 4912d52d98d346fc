//go:build unix

package whimbreltest

import (
	"context"
	"fmt"
	"testing"
)

// RunExample does what go test does with a test.
func RunExample(test func(testing.TB)) {
	if r := rehearse(audience{}, test); r.failed {
		fmt.Println(r.text())
	}
}

// audience is what an example has in place of a test.
type audience struct{ testing.TB }

func (audience) Helper()                  {}
func (audience) Name() string             { return "Example" }
func (audience) Context() context.Context { return context.Background() }
