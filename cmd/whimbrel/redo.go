package main

import (
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newRedo(a *app) *cobra.Command {
	flags := &runFlags{}
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
			n, err := steps(args)
			if err != nil {
				return err
			}
			return a.change(command, flags, whimbrel.Redo(n))
		},
	}
	flags.add(command)
	return command
}
