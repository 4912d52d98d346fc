package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// planFlags are the flags of plan beside those that the order depends on.
type planFlags struct {
	runFlags
	limit                     int
	back                      rollbackFlags
	brief, rehearse, markdown bool
	out                       string
}

func newPlan(a *app) *cobra.Command {
	flags := &planFlags{}
	command := &cobra.Command{
		Use:   "plan [up | down [STEPS] | redo [STEPS] | to VERSION]",
		Short: "Show what a command would do to the database, without doing it",
		Long: `Say what up (or down, redo, to) would do to this database: the steps of each
migration, the locks that it takes and how long it holds them, what is read and
rewritten, about how long that takes on tables of this size, what is lost,
how to go back, whether the application or the migration is to be deployed
first, and how risky it all is. With -v also on what that is based.

It only reads: the history, the catalog and the sizes of tables. The role needs
no more than SELECT on whimbrel's tables, and pg_read_all_stats (or pg_monitor)
to see everything; with less it says what it could not see.

--rehearse runs the migrations and their down migrations on a throw-away server
first, and corrects the judgement by what it sees there. --out freezes the plan
in a file: "whimbrel up --plan FILE" runs exactly that, or says what has changed
and ends in status 3.`,
		Example: `  whimbrel plan
  whimbrel plan --rehearse --markdown
  whimbrel plan --env production --out plan.json   # then: whimbrel up --env production --plan plan.json
  whimbrel plan down 2
  whimbrel plan to 20240115120000 --json
  whimbrel plan --brief                            # the migrations and their steps, at once`,
		Args:      arguments(0, 2, "[up | down [STEPS] | redo [STEPS] | to VERSION]"),
		ValidArgs: []string{"up", "down", "redo", "to"},
		RunE: func(command *cobra.Command, args []string) error {
			if err := flags.check(args, a.flags.json); err != nil {
				return err
			}
			goal, err := goalOf(args, flags.limit, flags.back.how())
			if err != nil {
				return err
			}
			if flags.brief && flags.out == "" {
				return a.plan(command.Context(), &flags.runFlags, goal)
			}
			return a.judgePlan(command.Context(), flags, goal)
		},
	}
	flags.addOrder(command)
	flags.addTags(command)
	flags.back.add(command)
	set := command.Flags()
	set.IntVar(&flags.limit, "steps", 0, "at most `N` migrations of up (default all)")
	set.BoolVar(&flags.brief, "brief", false, "only the migrations and their steps, without a judgement")
	set.BoolVar(&flags.rehearse, "rehearse", false,
		"run them on a throw-away server first, and believe what is seen there")
	set.BoolVar(&flags.markdown, "markdown", false, "write Markdown, for a pull request or a ticket")
	set.StringVar(&flags.out, "out", "", "freeze the plan of up in `FILE`, for up --plan")
	return command
}

// check refuses flags that contradict each other.
func (f *planFlags) check(args []string, json bool) error {
	what := "up"
	if len(args) > 0 {
		what = args[0]
	}
	switch {
	case f.brief && f.rehearse:
		return usage("use only one of them", "--brief and --rehearse contradict each other")
	case f.brief && f.markdown:
		return usage("use only one of them", "--brief and --markdown contradict each other")
	case json && f.markdown:
		return usage("use only one of them", "--json and --markdown contradict each other")
	case f.out != "" && what != "up":
		return usage("leave --out away", "only a plan of up can be frozen, not one of %s", what)
	case len(f.tags) > 0 && what != "up":
		return usage("leave --tag away", "--tag chooses among what is pending: there is none for plan %s", what)
	}
	return nil
}

// judgePlan shows a plan with what it does to the database, and freezes it where
// that is asked.
func (a *app) judgePlan(ctx context.Context, flags *planFlags, goal whimbrel.Goal) error {
	p, err := a.openAhead(ctx)
	if err != nil {
		return err
	}
	flags.apply(&p.Config)
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		return err
	}
	plan, err := migrator.Plan(ctx, goal)
	if err != nil {
		return err
	}
	var told judgement
	if !flags.brief {
		if told, err = a.study(ctx, p, migrator, plan, flags); err != nil {
			return err
		}
	}
	if flags.out != "" {
		text, err := planDocument(plan.Basis(), told)
		if err == nil {
			err = a.writeReport(flags.out, string(text))
		}
		if err != nil {
			return files.CannotWrite(flags.out, err)
		}
	}
	a.showPlan(flags, plan, told)
	if flags.out != "" {
		a.note("the plan is in %s; run it with: whimbrel up --plan %s", flags.out, flags.out)
	}
	if told != nil && told.Refused() {
		return refusedError{}
	}
	return nil
}

