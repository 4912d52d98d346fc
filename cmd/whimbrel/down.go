package main

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/whimbrel-db/whimbrel"
)

func newDown(a *app) *cobra.Command {
	flags := &runFlags{}
	options := whimbrel.DownOptions{}
	command := &cobra.Command{
		Use:   "down [STEPS]",
		Short: "Roll the newest migrations back, one unless said otherwise",
		Long: `Roll the newest migrations back, newest first: one, or as many as STEPS says.

A migration whose file is not there is rolled back with the way back that was
stored when it ran. One without a way back is refused, and nothing is rolled
back, unless --force-no-down says that it shall be forgotten.`,
		Example: `  whimbrel down
  whimbrel down 3
  whimbrel down 2 --dry-run`,
		Args:        arguments(0, 1, "[STEPS]"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
			var err error
			if options.Steps, err = steps(args); err != nil {
				return err
			}
			return a.change(command, flags, change{
				plan: func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Plan, error) {
					return m.PlanDown(ctx, options)
				},
				do: func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Result, error) { return m.Down(ctx, options) },
			})
		},
	}
	flags.add(command)
	forceFlag(command, &options.ForceNoDown)
	repeatableFlag(command, &options.Repeatable)
	return command
}

func forceFlag(command *cobra.Command, force *bool) {
	command.Flags().BoolVar(force, "force-no-down", false, "forget migrations that have no way back, running nothing for them")
}

func repeatableFlag(command *cobra.Command, repeatable *bool) {
	command.Flags().BoolVar(repeatable, "repeatable", false, "first take back the repeatable migrations that have a way back; the next up runs them again")
}

// steps reads an optional number of migrations; 0: it is not given.
func steps(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return 0, usage("write a number from 1, or nothing for one migration", "%q is no number of migrations", args[0])
	}
	return n, nil
}

// sensible refuses a number or a duration that cannot be meant: whatever counts
// something counts at least one, and no duration is negative.
func sensible(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		given := f.Value.String()
		switch f.Value.Type() {
		case "int":
			if n, _ := strconv.Atoi(given); n < 0 {
				err = cmp.Or(err, usage("write a number from 1, or omit it", "--%s must not be negative", f.Name))
			} else if n == 0 {
				err = cmp.Or(err, usage("write a number from 1, or omit it", "--%s must not be 0", f.Name))
			}
		case "duration":
			if strings.HasPrefix(given, "-") {
				err = cmp.Or(err, usage("write 0s or more", "--%s must not be negative", f.Name))
			}
		}
	})
	return err
}

func notNegative(flag string, n int) error {
	if n < 0 {
		return usage("write a number from 1, or leave it away", "%s must not be negative", flag)
	}
	return nil
}
