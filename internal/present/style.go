// Package present is how whimbrel presents things to people: colours, tables, durations,
// sizes and counts for a terminal, reports in Markdown and in JUnit's format, notes as
// platforms show them beside a change, and metrics as Prometheus reads them. Every
// package that renders something uses it, so that all commands speak alike.
package present

import "github.com/charmbracelet/x/ansi"

// Style colours short pieces of text for a terminal; its zero value leaves them as they
// are. It uses the sixteen colours that every terminal lets its owner choose.
type Style struct{ Colour bool }

// Good is for what went well.
func (s Style) Good(text string) string { return s.in(ansi.Style{}.ForegroundColor(ansi.Green), text) }

// Warning is for what somebody should look at.
func (s Style) Warning(text string) string {
	return s.in(ansi.Style{}.ForegroundColor(ansi.Yellow), text)
}

// Bad is for failures and errors.
func (s Style) Bad(text string) string { return s.in(ansi.Style{}.ForegroundColor(ansi.Red), text) }

// Strong is for names that the eye looks for.
func (s Style) Strong(text string) string { return s.in(ansi.Style{}.Bold(), text) }

// Faint is for what matters less.
func (s Style) Faint(text string) string { return s.in(ansi.Style{}.Faint(), text) }

func (s Style) in(style ansi.Style, text string) string {
	if !s.Colour || text == "" {
		return text
	}
	return style.Styled(text)
}
