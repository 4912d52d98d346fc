package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newBaseline(a *app) *cobra.Command {
	var yes, none bool
	command := &cobra.Command{
		Use:   "baseline VERSION|--none",
		Short: "Record the migrations up to a version as applied, without running them",
		Long: `Record the migrations up to and with VERSION as applied, without running them.
It is for a database that already has what they would create. On a protected
database whose history has something in it already, it asks first.

With --none it begins an empty history: none of the files is applied. That settles for
good that the table of another migration tool in this database has nothing to do with
them.`,
		Example: `  whimbrel baseline 20240115120000
  whimbrel baseline --none               # beside another tool's history`,
		Args:        arguments(0, 1, "VERSION"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
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
			return a.change(command, recording(yes), change{do: func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Result, error) {
				return m.Baseline(ctx, version)
			}})
		},
	}
	command.Flags().BoolVar(&yes, "yes", false, "on a protected database, do it without asking")
	command.Flags().BoolVar(&none, "none", false, "begin an empty history: no file is applied")
	return command
}

// beginHistory begins an empty history.
func (a *app) beginHistory(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("keep one of them", "--none and %s contradict each other", args[0])
	}
	p, err := a.open(command.Context())
	if err != nil {
		return err
	}
	migrator, err := whimbrel.New(p.config)
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
	a.say("%s the history begins in %s, empty: %s pending", a.palette.good("✓"), status.Table, are(len(status.Pending), "migration"))
	return nil
}
