package lint

import (
	"encoding/json"
	"path/filepath"
)

// SARIF renders a report in the Static Analysis Results Interchange Format 2.1.0,
// which code hosts show beside the lines of a change. See
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
func (r Report) SARIF(version string) ([]byte, error) {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "whimbrel", Version: version, URI: "https://github.com/whimbrel-db/whimbrel",
		Rules: []sarifRule{}}
	index := map[ID]int{}
	for _, f := range r.Files {
		for _, s := range f.Statements {
			for _, finding := range s.Findings {
				at, known := index[finding.Hazard]
				if !known {
					at = len(run.Tool.Driver.Rules)
					index[finding.Hazard] = at
					h := finding.Hazard.Record()
					run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
						ID: h.ID.String(), Short: sarifText{h.Title}, Full: sarifText{h.Happens}, Help: sarifText{h.Remedy}, URI: h.Link,
					})
				}
				run.Results = append(run.Results, result(f, finding, at))
			}
		}
	}
	if r.Stopped != "" {
		run.Invocations = []sarifInvocation{{Notifications: []sarifNotification{{"error", sarifText{r.Stopped}}}}}
	}
	return json.MarshalIndent(struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}, "", "  ")
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Invocations []sarifInvocation `json:"invocations,omitempty"`
	Results     []sarifResult     `json:"results"`
}

// sarifInvocation is a run that did not end well.
type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Notifications []sarifNotification `json:"toolExecutionNotifications"`
}

type sarifNotification struct {
	Level   string    `json:"level"`
	Message sarifText `json:"message"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version,omitempty"`
	URI     string      `json:"informationUri"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID    string    `json:"id"`
	Short sarifText `json:"shortDescription"`
	Full  sarifText `json:"fullDescription"`
	Help  sarifText `json:"help"`
	URI   string    `json:"helpUri"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	Rule         string             `json:"ruleId"`
	Index        int                `json:"ruleIndex"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine   int `json:"startLine"`
			StartColumn int `json:"startColumn"`
			EndLine     int `json:"endLine"`
			EndColumn   int `json:"endColumn"`
		} `json:"region"`
	} `json:"physicalLocation"`
}

func result(f File, finding Finding, rule int) sarifResult {
	var at sarifLocation
	at.Physical.Artifact.URI = filepath.ToSlash(f.Path)
	region := &at.Physical.Region
	region.StartLine, region.StartColumn = finding.Start.Line, finding.Start.Column
	region.EndLine, region.EndColumn = finding.End.Line, finding.End.Column
	out := sarifResult{Rule: finding.Hazard.String(), Index: rule, Level: level(finding), Locations: []sarifLocation{at}}
	out.Message.Text = finding.Message
	if finding.Rewrite != "" {
		out.Message.Text += "\n\nInstead:\n" + finding.Rewrite
	}
	if finding.Allowed {
		out.Suppressions = []sarifSuppression{{"inSource", finding.Reason}}
	}
	return out
}

// level is a severity in SARIF's words.
func level(f Finding) string {
	switch {
	case f.Verdict == Unknown:
		return "note"
	case f.Severity == Error:
		return "error"
	}
	return "warning"
}
