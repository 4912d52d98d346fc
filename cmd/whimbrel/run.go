package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// run executes one command line and gives the exit status. It blocks until
// the command is done and leaves nothing running.
func run(ctx context.Context, args []string, env environment) int {
	ctx, interruption := watch(ctx, env.interrupts, func() {
		if env.outTerminal && env.errTerminal {
			_, _ = fmt.Fprint(env.stderr, "\r"+ansi.EraseEntireLine) // a live line may stand there
		}
		_, _ = fmt.Fprintln(env.stderr, "finishing the current step or batch; press Ctrl-C again to cancel it")
	})
	defer interruption.end()
	a := newApp(env, interruption)
	defer func() { a.opening.Close() }()
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(env.stdin)
	root.SetOut(a.out)
	root.SetErr(a.err)
	// Flags that stand after the mistake, --json above all, must count too.
	a.flags.json = slices.Contains(args, "--json")
	a.begin()
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	a.streaming = command.Annotations["output"] == "events" && !slices.Contains(args, "--dry-run")
	if !told(err) {
		err = asUsage(root, command, err)
		a.reportFailure(err)
	}
	if interruption.came.Load() && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitStatus(err)
}

// asUsage gives cobra's own errors, which are all about the command line, the
// form of ours.
func asUsage(root, command *cobra.Command, err error) error {
	var own *whimbrel.Error
	message := err.Error()
	if errors.As(err, &own) || !strings.HasPrefix(message, "unknown command") && !strings.HasPrefix(message,
		"required flag") {
		return err
	}
	first, _, _ := strings.Cut(message, "\n")
	remedy := "see " + root.Name() + " --help"
	if flags, missing := strings.CutPrefix(first, "required flag(s) "); missing {
		flags = "--" + strings.Join(strings.Split(strings.ReplaceAll(strings.TrimSuffix(flags, " not set"), `"`, ""), ", "),
			", --")
		return usage("say it; see "+command.CommandPath()+" --help", "%s is missing", flags)
	}
	if parts := strings.Split(first, `"`); len(parts) > 1 {
		if near := plaintext.DidYouMean(root.Name()+" ", parts[1], names(root)); near != "" {
			remedy = near
		}
	}
	return usage(remedy, "%s", first)
}

// names are the names of a command's sub-commands.
func names(command *cobra.Command) []string {
	var all []string
	for _, sub := range command.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, sub.Name())
		}
	}
	return all
}

// flagError is cobra's hook for errors in flags.
func flagError(command *cobra.Command, err error) error {
	remedy := "see " + command.CommandPath() + " --help"
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var flags []string
		command.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, f.Name) })
		if near := plaintext.DidYouMean("--", unknown.GetSpecifiedName(), flags); near != "" &&
			unknown.GetSpecifiedName() != "" {
			remedy = near
		}
	}
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		flag := invalid.GetFlag()
		kind, want, _ := strings.Cut(valueName(flag.Value.Type()), ":")
		if want != "" {
			want = ":" + want
		}
		return usage(remedy, "--%s: invalid %s %q%s", flag.Name, kind, invalid.GetValue(), want)
	}
	return usage(remedy, "%v", err)
}

// valueName is what a flag's type is called.
func valueName(kind string) string {
	switch kind {
	case "int":
		return "whole number"
	case "duration":
		return "duration: write a number with its unit, as in 100ms, 30s or 10m"
	case "bool":
		return "value: write true or false"
	}
	return kind
}

// arguments allows between least and most arguments; form shows them.
func arguments(least, most int, form string) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		remedy := "write it as: " + strings.TrimSpace(command.CommandPath()+" "+form)
		switch {
		case len(args) < least:
			return usage(remedy, "%s needs %s", command.CommandPath(), form)
		case len(args) > most && command.HasSubCommands():
			if near := plaintext.DidYouMean(command.CommandPath()+" ", args[0], names(command)); near != "" {
				remedy = near
			}
			return usage(remedy, "unknown command %q for %q", args[0], command.CommandPath())
		case len(args) > most:
			return usage(remedy, "%s takes no argument %q", command.CommandPath(), args[most])
		}
		return nil
	}
}
