package forecast

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/lint"
)

// Style makes parts of a text for a terminal stand out. Its functions may be nil.
type Style struct {
	Good, Warning, Error, Faint, Strong func(string) string
}

func (s Style) complete() Style {
	for _, f := range []*func(string) string{&s.Good, &s.Warning, &s.Error, &s.Faint, &s.Strong} {
		if *f == nil {
			*f = func(text string) string { return text }
		}
	}
	return s
}

func (s Style) risk(r Risk) func(string) string {
	return [...]func(string) string{s.Good, s.Warning, s.Error}[r]
}

// Text renders a forecast for a terminal. With details it also shows the statements
// that do nothing worth telling, and what the estimates and verdicts are based on.
func (f Forecast) Text(style Style, details bool) string {
	style = style.complete()
	var b strings.Builder
	if len(f.Migrations) == 0 {
		b.WriteString("Nothing to do.\n")
	} else {
		fmt.Fprintf(&b, "%s would run on %s (PostgreSQL %s): %s, %s\n", plural(len(f.Migrations), "migration"), f.Database,
			f.Server,
			f.Duration, style.risk(f.Risk)(f.Risk.String()+" risk"))
	}
	for _, m := range f.Migrations {
		b.WriteString("\n")
		f.writeMigration(&b, style, m, details)
	}
	for _, m := range f.Skipped {
		fmt.Fprintf(&b, "%s %s %s is out of order and stays pending\n", style.Warning("-"), m.Version, m.Name)
	}
	f.writeCircumstances(&b, style)
	return b.String()
}

