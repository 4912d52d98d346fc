package main

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
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
		return c.wrong(at, "write one of "+majorsText(), "lint.pg_version: there is no PostgreSQL %d to judge for",
			c.Lint.PGVersion)
	}
	return nil
}

// severities are those of hazards, by their ids.
type severities map[string]string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (s *severities) UnmarshalYAML(node ast.Node) error {
	var values []*ast.MappingValueNode
	switch node := node.(type) {
	case *ast.MappingNode:
		values = node.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{node}
	default:
		return &yaml.SyntaxError{Message: "hazards: write a hazard and its severity on each line, as in drop-column: warn",
			Token: node.GetToken()}
	}
	*s = severities{}
	for _, v := range values {
		id := v.Key.GetToken().Value
		if problem := problemOfHazard(id); problem != "" {
			return &yaml.SyntaxError{Message: problem, Token: v.Key.GetToken()}
		}
		severity := v.Value.GetToken().Value
		if !slices.Contains([]string{"off", "warn", "error"}, severity) {
			return &yaml.SyntaxError{Message: fmt.Sprintf("%s: invalid severity %q: write off, warn or error", id, severity),
				Token: v.Value.GetToken()}
		}
		(*s)[id] = severity
	}
	return nil
}
