package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

// longStep is from when on a step is worth a line of its own, and a wait is
// worth a live line.
const longStep = time.Second

// presenter turns the events of a run into lines for people. It is a pure
// state machine: it neither prints nor asks for the time.
type presenter struct {
	style   present.Style
	verbose bool
	// migrations are those that may be told of; what they are called is measured
	// once there is something to do.
	migrations []migration.Migration
	width      int // of "version name", in columns
	// terminal is set where a live line is shown; columns is the room for it, 0
	// where nobody knows.
	terminal bool
	columns  int

	run     *whimbrel.RunStarted
	began   time.Time
	current *underway
	waiting string // for the lease
	failing *failing
}

// underway is the migration that runs at the moment.
type underway struct {
	started  whimbrel.MigrationStarted
	at       time.Time
	done     int // steps, with those of earlier runs
	step     whimbrel.StepStarted
	stepAt   time.Time
	filling  *filling // the backfill that the step is, once it has told of itself
	filled   bool     // whether any step was a backfill
	attempt  int      // of the step; 0 while it is the first
	blockers []int    // whose waiting line is on the screen
}

// labelWidth is the width of the widest "version name", within reason.
func labelWidth(migrations []migration.Migration) int {
	width := 0
	for _, m := range migrations {
		width = max(width, present.Width(title(m.Version, m.Name)))
	}
	return min(width, 60)
}

// hear gives the lines that an event is worth.
func (p *presenter) hear(record whimbrel.Record) []string {
	switch event := record.Event.(type) {
	case whimbrel.RunStarted:
		p.run, p.began = &event, record.Time
		if event.Planned > 0 {
			p.width = max(p.width, labelWidth(p.migrations))
		}
		return p.header(event)
	case whimbrel.SchemaCreated:
		return []string{fmt.Sprintf("created the schema %s for the history", event.Schema)}
	case whimbrel.OtherHistoryFound:
		return []string{event.String()}
	case whimbrel.TablesAdopted:
		return []string{fmt.Sprintf("adopted the history in %s with its %s", event.Table, present.Plural(event.Rows, "row"))}
	case whimbrel.TablesUpgraded:
		return []string{fmt.Sprintf("upgraded whimbrel's tables, %s and its companions, from version %d to %d", event.Table,
			event.From, event.To)}
	case whimbrel.ProtectionNoted:
		return []string{p.style.Warning(notedText(event.Protection))}
	case whimbrel.LeaseWaiting:
		line := "… waiting for " + holderText(event.Holder)
		if line == p.waiting {
			return nil
		}
		p.waiting = line
		return []string{p.style.Warning(line)}
	case whimbrel.LeaseTaken:
		return p.leaseTaken(event)
	case whimbrel.RunFinished:
		p.current, p.run = nil, nil
		return nil
	}
	return p.hearMigration(record)
}

// hearMigration is about what happens inside a migration.
func (p *presenter) hearMigration(record whimbrel.Record) []string {
	switch event := record.Event.(type) {
	case whimbrel.MigrationStarted:
		p.waiting = ""
		p.current = &underway{started: event, at: record.Time, done: event.Done}
		if event.Done == event.Steps && !event.Atomic {
			return []string{fmt.Sprintf("  %s: all its steps are done, and only its record is missing", event.Migration.Version)}
		}
		if event.Done > 0 || event.Keys > 0 {
			line := fmt.Sprintf("  %s goes on at step %d of %d", event.Migration.Version, event.Done+1, event.Steps)
			if event.Keys > 0 {
				line += ", behind " + ofRows(event.Keys, event.Total)
			}
			return []string{line}
		}
	case whimbrel.UndoingUnfinished:
		steps := strings.TrimRight(renderUnfinishedSteps(p.style, event.Unfinished), "\n")
		return []string{fmt.Sprintf("%s; what is done of it is undone:\n%s", event.Unfinished, steps)}
	case whimbrel.HookFinished:
		if event.Error == nil {
			return []string{p.line(event.Hook, event.Duration, "hook")}
		}
	case whimbrel.MigrationFinished:
		filled := p.current != nil && p.current.filled
		p.current = nil
		return []string{p.finished(event, filled)}
	case whimbrel.Failed:
		p.failing = &failing{migration: event.Migration, after: event.Duration, unknown: event.Unknown}
		if c := p.current; c != nil {
			p.failing.steps, p.failing.done, p.failing.kind, p.failing.filling = c.started.Steps, c.done, c.step.StepKind, c.filling
		}
		p.current = nil
	case whimbrel.Notice:
		return p.notice(event)
	case whimbrel.Printed:
		return []string{p.printed(event)}
	case whimbrel.ObjectsLost:
		return []string{p.style.Warning(lostLine(event))}
	case whimbrel.IndexRepaired:
		if event.Action == "dropped_invalid" {
			return []string{fmt.Sprintf("  an interrupted run left index %s invalid: dropped, to be built again", event.Index)}
		}
		return []string{fmt.Sprintf("  index %s was built by an interrupted run: kept", event.Index)}
	case whimbrel.ConnectionLost:
		return []string{p.style.Warning("  the connection broke; reconnecting")}
	case whimbrel.Reconnected:
		return []string{p.style.Warning(fmt.Sprintf("  connected again after %s", present.Duration(event.Waited)))}
	}
	if p.current == nil {
		return nil
	}
	return p.hearStep(record)
}

