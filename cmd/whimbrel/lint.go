package main

import (
	"github.com/spf13/cobra"
)

// lintFlags are the flags of lint.
type lintFlags struct {
	format, output, changedSince, explain              string
	details, noRehearsal, down, fix, yes, pending, all bool
	major                                              int
}

func newLint(a *app) *cobra.Command {
	flags := &lintFlags{}
	command := &cobra.Command{
		Use:   "lint [FILE…]",
		Short: "Find what would harm a live database, and suggest rewrites",
		Long: `Judge every statement of the migrations: hazard, safe or unknown, with the
evidence. A statement is read with PostgreSQL's own grammar, in the context of
its transaction and of the migrations before it; then all migrations are
rehearsed on a throw-away server, on tables with rows, and what is seen there
counts for more than what was read.

Judged are all files, or those that are named, changed or pending; the others
are history. A line in a file silences a hazard there, with a reason:
  -- +migrate Allow HAZARD REASON
"lint:" in whimbrel.yaml sets severities. A hazard that is an error ends in
status 3.`,
		Example: `  whimbrel lint
  whimbrel lint migrations/20240115120000_add_index.sql --fix
  whimbrel lint --changed-since origin/main --format github
  whimbrel lint --pending --env production      # what is pending there, on its schema
  whimbrel lint --explain set-not-null-scan`,
		Args: cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, args []string) error { return a.lint(command.Context(), flags, args) },
	}
	set := command.Flags()
	set.StringVar(&flags.format, "format", "text", "how to show it: `text|json|sarif|github|gitlab`")
	set.StringVarP(&flags.output, "output", "o", "", "write it to `FILE`")
	set.BoolVar(&flags.details, "details", false, "also say why the other statements are held to be safe")
	set.StringVar(&flags.changedSince, "changed-since", "", "judge the files that were changed in git since `REVISION`")
	set.BoolVar(&flags.pending, "pending", false, "judge what is pending in the database, on its schema")
	set.BoolVar(&flags.noRehearsal, "no-rehearsal", false, "judge by the text alone, without a server")
	set.BoolVar(&flags.down, "down", false, "judge the down sections (by the text alone)")
	set.IntVar(&flags.major, "pg-version", 0, "the `MAJOR` version of PostgreSQL to judge for (default any)")
	set.BoolVar(&flags.fix, "fix", false, "rewrite what has a mechanical safe form; shows the difference and asks")
	set.BoolVar(&flags.yes, "yes", false, "with --fix, write without asking")
	set.StringVar(&flags.explain, "explain", "", "explain the `HAZARD`")
	set.BoolVar(&flags.all, "list", false, "list all hazards")
	_ = command.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(lintFormats,
		cobra.ShellCompDirectiveNoFileComp))
	_ = command.RegisterFlagCompletionFunc("explain", func(*cobra.Command, []string, string) ([]string,
		cobra.ShellCompDirective) {
		return hazardIDs(), cobra.ShellCompDirectiveNoFileComp
	})
	return command
}

var lintFormats = []string{"text", "json", "sarif", "github", "gitlab"}
