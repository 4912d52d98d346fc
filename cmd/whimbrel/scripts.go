//go:build !lean

package main

import (
	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/project"
)

// scriptRuntime runs scripts within limits.
func scriptRuntime(l project.ScriptLimits) whimbrel.Runtime {
	return js.New(js.Options{Environment: l.Environment, Memory: int64(l.Memory), Compute: l.Compute})
}

// declarations are the types of what scripts get, for editors.
func declarations() (string, error) { return js.Declarations, nil }
