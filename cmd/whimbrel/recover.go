package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

func newRecover(a *app) *cobra.Command {
	flags := &runFlags{}
	chosen := map[whimbrel.Action]*bool{}
	command := &cobra.Command{
		Use:   "recover [VERSION]",
		Short: "Show half-done migrations; continue, restart or discard one",
		Long: `Show every migration that stopped half-way, step by step. Without a flag,
nothing is changed. With one, what is to become of a migration is asked,
written into the log and done:

--continue goes on where it stopped, also where the file now says something
else than what was done: what was done stays done. --restart forgets what
was done and runs the migration from its first step; undo by hand what would be
in its way. --discard forgets what was done and runs nothing: it stays in the
database.

What stopped on its way down goes on, and begins again, on its way down.
Whether a migration that stopped half-way up is rolled back is the business of
whimbrel down.`,
		Example: `  whimbrel recover
  whimbrel recover --continue
  whimbrel recover 20240115120000 --restart --dry-run
  whimbrel recover 20240115120000 --discard --yes`,
		Args:        arguments(0, 1, "[VERSION]"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
			options, err := recoverOptions(args, chosen)
			if err != nil {
				return err
			}
			if options.Action == "" {
				return a.showUnfinished(command.Context(), options.Version)
			}
			return a.recover(command, flags, options)
		},
	}
	flags.add(command)
	for _, action := range []struct {
		action whimbrel.Action
		usage  string
	}{
		{whimbrel.RecoverContinue, "go on where it stopped; what was done stays done"},
		{whimbrel.RecoverRestart, "forget what was done, and run it from its first step"},
		{whimbrel.RecoverDiscard, "forget what was done, and run nothing"},
	} {
		chosen[action.action] = command.Flags().Bool(string(action.action), false, action.usage)
	}
	command.Flags().Lookup("yes").Usage = "do not ask"
	return command
}

// recoverOptions are what the arguments and flags say.
func recoverOptions(args []string, chosen map[whimbrel.Action]*bool) (
	options whimbrel.RecoverOptions, err error,
) {
	for action, is := range chosen {
		if *is && options.Action != "" {
			return options, usage("use only one of them", "--continue, --restart and --discard contradict each other")
		}
		if *is {
			options.Action = action
		}
	}
	if len(args) > 0 {
		options.Version, err = versionOf(args[0])
	}
	return options, err
}

// unfinishedJSON is what recover prints with --json where it changes nothing.
type unfinishedJSON struct {
	Unfinished []whimbrel.Unfinished `json:"unfinished"`
}

// showUnfinished shows what is half done, or what of one version is.
func (a *app) showUnfinished(ctx context.Context, version migration.Version) error {
	p, err := a.openAhead(ctx)
	if err != nil {
		return err
	}
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		return err
	}
	found, err := unfinished(ctx, migrator, version)
	if err != nil {
		return err
	}
	if len(found) == 0 && version != "" {
		if err := a.refuseUnknown(ctx, migrator, p.Migrations, version); err != nil {
			return err
		}
	}
	if a.flags.json {
		a.object(unfinishedJSON{found})
		return nil
	}
	if len(found) == 0 {
		a.say("Nothing is half done.")
		return nil
	}
	var b strings.Builder
	for _, u := range found {
		b.WriteString(renderUnfinished(a.style, u, time.Now()) + "\n")
	}
	a.say("%s%s", b.String(), choices(found))
	return nil
}

// refuseUnknown refuses a version that no file has and that the log does not know.
func (a *app) refuseUnknown(
	ctx context.Context, m *whimbrel.Migrator, files []migration.Migration, version migration.Version,
) error {
	named := make([]migration.Named, len(files))
	for i, file := range files {
		named[i] = file.Named()
	}
	if _, found, err := migration.Find(string(version), named); found || err != nil {
		return err
	}
	entries, err := m.History(ctx, whimbrel.HistoryOptions{Version: version, Limit: 1})
	if err == nil && len(entries) == 0 {
		return nothingHappened(version)
	}
	return err
}

// unfinished lists what is half done; of one version, if one is named.
func unfinished(ctx context.Context, m *whimbrel.Migrator, version migration.Version) ([]whimbrel.Unfinished, error) {
	all, err := m.Unfinished(ctx)
	if err != nil || version == "" {
		return all, err
	}
	own := []whimbrel.Unfinished{}
	for _, u := range all {
		if u.Version.Equal(version) {
			own = append(own, u)
		}
	}
	return own, nil
}

