package main

import (
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newBaseline(a *app) *cobra.Command {
	var yes, none, forget, only, withOlder bool
	command := &cobra.Command{
		Use:   "baseline VERSION|--none",
		Short: "Record migrations up to a version as applied, without running",
		Long: `Record the migrations up to and with VERSION as applied, without running them.
It is for a database that already has what they would create. On a protected
database whose history has something in it already, it asks first.

On an empty history it records all of them. Where the history has rows, it
refuses if there are older pending ones, unless --with-older says that the
database has those, too. --only records VERSION alone, as after a change by
hand; --forget takes VERSION off the history again. Neither runs anything, and
both are in the log.

With --none it begins an empty history: none of the files is applied. That
settles for good that the table of another migration tool in this database has
nothing to do with them.`,
		Example: `  whimbrel baseline 20240115120000
  whimbrel baseline --only 20240301090000
  whimbrel baseline --forget 20240301090000
  whimbrel baseline --none               # beside another tool's history`,
		Args:        arguments(0, 1, "VERSION"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
			if err := onlyOne(command.Flags(), "only", "with-older", "forget", "none"); err != nil {
				return err
			}
			if none {
				return a.beginHistory(command, args)
			}
			if err := arguments(1, 1, "VERSION")(command, args); err != nil {
				return err
			}
			version, err := versionOf(args[0])
			if err != nil {
				return err
			}
			goal := whimbrel.Baseline
			switch { // only one of them is given
			case forget:
				goal = whimbrel.Forget
			case only:
				goal = whimbrel.BaselineOnly
			case withOlder:
				goal = whimbrel.BaselineWithOlder
			}
			return a.change(command, recording(yes), goal(version))
		},
	}
	command.Flags().BoolVar(&yes, "yes", false, "on a protected database, do it without asking")
	flags := command.Flags()
	flags.BoolVar(&only, "only", false, "record VERSION by itself, whatever is pending")
	flags.BoolVar(&withOlder, "with-older", false, "record older pending ones, too, where the history has rows")
	flags.BoolVar(&forget, "forget", false, "take VERSION off the history, and run nothing")
	flags.BoolVar(&none, "none", false, "begin an empty history: no file is applied")
	return command
}

// beginHistory begins an empty history.
func (a *app) beginHistory(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("use only one of them", "--none and %s contradict each other", args[0])
	}
	p, err := a.open(command.Context())
	if err != nil {
		return err
	}
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		return err
	}
	if err := migrator.Begin(command.Context()); err != nil {
		return err
	}
	status, err := migrator.Status(command.Context())
	if err != nil {
		return err
	}
	if a.flags.json {
		a.object(status)
		return nil
	}
	a.say("%s the history begins in %s, empty: %s pending", a.style.Good("✓"), status.Table, are(len(status.Pending),
		"migration"))
	return nil
}
