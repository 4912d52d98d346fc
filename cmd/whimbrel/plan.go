package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newPlan(a *app) *cobra.Command {
	flags := &runFlags{}
	var limit int
	var down whimbrel.DownOptions
	command := &cobra.Command{
		Use:   "plan [up | down [STEPS] | redo [STEPS] | to VERSION]",
		Short: "Show what a command would do, without doing it",
		Long: `Show what up (or down, redo, to) would do: the migrations, their steps and, with
-v, their statements. It only reads, and needs no right to write.`,
		Example: `  whimbrel plan
  whimbrel plan down 2
  whimbrel plan to 20240115120000 --json`,
		Args:      arguments(0, 2, "[up | down [STEPS] | redo [STEPS] | to VERSION]"),
		ValidArgs: []string{"up", "down", "redo", "to"},
		RunE: func(command *cobra.Command, args []string) error {
			if err := notNegative("--steps", limit); err != nil {
				return err
			}
			planner, err := plannerOf(args, limit, down)
			if err != nil {
				return err
			}
			if len(flags.tags) > 0 && len(args) > 0 && args[0] != "up" {
				return usage("leave --tag away", "--tag chooses among what is pending: there is none for plan %s", args[0])
			}
			return a.plan(command.Context(), flags, planner)
		},
	}
	flags.addOrder(command)
	flags.addTags(command)
	forceFlag(command, &down.ForceNoDown)
	repeatableFlag(command, &down.Repeatable)
	command.Flags().IntVar(&limit, "steps", 0, "at most `N` migrations of up (default all)")
	return command
}

// planner asks a Migrator for a plan.
type planner func(context.Context, *whimbrel.Migrator) (whimbrel.Plan, error)

// plannerOf finds the planner that the arguments of plan ask for.
func plannerOf(args []string, limit int, down whimbrel.DownOptions) (planner, error) {
	what, rest := "up", []string(nil)
	if len(args) > 0 {
		what, rest = args[0], args[1:]
	}
	switch what {
	case "up":
		if len(rest) > 0 {
			return nil, usage("write it as: whimbrel plan up --steps "+rest[0], "plan up takes no argument %q", rest[0])
		}
		return func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Plan, error) {
			return m.PlanUp(ctx, whimbrel.UpOptions{Steps: limit})
		}, nil
	case "down", "redo":
		n, err := steps(rest)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Plan, error) {
			if what == "redo" {
				return m.PlanRedo(ctx, whimbrel.RedoOptions{Steps: n})
			}
			down.Steps = n
			return m.PlanDown(ctx, down)
		}, nil
	case "to":
		if len(rest) == 0 {
			return nil, usage("write it as: whimbrel plan to VERSION", "plan to needs a version")
		}
		version, err := versionOf(rest[0])
		return func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Plan, error) {
			return m.PlanTo(ctx, version, whimbrel.ToOptions{ForceNoDown: down.ForceNoDown, Repeatable: down.Repeatable})
		}, err
	}
	remedy := didYouMean("whimbrel plan ", what, []string{"up", "down", "redo", "to"})
	if remedy == "" {
		remedy = "write up, down, redo or to"
	}
	return nil, usage(remedy, "there is no plan for %q", what)
}

// plan shows what a run would do.
func (a *app) plan(ctx context.Context, flags *runFlags, ask planner) error {
	p, err := a.open(ctx)
	if err != nil {
		return err
	}
	flags.apply(&p.config)
	migrator, err := whimbrel.New(p.config)
	if err != nil {
		return err
	}
	plan, err := ask(ctx, migrator)
	if err != nil {
		return err
	}
	if a.flags.json {
		a.object(plan)
		return nil
	}
	a.say("%s", strings.TrimRight(renderPlan(a.palette, plan, a.flags.verbose), "\n"))
	return nil
}