// showPlan prints a plan, with the judgement if there is one.
func (a *app) showPlan(flags *planFlags, plan whimbrel.Plan, told judgement) {
	switch p := a.style; {
	case a.flags.json && told == nil:
		a.object(plan)
	case a.flags.json:
		a.object(told)
	case told == nil:
		a.say("%s", strings.TrimRight(renderPlan(p, plan, a.flags.verbose), "\n"))
	case flags.markdown:
		a.say("%s", strings.TrimRight(told.Markdown(), "\n"))
	default:
		text := renderHook(p, plan.Before, a.flags.verbose) + told.text(p, a.flags.verbose) + renderHook(p, plan.After,
			a.flags.verbose)
		a.say("%s%s%s", renderHalfDone(p, plan), renderOthers(p, plan.Others), strings.TrimRight(text, "\n"))
	}
}

// judgement is what can be said of a plan beside its steps.
type judgement interface {
	Markdown() string
	// Refused reports whether a rehearsal shows that the plan does not run through.
	Refused() bool
	text(p present.Style, verbose bool) string
}

// goalOf finds the goal that the arguments of plan ask for.
func goalOf(args []string, limit int, how whimbrel.Rollback) (goal whimbrel.Goal, err error) {
	what, rest := "up", []string(nil)
	if len(args) > 0 {
		what, rest = args[0], args[1:]
	}
	switch what {
	case "up":
		if len(rest) > 0 {
			return goal, usage("write it as: whimbrel plan up --steps "+rest[0], "plan up takes no argument %q", rest[0])
		}
		return upTo(limit), nil
	case "down", "redo":
		n, err := steps(rest)
		if err != nil {
			return goal, err
		}
		if what == "redo" {
			return whimbrel.Redo(n), nil
		}
		return whimbrel.Back(n, how), nil
	case "to":
		if len(rest) == 0 {
			return goal, usage("write it as: whimbrel plan to VERSION", "plan to needs a version")
		}
		version, err := versionOf(rest[0])
		return whimbrel.Version(version, how), err
	}
	remedy := plaintext.DidYouMean("whimbrel plan ", what, []string{"up", "down", "redo", "to"})
	if remedy == "" {
		remedy = "write up, down, redo or to"
	}
	return goal, usage(remedy, "no plan for %q", what)
}

// plan shows what a run would do.
func (a *app) plan(ctx context.Context, flags *runFlags, goal whimbrel.Goal) error {
	p, err := a.openAhead(ctx)
	if err != nil {
		return err
	}
	flags.apply(&p.Config)
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		return err
	}
	plan, err := migrator.Plan(ctx, goal)
	if err != nil {
		return err
	}
	if a.flags.json {
		a.object(plan)
		return nil
	}
	a.say("%s", strings.TrimRight(renderPlan(a.style, plan, a.flags.verbose), "\n"))
	return nil
}

// renderPlan lists migrations, the steps of those that have several, and their
// statements where statements is set.
func renderPlan(p present.Style, plan whimbrel.Plan, statements bool) string {
	var b strings.Builder
	if len(plan.Migrations) == 0 {
		b.WriteString("Nothing to do.\n")
	} else {
		fmt.Fprintf(&b, "%s would run:\n", present.Plural(len(plan.Migrations), "migration"))
	}
	width := 0
	for _, m := range plan.Migrations {
		width = max(width, present.Width(title(m.Migration.Version, m.Migration.Name)))
	}
	b.WriteString(renderHook(p, plan.Before, statements))
	for _, m := range plan.Migrations {
		b.WriteString(renderPlanned(p, m, min(width, 60), statements))
	}
	b.WriteString(renderHook(p, plan.After, statements))
	b.WriteString(renderOthers(p, plan.Others))
	for _, m := range plan.Skipped {
		fmt.Fprintf(&b, "%s %s %s is out of order and stays pending\n", p.Warning("-"), m.Version, m.Name)
	}
	return b.String()
}

