package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// newest is how many executed migrations status shows.
const newest = 5

func newStatus(a *app) *cobra.Command {
	var exitCode, all bool
	flags := &runFlags{}
	command := &cobra.Command{
		Use:   "status",
		Short: "Show applied and pending migrations",
		Long: `Show what is executed and what is pending, files that were edited or removed
after they ran, migrations that stopped half-way, and who is migrating at this
moment.

It only reads: it works for a role that may not write, and on a replica.`,
		Example: `  whimbrel status
  whimbrel status --all
  whimbrel status --exit-code    # ends with 5 when something is pending
  whimbrel status --tag expand
  whimbrel status --json`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			p, err := a.openAhead(command.Context())
			if err != nil {
				return err
			}
			p.Tags = flags.tags
			migrator, err := whimbrel.New(p.Config)
			if err != nil {
				return err
			}
			status, err := migrator.Status(command.Context())
			if err != nil {
				return err
			}
			status.Newer = spoken(status.Newer)
			if a.flags.json {
				a.object(status)
			} else {
				a.say("%s", strings.TrimRight(renderStatus(a.style, status, time.Now(), all || a.flags.verbose), "\n"))
			}
			if exitCode && status.Newer != nil {
				return refusedError{}
			}
			if exitCode && len(status.Pending) > 0 {
				return differenceError{}
			}
			return nil
		},
	}
	flags.addTags(command)
	command.Flags().BoolVar(&exitCode, "exit-code", false, "end with status 5 when migrations are pending")
	command.Flags().BoolVarP(&all, "all", "a", false, "show all executed migrations")
	return command
}

// renderStatus shows a Status to people.
func renderStatus(p present.Style, status whimbrel.Status, now time.Time, all bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n", p.Strong(status.Database), p.Faint("PostgreSQL "+status.Server+", history in "+
		status.Table))
	fmt.Fprintf(&b, "Executed  %d\nPending   %d\n", len(status.Applied), len(status.Pending))
	if !status.Initialised {
		b.WriteString(p.Faint("There is no history yet; the first whimbrel up creates it.") + "\n")
	}
	b.WriteString(renderOthers(p, status.Others))
	if status.Newer != nil {
		fmt.Fprintf(&b, "%s\n  %s %s\n", p.Bad("! "+status.Newer.Message), p.Faint("remedy:"), status.Newer.Remedy)
	}
	if status.Holder != nil {
		fmt.Fprintf(&b, "\n%s %s (%s)\n", p.Warning("Migrating now:"), holderText(*status.Holder), status.Holder.State)
	}
	if len(status.Unfinished) > 0 {
		b.WriteString("\nHalf done; whimbrel recover shows it step by step\n")
		for _, u := range status.Unfinished {
			fmt.Fprintf(&b, "  %s\n%s", p.Warning(u.String())+p.Faint(begun(u, now)), renderUnfinishedSteps(p, u))
		}
	}
	if len(status.Pending) > 0 {
		b.WriteString("\nPending\n")
		var rows [][]string
		for _, m := range status.Pending {
			rows = append(rows, append(cells(m.Version, m.Name), p.Warning(pendingRemark(m))))
		}
		b.WriteString(present.Table(p, nil, rows))
	}
	b.WriteString(renderApplied(p, status.Applied, now, all))
	return b.String()
}

// renderApplied lists the newest executed migrations first. Those about which
// there is something to say are always in it.
func renderApplied(p present.Style, applied []whimbrel.Applied, now time.Time, all bool) string {
	var rows [][]string
	hidden := 0
	for i, m := range slices.Backward(applied) {
		remark := appliedRemark(m, all)
		if !all && remark == "" && len(applied)-i > newest {
			hidden++
			continue
		}
		rows = append(rows, append(cells(m.Version, m.Name),
			clock(m.ExecutedAt), p.Faint(present.Ago(m.ExecutedAt, now)), present.Duration(m.Duration), p.Bad(remark),
		))
	}
	if len(rows) == 0 {
		return ""
	}
	text := "\nExecuted, newest first\n" + present.Table(p, nil, rows)
	if hidden > 0 {
		text += p.Faint(fmt.Sprintf("  and %d more; --all shows them", hidden)) + "\n"
	}
	return text
}

func pendingRemark(m whimbrel.Pending) string {
	var remarks []string
	if m.Done > 0 {
		remarks = append(remarks, fmt.Sprintf("unfinished: %d of %d steps done", m.Done, m.Steps))
	}
	if m.OutOfOrder {
		remarks = append(remarks, "out of order")
	}
	if len(m.Lost) > 0 {
		remarks = append(remarks, "runs again: "+strings.Join(m.Lost, ", ")+" is gone")
	} else if m.Again {
		remarks = append(remarks, "runs again")
	}
	if len(m.Tags) > 0 {
		remarks = append(remarks, "tags: "+strings.Join(m.Tags, ", "))
	}
	return strings.Join(remarks, ", ")
}

func appliedRemark(m whimbrel.Applied, all bool) string {
	var remarks []string
	if m.Changed && !m.Version.Repeatable() { // which runs again for that
		remarks = append(remarks, "changed since")
	}
	if len(m.Lost) > 0 {
		remarks = append(remarks, strings.Join(m.Lost, ", ")+" is gone")
	}
	if m.ObjectsUnknown {
		remarks = append(remarks, "unknown whether what it defines is there")
	}
	if m.SquashedIn != "" && all {
		remarks = append(remarks, "squashed")
	}
	if m.RenamedTo != "" {
		remarks = append(remarks, "renamed to "+m.RenamedTo)
	}
	if m.Missing {
		remarks = append(remarks, "file missing")
	}
	if m.RollingBack {
		remarks = append(remarks, "rollback unfinished")
	}
	return strings.Join(remarks, ", ")
}