// lostLine says what a repeatable migration has lost, and when it runs again.
func lostLine(event whimbrel.ObjectsLost) string {
	line := fmt.Sprintf("  what %s defines was replaced", event.Migration.Version)
	if len(event.Objects) > 0 {
		line = fmt.Sprintf("  %s has lost %s", event.Migration.Version, strings.Join(event.Objects, ", "))
	}
	if event.Repeats {
		return line + ": it runs again"
	}
	return line + ": the next whimbrel up runs it again"
}

// hearStep is about the step that runs.
func (p *presenter) hearStep(record whimbrel.Record) []string {
	current := p.current
	switch event := record.Event.(type) {
	case whimbrel.StepStarted:
		current.step, current.stepAt, current.filling, current.blockers, current.attempt = event, record.Time, nil, nil, 0
	case whimbrel.BatchProgress, whimbrel.BatchPaused, whimbrel.BatchResumed:
		current.filled = true
		return p.hearFilling(record)
	case whimbrel.StepFinished:
		current.done, current.filling = max(current.done, event.Step), nil
		long := event.Duration >= longStep
		if current.started.Steps > 1 && (p.verbose || long) {
			return []string{p.style.Faint(fmt.Sprintf("  · step %d of %d  %s  %s",
				event.Step, current.started.Steps, current.step.Summary, present.Duration(event.Duration)))}
		}
	case whimbrel.LockWaiting:
		return p.lockWaiting(event)
	case whimbrel.TrafficWaiting:
		return []string{p.style.Warning(fmt.Sprintf("  ! %s waiting behind this step, for %s already: %s",
			present.Plural(len(event.Waiting), "session"), present.Duration(event.Longest), blockerText(event.Waiting[0])))}
	case whimbrel.Retrying:
		current.attempt = event.Attempt + 1
		// A busy lock makes many short attempts; one line says enough.
		if event.Attempt > 1 && event.After < longStep && !p.verbose {
			return nil
		}
		if !p.verbose && !current.filling.retryIsNews(record.Time) {
			return nil
		}
		return []string{p.style.Warning(fmt.Sprintf("  ↻ retrying (%s): attempt %d in %s",
			present.OneLine(event.Reason, 80), event.Attempt+1, present.Duration(event.After)))}
	}
	return nil
}

