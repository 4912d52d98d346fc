//go:build lean

package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/otelenv"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/project"
)

// A lean build answers here in place of all that it leaves out: scripts, telemetry,
// what judges migrations by PostgreSQL's grammar, and what writes the manual.

const lean = true

func scriptRuntime(project.ScriptLimits) whimbrel.Runtime { return noScripts{} }

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

// startTelemetry reports that there is no telemetry to those who configured it. It is
// no reason not to migrate.
func startTelemetry(_ context.Context, o *project.Observers, _ *project.Project) {
	if otelenv.Any() {
		e := telemetryPart.lacking("the OTEL_* variables have no effect")
		o.Problem(fmt.Errorf("%w; %s", e, e.Remedy))
	}
}

func (a *app) lint(context.Context, *lintFlags, []string) error {
	return parserPart.lacking("lint judges nothing")
}

func (a *app) ci(context.Context, *ciFlags) error {
	return parserPart.lacking("ci judges nothing")
}

// study says that a plan is not judged; its steps can be listed nevertheless.
func (a *app) study(_ context.Context, _ *project.Project, _ *whimbrel.Migrator, _ whimbrel.Plan,
	flags *planFlags) (judgement, error) {
	switch {
	case flags.rehearse:
		return nil, parserPart.lacking("plan rehearses nothing")
	case flags.markdown:
		return nil, parserPart.lacking("plan has no judgement to write as Markdown")
	}
	e := parserPart.lacking("the plan is listed and not judged")
	a.note("%s %s; %s", a.errStyle.Warning("!"), e.Message, e.Remedy)
	return nil, nil
}

func planDocument(basis whimbrel.Basis, _ judgement) ([]byte, error) {
	text, err := json.MarshalIndent(basis, "", "  ")
	return append(text, '\n'), err
}

// problemOfHazard accepts what a build with the parser knows.
func problemOfHazard(string) string { return "" }

// touches says that checks cannot tell what a statement touches.
func touches(migration.Statement) (pgsql.Touched, error) {
	return pgsql.Touched{}, parserPart.lacking("check does not know what statements touch")
}

func hazardIDs() []string { return nil }

func newManual(*app) []*cobra.Command { return nil }
