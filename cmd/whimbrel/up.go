package main

import (
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/files"
)

func newUp(a *app) *cobra.Command {
	flags := &runFlags{}
	var steps int
	var plan string
	command := &cobra.Command{
		Use:   "up",
		Short: "Apply pending migrations",
		Long: `Run the pending migrations, oldest first.

Each is recorded in the transaction that runs it. When one fails, nothing of it
stays and the earlier ones stay applied; the same command goes on from there.

With --plan it runs exactly what "whimbrel plan --out FILE" has frozen. If the
history, a file, what is pending or the database is not what it was, it runs
nothing, says what has changed, and ends in status 3. What an earlier run of the
same plan has done is not done again.`,
		Example: `  whimbrel up
  whimbrel up --dev --dir examples/shop/migrations
  whimbrel up --env production --max-stall 50ms
  whimbrel up --steps 1 --dry-run
  whimbrel up --tag expand          # only migrations with this tag
  whimbrel up --plan plan.json      # exactly what was planned`,
		Args:        arguments(0, 0, ""),
		Annotations: streams,
		RunE: func(command *cobra.Command, _ []string) error {
			goal := upTo(steps)
			if command.Flags().Changed("plan") {
				kept, err := a.keptPlan(plan, command.Flags())
				if err != nil {
					return err
				}
				goal = kept.Goal()
			}
			return a.change(command, flags, goal)
		},
	}
	flags.add(command)
	flags.addTags(command)
	command.Flags().IntVar(&steps, "steps", 0, "at most `N` migrations (default all)")
	command.Flags().StringVar(&plan, "plan", "", "run exactly the plan that is frozen in `FILE`")
	return command
}

// upTo is the goal of up with so many migrations at most; 0: all.
func upTo(steps int) whimbrel.Goal {
	if steps > 0 {
		return whimbrel.Next(steps)
	}
	return whimbrel.Latest()
}

// keptPlan reads a plan that was kept, which has its own answers to some flags.
func (a *app) keptPlan(path string, flags *pflag.FlagSet) (whimbrel.Plan, error) {
	for _, name := range []string{"steps", "tag", "out-of-order", "allow-missing"} {
		if flags.Changed(name) {
			return whimbrel.Plan{}, usage("leave --"+name+" away, or give it to whimbrel plan --out",
				"--plan and --%s contradict each other: the plan says that itself", name)
		}
	}
	text, err := files.Read(a.absolute(path), files.MostMade)
	if err != nil {
		return whimbrel.Plan{}, usage("make a plan with: whimbrel plan --out plan.json", "the plan cannot be read: %v", err)
	}
	return whimbrel.ParsePlan(filepath.ToSlash(path), string(text))
}