// renderOthers mentions the histories of other tools, and says of which of them up would
// not run.
func renderOthers(p present.Style, others []whimbrel.OtherHistory) string {
	var b strings.Builder
	for _, other := range others {
		if e := other.Refusal(); e != nil {
			fmt.Fprintf(&b, "%s\n  %s %s\n", p.Bad("! "+e.Message), p.Faint("remedy:"), commandLine(e.Remedy))
		} else {
			b.WriteString(p.Faint(other.String()) + "\n")
		}
	}
	return b.String()
}

// renderHook shows a hook of the run; nil for none.
func renderHook(p present.Style, hook *whimbrel.Planned, statements bool) string {
	if hook == nil {
		return ""
	}
	text := fmt.Sprintf("%s %s  %s\n", p.Faint("·"), hook.Migration.Name, p.Faint("the hook "+hook.Migration.Path))
	if statements {
		text += renderStatements(p, hook.Steps[0], false)
	}
	return text
}

// renderStatements lists a step's statements, those of hooks with their file
// where that is not plain.
func renderStatements(p present.Style, step whimbrel.Step, named bool) string {
	var b strings.Builder
	for _, s := range step.Statements {
		text := present.OneLine(s.Written(), 100)
		if named && s.Hook() != nil {
			text += p.Faint("  -- " + s.Hook().Path)
		}
		fmt.Fprintf(&b, "%s %s\n", p.Faint(fmt.Sprintf("%8d |", s.Start.Line)), text)
	}
	return b.String()
}

// renderHalfDone shows what has stopped half-way and goes on, or is undone, step by
// step; nothing where nothing has.
func renderHalfDone(p present.Style, plan whimbrel.Plan) string {
	var b strings.Builder
	for _, m := range plan.Migrations {
		if u := m.Unfinished(); u != nil {
			fmt.Fprintf(&b, "%s:\n%s\n", u, renderUnfinishedSteps(p, *u))
		}
	}
	return b.String()
}

func renderPlanned(p present.Style, m whimbrel.Planned, width int, statements bool) string {
	var b strings.Builder
	arrow := p.Good("↑")
	if m.Direction == whimbrel.Down {
		arrow = p.Warning("↓")
	}
	name := present.Pad(title(m.Migration.Version, m.Migration.Name), width)
	about := present.Plural(len(m.Steps), "step")
	if m.Divided() {
		about += ", not all or nothing"
	}
	switch {
	case m.RecordOnly():
		about = "only the record changes, nothing runs"
	case m.Atomic():
		about = "one transaction: " + m.Steps[0].Summary()
	}
	if m.Source == whimbrel.SourceHistory {
		about += "; by the down section that was stored, as the file is not there"
	}
	fmt.Fprintf(&b, "%s %s  %s\n", arrow, name, p.Faint(about))
	if u := m.Unfinished(); u != nil {
		fmt.Fprintf(&b, "    %s:\n%s", u, renderUnfinishedSteps(p, *u))
	}
	how := 0
	for _, step := range m.Steps {
		how = max(how, present.Width(howItRuns(step)))
	}
	for _, step := range m.Steps {
		if !m.Atomic() {
			b.WriteString(renderStep(p, step, how))
			if local := m.Local(step); len(local) > 0 {
				fmt.Fprintf(&b, "        %s\n", p.Warning(fmt.Sprintf("! SET LOCAL %s ends here, with the step",
					strings.Join(local, ", "))))
			}
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
		batch := step.Body()[0].Batch
		how := fmt.Sprintf("in batches of %d by %s", batch.Size, strings.Join(batch.Key, ", "))
		if batch.Workers > 1 {
			how += fmt.Sprintf(", %d workers", batch.Workers)
		}
		return how
	}
	return "in a transaction"
}

// renderStep shows a step of a chain. width is that of how steps run.
func renderStep(p present.Style, step whimbrel.Step, width int) string {
	what, below := step.Summary(), ""
	if step.Kind == whimbrel.StepBatch {
		what = step.Body()[0].Command + " through " + step.Body()[0].Batch.Table
		below = "rows written below the cursor while it runs are not looked for again: put an Assert below it"
		for _, s := range step.Body()[1:] {
			what += ", until " + cmp.Or(s.Assert.Message, "the Assert below it holds")
			below = ""
		}
	}
	if step.Done {
		what += p.Faint("  done")
	} else if step.Started {
		what += p.Faint("  begun")
	}
	text := fmt.Sprintf("    %2d  %s  %s\n", step.Number, present.Pad(howItRuns(step), width), what)
	if below != "" {
		text += "        " + p.Warning("! "+below) + "\n"
	}
	return text
}
