package trial

import (
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Markdown gives the report as a comment for a pull request: what failed first
// and in full, then a table of everything.
func (r Report) Markdown() string {
	var b strings.Builder
	verdict := "✅ The migrations passed"
	switch {
	case !r.OK():
		verdict = "❌ The migrations did not pass"
	case r.Summary.Tested == 0:
		verdict = "No migration was tested"
	}
	s := r.Summary
	fmt.Fprintf(&b, "### %s\n\n%d passed, %d failed, %d irreversible", verdict, s.Passed, s.Failed, s.Irreversible)
	if s.NotRun > 0 {
		fmt.Fprintf(&b, ", %d not run", s.NotRun)
	}
	b.WriteString(r.rate() + ". ")
	if r.Server != "" {
		fmt.Fprintf(&b, "PostgreSQL %s, ", present.Markdown(r.Server))
	}
	fmt.Fprintf(&b, "%s.\n", present.Duration(r.Duration))
	for _, m := range r.Migrations {
		markdownFindings(&b, string(m.Version)+" "+m.Name, m.Findings)
	}
	markdownFindings(&b, "Besides", r.Findings)
	rows := []string{}
	for _, m := range r.Migrations {
		rows = append(rows, m.row())
	}
	const head = "\n| | migration | up | down | rows | locks on existing tables | |\n|---|---|--:|--:|--:|---|---|\n"
	if len(rows) > 0 {
		b.WriteString(head)
	}
	for i, row := range rows {
		if b.Len()+len(row) > present.LongestComment {
			fmt.Fprintf(&b, "\n… and %d more.\n", len(rows)-i)
			break
		}
		b.WriteString(row)
	}
	return b.String()
}

func markdownFindings(b *strings.Builder, title string, findings []Finding) {
	if len(findings) == 0 || b.Len() > present.LongestComment/2 {
		return
	}
	fmt.Fprintf(b, "\n**%s**\n\n", present.Markdown(title))
	for i, f := range findings {
		if b.Len() > present.LongestComment/2 {
			fmt.Fprintf(b, "- … and %d more\n", len(findings)-i)
			break
		}
		sign := "❌"
		if f.Severity == Warning {
			sign = "⚠️"
		}
		fmt.Fprintf(b, "- %s %s\n", sign, present.Markdown(f.Message))
		if at := strings.TrimSuffix(f.place(), ": "); at != "" {
			fmt.Fprintf(b, "  %s\n", present.MarkdownCode(at))
		}
		if f.Remedy != "" {
			fmt.Fprintf(b, "  %s\n", present.Markdown(f.Remedy))
		}
	}
}

// row is a migration in the table.
func (r Result) row() string {
	sign := map[Status]string{Passed: "✅", Failed: "❌", Irreversible: "➡️", NotRun: "⏸️"}[r.Status]
	up, down, rows, locks := "", "", "", ""
	if r.Up != nil {
		up, rows = present.Duration(r.Up.Duration), fmt.Sprint(r.Up.Rows)
		var parts []string
		for _, l := range r.Up.Locks {
			if l.Blocks != "" {
				parts = append(parts, fmt.Sprintf("%s %s %s", l.Table, l.Mode, present.Duration(l.Held)))
			}
		}
		for _, table := range r.Up.Rewritten {
			parts = append(parts, "rewrites "+table)
		}
		locks = present.List(parts, 4)
	}
	if r.Down != nil {
		down = present.Duration(r.Down.Duration)
	}
	note := ""
	if r.Reason != "" {
		note = strings.ReplaceAll(string(r.Status), "_", " ") + ": " + r.Reason
	}
	return present.MarkdownRow(sign, string(r.Version)+" "+present.Markdown(r.Name), up, down, rows,
		present.Markdown(locks), present.Markdown(note))
}
