package pipeline

import (
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel/annotation"
)

// Style makes parts of a text for a terminal stand out. Its functions may be nil.
type Style struct {
	Good, Warning, Error, Faint, Strong func(string) string
}

func styled(style func(string) string, text string) string {
	if style == nil {
		return text
	}
	return style(text)
}

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
			mark, paint = "✗", style.Error
		}
		fmt.Fprintf(&b, "%s %s %s\n", styled(paint, mark), styled(style.Strong, fmt.Sprintf("%-8s", s.Name)), s.Message)
		for _, n := range s.Notes {
			paint := style.Warning
			switch n.Level {
			case annotation.Error:
				paint = style.Error
			case annotation.Info:
				paint = style.Faint
			}
			fmt.Fprintf(&b, "    %s\n", strings.Replace(line(n), string(n.Level)+":", styled(paint, string(n.Level)+":"), 1))
			_, rest, _ := strings.Cut(n.Message, "\n")
			for more := range strings.Lines(rest) {
				fmt.Fprintf(&b, "        %s\n", styled(style.Faint, strings.TrimRight(more, "\n")))
			}
		}
	}
	return b.String()
}

// longestComment is how many bytes of Markdown there are about; GitHub takes 65,536
// characters in a comment.
const longestComment = 50_000

// Markdown renders the report as a comment for a pull request.
func (r Report) Markdown() string {
	var b strings.Builder
	verdict := "✅ The migrations are fine"
	if !r.Passed() {
		verdict = "❌ The migrations are not fine yet"
	}
	fmt.Fprintf(&b, "### %s\n\n| step | | |\n|---|---|---|\n", verdict)
	for _, s := range r.Steps {
		mark := "✅"
		switch {
		case s.Skipped:
			mark = "–"
		case !s.Passed:
			mark = "❌"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.Name, mark, cell(s.Message))
	}
	for i, n := range r.Notes() {
		if b.Len() > longestComment {
			fmt.Fprintf(&b, "\n… and %d more.\n", len(r.Notes())-i)
			break
		}
		place := n.Path
		if n.Line > 0 {
			place = fmt.Sprintf("%s:%d", n.Path, n.Line)
		}
		fmt.Fprintf(&b, "\n**%s** `%s` %s\n\n%s\n", n.Level, strings.ReplaceAll(place, "`", "'"), cell(n.Title),
			fence(n.Message))
	}
	if r.Plan != nil && len(r.Plan.Migrations) > 0 {
		fmt.Fprintf(&b, "\nWould run on the target:\n\n")
		for _, m := range r.Plan.Migrations {
			fmt.Fprintf(&b, "- `%s`\n", strings.TrimSpace(string(m.Migration.Version)+" "+m.Migration.Name))
		}
	}
	return b.String()
}

// cell is text in a cell of a table, in which nothing is markup.
func cell(text string) string {
	return strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "<", "&lt;", "|", "\\|", "[", "\\[",
		"\n", " ").Replace(text)
}

// fence puts text into a block in which nothing is markup, whatever it holds.
func fence(text string) string {
	longest, run := 2, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	marks := strings.Repeat("`", longest+1)
	return marks + "\n" + strings.TrimRight(text, "\n") + "\n" + marks
}
