package project

import (
	"slices"

	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
)

// Lint says how migrations are judged.
type Lint struct {
	Hazards   severities `yaml:"hazards"`
	PGVersion int        `yaml:"pg_version"`
	// Rehearsal is whether migrations are run on a throw-away server; nil: they are.
	Rehearsal *bool `yaml:"rehearsal"`
}

// checkLint refuses versions that nobody knows.
func (c File) checkLint() error {
	if at := c.at("lint", "pg_version"); at != nil && !KnownMajor(c.Lint.PGVersion) {
		return c.wrong(at, "write one of "+Majors(), "lint.pg_version: there is no PostgreSQL %d to judge for",
			c.Lint.PGVersion)
	}
	return nil
}

// severities are those of hazards, by their ids.
type severities map[string]string

// ReadYAML implements yamlpos.Unmarshaler.
func (s *severities) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	entries, ok := r.Entries(n)
	if !ok {
		r.Wrong(n, "write a hazard and its severity on each line, as in drop-column: warn", "a mapping is expected here")
	}
	*s = severities{}
	for _, e := range entries {
		(*s)[e.Name], _ = r.Scalar(e.Value)
		if !slices.Contains([]string{"off", "warn", "error"}, (*s)[e.Name]) {
			r.Wrong(e.Value, "write off, warn or error", "%s: invalid severity %q", e.Name, yamlpos.Written(e.Value))
		}
	}
}

// checkHazards refuses names that no hazard has. problem says what is wrong with one.
func (c File) checkHazards(problem func(id string) string) {
	at := c.at("lint", "hazards")
	if problem == nil || at == nil {
		return
	}
	entries, _ := c.yaml.Entries(at)
	for _, e := range entries {
		if wrong := problem(e.Name); wrong != "" {
			c.yaml.Wrong(e.Key, "", "lint.hazards: %s", wrong)
		}
	}
}
