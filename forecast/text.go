package forecast

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/lint"
)

// Style says whether a text for a terminal has colours; its zero value has none.
type Style = present.Style

// paint is how a risk is coloured.
func (r Risk) paint(style Style) func(string) string {
	return [...]func(string) string{style.Good, style.Warning, style.Bad}[r]
}

// Text renders a forecast for a terminal. With details it also shows the statements
// that do nothing worth telling, and what the estimates and verdicts are based on.
func (f Forecast) Text(style Style, details bool) string {
	var b strings.Builder
	if len(f.Migrations) == 0 {
		b.WriteString("Nothing to do.\n")
	} else {
		fmt.Fprintf(&b, "%s would run on %s (PostgreSQL %s): %s, %s\n", present.Plural(len(f.Migrations), "migration"),
			f.Database,
			f.Server,
			f.Duration, f.Risk.paint(style)(f.Risk.String()+" risk"))
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
	how := present.Plural(len(m.Steps), "step")
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
		how += ", needs about " + present.Bytes(m.Disk) + " of disk meanwhile"
	}
	fmt.Fprintf(b, "%s %s  %s  %s\n", arrow, style.Strong(string(m.Version)+" "+m.Name),
		m.Risk.paint(style)(m.Risk.String()+" risk"), style.Faint(how))
	for _, r := range m.Reasons {
		fmt.Fprintf(b, "    %s %s\n", r.Risk.paint(style)(present.Pad(r.Risk.String(), 8)), r.text(style))
	}
	for _, step := range m.Steps {
		f.writeStep(b, style, m, step, details)
	}
	if !m.RecordOnly {
		fmt.Fprintf(b, "    %s %s\n", style.Faint("down migration"), m.Down)
		fmt.Fprintf(b, "    %s %s\n", style.Faint("deploy  "), m.Deploy)
	}
}

// place says which line a reason is about, with a colon; "" for none.
func (r Reason) place() string {
	if r.Line == 0 {
		return ""
	}
	return fmt.Sprintf("line %d: ", r.Line)
}

// text is a reason with its place and its hazard.
func (r Reason) text(style Style) string {
	text := r.place() + r.Message
	if r.Hazard != "" {
		text += style.Faint("  " + r.Hazard)
	}
	return text
}

func (f Forecast) writeStep(b *strings.Builder, style Style, m Migration, step Step, details bool) {
	if !m.Atomic {
		fmt.Fprintf(b, "    %s %s\n", style.Faint(present.Pad(fmt.Sprintf("step %d", step.Number), 8)), step.heading(style))
	}
	if step.Done {
		return
	}
	for _, group := range grouped(step.Locks, Facts{Tables: f.Tables}) {
		l := group.lock
		line := fmt.Sprintf("%s on %s, %s", l.Mode, group.name, l.Hold.phrase(l.Held))
		switch {
		case l.stops() && l.Hold != Brief:
			line = style.Bad(line) + ": " + l.Mode.Stops() + " wait"
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
	fmt.Fprintf(b, "    %s %s\n", style.Faint(fmt.Sprintf("%7d |", s.Line)), present.OneLine(s.Text, 96))
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
	size := present.Bytes(s.Bytes)
	if s.Rows >= 0 {
		size = roughCount(s.Rows) + " rows, " + size
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
			g.name = fmt.Sprintf("%s and %s", k.root, present.Plural(parts, "partition"))
		case parts > 1:
			g.name = fmt.Sprintf("%s of %s", present.Plural(parts, "partition"), k.root)
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
		return "an unknown time, at least about " + roughly(e.About)
	case !e.Known:
		return "an unknown time"
	case e.About < 10*time.Millisecond:
		return "a moment"
	}
	return "about " + roughly(e.About)
}

// roughly is a duration that is estimated, no more precise than it is.
func roughly[D ~int64](of D) string {
	d, unit := time.Duration(of), 10*time.Millisecond
	switch {
	case d >= time.Minute:
		unit = time.Minute
	case d >= time.Second:
		unit = time.Second
	}
	return present.Duration(d.Round(unit))
}

// roughCount is a number of rows that is estimated: two digits of it from a million on.
func roughCount(n int64) string {
	unit := int64(1)
	for n >= 1_000_000 && n/unit >= 100 {
		unit *= 10
	}
	return present.Count(n / unit * unit)
}
