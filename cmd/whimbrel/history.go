package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

func newHistory(a *app) *cobra.Command {
	chosen := historyFlags{}
	command := &cobra.Command{
		Use:   "history",
		Short: "Show every attempt at every migration, including failures",
		Long: `Show the log of this database: every up, down, failure and repair, with when,
who, in which batch, how long, and how it ended. Nothing is ever removed from
it.

history show VERSION tells everything about one migration: each attempt with
its steps, and what each of them waited for.`,
		Example: `  whimbrel history
  whimbrel history --failed --since 7d
  whimbrel history --version 20240115120000
  whimbrel history --by ann --action down
  whimbrel history --batch 12 --json
  whimbrel history show 20240115120000`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			options, err := chosen.options(time.Now())
			if err != nil {
				return err
			}
			_, migrator, err := a.openRecords(command.Context())
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
			if len(entries) == 0 && options != (whimbrel.HistoryOptions{}) {
				a.say("Nothing like that has happened.")
				return nil
			}
			a.say("%s", strings.TrimRight(renderHistory(a.style, entries, time.Now()), "\n"))
			return nil
		},
	}
	chosen.add(command)
	command.AddCommand(newHistoryShow(a))
	return command
}

// historyFlags say which lines of the log are shown.
type historyFlags struct {
	version, since, status, action, by string
	failed                             bool
	limit, batch                       int
}

func (f *historyFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.version, "version", "", "only this `VERSION`")
	flags.StringVar(&f.since, "since", "", "only what happened since then: `7d`, 12h, 2026-01-31 or a time as RFC 3339 "+
		"has it")
	flags.StringVar(&f.status, "status", "", "only what ended like this: `done|failed|stopped|killed`")
	flags.BoolVar(&f.failed, "failed", false, "only failures, and runs that were killed; as --status failed")
	flags.StringVar(&f.action, "action", "", "only this: `"+strings.Join(actions, "|")+"`")
	flags.StringVar(&f.by, "by", "", "only who ran it with this `TEXT` in the name, as a user, a host or a role")
	flags.IntVar(&f.batch, "batch", 0, "only the batch with this `NUMBER`")
	flags.IntVar(&f.limit, "limit", 0, "only the newest `N` (default all)")
	for name, values := range map[string][]string{"status": outcomes, "action": actions} {
		_ = command.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// What the log calls things.
var (
	outcomes = []string{"done", "failed", "stopped", "killed"}
	actions  = []string{"up", "down", "repeat", "baseline", "forget", "force_down", "adopt", "accept", "recover",
		"create_schema", "run", "upgrade", "protect", "unprotect", "override"}
)

func (f *historyFlags) options(now time.Time) (o whimbrel.HistoryOptions, err error) {
	o = whimbrel.HistoryOptions{Outcome: f.status, Action: f.action, By: f.by, Batch: f.batch, Limit: f.limit}
	if f.failed && f.status != "" && f.status != "failed" {
		return o, usage("use only one of them", "--failed and --status %s contradict each other", f.status)
	}
	if f.failed {
		o.Outcome = "failed"
	}
	if err = oneOf("--status", o.Outcome, outcomes); err != nil {
		return o, err
	}
	if err = oneOf("--action", o.Action, actions); err != nil {
		return o, err
	}
	if f.version != "" {
		if o.Version, err = versionOf(f.version); err != nil {
			return o, err
		}
	}
	o.Since, err = readSince(f.since, now)
	return o, err
}

// oneOf refuses a value that is given and none of those that there are.
func oneOf(flag, value string, known []string) error {
	if value == "" || slices.Contains(known, value) {
		return nil
	}
	remedy := plaintext.DidYouMean("", value, known)
	if remedy == "" {
		remedy = "write one of " + strings.Join(known, ", ")
	}
	return usage(remedy, "invalid %s %q", flag, value)
}

// readSince reads what --since says: so long before now ("12h", "7d"), a day in the zone of this
// machine, or a whole time. The empty text is the zero time.
func readSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 100*366 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, time.RFC3339} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usage("write 7d, 12h, 2026-01-31, '2026-01-31 18:00' or 2026-01-31T18:00:00Z",
		"--since: invalid time %q", text)
}

// historyJSON is what history prints with --json.
type historyJSON struct {
	Entries []whimbrel.LogEntry `json:"entries"`
}

// renderHistory shows log entries in the order in which they come.
func renderHistory(p present.Style, entries []whimbrel.LogEntry, now time.Time) string {
	if len(entries) == 0 {
		return "Nothing has happened yet.\n"
	}
	var rows [][]string
	for _, e := range entries {
		batch := ""
		if e.Batch > 0 {
			batch = strconv.Itoa(e.Batch)
		}
		rows = append(rows, []string{
			clock(e.At), p.Faint(present.Ago(e.At, now)), batch, e.Action, outcomeText(p, e), title(e.Version, e.Name),
			tookText(e), waitedText(e.Backoff + e.LockWait + e.LeaseWait), p.Faint(e.By), present.OneLine(e.Error, 80),
		})
	}
	return present.Table(p, []string{"when", "", "batch", "action", "outcome", "migration", "took", "waited", "by",
		"error"}, rows)
}

func outcomeText(p present.Style, e whimbrel.LogEntry) string {
	switch e.Outcome {
	case "failed", "killed":
		return p.Bad(e.Outcome)
	case "stopped":
		return p.Warning(e.Outcome)
	}
	return p.Good(e.Outcome)
}

