package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/project"
	"github.com/whimbrel-db/whimbrel/trial"
)

func newDown(a *app) *cobra.Command {
	flags := &runFlags{}
	var back rollbackFlags
	command := &cobra.Command{
		Use:   "down [STEPS]",
		Short: "Roll back the newest migrations, one by default",
		Long: `Roll the newest migrations back, newest first: one, or as many as STEPS says.

A migration whose file is not there is rolled back with the down section that
was stored when it ran. One without a down section is refused, and nothing is
rolled back, unless --force-no-down is given: then it is only taken off the
history.`,
		Example: `  whimbrel down
  whimbrel down 3
  whimbrel down 2 --dry-run`,
		Args:        arguments(0, 1, "[STEPS]"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
			n, err := steps(args)
			if err != nil {
				return err
			}
			return a.change(command, flags, whimbrel.Back(n, back.how()))
		},
	}
	flags.add(command)
	back.add(command)
	return command
}

// rollbackFlags say how to roll back.
type rollbackFlags struct{ force, repeatable bool }

// add declares them on a command.
func (f *rollbackFlags) add(command *cobra.Command) {
	command.Flags().BoolVar(&f.force, "force-no-down", false,
		"take migrations without a down section off the history, running nothing for them")
	command.Flags().BoolVar(&f.repeatable, "repeatable", false,
		"first roll back the repeatable migrations that have a down section; the next up runs them again")
}

func (f *rollbackFlags) how() (how whimbrel.Rollback) {
	if f.force {
		how |= whimbrel.ForceNoDown
	}
	if f.repeatable {
		how |= whimbrel.RepeatableFirst
	}
	return how
}

// steps reads an optional number of migrations, which is 1 where it is not given.
func steps(args []string) (int, error) {
	if len(args) == 0 {
		return 1, nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return 0, usage("write a number from 1, or nothing for one migration", "invalid number of migrations %q", args[0])
	}
	return n, nil
}

// sensible refuses numbers and durations that cannot be meant, in any flag of any
// command.
func sensible(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		switch f.Value.Type() {
		case "int":
			n, _ := strconv.Atoi(f.Value.String())
			err = cmp.Or(err, sensibleNumber(f.Name, n))
		case "duration":
			d, _ := time.ParseDuration(f.Value.String())
			err = cmp.Or(err, sensibleDuration(f.Name, d))
		}
	})
	return err
}

// onlyOne refuses several of flags that contradict each other.
func onlyOne(flags *pflag.FlagSet, names ...string) error {
	var given []string
	for _, name := range names {
		if flags.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) < 2 {
		return nil
	}
	return usage("use only one of them", "%s contradict each other", strings.Join(given, " and "))
}

// sensibleNumber refuses numbers that cannot be meant: whatever counts something counts
// at least one.
func sensibleNumber(flag string, n int) error {
	const remedy = "write a number from 1, or omit it"
	switch {
	case n < 0:
		return usage(remedy, "--%s must not be negative", flag)
	case n == 0:
		return usage(remedy, "--%s must not be 0", flag)
	case flag == "pg-version" && !project.KnownMajor(n):
		return usage("write one of "+project.Majors(), "--%s: there is no PostgreSQL %d to work with", flag, n)
	case flag == "at-scale" && n > trial.MostRows:
		return usage(fmt.Sprintf("write at most %d", trial.MostRows), "--%s: %d rows cannot be made", flag, n)
	}
	return nil
}

func sensibleDuration(flag string, d time.Duration) error {
	switch {
	case d < 0:
		return usage("write 0s or more", "--%s must not be negative", flag)
	case flag == "max-stall" && (d < time.Millisecond || d > whimbrel.LongestStall):
		return usage(fmt.Sprintf("write at least 1ms, and at most %s", whimbrel.LongestStall),
			"--%s: a stall budget of %s cannot be kept", flag, d)
	}
	return nil
}
