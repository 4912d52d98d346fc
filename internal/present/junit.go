package present

import (
	"encoding/xml"
	"fmt"
	"time"
)

// JUnit is a suite of test cases in JUnit's XML, as continuous integration servers read it.
type JUnit struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`    // XML counts it
	Failures  int         `xml:"failures,attr"` // this too
	Skipped   int         `xml:"skipped,attr"`  // and this
	Took      Seconds     `xml:"time,attr"`
	Timestamp string      `xml:"timestamp,attr,omitempty"`
	Cases     []JUnitCase `xml:"testcase"`
}

// JUnitCase is one of them.
type JUnitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Took    Seconds       `xml:"time,attr"`
	Failure *JUnitMessage `xml:"failure"`
	Skipped *JUnitMessage `xml:"skipped"`
	Output  string        `xml:"system-out,omitempty"`
}

// JUnitMessage says why a case failed or was skipped.
type JUnitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// Seconds is a duration as JUnit has it.
type Seconds time.Duration

// MarshalText implements encoding.TextMarshaler.
func (s Seconds) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(s).Seconds()), nil
}

// XML gives the suite as a document.
func (j JUnit) XML() ([]byte, error) {
	j.Tests = len(j.Cases)
	for _, c := range j.Cases {
		if c.Failure != nil {
			j.Failures++
		}
		if c.Skipped != nil {
			j.Skipped++
		}
	}
	body, err := xml.MarshalIndent(struct {
		XMLName xml.Name `xml:"testsuites"`
		Suite   JUnit    `xml:"testsuite"`
	}{Suite: j}, "", "  ")
	return append([]byte(xml.Header), append(body, '\n')...), err
}
