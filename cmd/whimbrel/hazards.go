//go:build !lean

package main

import (
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/preflight"
	"github.com/whimbrel-db/whimbrel/project"
)

const lean = false

// problemOfHazard is what is wrong with the name of a hazard; "" if there is one.
func problemOfHazard(id string) string {
	if _, known := lint.Lookup(id); known {
		return ""
	}
	return unknownHazard(id)
}

// ofHazards gives the severities of a project to the linter.
func ofHazards(p *project.Project) lint.Severities {
	given := lint.Severities{}
	for id, severity := range p.File.Lint.Hazards {
		given[id] = lint.Severity(severity)
	}
	return given
}

// unknownHazard says that there is none of that name, and which may be meant.
func unknownHazard(id string) string {
	if near := plaintext.DidYouMean("", id, hazardIDs()); near != "" {
		return fmt.Sprintf("unknown hazard %q; %s", id, near)
	}
	return fmt.Sprintf("unknown hazard %q; whimbrel lint --list shows all", id)
}

// touches says what a statement touches, for the checks.
var touches preflight.Toucher = lint.Touches

func hazardIDs() []string {
	var ids []string
	for _, h := range lint.Hazards() {
		ids = append(ids, h.ID.String())
	}
	return ids
}

// renderHazards lists all hazards.
func renderHazards(p present.Style) string {
	var rows [][]string
	for _, h := range lint.Hazards() {
		paint := p.Warning
		if h.Severity == lint.Error {
			paint = p.Bad
		}
		rows = append(rows, []string{h.ID.String(), paint(string(h.Severity)), h.Title})
	}
	return strings.TrimRight(present.Table(p, []string{"HAZARD", "SEVERITY", "WHAT"}, rows), "\n")
}

// renderHazard shows one record.
func renderHazard(p present.Style, h lint.Hazard) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n%s\n", p.Strong(h.ID.String()), h.Title, h.Happens)
	if len(h.Locks) > 0 {
		var locks []string
		for _, l := range h.Locks {
			locks = append(locks, fmt.Sprintf("%s on %s", l.Mode, l.Table))
		}
		fmt.Fprintf(&b, "\n%s %s\n", p.Faint("locks of the example:"), strings.Join(locks, ", "))
	}
	if h.Versions != "" {
		fmt.Fprintf(&b, "%s %s\n", p.Faint("versions:"), h.Versions)
	}
	fmt.Fprintf(&b, "\n%s\n    %s\n", p.Bad("what does it:"), indented(h.Bad, "    "))
	for _, good := range h.Good {
		fmt.Fprintf(&b, "\n%s\n    %s\n", p.Good("instead:"), indented(good, "    "))
	}
	fmt.Fprintf(&b, "\n%s\n%s\n", h.Remedy, p.Faint(h.Link))
	return b.String()
}
