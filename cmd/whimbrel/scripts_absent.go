//go:build nojs

package main

import (
	"context"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

const hasScripts = false

func (s scriptLimits) runtime() whimbrel.Runtime { return noScripts{} }

// noScripts refuses scripts that are about to run.
type noScripts struct{}

// Compile implements whimbrel.Runtime.
func (noScripts) Compile(_ context.Context, m migration.Migration) (whimbrel.Script, error) {
	e := scriptsPart.lacking("it cannot run this migration")
	e.Version, e.Name, e.Path = m.Version, m.Name, m.Path
	return nil, e
}

func declarations() (string, error) {
	return "", scriptsPart.lacking("it writes no scripts and no types for them")
}