// choices are what can be done about what is half done.
func choices(found []whimbrel.Unfinished) string {
	name := ""
	for _, u := range found[1:] {
		if !u.Version.Equal(found[0].Version) {
			name = " VERSION"
		}
	}
	text := "Choose what becomes of it:\n"
	rows := [][]string{
		{"whimbrel recover" + name + " --continue", "go on where it stopped; what was done stays done"},
		{"whimbrel recover" + name + " --restart", "forget what was done, and run it from its first step"},
		{"whimbrel recover" + name + " --discard", "forget what was done, and run nothing"},
	}
	if found[0].Direction == whimbrel.Up && !found[0].Recorded {
		rows = append(rows, []string{"whimbrel down", "roll the newest of them back"})
	}
	return text + strings.TrimRight(present.Table(present.Style{}, nil, rows), "\n")
}

// recover asks, and lets the engine do what was chosen.
func (a *app) recover(command *cobra.Command, flags *runFlags, options whimbrel.RecoverOptions) error {
	goal := whimbrel.Recover(options.Version, options.Action)
	if flags.dryRun || flags.yes {
		return a.change(command, flags, goal)
	}
	if !a.inTerminal || a.flags.json {
		return &whimbrel.Error{
			Code: codeRefused, Message: "recover asks before it acts, and there is no terminal to ask on",
			Remedy: "add --yes if that is what you want",
		}
	}
	p, err := a.openAhead(command.Context())
	if err != nil {
		return err
	}
	flags.apply(&p.Config)
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		return err
	}
	plan, err := migrator.Plan(command.Context(), goal)
	if err != nil {
		return err
	}
	if len(plan.Migrations) > 0 {
		u := plan.Migrations[0].Unfinished()
		asked := renderUnfinished(a.errStyle, *u, time.Now()) + question(*u, options.Action)
		if err := a.sure(command.Context(), asked, false); err != nil {
			return err
		}
		flags.yes = true // a protected environment need not ask again
	}
	return a.change(command, flags, goal)
}

// question asks for one choice.
func question(u whimbrel.Unfinished, action whimbrel.Action) string {
	name := title(u.Version, u.Name)
	switch action {
	case whimbrel.RecoverContinue:
		return fmt.Sprintf("Go on with %s, and keep what was done?", name)
	case whimbrel.RecoverRestart:
		return fmt.Sprintf("Forget what was done of %s, and run it from its first step?", name)
	}
	return fmt.Sprintf("Forget what was done of %s, and leave it in the database?", name)
}

// renderUnfinished shows what is half done, step by step.
func renderUnfinished(p present.Style, u whimbrel.Unfinished, now time.Time) string {
	return p.Strong(u.String()) + p.Faint(begun(u, now)) + "\n" + renderUnfinishedSteps(p, u)
}

// begun says since when something is half done.
func begun(u whimbrel.Unfinished, now time.Time) string {
	if u.Since.IsZero() {
		return ""
	}
	text := fmt.Sprintf("  begun %s, %s", clock(u.Since), present.Ago(u.Since, now))
	if u.By != "" {
		text += ", by " + u.By
	}
	return text
}

func renderUnfinishedSteps(p present.Style, u whimbrel.Unfinished) string {
	var rows [][]string
	for _, s := range u.Steps {
		what := s.Summary
		if s.Kind == "" {
			what = "no longer in the file"
		}
		rows = append(rows, []string{fmt.Sprintf("%4d", s.Step), what, stepState(p, s)})
	}
	return present.Table(p, nil, rows)
}

func stepState(p present.Style, s whimbrel.UnfinishedStep) string {
	state := map[whimbrel.StepState]string{
		whimbrel.StepDone: p.Good("done"), whimbrel.StepStopped: p.Warning("stopped"),
		whimbrel.StepNotBegun: p.Faint("not begun"),
	}[s.State]
	if s.Keys == 0 && s.Rows > 0 && s.State == whimbrel.StepStopped {
		state += fmt.Sprintf(" before another pass, %s rows changed", present.Count(s.Rows))
	}
	if s.Keys > 0 {
		state += " at " + ofRows(s.Keys, s.Total)
	}
	if s.Rewritten {
		state += p.Warning("; the file now says something else")
	}
	return state
}
