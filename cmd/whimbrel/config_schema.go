package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/docs"
)

func newConfig(a *app) *cobra.Command {
	command := &cobra.Command{
		Use:     "config",
		Short:   "Inspect the configuration",
		Example: "  whimbrel config schema > whimbrel.schema.json",
		Args:    arguments(0, 0, ""),
		RunE:    func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(newConfigSchema(a))
	return command
}

func newConfigSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of whimbrel.yaml, for editors",
		Long: `Print the JSON schema of whimbrel.yaml. Editors that know YAML complete and
check the file with it. The language server for YAML takes it from this first
line:
  # yaml-language-server: $schema=whimbrel.schema.json`,
		Example: "  whimbrel config schema > whimbrel.schema.json",
		Args:    arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.out, docs.Schema)
			return err
		},
	}
}
