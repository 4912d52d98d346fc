// Package corpus has labelled migrations, harmful and harmless ones, and counts how
// well a judge tells them apart. It is for tests and benchmarks.
package corpus

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

//go:embed cases
var cases embed.FS

// Case is a migration with what is to be said of it.
type Case struct {
	Where   string // file and line
	About   string
	Hazard  string   // empty for a harmless one
	History []string // the migrations before it
	Text    string
	Until   int // the last version of PostgreSQL that it is for; 0 for all
}

// Cases gives those that are for a version of PostgreSQL. cases/columns.txt says how
// they are written.
func Cases(major int) ([]Case, error) {
	schema, err := cases.ReadFile("cases/schema.sql")
	if err != nil {
		return nil, err
	}
	files, err := cases.ReadDir("cases")
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, file := range files {
		if path.Ext(file.Name()) != ".txt" {
			continue
		}
		content, err := cases.ReadFile("cases/" + file.Name())
		if err != nil {
			return nil, err
		}
		line := 1
		for _, block := range strings.Split(string(content), "\n\n") {
			if c, ok := Read(block, string(schema)); ok && (c.Until == 0 || c.Until >= major) {
				c.Where = fmt.Sprintf("%s:%d", file.Name(), line)
				all = append(all, c)
			}
			line += strings.Count(block, "\n") + 2
		}
	}
	return all, nil
}

// Read reads one case that is on a schema. Ok is not set for a block that is
// none: a comment.
func Read(block, schema string) (c Case, ok bool) {
	c = Case{History: []string{schema}}
	var body []string
	for _, line := range strings.Split(strings.Trim(block, "\n"), "\n") {
		label, about, _ := strings.Cut(line, ": ")
		switch {
		case strings.HasPrefix(line, "#"):
		case c.About == "" && label == "safe":
			c.About = about
		case c.About == "" && strings.HasPrefix(label, "hazard "):
			c.Hazard, c.About = strings.TrimPrefix(label, "hazard "), about
		case strings.HasPrefix(line, "+until "):
			c.Until, _ = strconv.Atoi(strings.TrimPrefix(line, "+until "))
		case line == "+none":
			c.History = nil
		case strings.HasPrefix(line, "+ "):
			c.History = append(c.History, strings.TrimPrefix(line, "+ "))
		default:
			body = append(body, line)
		}
	}
	c.Text = strings.Join(body, "\n")
	return c, c.About != ""
}

// Migrations gives the case behind its history, and which of them is to be judged.
func (c Case) Migrations() (all []migration.Migration, judge func(migration.Migration) bool, err error) {
	for i, text := range append(slices.Clone(c.History), c.Text) {
		m, err := migration.Parse(fmt.Sprintf("migrations/%03d_example.sql", i+1), text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.Where, err)
		}
		all = append(all, m)
	}
	last := all[len(all)-1].Version
	return all, func(m migration.Migration) bool { return m.Version == last }, nil
}

// ByText judges the case by its text and its history alone.
func (c Case) ByText() (lint.Report, error) {
	migrations, judge, err := c.Migrations()
	if err != nil {
		return lint.Report{}, err
	}
	linter, err := lint.New(lint.Options{Judge: judge})
	if err != nil {
		return lint.Report{}, err
	}
	return linter.Check(migrations)
}

// Score counts how a judge did. It may be used concurrently.
type Score struct {
	mutex                                               sync.Mutex
	Hazards, Found, Exact, CalledSafe, Harmless, Alarms int
	Misses                                              []string
}

// Mark counts what a report says of a case, and notes where it is wrong.
func (s *Score) Mark(c Case, report lint.Report) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found := certain(report)
	verdict := report.Files[0].Verdict()
	switch {
	case c.Hazard == "":
		s.Harmless++
		if verdict == lint.Dangerous && len(found) > 0 { // and not all allowed
			s.Alarms++
			s.Misses = append(s.Misses, fmt.Sprintf("%s: false alarm (%s): %v", c.Where, c.About, found))
		}
		return
	case verdict == lint.Dangerous:
		s.Found++
		if slices.Contains(found, c.Hazard) {
			s.Exact++
		} else {
			s.Misses = append(s.Misses, fmt.Sprintf("%s: %v in place of %s (%s)", c.Where, found, c.Hazard, c.About))
		}
	case verdict == lint.Safe:
		s.CalledSafe++
		fallthrough
	default:
		s.Misses = append(s.Misses, fmt.Sprintf("%s: %s not found (%s), called %s", c.Where, c.Hazard, c.About, verdict))
	}
	s.Hazards++
}

// certain are the hazards that a report is sure of.
func certain(r lint.Report) []string {
	var all []string
	for _, f := range r.Findings() {
		if f.Verdict == lint.Dangerous {
			all = append(all, f.Hazard.String())
		}
	}
	return all
}

// Rates gives the share of hazards that were found and of harmless cases that were
// taken for hazards, in percent.
func (s *Score) Rates() (found, alarms float64) {
	return 100 * float64(s.Found) / float64(s.Hazards), 100 * float64(s.Alarms) / float64(s.Harmless)
}

// String gives the counts.
func (s *Score) String() string {
	found, alarms := s.Rates()
	return fmt.Sprintf("%d of %d hazards found (%.1f %%), %d by their name; %d false alarms in %d harmless ones (%.1f "+
		"%%); %d hazards called safe",
		s.Found, s.Hazards, found, s.Exact, s.Alarms, s.Harmless, alarms, s.CalledSafe)
}
