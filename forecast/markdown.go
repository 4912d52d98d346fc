package forecast

import (
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel"
)

// Markdown renders a forecast for a pull request or a ticket.
func (f Forecast) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Plan: %s, %s risk\n\n", plural(len(f.Migrations), "migration"), f.Risk)
	if len(f.Migrations) == 0 {
		b.WriteString("Nothing to do.\n")
		return b.String()
	}
	fmt.Fprintf(&b, "On %s (PostgreSQL %s), %s.\n\n", cell(f.Database), f.Server, f.Duration)
	b.WriteString("| | migration | risk | takes | down migration | deploy |\n|---|---|---|---|---|---|\n")
	for _, m := range f.Migrations {
		arrow := "↑"
		if m.Direction == whimbrel.Down {
			arrow = "↓"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", arrow, cell(string(m.Version)+" "+m.Name), m.Risk, m.Duration,
			cell(m.Down.String()), m.Deploy.Order)
	}
	for _, m := range f.Migrations {
		f.markdownOf(&b, m)
	}
	var style Style
	var notes strings.Builder
	f.writeCircumstances(&notes, style.complete())
	for line := range strings.Lines(notes.String()) {
		if text := strings.TrimPrefix(strings.TrimSpace(line), "! "); text != "" {
			fmt.Fprintf(&b, "\n> %s\n", cell(text))
		}
	}
	return b.String()
}

func (f Forecast) markdownOf(b *strings.Builder, m Migration) {
	fmt.Fprintf(b, "\n### %s %s\n\n", m.Version, cell(m.Name))
	for _, r := range m.Reasons {
		hazard := ""
		if r.Hazard != "" {
			hazard = " (`" + r.Hazard + "`)"
		}
		place := ""
		if r.Line > 0 {
			place = fmt.Sprintf("line %d: ", r.Line)
		}
		fmt.Fprintf(b, "- **%s** %s%s%s\n", r.Risk, place, cell(r.Message), hazard)
	}
	for _, reason := range m.Deploy.Reasons {
		fmt.Fprintf(b, "- **deploy** %s\n", cell(reason))
	}
	fmt.Fprintf(b, "- **order** %s\n", m.Deploy.Order.Advice())
	f.markdownOfLocks(b, m)
	for _, step := range m.Steps {
		for _, s := range step.Statements {
			if len(s.touched()) > 0 {
				fmt.Fprintf(b, "\n```sql\n%s\n```\n\n%s\n", strings.ReplaceAll(s.Text, "```", "` ` `"), cell(f.effort(s)))
			}
		}
	}
}

func (f Forecast) markdownOfLocks(b *strings.Builder, m Migration) {
	var rows []string
	for _, step := range m.Steps {
		for _, g := range grouped(step.Locks, Facts{Tables: f.Tables}) {
			rows = append(rows, fmt.Sprintf("| %d | %s | %s | %s | %s |", step.Number, cell(g.name), g.lock.Mode,
				g.lock.Hold.phrase(g.lock.Held), g.lock.Mode.Stops()))
		}
	}
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| step | table | lock | held | waiting meanwhile |\n|---|---|---|---|---|\n%s\n",
			strings.Join(rows, "\n"))
	}
}

// cell is a text as it can be in a table or a line of Markdown.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "_", `\_`, "*", `\*`).Replace(text)
}
