package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/preflight"
	"github.com/whimbrel-db/whimbrel/project"
)

// permit is before every change of a protected database: it makes the checks,
// shows what would run, and asks. Where only the history would change, it asks if
// something is lost by that, as the engine sees it.
func (a *app) permit(ctx context.Context, p *project.Project, m *whimbrel.Migrator, flags *runFlags,
	by whimbrel.Protection,
	plan whimbrel.Plan) error {
	recordsOnly := !slices.ContainsFunc(plan.Migrations, func(p whimbrel.Planned) bool {
		return !p.RecordOnly() || p.Direction == whimbrel.Down
	})
	if recordsOnly && plan.Loses() == "" {
		return nil
	}
	if recordsOnly {
		return a.sure(ctx, fmt.Sprintf("%s. %s would be %s. Go on?", a.protectedBy(p, by),
			present.Plural(len(plan.Migrations),
				"migration"),
			plan.Loses()), flags.yes)
	}
	report, err := a.preflight(ctx, p, m, plan, checkChoice{skip: flags.skipChecks})
	if err != nil {
		return err
	}
	a.tellChecks(report)
	if blocked := report.Blocked(); len(blocked) > 0 {
		a.observers.Refused(a.command, report)
		return stopped(blocked)
	}
	if !flags.yes && a.inTerminal && !a.flags.json {
		_, _ = fmt.Fprint(a.err, renderPlan(a.errStyle, plan, false))
	}
	return a.sure(ctx, fmt.Sprintf("%s. Run %s on %s?", a.protectedBy(p, by), present.Plural(len(plan.Migrations),
		"migration"),
		report.Database), flags.yes)
}

// tellChecks shows what the checks before a run said, as far as it matters.
func (a *app) tellChecks(report preflight.Report) {
	if a.flags.json {
		a.object(checksJSON{Event: "checks", Report: report})
	} else if !a.flags.quiet {
		_, _ = fmt.Fprint(a.err, report.Brief(a.errStyle))
	}
}

// checksJSON is the line of a stream that tells what the checks said.
type checksJSON struct {
	Event string `json:"event"`
	preflight.Report
}

// stopped is the error of checks that stop a run.
func stopped(blocked []preflight.Result) error {
	var names, lines []string
	for _, result := range blocked {
		names = append(names, result.Name)
		lines = append(lines, result.Name+": "+result.Message)
	}
	return &whimbrel.Error{
		Code: codeRefused, Message: fmt.Sprintf("nothing was run: %s of the checks before production did not pass",
			strings.Join(names, ", ")),
		Detail: strings.Join(lines, "\n"),
		Remedy: "fix this, then run the command again; --skip-check " + names[0] + " goes on without it",
	}
}

// protectedBy says, for people, what a database is protected by.
func (a *app) protectedBy(p *project.Project, by whimbrel.Protection) string {
	switch {
	case p.Database.Protected:
		return p.Database.Source + " is protected"
	case by.Since.IsZero() && by.Name != "":
		return "this is the database of environment " + by.Name + ", which is protected"
	case by.Name != "":
		return "this database is protected (as " + by.Name + ", since " + clock(by.Since) + ")"
	}
	return "this database is protected"
}
