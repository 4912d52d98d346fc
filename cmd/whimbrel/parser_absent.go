//go:build noparser

package main

import (
	"context"
	"encoding/json"

	"github.com/whimbrel-db/whimbrel"
)

// What stands here answers in place of all that judges migrations by PostgreSQL's
// grammar, in a build without the parser.

const hasParser = false

func (a *app) lint(context.Context, *lintFlags, []string) error {
	return parserPart.lacking("lint judges nothing")
}

func (a *app) ci(context.Context, *ciFlags) error {
	return parserPart.lacking("ci judges nothing")
}

// study says that a plan is not judged; its steps can be listed nevertheless.
func (a *app) study(_ context.Context, _ project, _ *whimbrel.Migrator, _ whimbrel.Plan,
	flags *planFlags) (judgement, error) {
	switch {
	case flags.rehearse:
		return nil, parserPart.lacking("plan rehearses nothing")
	case flags.markdown:
		return nil, parserPart.lacking("plan has no judgement to write as Markdown")
	}
	e := parserPart.lacking("the plan is listed and not judged")
	a.note("%s %s; %s", a.errPalette.warn("!"), e.Message, e.Remedy)
	return nil, nil
}

func frozenDocument(frozen whimbrel.Frozen, _ judgement) ([]byte, error) {
	text, err := json.MarshalIndent(frozen, "", "  ")
	return append(text, '\n'), err
}

// problemOfHazard accepts what a build with the parser knows.
func problemOfHazard(string) string { return "" }

func hazardIDs() []string { return nil }
