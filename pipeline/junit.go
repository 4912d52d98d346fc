package pipeline

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/annotation"
)

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string     `xml:"name,attr"`
	Class   string     `xml:"classname,attr"`
	Time    string     `xml:"time,attr"`
	Failure *junitText `xml:"failure,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",cdata"`
}

// JUnit gives the report as JUnit XML: a case per step.
func (r Report) JUnit() ([]byte, error) {
	suite := junitSuite{Name: "whimbrel ci", Tests: len(r.Steps)}
	for _, s := range r.Steps {
		c := junitCase{Name: s.Name, Class: "whimbrel", Time: seconds(s.Took)}
		switch {
		case s.Skipped:
			suite.Skipped++
			c.Skipped = &junitText{Message: s.Message}
		case !s.Passed:
			suite.Failures++
			var lines []string
			for _, n := range s.Notes {
				lines = append(lines, line(n))
			}
			c.Failure = &junitText{s.Message, strings.Join(lines, "\n")}
		}
		suite.Cases = append(suite.Cases, c)
	}
	body, err := xml.MarshalIndent(suite, "", "  ")
	return append([]byte(xml.Header), append(body, '\n')...), err
}

func seconds(d whimbrel.Elapsed) string { return fmt.Sprintf("%.3f", time.Duration(d).Seconds()) }

// line is a note on one line, its place first.
func line(n annotation.Note) string {
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
