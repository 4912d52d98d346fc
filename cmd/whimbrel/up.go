package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newUp(a *app) *cobra.Command {
	flags := &runFlags{}
	options := whimbrel.UpOptions{}
	command := &cobra.Command{
		Use:   "up",
		Short: "Run the pending migrations",
		Long: `Run the pending migrations, oldest first.

Each is recorded in the transaction that runs it. When one fails, nothing of it
stays and the earlier ones stay applied; the same command goes on from there.`,
		Example: `  whimbrel up
  whimbrel up --dev --dir examples/shop/migrations
  whimbrel up --env production --max-stall 50ms
  whimbrel up --steps 1 --dry-run
  whimbrel up --tag expand          # only migrations with this tag`,
		Args:        arguments(0, 0, ""),
		Annotations: streams,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := notNegative("--steps", options.Steps); err != nil {
				return err
			}
			return a.change(command, flags, change{
				plan: func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Plan, error) { return m.PlanUp(ctx, options) },
				do:   func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Result, error) { return m.Up(ctx, options) },
			})
		},
	}
	flags.add(command)
	flags.addTags(command)
	command.Flags().IntVar(&options.Steps, "steps", 0, "at most `N` migrations (default all)")
	return command
}
