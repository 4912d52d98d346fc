package forecast

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Markdown renders a forecast for a pull request or a ticket.
func (f Forecast) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Plan: %s, %s risk\n\n", present.Plural(len(f.Migrations), "migration"), f.Risk)
	if len(f.Migrations) == 0 {
		b.WriteString("Nothing to do.\n")
		return b.String()
	}
	fmt.Fprintf(&b, "On %s (PostgreSQL %s), %s.\n\n", present.MarkdownCode(f.Database), f.Server, f.Duration)
	b.WriteString(present.MarkdownHead("", "migration", "risk", "takes", "down migration", "deploy"))
	for _, m := range f.Migrations {
		arrow := "↑"
		if m.Direction == whimbrel.Down {
			arrow = "↓"
		}
		b.WriteString(present.MarkdownRow(arrow, present.Markdown(string(m.Version)+" "+m.Name), m.Risk.String(),
			m.Duration.String(), present.Markdown(m.Down.String()), string(m.Deploy.Order)))
	}
	for _, m := range f.Migrations {
		f.markdownOf(&b, m)
	}
	var notes strings.Builder
	f.writeCircumstances(&notes, Style{})
	for line := range strings.Lines(notes.String()) {
		if text := strings.TrimPrefix(strings.TrimSpace(line), "! "); text != "" {
			fmt.Fprintf(&b, "\n> %s\n", present.Markdown(text))
		}
	}
	return b.String()
}

func (f Forecast) markdownOf(b *strings.Builder, m Migration) {
	fmt.Fprintf(b, "\n### %s %s\n\n", m.Version, present.Markdown(m.Name))
	for _, r := range m.Reasons {
		hazard := ""
		if r.Hazard != "" {
			hazard = " (`" + r.Hazard + "`)"
		}
		fmt.Fprintf(b, "- **%s** %s%s%s\n", r.Risk, r.place(), present.Markdown(r.Message), hazard)
	}
	for _, reason := range m.Deploy.Reasons {
		fmt.Fprintf(b, "- **deploy** %s\n", present.Markdown(reason))
	}
	fmt.Fprintf(b, "- **order** %s\n", m.Deploy.Order.Advice())
	f.markdownOfLocks(b, m)
	for _, step := range m.Steps {
		for _, s := range step.Statements {
			if len(s.touched()) > 0 {
				fmt.Fprintf(b, "\n%s\n%s\n", present.MarkdownBlock("sql", s.Text), present.Markdown(f.effort(s)))
			}
		}
	}
}

func (f Forecast) markdownOfLocks(b *strings.Builder, m Migration) {
	var rows strings.Builder
	for _, step := range m.Steps {
		for _, g := range grouped(step.Locks, Facts{Tables: f.Tables}) {
			rows.WriteString(present.MarkdownRow(strconv.Itoa(step.Number), present.Markdown(g.name), g.lock.Mode.String(),
				g.lock.Hold.phrase(g.lock.Held), g.lock.Mode.Stops()))
		}
	}
	if rows.Len() > 0 {
		b.WriteString("\n" + present.MarkdownHead("step", "table", "lock", "held", "waiting meanwhile") + rows.String())
	}
}
