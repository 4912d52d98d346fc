package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// newRoot builds the tree of commands.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "whimbrel",
		Short: "Migrate PostgreSQL databases: exactly once, without stalling live traffic, with proved down migrations",
		Long: `whimbrel migrates PostgreSQL databases: exactly once, one runner at a time,
without stalling live traffic, with proved down migrations.

The database is taken from the first of these that is set: --database-url or
--dev, the environment of whimbrel.yaml (--env, else its default_environment),
DATABASE_URL, DB_HOST and the other DB_* variables (DB_PORT, DB_NAME, DB_USER,
DB_PASSWORD), PG*.

Exit statuses:
` + exitTable(),
		Example: `  whimbrel init                      # a folder for migrations and a whimbrel.yaml
  whimbrel create add_users          # a new migration to fill in
  whimbrel up --dev                  # run it on a development server of your own
  whimbrel status --env production`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(command *cobra.Command, _ []string) error {
			a.begin()
			command.SetContext(devdb.Lend(devdb.WatchWalls(command.Context(), a.walled), a.lend))
			return sensible(command.Flags())
		},
	}
	root.SetFlagErrorFunc(flagError)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages", "Flags.FlagUsagesWrapped 80"))
	flags := root.PersistentFlags()
	flags.StringVar(&a.flags.env, "env", "", "the `NAME` of an environment in whimbrel.yaml")
	flags.StringVar(&a.flags.databaseURL, "database-url", "", "the database, as a `URL` or as keywords")
	flags.BoolVar(&a.flags.dev, "dev", false, "the project's development server, started where needed")
	flags.StringArrayVar(&a.flags.dirs, "dir", nil, "a `FOLDER` of migrations; may be given several times")
	flags.StringVar(&a.flags.hooks, "hooks", "",
		"a `FOLDER` with before_run.sql, after_run.sql, before_each.sql, after_each.sql")
	flags.BoolVar(&a.flags.subfolders, "subfolders", false, "read the folders within the folders of migrations too")
	flags.StringVar(&a.flags.files, "format", "",
		"the `TOOL` whose migrations lie in the folder, as goose (default: what the files look like)")
	flags.StringArrayVar(&a.flags.set, "set", nil,
		"the value of a variable of migrations, `NAME=VALUE`; may be given several times")
	flags.StringVar(&a.flags.configPath, "config", "", "the configuration `FILE` (default: the nearest whimbrel.yaml)")
	flags.StringVar(&a.flags.table, "table", "", "the history table, `[SCHEMA.]NAME` (default schema_migrations)")
	flags.BoolVar(&a.flags.json, "json", false, "machine-readable output")
	flags.BoolVar(&a.flags.noColor, "no-color", false, "no colours; NO_COLOR in the environment says the same")
	flags.BoolVarP(&a.flags.quiet, "quiet", "q", false, "print errors only")
	flags.BoolVarP(&a.flags.verbose, "verbose", "v", false, "print more")
	_ = root.RegisterFlagCompletionFunc("env", func(*cobra.Command, []string, string) ([]string,
		cobra.ShellCompDirective) {
		p, _ := a.project() // a shell has no place for an error
		return p.File.Names(), cobra.ShellCompDirectiveNoFileComp
	})
	addGroup(root, "Every day:", newCreate(a), newPlan(a), newUp(a), newDown(a), newStatus(a))
	addGroup(root, "Before production:", newLint(a), newTest(a), newCI(a))
	addGroup(root, "In production:", newCheck(a), newDeploy(a), newTo(a), newRedo(a), newRecover(a), newVerify(a),
		newHistory(a), newMetrics(a), newAlert(a), newLock(a), newProtect(a))
	addGroup(root, "Set up a project:", newInit(a), newDev(a), newConfig(a), newAdopt(a), newBaseline(a), newSquash(a),
		newExport(a))
	root.AddCommand(newVersion(a))
	root.AddCommand(newManual(a)...)
	return root
}

// addGroup adds commands that help lists together, below a title.
func addGroup(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, c := range commands {
		c.GroupID = title
	}
	root.AddCommand(commands...)
}
