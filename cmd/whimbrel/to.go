package main

import (
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

func newTo(a *app) *cobra.Command {
	flags := &runFlags{}
	var back rollbackFlags
	command := &cobra.Command{
		Use:   "to VERSION",
		Short: "Migrate up or down to a version; 0 is the empty database",
		Long: `Run what is pending up to VERSION, and roll back what is newer than it. The
version 0 is before the first migration: everything is rolled back.`,
		Example: `  whimbrel to 20240115120000
  whimbrel to 20240115120000 --dry-run
  whimbrel to 0`,
		Args:        arguments(1, 1, "VERSION"),
		Annotations: streams,
		RunE: func(command *cobra.Command, args []string) error {
			version, err := versionOf(args[0])
			if err != nil {
				return err
			}
			return a.change(command, flags, whimbrel.Version(version, back.how()))
		},
	}
	flags.add(command)
	back.add(command)
	return command
}

// versionOf takes a word for a migration. What it means the engine finds out, which knows
// the files and the history: a version, a name or a path.
func versionOf(text string) (migration.Version, error) {
	if text == "" {
		return "", usage("write the digits in front of the file's name", "the version is empty")
	}
	return migration.Version(text), nil
}