// live is the line that is below all others while something takes long;
// "" when nothing does.
func (p *presenter) live(now time.Time) string {
	if p.current == nil {
		if p.run != nil && p.waiting != "" && now.Sub(p.began) >= longStep {
			return "waiting for another runner  " + present.Duration(now.Sub(p.began).Truncate(time.Second))
		}
		return ""
	}
	elapsed := now.Sub(p.current.at)
	if elapsed < longStep {
		return ""
	}
	ref := p.current.started.Migration
	if p.current.filling != nil && p.current.attempt == 0 {
		columns := p.columns - len("⠋ ")
		if p.columns == 0 {
			columns = 78
		}
		return p.current.filling.line(p.style, ref, columns, now)
	}
	line := fmt.Sprintf("%s  %s", title(ref.Version, ref.Name), present.Duration(elapsed.Truncate(time.Second)))
	if p.current.started.Steps > 1 && p.current.step.Step > 0 {
		line += fmt.Sprintf("  step %d of %d", p.current.step.Step, p.current.started.Steps)
	}
	if p.current.step.Summary != "" {
		line += "  " + p.current.step.Summary
	}
	if p.current.attempt > 0 {
		line += fmt.Sprintf("  attempt %d", p.current.attempt)
	}
	return line
}

func (p *presenter) header(event whimbrel.RunStarted) []string {
	if event.Planned == 0 {
		return nil
	}
	return []string{p.style.Strong(event.Database) + p.style.Faint("  "+toDo(event))}
}

// toDo says how many migrations a run is to do, and what with them.
func toDo(event whimbrel.RunStarted) string {
	what := map[string]string{"adopt": "record", "baseline": "record", "accept": "accept", "recover": "recover",
		"forget": "remove from the history"}[event.Command]
	if what != "" {
		return fmt.Sprintf("%d to %s", event.Planned, what)
	}
	var parts []string
	if event.Rollbacks > 0 {
		parts = append(parts, fmt.Sprintf("%d to roll back", event.Rollbacks))
	}
	if forward := event.Planned - event.Rollbacks; forward > 0 {
		parts = append(parts, fmt.Sprintf("%d to run", forward))
	}
	return strings.Join(parts, ", ")
}

func (p *presenter) leaseTaken(event whimbrel.LeaseTaken) []string {
	p.waiting = ""
	switch {
	case event.TakenFrom != nil:
		how := map[bool]string{true: "session is gone", false: "time had run out"}[event.TakenFrom.State == "gone"]
		return []string{p.style.Warning(fmt.Sprintf("took the lease over from %s, whose %s; %s", event.TakenFrom.By, how,
			recordedText(event)))}
	case p.verbose:
		return []string{p.style.Faint(fmt.Sprintf("took the lease, token %d", event.Token))}
	}
	return nil
}

// recordedText is what became of what a run that is gone had begun.
func recordedText(event whimbrel.LeaseTaken) string {
	if event.Recorded == 0 {
		return "that run had recorded nothing"
	}
	return fmt.Sprintf("that run had recorded %s, the last of them %s", present.Plural(event.Recorded, "migration"),
		title(event.Last.Version, event.Last.Name))
}

func (p *presenter) finished(event whimbrel.MigrationFinished, filled bool) string {
	remark := ""
	switch {
	case event.RecordOnly && event.Migration.Direction == whimbrel.Down:
		remark = "un-recorded, nothing was run"
	case event.RecordOnly:
		remark = "recorded, not run"
	case event.Migration.Direction == whimbrel.Down:
		remark = "rolled back"
	case event.RowsUnknown:
		remark = "rows unknown: the connection was lost before the answer came"
	case (p.verbose || filled) && event.Rows > 0:
		remark = strings.Replace(present.Plural(int(event.Rows), "row"), fmt.Sprint(event.Rows), present.Count(event.Rows), 1)
	}
	name := title(event.Migration.Version, event.Migration.Name)
	if event.RecordOnly {
		return strings.TrimRight(fmt.Sprintf("%s %s  %s  %s", p.style.Good("✓"), present.Pad(name, p.width),
			strings.Repeat(" ", 8), p.style.Faint(remark)), " ")
	}
	return p.line(name, event.Duration, remark)
}

// line says that something is done, and how long it took.
func (p *presenter) line(name string, took time.Duration, remark string) string {
	return strings.TrimRight(fmt.Sprintf("%s %s  %8s  %s", p.style.Good("✓"), present.Pad(name, p.width),
		present.Duration(took), p.style.Faint(remark)), " ")
}