// renderPlan lists migrations, the steps of those that have several, and their
// statements where statements is set.
func renderPlan(p palette, plan whimbrel.Plan, statements bool) string {
	var b strings.Builder
	if len(plan.Migrations) == 0 {
		b.WriteString("Nothing to do.\n")
	} else {
		fmt.Fprintf(&b, "%s would run:\n", plural(len(plan.Migrations), "migration"))
	}
	width := 0
	for _, m := range plan.Migrations {
		width = max(width, lipgloss.Width(title(m.Migration.Version, m.Migration.Name)))
	}
	b.WriteString(renderHook(p, plan.Before, statements))
	for _, m := range plan.Migrations {
		b.WriteString(renderPlanned(p, m, min(width, 60), statements))
	}
	b.WriteString(renderHook(p, plan.After, statements))
	for _, m := range plan.Skipped {
		fmt.Fprintf(&b, "%s %s %s is out of order and stays pending\n", p.warn("-"), m.Version, m.Name)
	}
	return b.String()
}

// renderHook shows a hook of the run; nil for none.
func renderHook(p palette, hook *whimbrel.Planned, statements bool) string {
	if hook == nil {
		return ""
	}
	text := fmt.Sprintf("%s %s  %s\n", p.faint("·"), hook.Migration.Name, p.faint("the hook "+hook.Migration.Path))
	if statements {
		text += renderStatements(p, hook.Steps[0], false)
	}
	return text
}

// renderStatements lists a step's statements, those of hooks with their file
// where that is not plain.
func renderStatements(p palette, step whimbrel.Step, named bool) string {
	var b strings.Builder
	for _, s := range step.Statements {
		text := oneLine(s.Written(), 100)
		if named && s.Hook != nil {
			text += p.faint("  -- " + s.Hook.Path)
		}
		fmt.Fprintf(&b, "%s %s\n", p.faint(fmt.Sprintf("%8d |", s.Start.Line)), text)
	}
	return b.String()
}

func renderPlanned(p palette, m whimbrel.Planned, width int, statements bool) string {
	var b strings.Builder
	arrow := p.good("↑")
	if m.Direction == whimbrel.Down {
		arrow = p.warn("↓")
	}
	name := pad(title(m.Migration.Version, m.Migration.Name), width)
	about := plural(len(m.Steps), "step")
	switch {
	case m.RecordOnly:
		about = "only the record changes, nothing runs"
	case m.Atomic():
		about = "one transaction: " + m.Steps[0].Summary()
	}
	if m.Stored {
		about += "; the way back that was stored, as the file is not there"
	}
	fmt.Fprintf(&b, "%s %s  %s\n", arrow, name, p.faint(about))
	how := 0
	for _, step := range m.Steps {
		how = max(how, lipgloss.Width(howItRuns(step)))
	}
	for _, step := range m.Steps {
		if !m.Atomic() {
			b.WriteString(renderStep(p, step, how))
		}
		if statements {
			b.WriteString(renderStatements(p, step, true))
		}
	}
	return b.String()
}

// howItRuns says how a step of a chain runs.
func howItRuns(step whimbrel.Step) string {
	switch step.Kind {
	case whimbrel.StepAlone:
		return "by itself"
	case whimbrel.StepScript, whimbrel.StepFunc:
		return "outside a transaction"
	case whimbrel.StepBatch:
		batch := step.Statements[0].Batch
		how := fmt.Sprintf("in batches of %d by %s", batch.Size, strings.Join(batch.Key, ", "))
		if batch.Workers > 1 {
			how += fmt.Sprintf(", %d workers", batch.Workers)
		}
		return how
	}
	return "in a transaction"
}

// renderStep shows a step of a chain. width is that of how steps run.
func renderStep(p palette, step whimbrel.Step, width int) string {
	what, below := step.Summary(), ""
	if step.Kind == whimbrel.StepBatch {
		what = step.Statements[0].Command + " through " + step.Statements[0].Batch.Table
		below = "rows written below the cursor while it runs are not looked for again: put an Assert below it"
		for _, s := range step.Statements[1:] {
			what += ", until " + cmp.Or(s.Assert.Message, "the Assert below it holds")
			below = ""
		}
	}
	if step.Done {
		what += p.faint("  done")
	} else if step.Started {
		what += p.faint("  begun")
	}
	text := fmt.Sprintf("    %2d  %s  %s\n", step.Number, pad(howItRuns(step), width), what)
	if below != "" {
		text += "        " + p.warn("! "+below) + "\n"
	}
	return text
}
