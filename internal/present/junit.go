package present

import (
	"encoding/xml"
	"fmt"
	"time"
)

// JUnit is a suite of test cases in JUnit's XML, as continuous integration servers read it.
type JUnit struct {
	Name  string
	Took  time.Duration
	At    time.Time // zero: unknown
	Cases []JUnitCase
}

// JUnitCase is one of them.
type JUnitCase struct {
	Name, Class, File string
	Took              time.Duration
	Failure, Skipped  *JUnitMessage
	Output            string
}

// JUnitMessage says why a case failed or was skipped.
type JUnitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

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
		Timestamp string      `xml:"timestamp,attr,omitempty"`
		Cases     []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Time    string        `xml:"time,attr"`
		Failure *JUnitMessage `xml:"failure"`
		Skipped *JUnitMessage `xml:"skipped"`
		Output  string        `xml:"system-out,omitempty"`
	}
)

// XML gives the suite as a document.
func (j JUnit) XML() ([]byte, error) {
	suite := junitSuite{Name: j.Name, Tests: len(j.Cases), Time: junitSeconds(j.Took)}
	if !j.At.IsZero() {
		suite.Timestamp = j.At.UTC().Format("2006-01-02T15:04:05")
	}
	for _, c := range j.Cases {
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Skipped != nil {
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, junitCase{c.Name, c.Class, c.File, junitSeconds(c.Took), c.Failure, c.Skipped,
			c.Output})
	}
	body, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{suite}}, "", "  ")
	return append([]byte(xml.Header), append(body, '\n')...), err
}

func junitSeconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }
