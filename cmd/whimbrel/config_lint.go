package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/whimbrel-db/whimbrel/lint"
)

// lintSettings say how migrations are judged.
type lintSettings struct {
	Hazards   severities `yaml:"hazards"`
	PGVersion int        `yaml:"pg_version"`
	// Rehearsal is whether migrations are run on a throw-away server; nil: they are.
	Rehearsal *bool `yaml:"rehearsal"`
}

// checkLint refuses versions that nobody knows.
func (c config) checkLint() error {
	if at := c.token("lint", "pg_version"); at != nil && !knownMajor(c.Lint.PGVersion) {
		return c.wrong(at, "write one of "+majorsText(), "lint.pg_version: there is no PostgreSQL %d to judge for", c.Lint.PGVersion)
	}
	return nil
}

// severities are those of hazards, by their ids.
type severities lint.Severities

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (s *severities) UnmarshalYAML(node ast.Node) error {
	var values []*ast.MappingValueNode
	switch node := node.(type) {
	case *ast.MappingNode:
		values = node.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{node}
	default:
		return &yaml.SyntaxError{Message: "hazards: write a hazard and its severity on each line, as in drop-column: warn", Token: node.GetToken()}
	}
	*s = severities{}
	for _, v := range values {
		id := v.Key.GetToken().Value
		if _, known := lint.Lookup(id); !known {
			return &yaml.SyntaxError{Message: unknownHazard(id), Token: v.Key.GetToken()}
		}
		severity := lint.Severity(v.Value.GetToken().Value)
		if all := []lint.Severity{lint.Off, lint.Warn, lint.Error}; !slices.Contains(all, severity) {
			return &yaml.SyntaxError{Message: fmt.Sprintf("%s: %q is no severity: write off, warn or error", id, severity), Token: v.Value.GetToken()}
		}
		(*s)[id] = severity
	}
	return nil
}

// unknownHazard says that there is none of that name, and which may be meant.
func unknownHazard(id string) string {
	if near := didYouMean("", id, hazardIDs()); near != "" {
		return fmt.Sprintf("there is no hazard %q; %s", id, near)
	}
	return fmt.Sprintf("there is no hazard %q; whimbrel lint --list shows all", id)
}

func hazardIDs() []string {
	var ids []string
	for _, h := range lint.Hazards() {
		ids = append(ids, h.ID)
	}
	return ids
}

// renderHazards lists all hazards.
func renderHazards(p palette) string {
	var rows [][]string
	for _, h := range lint.Hazards() {
		paint := p.warn
		if h.Severity == lint.Error {
			paint = p.bad
		}
		rows = append(rows, []string{h.ID, paint(string(h.Severity)), h.Title})
	}
	return strings.TrimRight(renderTable(p, []string{"HAZARD", "SEVERITY", "WHAT"}, rows), "\n")
}

// renderHazard shows one record.
func renderHazard(p palette, h lint.Hazard) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n%s\n", p.strong(h.ID), h.Title, h.Happens)
	if len(h.Locks) > 0 {
		var locks []string
		for _, l := range h.Locks {
			locks = append(locks, fmt.Sprintf("%s on %s", l.Mode, l.Table))
		}
		fmt.Fprintf(&b, "\n%s %s\n", p.faint("locks of the example:"), strings.Join(locks, ", "))
	}
	if h.Versions != "" {
		fmt.Fprintf(&b, "%s %s\n", p.faint("versions:"), h.Versions)
	}
	fmt.Fprintf(&b, "\n%s\n    %s\n", p.bad("what does it:"), indented(h.Bad, "    "))
	for _, good := range h.Good {
		fmt.Fprintf(&b, "\n%s\n    %s\n", p.good("instead:"), indented(good, "    "))
	}
	fmt.Fprintf(&b, "\n%s\n%s\n", h.Remedy, p.faint(h.Link))
	return b.String()
}
