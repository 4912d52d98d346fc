package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newRedo(a *app) *cobra.Command {
	flags := &runFlags{}
	options := whimbrel.RedoOptions{}
	command := &cobra.Command{
		Use:   "redo [STEPS]",
		Short: "Roll back the newest migrations and run them again",
		Long: `Roll the newest migrations back and run them again: one, or as many as STEPS
says. It is for trying out a migration that is being written.`,
		Example: `  whimbrel redo
  whimbrel redo 2 --dry-run`,
		Args:        arguments(0, 1, "[STEPS]"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
			var err error
			if options.Steps, err = steps(args); err != nil {
				return err
			}
			return a.change(command, flags, change{
				plan: func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Plan, error) {
					return m.PlanRedo(ctx, options)
				},
				do: func(ctx context.Context, m *whimbrel.Migrator) (whimbrel.Result, error) { return m.Redo(ctx, options) },
			})
		},
	}
	flags.add(command)
	return command
}
