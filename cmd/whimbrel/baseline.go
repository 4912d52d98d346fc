package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newBaseline(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "baseline VERSION",
		Short: "Record the migrations up to a version as applied, without running them",
		Long: `Record the migrations up to and with VERSION as applied, without running them.
It is for a database that already has what they would create.`,
		Example:     `  whimbrel baseline 20240115120000`,
		Args:        arguments(1, 1, "VERSION"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
			version, err := versionOf(args[0])
			if err != nil {
				return err
			}
			return a.change(command, nil, change{do: func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Result, error) {
				return m.Baseline(ctx, version)
			}})
		},
	}
}
