package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
)

func newHistory(a *app) *cobra.Command {
	var version string
	options := whimbrel.HistoryOptions{}
	command := &cobra.Command{
		Use:   "history",
		Short: "Show every attempt at every migration, failed ones too",
		Long: `Show the log of this database: every up, down, failure and repair, with when, who
and how long. Nothing is ever removed from it.`,
		Example: `  whimbrel history
  whimbrel history --version 20240115120000
  whimbrel history --limit 10 --json`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := notNegative("--limit", options.Limit); err != nil {
				return err
			}
			if version != "" {
				var err error
				if options.Version, err = versionOf(version); err != nil {
					return err
				}
			}
			migrator, err := a.reader(command.Context())
			if err != nil {
				return err
			}
			entries, err := migrator.History(command.Context(), options)
			if err != nil {
				return err
			}
			if a.flags.json {
				a.object(historyJSON{Entries: append([]whimbrel.LogEntry{}, entries...)})
				return nil
			}
			a.say("%s", strings.TrimRight(renderHistory(a.palette, entries, time.Now()), "\n"))
			return nil
		},
	}
	command.Flags().StringVar(&version, "version", "", "only this `VERSION`")
	command.Flags().IntVar(&options.Limit, "limit", 0, "only the newest `N` (default all)")
	return command
}

// historyJSON is what history prints with --json.
type historyJSON struct {
	Entries []whimbrel.LogEntry `json:"entries"`
}

// renderHistory shows log entries in the order in which they come.
func renderHistory(p palette, entries []whimbrel.LogEntry, now time.Time) string {
	if len(entries) == 0 {
		return "Nothing has happened yet.\n"
	}
	var rows [][]string
	for _, e := range entries {
		outcome := p.good(e.Outcome)
		if e.Outcome == "failed" {
			outcome = p.bad(e.Outcome)
		}
		rows = append(rows, []string{
			clock(e.At), p.faint(ago(e.At, now)), e.Action, outcome, title(e.Version, e.Name),
			span(time.Duration(e.Duration)), p.faint(e.By), oneLine(e.Error, 80),
		})
	}
	return renderTable(p, []string{"when", "", "action", "outcome", "migration", "took", "by", "error"}, rows)
}
