package main

import (
	"strings"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
)

// renderTable lays out rows in columns, indented by two blanks. A nil head
// means none. Every table of the program comes from here.
func renderTable(p palette, head []string, rows [][]string) string {
	if len(rows) == 0 {
		return ""
	}
	t := table.New().
		BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderColumn(false).BorderHeader(false).BorderRow(false).Wrap(false).
		StyleFunc(func(int, int) lipgloss.Style { return lipgloss.NewStyle().PaddingRight(2) })
	if head != nil {
		styled := make([]string, len(head))
		for i, name := range head {
			styled[i] = p.faint(name)
		}
		t.Headers(styled...)
	}
	for _, row := range rows {
		t.Row(row...)
	}
	var b strings.Builder
	for line := range strings.Lines(t.Render() + "\n") {
		if line = strings.TrimRight(line, " \n"); line != "" {
			b.WriteString("  " + line + "\n")
		}
	}
	return b.String()
}

// pad fills s with blanks up to a width in columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-lipgloss.Width(s)))
}
