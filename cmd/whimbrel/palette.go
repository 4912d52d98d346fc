package main

import "charm.land/lipgloss/v2"

// palette colours short pieces of text, or leaves them as they are. It uses
// the sixteen colours that every terminal lets its owner choose.
type palette struct{ colour bool }

func (p palette) good(s string) string {
	return p.in(lipgloss.NewStyle().Foreground(lipgloss.Green), s)
}
func (p palette) bad(s string) string { return p.in(lipgloss.NewStyle().Foreground(lipgloss.Red), s) }
func (p palette) warn(s string) string {
	return p.in(lipgloss.NewStyle().Foreground(lipgloss.Yellow), s)
}
func (p palette) strong(s string) string { return p.in(lipgloss.NewStyle().Bold(true), s) }
func (p palette) faint(s string) string  { return p.in(lipgloss.NewStyle().Faint(true), s) }

func (p palette) in(style lipgloss.Style, s string) string {
	if !p.colour || s == "" {
		return s
	}
	return style.Inline(true).Render(s)
}