// tookText is how long an attempt took; nobody knows of one that was killed.
func tookText(e whimbrel.LogEntry) string {
	if e.Outcome == "killed" {
		return ""
	}
	return present.Duration(e.Duration)
}

// waitedText is a time that is worth telling.
func waitedText(e time.Duration) string {
	if e == 0 {
		return ""
	}
	return present.Duration(e)
}

// nothingHappened is the error where the log knows nothing of a version.
func nothingHappened(version migration.Version) *whimbrel.Error {
	return &whimbrel.Error{
		Code: whimbrel.CodeUnknownVersion, Version: version,
		Message: fmt.Sprintf("nothing has happened to a migration %s on this database", version),
		Remedy:  "see what has with `whimbrel history`",
	}
}

func newHistoryShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show VERSION",
		Short: "Show one migration in full: every attempt, step and wait",
		Long: `Tell what has happened to one migration on this database, the oldest first:
every attempt with who, where, when and how it ended, its steps with their
times, how often each was retried, what blocked it, and what it waited for.

A migration that is one step and waited for nothing has no line for its step.`,
		Example: `  whimbrel history show 20240115120000
  whimbrel history show 20240115120000 --json`,
		Args: arguments(1, 1, "VERSION"),
		RunE: func(command *cobra.Command, args []string) error {
			version, err := versionOf(args[0])
			if err != nil {
				return err
			}
			_, migrator, err := a.openRecords(command.Context())
			if err != nil {
				return err
			}
			entries, err := migrator.History(command.Context(), whimbrel.HistoryOptions{Version: version})
			if err != nil {
				return err
			}
			if len(entries) == 0 {
				return nothingHappened(version)
			}
			slices.Reverse(entries)
			if a.flags.json {
				a.object(historyJSON{Entries: entries})
				return nil
			}
			a.say("%s", strings.TrimRight(renderStory(a.style, entries, time.Now()), "\n"))
			return nil
		},
	}
}

// renderStory tells of one migration, whose attempts come in their order.
func renderStory(p present.Style, entries []whimbrel.LogEntry, now time.Time) string {
	newest := entries[len(entries)-1]
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", p.Strong(strings.TrimSpace(string(newest.Version)+" "+newest.Name)),
		p.Faint(present.Plural(len(entries), "attempt")))
	for _, e := range entries {
		fmt.Fprintf(&b, "\n%s %s %s\n", p.Strong(e.Action), outcomeText(p, e), takenText(e))
		for _, line := range aboutAttempt(e, now) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		for _, s := range e.Steps {
			renderLoggedStep(&b, p, s)
		}
		if e.Error != "" {
			fmt.Fprintf(&b, "  %s\n", p.Bad(indented(e.Error, "  ")))
		}
	}
	return b.String()
}

// takenText is how long an attempt took, and in which batch.
func takenText(e whimbrel.LogEntry) string {
	if e.Outcome == "killed" {
		return "" // nobody knows for how long it ran
	}
	text := map[bool]string{true: "after ", false: "in "}[e.Outcome == "failed"] + present.Duration(e.Duration)
	if e.Batch > 0 {
		text += fmt.Sprintf(", batch %d", e.Batch)
	}
	return text
}

// aboutAttempt is when it was, who ran it, and what all of it waited for.
func aboutAttempt(e whimbrel.LogEntry, now time.Time) []string {
	who := strings.TrimSpace(e.By)
	if e.Role != "" {
		who += " as " + e.Role
	}
	if e.Tool != "" {
		who += ", whimbrel " + e.Tool
	}
	lines := []string{clock(e.At) + ", " + present.Ago(e.At, now), who}
	if e.LeaseWait > 0 {
		lines = append(lines, "waited "+present.Duration(e.LeaseWait)+" for another runner")
	}
	if e.Retries > 0 {
		lines = append(lines, fmt.Sprintf("retried %s, for %s", times(e.Retries), present.Duration(e.Backoff)))
	}
	return lines
}

// renderLoggedStep is a line about a step, and one for each thing that it waited for.
func renderLoggedStep(b *strings.Builder, p present.Style, s whimbrel.StepEntry) {
	mark := p.Good("✓")
	if s.Failed {
		mark = p.Bad("✗")
	}
	rows := ""
	if s.Rows > 0 {
		rows = "  " + present.Plural(s.Rows, "row")
	}
	fmt.Fprintf(b, "  %s step %d  %s  %s%s\n", mark, s.Step, s.Summary, present.Duration(s.Duration), p.Faint(rows))
	var waits []string
	if s.Retries > 0 {
		waits = append(waits, fmt.Sprintf("retried %s, for %s: %s", times(s.Retries), present.Duration(s.Backoff),
			present.OneLine(s.Reason, 80)))
	}
	if s.LockWait > 0 {
		waits = append(waits, fmt.Sprintf("waited %s for a lock", present.Duration(s.LockWait)))
	}
	if s.Paused > 0 {
		waits = append(waits, fmt.Sprintf("paused for %s: %s", present.Duration(s.Paused), present.OneLine(s.PausedFor, 80)))
	}
	for _, blocker := range s.Blockers {
		waits = append(waits, "blocked by: "+blockerText(blocker))
	}
	for _, line := range waits {
		fmt.Fprintf(b, "      %s\n", p.Warning(line))
	}
}

// times is "once", "3 times".
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return present.Plural(n, "time")
}
