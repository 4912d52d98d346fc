package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/preflight"
	"github.com/whimbrel-db/whimbrel/project"
)

func newCheck(a *app) *cobra.Command {
	var choice checkChoice
	var details bool
	command := &cobra.Command{
		Use:   "check",
		Short: "Check whether now is a good moment to migrate the database",
		Long: `Look at the live database before migrations run on it: does anything block it,
is there a backup, is this the hour for it, may the role do what is pending,
will the server have the room. It only reads; the right to pg_monitor is
enough, and what the role cannot see is said.

A blocking check that does not pass ends in status 3. The limits, and which
checks block, are below "checks:" in whimbrel.yaml. On an environment with
"protected: true", up, down and the like make the checks by themselves.

The checks:
` + checkTable(),
		Example: `  whimbrel check --env production
  whimbrel check --only table_locks,backup_status
  whimbrel check --warn-only                      # tell, and stop nothing
  whimbrel check --warn-only=backup_status --json`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) > 0 && command.Flags().Changed("warn-only") && slices.Contains(preflight.Names(), args[0]) {
				return usage("write it as: --warn-only="+args[0], "a name for --warn-only follows a =")
			}
			return arguments(0, 0, "")(command, args)
		},
		RunE: func(command *cobra.Command, _ []string) error {
			p, err := a.open(command.Context())
			if err != nil {
				return err
			}
			migrator, err := whimbrel.New(p.Config)
			if err != nil {
				return err
			}
			plan, err := migrator.Plan(command.Context(), whimbrel.Latest())
			if err != nil && !checkable(err) {
				return err
			}
			choice.unplanned = err
			report, err := a.preflight(command.Context(), p, migrator, plan, choice)
			if err != nil {
				return err
			}
			if a.flags.json {
				a.object(report)
			} else {
				a.say("%s", strings.TrimRight(report.Text(a.style, details || a.flags.verbose), "\n"))
			}
			if len(report.Blocked()) > 0 {
				return refusedError{}
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringSliceVar(&choice.only, "only", nil, "make only the checks `NAME[,NAME]`")
	flags.StringSliceVar(&choice.skip, "skip", nil, "leave out the checks `NAME[,NAME]`")
	flags.StringSliceVar(&choice.warnOnly, "warn-only", nil,
		"let the checks `NAME[,NAME]` stop nothing; without a name: none of them")
	flags.Lookup("warn-only").NoOptDefVal = preflight.Everything
	flags.BoolVar(&details, "details", false, "show what the checks that passed have seen, too")
	for _, name := range []string{"only", "skip", "warn-only"} {
		_ = command.RegisterFlagCompletionFunc(name, completeChecks)
	}
	return command
}

func completeChecks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return append(preflight.Names(), preflight.Everything), cobra.ShellCompDirectiveNoFileComp
}

// checkTable lists the checks as the help shows them.
func checkTable() string {
	var b strings.Builder
	for _, name := range preflight.Names() {
		about, blocking := preflight.Description(name)
		if blocking {
			about += " (blocking)"
		}
		b.WriteString("  " + present.Pad(name, 21) + about + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// checkable reports whether the checks can go on without a plan, because why there
// is none concerns the history, which is one of the things that they look at.
func checkable(err error) bool {
	var own *whimbrel.Error
	return errors.As(err, &own) && slices.Contains([]whimbrel.Code{
		whimbrel.CodePermission, whimbrel.CodeForeignTable, whimbrel.CodeForeignHistory, whimbrel.CodeOutOfOrder,
		whimbrel.CodeMissingFile,
		whimbrel.CodeChanged, whimbrel.CodePartlySquashed, whimbrel.CodeUnfinished,
	}, own.Code)
}

// checkChoice is what flags say of checks, beside the configuration. What is named
// by only is made though the configuration skips it.
type checkChoice struct {
	only, skip, warnOnly []string
	unplanned            error // why there is no plan
}

// check refuses names that do not exist.
func (c checkChoice) check() error {
	known := append(preflight.Names(), preflight.Everything)
	for _, name := range slices.Concat(c.only, c.skip, c.warnOnly) {
		if slices.Contains(known, name) {
			continue
		}
		remedy := plaintext.DidYouMean("", name, known)
		if remedy == "" {
			remedy = "the checks are " + strings.Join(known, ", ")
		}
		return usage(remedy, "unknown check %q", name)
	}
	return nil
}

// preflight makes the checks for a plan.
func (a *app) preflight(ctx context.Context, p *project.Project, m *whimbrel.Migrator, plan whimbrel.Plan,
	choice checkChoice) (preflight.Report, error) {
	if err := choice.check(); err != nil {
		return preflight.Report{}, err
	}
	options := p.Checks()
	options.Connection, options.Verify, options.Plan, options.Unplanned = m.Connection(), m.Verify, plan, choice.unplanned
	options.WarnOnly = slices.Concat(choice.warnOnly, options.WarnOnly)
	if options.Only = choice.only; len(choice.only) > 0 {
		options.Skip = nil
	}
	options.Skip, options.Touches = slices.Concat(choice.skip, options.Skip), touches
	return preflight.Run(ctx, options)
}
