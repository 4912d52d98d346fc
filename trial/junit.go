package trial

import (
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// JUnit gives the report as JUnit XML: a case per migration. Irreversible ones
// are skipped cases, since the down migration was not proved.
func (r Report) JUnit() ([]byte, error) {
	suite := present.JUnit{Name: "whimbrel test", Took: present.Seconds(r.Duration),
		Timestamp: r.StartedAt.UTC().Format("2006-01-02T15:04:05")}
	cases := r.Migrations
	if len(r.Findings) > 0 {
		besides := Result{Name: "besides the tested migrations", Findings: r.Findings}
		besides.conclude()
		cases = append(cases[:len(cases):len(cases)], besides)
	}
	for _, m := range cases {
		suite.Cases = append(suite.Cases, m.junit())
	}
	return suite.XML()
}

func (r Result) junit() present.JUnitCase {
	c := present.JUnitCase{Name: strings.TrimSpace(string(r.Version) + " " + r.Name), Class: "migrations", File: r.Path,
		Took: present.Seconds(r.Duration)}
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
		c.Failure = &present.JUnitMessage{Message: failures[0], Text: strings.Join(failures, "\n")}
	case r.Status == Irreversible || r.Status == NotRun:
		c.Skipped = &present.JUnitMessage{Message: strings.ReplaceAll(string(r.Status), "_", " ") + ": " + r.Reason}
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
