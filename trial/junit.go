package trial

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
)

// The elements of JUnit's XML, as continuous integration servers read it.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name      string      `xml:"name,attr"`
		Tests     int         `xml:"tests,attr"`
		Failures  int         `xml:"failures,attr"`
		Skipped   int         `xml:"skipped,attr"`
		Time      string      `xml:"time,attr"`
		Timestamp string      `xml:"timestamp,attr"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Time      string        `xml:"time,attr"`
		Failure   *junitMessage `xml:"failure"`
		Skipped   *junitMessage `xml:"skipped"`
		Output    string        `xml:"system-out,omitempty"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit gives the report as JUnit XML: a case per migration. Irreversible ones
// are skipped cases, since the down migration was not proved.
func (r Report) JUnit() ([]byte, error) {
	suite := junitSuite{
		Name: "whimbrel test", Tests: len(r.Migrations), Time: seconds(r.Duration),
		Timestamp: r.StartedAt.UTC().Format("2006-01-02T15:04:05"),
	}
	cases := r.Migrations
	if len(r.Findings) > 0 {
		besides := Result{Name: "besides the tested migrations", Findings: r.Findings}
		besides.conclude()
		cases = append(cases[:len(cases):len(cases)], besides)
		suite.Tests++
	}
	for _, m := range cases {
		c := m.junit()
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Skipped != nil {
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, c)
	}
	body, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{suite}}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(body, '\n')...), nil
}

func (r Result) junit() junitCase {
	c := junitCase{Name: strings.TrimSpace(string(r.Version) + " " + r.Name), ClassName: "migrations", File: r.Path,
		Time: seconds(r.Duration)}
	var failures, rest []string
	for _, f := range r.Findings {
		if f.Severity == Failure {
			failures = append(failures, f.place()+f.Message)
		} else {
			rest = append(rest, "warning: "+f.place()+f.Message)
		}
	}
	rest = append(append(rest, prefixed("up ", r.Up.notes(true))...), prefixed("down ", r.Down.notes(true))...)
	switch {
	case len(failures) > 0:
		c.Failure = &junitMessage{Message: failures[0], Text: strings.Join(failures, "\n")}
	case r.Status == Irreversible || r.Status == NotRun:
		c.Skipped = &junitMessage{Message: strings.ReplaceAll(string(r.Status), "_", " ") + ": " + r.Reason}
	}
	c.Output = strings.Join(rest, "\n")
	return c
}

func prefixed(prefix string, lines []string) []string {
	for i := range lines {
		lines[i] = prefix + lines[i]
	}
	return lines
}

func seconds(e whimbrel.Elapsed) string {
	return fmt.Sprintf("%.3f", time.Duration(e).Seconds())
}