func (f Forecast) writeCircumstances(b *strings.Builder, style Style) {
	var notes []string
	if f.Rehearsal != nil && f.Rehearsal.Stopped != "" {
		notes = append(notes, f.Rehearsal.Stopped)
	}
	for _, unseen := range f.Unseen {
		notes = append(notes, "not seen: "+unseen)
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
	for _, note := range notes {
		fmt.Fprintf(b, "%s %s\n", style.Warning("!"), note)
	}
}

func (f Forecast) writeMigration(b *strings.Builder, style Style, m Migration, details bool) {
	arrow := style.Good("↑")
	if m.Direction == whimbrel.Down {
		arrow = style.Warning("↓")
	}
	how := plural(len(m.Steps), "step")
	if m.Divided {
		how += ", not all or nothing"
	}
	switch {
	case m.RecordOnly:
		how = "only the record changes, nothing runs"
	case m.Atomic:
		how = "one transaction"
	}
	if !m.RecordOnly {
		how += ", " + m.Duration.String()
	}
	if m.Disk > 0 {
		how += ", needs about " + Bytes(m.Disk) + " of disk meanwhile"
	}
	fmt.Fprintf(b, "%s %s  %s  %s\n", arrow, style.Strong(string(m.Version)+" "+m.Name),
		style.risk(m.Risk)(m.Risk.String()+" risk"), style.Faint(how))
	for _, r := range m.Reasons {
		fmt.Fprintf(b, "    %s %s\n", style.risk(r.Risk)(pad(r.Risk.String(), 8)), r.text(style))
	}
	for _, step := range m.Steps {
		f.writeStep(b, style, m, step, details)
	}
	if !m.RecordOnly {
		fmt.Fprintf(b, "    %s %s\n", style.Faint("down migration"), m.Down)
		fmt.Fprintf(b, "    %s %s\n", style.Faint("deploy  "), m.Deploy)
	}
}

// text is a reason with its place and its hazard.
func (r Reason) text(style Style) string {
	text := r.Message
	if r.Line > 0 {
		text = fmt.Sprintf("line %d: %s", r.Line, text)
	}
	if r.Hazard != "" {
		text += style.Faint("  " + r.Hazard)
	}
	return text
}

func (f Forecast) writeStep(b *strings.Builder, style Style, m Migration, step Step, details bool) {
	if !m.Atomic {
		fmt.Fprintf(b, "    %s %s\n", style.Faint(pad(fmt.Sprintf("step %d", step.Number), 8)), step.heading(style))
	}
	if step.Done {
		return
	}
	for _, group := range grouped(step.Locks, Facts{Tables: f.Tables}) {
		l := group.lock
		line := fmt.Sprintf("%s on %s, %s", l.Mode, group.name, l.Hold.phrase(l.Held))
		switch {
		case l.stops() && l.Hold != Brief:
			line = style.Error(line) + ": " + l.Mode.Stops() + " wait"
		case l.stops():
			line = style.Warning(line)
		case l.Mode == lint.ShareUpdateExclusive && l.Hold != Brief:
			line += ": " + l.Mode.Stops() + " wait"
		case !details && l.Mode < lint.ShareUpdateExclusive:
			continue // it stops nobody
		}
		fmt.Fprintf(b, "    %s %s\n", style.Faint("locks   "), line)
	}
	if len(step.Local) > 0 {
		fmt.Fprintf(b, "    %s SET LOCAL %s ends here, with the step\n", style.Faint("session "), strings.Join(step.Local,
			", "))
	}
	for _, s := range step.Statements {
		f.writeStatement(b, style, s, details)
	}
}

// heading says how a step runs.
func (s Step) heading(style Style) string {
	how := "in a transaction"
	switch {
	case s.Batch != nil:
		how = fmt.Sprintf("in batches of %d by %s through %s", s.Batch.Size, strings.Join(s.Batch.Key, ", "), s.Batch.Table)
	case s.Kind == whimbrel.StepAlone:
		how = "by itself, outside a transaction"
	case s.Kind == whimbrel.StepScript || s.Kind == whimbrel.StepFunc:
		how = "a " + string(s.Kind)
	}
	switch {
	case s.Done:
		return how + style.Faint("  done")
	case s.Started:
		return how + ", " + s.Duration.String() + style.Faint("  begun")
	}
	return how + ", " + s.Duration.String()
}

func (f Forecast) writeStatement(b *strings.Builder, style Style, s Statement, details bool) {
	works := len(s.touched()) > 0
	if s.Text == "" || !works && !details {
		return
	}
	fmt.Fprintf(b, "    %s %s\n", style.Faint(fmt.Sprintf("%7d |", s.Line)), oneLine(s.Text, 96))
	if works {
		fmt.Fprintf(b, "             %s\n", f.effort(s))
	}
	if !details {
		return
	}
	if s.Duration.Basis != "" {
		fmt.Fprintf(b, "             %s\n", style.Faint(s.Duration.Basis))
	}
	for _, e := range s.Evidence {
		fmt.Fprintf(b, "             %s\n", style.Faint(string(e.Source)+": "+e.Reason))
	}
}

// effort says what a statement goes through, and for how long.
func (f Forecast) effort(s Statement) string {
	var parts []string
	if len(s.Rewrites) > 0 {
		parts = append(parts, "rewrites "+f.named(s.Rewrites))
	}
	rest := slices.DeleteFunc(slices.Clone(s.Scans), func(name string) bool { return contains(s.Rewrites, name) })
	if len(rest) > 0 {
		verb := "reads "
		switch {
		case s.Builds:
			verb = "builds an index over "
		case s.work == changes:
			verb = "goes through "
		}
		parts = append(parts, verb+f.named(rest))
	}
	size := Bytes(s.Bytes)
	if s.Rows >= 0 {
		size = Count(s.Rows) + " rows, " + size
	}
	return fmt.Sprintf("%s (%s): %s", strings.Join(parts, ", "), size, s.Duration)
}

// named writes the names of tables, partitions of one as the whole.
func (f Forecast) named(names []string) string {
	var locks []Lock
	for _, name := range names {
		locks = append(locks, Lock{Table: name})
	}
	var all []string
	for _, g := range grouped(locks, Facts{Tables: f.Tables}) {
		all = append(all, g.name)
	}
	return strings.Join(all, ", ")
}

// group is a lock on a table, or the same lock on several partitions of one.
type group struct {
	lock Lock
	name string
}

// grouped puts the same locks on a table and its partitions together, and orders
// them, the strongest first.
func grouped(locks []Lock, facts Facts) []group {
	type kind struct {
		root string
		mode lint.Mode
		hold Hold
	}
	var order []kind
	members := map[kind][]Lock{}
	for _, l := range locks {
		table, _ := facts.table(l.Table)
		k := kind{cmp.Or(table.Partitioned, l.Table), l.Mode, l.Hold}
		if members[k] == nil {
			order = append(order, k)
		}
		members[k] = append(members[k], l)
	}
	var all []group
	for _, k := range order {
		g := group{lock: members[k][0], name: members[k][0].Table}
		parts := 0
		for _, l := range members[k] {
			if l.Table != k.root {
				parts++
			}
			if l.Held.About > g.lock.Held.About {
				g.lock.Held = l.Held
			}
		}
		switch {
		case parts > 0 && parts < len(members[k]):
			g.name = fmt.Sprintf("%s and %s", k.root, plural(parts, "partition"))
		case parts > 1:
			g.name = fmt.Sprintf("%s of %s", plural(parts, "partition"), k.root)
		}
		all = append(all, g)
	}
	slices.SortStableFunc(all, func(a, b group) int { return cmp.Compare(b.lock.Mode, a.lock.Mode) })
	return all
}

// phrase says how long a lock is held.
func (h Hold) phrase(held Estimate) string {
	switch h {
	case Brief:
		return "for a moment"
	case HoldUnknown:
		return "for nobody knows how long"
	}
	return "for " + held.String()
}

// String describes a down migration.
func (r Reversal) String() string {
	var text string
	switch r.Kind {
	case Irreversible:
		return strings.TrimSuffix("none: irreversible: "+r.Reason, ": ")
	case Missing:
		return "none"
	case FromHistory:
		text = "stored in the history; the file is not there"
	default:
		text = "in the file"
	}
	switch r.Tested {
	case Ran:
		text += ", ran in the rehearsal"
	case Failed:
		text += ", failed in the rehearsal: " + r.Failure
	}
	var lost []string
	for _, l := range r.Loses {
		lost = append(lost, l.What)
	}
	if len(lost) > 0 {
		text += "; loses " + strings.Join(lost, ", ")
	}
	return text
}

// String describes an order of deployment, with the reasons.
func (d Deploy) String() string {
	if len(d.Reasons) == 0 {
		return string(d.Order)
	}
	return string(d.Order) + ": " + strings.Join(d.Reasons, "; ")
}

// String says about how long something takes.
func (e Estimate) String() string {
	switch {
	case !e.Known && e.About > 0:
		return "an unknown time, at least about " + span(time.Duration(e.About))
	case !e.Known:
		return "an unknown time"
	case time.Duration(e.About) < 10*time.Millisecond:
		return "a moment"
	}
	return "about " + span(time.Duration(e.About))
}

// span is a duration as an estimate has it: no more precise than it is.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(10*time.Millisecond).Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()+0.5))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
	}
	return fmt.Sprintf("%d h", int(d.Hours()+0.5))
}

// Bytes writes a size for people.
func Bytes(n int64) string {
	const step = 1024
	if n < step {
		return plural(int(n), "byte")
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if value /= step; value < step {
			break
		}
	}
	if value < 10 {
		return fmt.Sprintf("%.1f %s", value, unit)
	}
	return fmt.Sprintf("%.0f %s", value, unit)
}

// Count writes a number of rows for people, no more precise than estimates are.
func Count(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f million", float64(n)/1e6)
	case n < 10_000_000_000:
		return fmt.Sprintf("%d million", n/1_000_000)
	}
	return fmt.Sprintf("%d billion", n/1_000_000_000)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-len(text)))
}

// oneLine is text without line breaks and doubled blanks, cut to a length.
func oneLine(text string, length int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > length {
		return string(runes[:length-1]) + "…"
	}
	return text
}
