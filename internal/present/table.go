package present

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Columns is how wide texts for a terminal may be before they are wrapped.
const Columns = 80

// Table lays out rows in columns, indented by two blanks; a nil head means none. Where a
// line would be too long, the last column is wrapped at words.
func Table(style Style, head []string, rows [][]string) string {
	if len(rows) == 0 {
		return ""
	}
	if head != nil {
		styled := make([]string, len(head))
		for i, name := range head {
			styled[i] = style.Faint(name)
		}
		rows = append([][]string{styled}, rows...)
	}
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		b.WriteString(tableRow(row, widths))
	}
	return b.String()
}

// leastWrapped is how many columns there must be to wrap a text in.
const leastWrapped = 24

func tableRow(row []string, widths []int) string {
	line, last := "", len(row)-1
	for i, cell := range row {
		if i == len(widths)-1 {
			last = i
			break
		}
		line += "  " + Pad(cell, widths[i])
	}
	if last == len(widths)-1 && last >= 0 {
		line += "  "
		parts := []string{row[last]}
		if room := Columns - ansi.StringWidth(line); room >= leastWrapped {
			parts = Wrap(row[last], room)
		}
		line += strings.Join(parts, "\n"+strings.Repeat(" ", ansi.StringWidth(line)))
	}
	return strings.TrimRight(line, " ") + "\n"
}

// Width is how many columns of a terminal a text takes.
func Width(text string) int { return ansi.StringWidth(text) }

// Pad fills a text with blanks up to a width in columns.
func Pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

// Wrap breaks a text at words into lines of at most so many columns; a longer word has a
// line of its own. What fits stays as it is.
func Wrap(text string, columns int) []string {
	if ansi.StringWidth(text) <= columns {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case ansi.StringWidth(line)+1+ansi.StringWidth(word) > columns:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
