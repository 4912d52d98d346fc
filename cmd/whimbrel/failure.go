package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

// failing is what is known about the migration that failed.
type failing struct {
	migration whimbrel.Ref
	after     time.Duration
	// steps of a chain, and how many of them are done and stay; steps is 0
	// where the migration was one transaction.
	steps, done int
	kind        whimbrel.StepKind // of the step that failed
	filling     *filling          // how far that step was, if it was in a backfill
	unknown     bool              // whether what was on its way is done, nobody knows
}

// headline says what is left of the migration that failed or was interrupted.
func (f failing) headline(verb string) string {
	name := title(f.migration.Version, f.migration.Name)
	if f.migration.Direction == whimbrel.Down {
		name += ", while it was rolled back,"
	}
	return fmt.Sprintf("%s %s after %s; %s", name, verb, present.Duration(f.after), f.left())
}

// left says what is left of it, as far as that is known.
func (f failing) left() string {
	next := "the next run goes on after them"
	if f.unknown {
		next = "whether what was on its way is done is unknown: run `whimbrel status`"
	}
	steps := fmt.Sprintf("%d of its %d steps", f.done, f.steps)
	chain := f.steps > 1 && f.done > 0
	switch {
	case f.filling != nil && f.filling.progress.Keys > 0:
		if chain {
			return fmt.Sprintf("%s, and the batches of the next one up to %s, are done and stay; %s", steps,
				f.filling.reached(), next)
		}
		return fmt.Sprintf("the batches up to %s are done and stay; %s", f.filling.reached(), next)
	case f.filling != nil && chain:
		return steps + ", and what the batches of the next one did, are done and stay; " + next
	case f.filling != nil:
		return "the batches that are done stay; " + next
	case chain:
		return steps + " are done and stay; " + next
	case f.unknown:
		return "whether it is done is unknown: run `whimbrel status`"
	case f.kind == whimbrel.StepScript || f.kind == whimbrel.StepFunc: // some run outside a transaction
		return "what it did in a transaction is rolled back"
	}
	return "nothing of it stays"
}

// reportFailure prints err: on stderr for people, on stdout for machines.
func (a *app) reportFailure(err error) {
	all := failures(err)
	if !a.flags.json {
		var b strings.Builder
		for i, e := range all {
			context := a.failing
			if i > 0 {
				context = nil
			}
			b.WriteString(renderFailure(a.errStyle, e, context))
		}
		_, _ = fmt.Fprint(a.err, b.String())
		return
	}
	shown := failureJSON{Error: all[0]}
	if a.streaming {
		shown.Event = "error"
	}
	if len(all) > 1 {
		shown.Errors = all
	}
	a.object(shown)
}

// failureJSON is a failure for machines. Errors is there when there are
// several, and Error is the first of them.
type failureJSON struct {
	Event  string            `json:"event,omitempty"`
	Error  *whimbrel.Error   `json:"error"`
	Errors []*whimbrel.Error `json:"errors,omitempty"`
}

// object writes one line of JSON to stdout.
func (a *app) object(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		text, _ = json.Marshal(failureJSON{Error: &whimbrel.Error{Code: whimbrel.CodeInternal, Message: err.Error()}})
	}
	_, _ = fmt.Fprintf(a.out, "%s\n", a.withWalls(text))
}

// failures are all the errors that err holds; at least one.
func failures(err error) []*whimbrel.Error {
	var own *whimbrel.Error
	if errors.As(err, &own) && len(migration.Problems(err)) < 2 {
		return []*whimbrel.Error{spoken(own)}
	}
	var all []*whimbrel.Error
	for _, problem := range migration.Problems(err) {
		all = append(all, &whimbrel.Error{
			Code: problem.Code, Message: problem.Message, Remedy: commandLine(problem.Remedy),
			Path: problem.Path, Line: problem.Position.Line, Column: problem.Position.Column, Err: problem,
		})
	}
	if len(all) == 0 {
		own := &whimbrel.Error{Code: whimbrel.CodeInternal, Message: err.Error(), Err: err}
		if message, remedy := devdb.Explain(err); remedy != "" {
			own.Code, own.Message, own.Remedy = whimbrel.CodeConnection, message, remedy
		}
		all = append(all, own)
	}
	return all
}

// renderFailure gives the block of one error: a headline, the place, the line
// to blame with a caret, and what to do.
func renderFailure(p present.Style, e *whimbrel.Error, context *failing) string {
	var b strings.Builder
	headline, rest := e.Error(), ""
	if context != nil {
		headline, rest = context.headline("failed"), e.Error()
		if e.Code == whimbrel.CodeInterrupted {
			headline = context.headline("was interrupted")
		}
	}
	fmt.Fprintf(&b, "%s %s\n", p.Bad("✗"), indented(headline, "  "))
	if rest != "" {
		fmt.Fprintf(&b, "  %s\n", indented(rest, "  "))
	}
	b.WriteString(excerpt(p, e))
	for _, part := range []struct{ label, text string }{
		{"detail:", e.Detail}, {"hint:", e.Hint}, {"where:", e.Where}, {"remedy:", e.Remedy},
	} {
		if part.text != "" {
			fmt.Fprintf(&b, "  %s %s\n", p.Faint(present.Pad(part.label, 7)), indented(part.text, "          "))
		}
	}
	return b.String()
}

// excerpt shows the line to blame, numbered, with the caret below it.
func excerpt(p present.Style, e *whimbrel.Error) string {
	if e.Statement == "" {
		return ""
	}
	var b strings.Builder
	gutter := "     "
	if e.Line > 0 {
		gutter = fmt.Sprintf("%8d", e.Line)
	}
	for i, line := range strings.Split(strings.TrimRight(e.Statement, "\n"), "\n") {
		if i > 0 {
			gutter = strings.Repeat(" ", len(gutter))
		}
		b.WriteString(p.Faint(gutter+" |") + strings.TrimRight(" "+line, " ") + "\n")
	}
	return b.String()
}

// indented puts a prefix before every line but the first.
func indented(text, prefix string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+prefix)
}
