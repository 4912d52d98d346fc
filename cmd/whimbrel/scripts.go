//go:build !lean

package main

import (
	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
)

// runtime runs scripts within their limits.
func (s scriptLimits) runtime() whimbrel.Runtime { return js.New(s.options()) }

func (s scriptLimits) options() js.Options {
	return js.Options{Environment: s.Environment, Memory: int64(s.Memory), Compute: s.Compute}
}

// declarations are the types of what scripts get, for editors.
func declarations() (string, error) { return js.Declarations, nil }
