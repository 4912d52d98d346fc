package pipeline

import (
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Style says whether a text for a terminal has colours; its zero value has none.
type Style = present.Style

// Text renders the report for a terminal: a line for each step, and below it what it
// found.
func (r Report) Text(style Style) string {
	var b strings.Builder
	for _, s := range r.Steps {
		mark, paint := "✓", style.Good
		switch {
		case s.Skipped:
			mark, paint = "-", style.Faint
		case !s.Passed:
			mark, paint = "✗", style.Bad
		}
		fmt.Fprintf(&b, "%s %s %s\n", paint(mark), style.Strong(fmt.Sprintf("%-8s", s.Name)), s.Message)
		for _, n := range s.Notes {
			paint := style.Warning
			switch n.Level {
			case present.LevelError:
				paint = style.Bad
			case present.LevelInfo:
				paint = style.Faint
			}
			fmt.Fprintf(&b, "    %s\n", strings.Replace(line(n), string(n.Level)+":", paint(string(n.Level)+":"), 1))
			_, rest, _ := strings.Cut(n.Message, "\n")
			for more := range strings.Lines(rest) {
				fmt.Fprintf(&b, "        %s\n", style.Faint(strings.TrimRight(more, "\n")))
			}
		}
	}
	return b.String()
}

// Markdown renders the report as a comment for a pull request.
func (r Report) Markdown() string {
	var b strings.Builder
	verdict := "✅ The migrations are fine"
	if !r.Passed() {
		verdict = "❌ The migrations are not fine yet"
	}
	fmt.Fprintf(&b, "### %s\n\n%s", verdict, present.MarkdownHead("step", "", ""))
	for _, s := range r.Steps {
		mark := "✅"
		switch {
		case s.Skipped:
			mark = "–"
		case !s.Passed:
			mark = "❌"
		}
		b.WriteString(present.MarkdownRow(s.Name, mark, present.Markdown(s.Message)))
	}
	for i, n := range r.Notes() {
		if b.Len() > present.LongestComment {
			fmt.Fprintf(&b, "\n… and %d more.\n", len(r.Notes())-i)
			break
		}
		place := n.Path
		if n.Line > 0 {
			place = fmt.Sprintf("%s:%d", n.Path, n.Line)
		}
		fmt.Fprintf(&b, "\n**%s** %s %s\n\n%s", n.Level, present.MarkdownCode(place), present.Markdown(n.Title),
			present.MarkdownBlock("", n.Message))
	}
	if r.Plan != nil && len(r.Plan.Migrations) > 0 {
		fmt.Fprintf(&b, "\nWould run on the target:\n\n")
		for _, m := range r.Plan.Migrations {
			fmt.Fprintf(&b, "- %s\n", present.MarkdownCode(strings.TrimSpace(string(m.Migration.Version)+" "+m.Migration.Name)))
		}
	}
	return b.String()
}
