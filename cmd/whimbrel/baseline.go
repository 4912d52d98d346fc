package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newBaseline(a *app) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use:   "baseline VERSION",
		Short: "Record the migrations up to a version as applied, without running them",
		Long: `Record the migrations up to and with VERSION as applied, without running them.
It is for a database that already has what they would create. On a protected
database whose history has something in it already, it asks first.`,
		Example:     `  whimbrel baseline 20240115120000`,
		Args:        arguments(1, 1, "VERSION"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
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
	return command
}