// printed is what a script printed.
func (p *presenter) printed(event whimbrel.Printed) string {
	line := "  " + indented(event.Text, "  ")
	colour := map[string]func(string) string{"warn": p.style.Warning, "error": p.style.Bad}[event.Level]
	if colour == nil {
		return line
	}
	var lines []string
	for _, l := range strings.Split(line, "\n") {
		lines = append(lines, colour(l))
	}
	return strings.Join(lines, "\n")
}

func (p *presenter) notice(event whimbrel.Notice) []string {
	lines := []string{fmt.Sprintf("  %s: %s", event.Severity, indented(event.Message, "    "))}
	if p.verbose && event.Detail != "" {
		lines = append(lines, "    detail: "+indented(event.Detail, "      "))
	}
	if p.verbose && event.Hint != "" {
		lines = append(lines, "    hint: "+indented(event.Hint, "      "))
	}
	return lines
}

// lockWaiting says who blocks it, once per set of sessions.
func (p *presenter) lockWaiting(event whimbrel.LockWaiting) []string {
	var pids []int
	for _, blocker := range event.Blockers {
		pids = append(pids, blocker.PID)
	}
	if len(pids) == 0 || slices.Equal(pids, p.current.blockers) {
		return nil
	}
	p.current.blockers = pids
	line := "  … waiting for a lock held by " + blockerText(event.Blockers[0])
	if len(pids) > 1 {
		line += fmt.Sprintf("; and %s", present.Plural(len(pids)-1, "other session"))
	}
	return []string{p.style.Warning(line)}
}

// blockerText is "pid 123 (app psql, idle in transaction for 12 s): UPDATE …".
func blockerText(b whimbrel.Blocker) string {
	var about []string
	if b.Application != "" {
		about = append(about, "app "+b.Application)
	} else if b.User != "" {
		about = append(about, "user "+b.User)
	}
	if b.State != "" {
		about = append(about, b.State+" for "+present.Duration(b.Age))
	}
	text := fmt.Sprintf("pid %d", b.PID)
	if len(about) > 0 {
		text += " (" + strings.Join(about, ", ") + ")"
	}
	if b.Query != "" {
		text += ": " + present.OneLine(b.Query, 60)
	}
	return text
}

// holderText is who holds the lease and since when.
func holderText(h whimbrel.Holder) string {
	text := h.By
	if text == "" {
		text = "another runner"
	}
	if h.Since.IsZero() {
		return text + ", who holds the lease"
	}
	return fmt.Sprintf("%s, who has held the lease since %s", text, h.Since.Local().Format("15:04:05"))
}

// summary is the last line of a run that worked.
func summary(result whimbrel.Result) string {
	up, down := 0, 0
	for _, outcome := range result.Done {
		if outcome.Direction == whimbrel.Down {
			down++
		} else {
			up++
		}
	}
	took := present.Duration(result.Duration)
	batch := ""
	if result.Batch > 0 {
		batch = fmt.Sprintf(", batch %d", result.Batch)
	}
	switch {
	case up > 0 && down > 0:
		return fmt.Sprintf("%s rolled back and %d run in %s%s", present.Plural(down, "migration"), up, took, batch)
	case result.Command == "recover" && up+down > 0 && result.Done[0].RecordOnly:
		return "what was done of it is forgotten, and left in the database"
	case up > 0 && result.Command == "baseline":
		return fmt.Sprintf("%s recorded as applied", present.Plural(up, "migration"))
	case up > 0:
		return fmt.Sprintf("%s in %s%s", present.Plural(up, "migration"), took, batch)
	case down > 0 && result.Command == "forget":
		return fmt.Sprintf("%s taken off the history", present.Plural(down, "migration"))
	case down > 0:
		return fmt.Sprintf("%s rolled back in %s", present.Plural(down, "migration"), took)
	}
	switch {
	case result.Command == "up" && result.Before == 0:
		return "Nothing to do: there are no migrations to run."
	case result.Command == "up":
		return fmt.Sprintf("Nothing to do: %s applied.", are(result.Before, "migration"))
	case result.Command == "baseline":
		return "Nothing to do: they are all recorded."
	case result.Command == "recover":
		return "Nothing is half done."
	case result.Command == "to":
		return "Nothing to do: the database is at this version already."
	}
	return "Nothing to do: no migration is applied."
}
