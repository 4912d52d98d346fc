package trial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Style says whether a text for a terminal has colours; its zero value has none.
type Style = present.Style

// Text renders the report for people. With details it has the measurements of every
// migration, and not only of those that stop others.
func (r Report) Text(style Style, details bool) string {
	p := &printer{style: style, details: details}
	for _, m := range r.Migrations {
		p.migration(m)
	}
	if len(r.Findings) > 0 {
		p.line("besides:")
		for _, f := range r.Findings {
			p.finding(f)
		}
	}
	p.line("%s", r.summary(p))
	for _, k := range r.Kept {
		p.line("kept %s, %s: psql '%s'", k.Database, k.State, k.URL)
	}
	return p.text.String()
}

// printer writes lines.
type printer struct {
	text    strings.Builder
	style   Style
	details bool
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

var signs = map[Status]string{Passed: "✓", Failed: "✗", Irreversible: "→", NotRun: "-"}

// Line is one migration's outcome in one line.
func (r Result) Line() string {
	line := fmt.Sprintf("%s %s %s", signs[r.Status], r.Version, r.Name)
	if r.Up != nil {
		line += "  up " + present.Duration(r.Up.Duration)
	}
	if r.Down != nil {
		line += ", down " + present.Duration(r.Down.Duration)
	}
	switch r.Status {
	case Irreversible:
		line += "  irreversible: " + r.Reason
	case NotRun:
		line += "  not run: " + r.Reason
	}
	return line
}

func (p *printer) migration(r Result) {
	colour := map[Status]func(string) string{Passed: p.style.Good, Failed: p.style.Bad, Irreversible: p.style.Faint,
		NotRun: p.style.Faint}[r.Status]
	sign, rest, _ := strings.Cut(r.Line(), " ")
	p.line("%s %s", colour(sign), rest)
	for _, f := range r.Findings {
		p.finding(f)
	}
	for _, direction := range []struct {
		name    string
		measure *Measure
	}{{"up", r.Up}, {"down", r.Down}} {
		if direction.name == "down" && !p.details {
			continue // who goes back has other worries
		}
		for _, note := range direction.measure.notes(p.details) {
			p.line("    %s", p.style.Faint(direction.name+" "+note))
		}
	}
	if p.details {
		for _, t := range r.Queries {
			p.line("    %s", p.style.Faint(fmt.Sprintf("query %q: %s, %s", t.Name,
				present.Duration(t.Median), present.Plural(t.Rows, "row"))))
		}
	}
}

func (p *printer) finding(f Finding) {
	sign, colour := "✗", p.style.Bad
	if f.Severity == Warning {
		sign, colour = "!", p.style.Faint
	}
	p.line("    %s %s%s", colour(sign), f.place(), f.Message)
	if f.Remedy != "" {
		p.line("      %s", p.style.Faint(f.Remedy))
	}
}

// place is where a finding points to, with a colon and a blank behind it.
func (f Finding) place() string {
	switch {
	case f.Path == "":
		return ""
	case f.Line == 0:
		return f.Path + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", f.Path, f.Line, f.Column)
}

// notes are what is worth to be known of a direction: what others had to wait
// for, or everything.
func (m *Measure) notes(everything bool) []string {
	if m == nil {
		return nil
	}
	var notes []string
	for _, l := range byMode(m.Locks) {
		if l.Blocks == "" && !everything {
			continue
		}
		note := fmt.Sprintf("locks %s in mode %s for %s", l.Table, l.Mode, present.Duration(l.Held))
		if l.Blocks != "" {
			note += ", and " + l.Blocks + " wait"
		}
		notes = append(notes, note)
	}
	for _, table := range m.Rewritten {
		notes = append(notes, "rewrites "+table)
	}
	for _, s := range m.Scanned {
		if everything || s.Rows >= worthKnowing {
			notes = append(notes, fmt.Sprintf("reads the whole of %s, %s", s.Table, present.Plural(s.Rows, "row")))
		}
	}
	if everything && m.Rows > 0 {
		notes = append(notes, "changes "+present.Plural(m.Rows, "row"))
	}
	return notes
}

// byMode puts the locks of a mode together: their tables in one list, and the
// longest time.
func byMode(locks []Lock) []Lock {
	var together []Lock
	for _, l := range locks {
		i := slices.IndexFunc(together, func(o Lock) bool { return o.Mode == l.Mode && o.Blocks == l.Blocks })
		if i < 0 {
			together = append(together, l)
			continue
		}
		together[i].Table += ", " + l.Table
		together[i].Held = max(together[i].Held, l.Held)
	}
	return together
}

// worthKnowing is how many rows must be read for a scan to be shown unasked.
const worthKnowing = 1000

func (r Report) summary(p *printer) string {
	s := r.Summary
	parts := []string{fmt.Sprintf("%d passed", s.Passed), fmt.Sprintf("%d failed", s.Failed),
		fmt.Sprintf("%d irreversible", s.Irreversible)}
	if s.Failed > 0 {
		parts[1] = p.style.Bad(parts[1])
	}
	if s.NotRun > 0 {
		parts = append(parts, fmt.Sprintf("%d not run", s.NotRun))
	}
	if s.Warnings > 0 {
		parts = append(parts, present.Plural(s.Warnings, "warning"))
	}
	server := r.Server
	if server != "" {
		server = "PostgreSQL " + server + ", "
	}
	return fmt.Sprintf("%s: %s%s; %s%s", present.Plural(len(r.Migrations), "migration"), strings.Join(parts, ", "),
		r.rate(),
		server,
		present.Duration(r.Duration))
}

// rate is the success rate where nothing failed, and otherwise what takes its place:
// beside a failure a rate says nothing, and of nothing there is none.
func (r Report) rate() string {
	switch {
	case r.Summary.Tested == 0:
		return "; nothing was tested"
	case !r.OK() || r.Summary.SuccessRate == nil:
		return ""
	}
	return "; success rate " + strings.TrimSuffix(fmt.Sprintf("%.2f", *r.Summary.SuccessRate), ".00") + "%"
}
