package pipeline

import (
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// JUnit gives the report as JUnit XML: a case per step.
func (r Report) JUnit() ([]byte, error) {
	suite := present.JUnit{Name: "whimbrel ci"}
	for _, s := range r.Steps {
		c := present.JUnitCase{Name: s.Name, Class: "whimbrel", Took: present.Seconds(s.Took)}
		switch {
		case s.Skipped:
			c.Skipped = &present.JUnitMessage{Message: s.Message}
		case !s.Passed:
			var lines []string
			for _, n := range s.Notes {
				lines = append(lines, line(n))
			}
			c.Failure = &present.JUnitMessage{Message: s.Message, Text: strings.Join(lines, "\n")}
		}
		suite.Took += c.Took
		suite.Cases = append(suite.Cases, c)
	}
	return suite.XML()
}

// line is a note on one line, its place first.
func line(n present.Note) string {
	place := ""
	switch {
	case n.Path != "" && n.Line > 0 && n.Column > 0:
		place = fmt.Sprintf("%s:%d:%d: ", n.Path, n.Line, n.Column)
	case n.Path != "" && n.Line > 0:
		place = fmt.Sprintf("%s:%d: ", n.Path, n.Line)
	case n.Path != "":
		place = n.Path + ": "
	}
	first, _, _ := strings.Cut(n.Message, "\n")
	if n.Check != "" {
		first += " (" + n.Check + ")"
	}
	return place + string(n.Level) + ": " + first
}
