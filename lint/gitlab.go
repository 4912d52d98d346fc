package lint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
)

// GitLab renders a report as a code quality artifact, which GitLab shows beside
// the lines of a merge request. See
// https://docs.gitlab.com/ci/testing/code_quality/.
func (r Report) GitLab() ([]byte, error) {
	issues := []gitlabIssue{}
	seen := map[string]int{}
	for _, f := range r.Files {
		for _, s := range f.Statements {
			for _, finding := range s.Findings {
				if finding.Allowed {
					continue
				}
				issues = append(issues, gitlabIssueOf(f, s, finding, seen))
			}
		}
	}
	return json.MarshalIndent(issues, "", "  ")
}

type gitlabIssue struct {
	Description string `json:"description"`
	Check       string `json:"check_name"`
	// Fingerprint tells GitLab which findings of two reports are the same one.
	Fingerprint string `json:"fingerprint"`
	Severity    string `json:"severity"`
	Location    struct {
		Path  string `json:"path"`
		Lines struct {
			Begin int `json:"begin"`
			End   int `json:"end"`
		} `json:"lines"`
	} `json:"location"`
}

// gitlabIssueOf makes one entry. The fingerprint is made of what stays the same when
// lines above the statement move; seen tells equal ones apart.
func gitlabIssueOf(f File, s Judgement, finding Finding, seen map[string]int) gitlabIssue {
	path := filepath.ToSlash(f.Path)
	key := path + "\x00" + finding.Hazard + "\x00" + s.Text
	seen[key]++
	sum := sha256.Sum256([]byte(key + string(rune(seen[key]))))
	issue := gitlabIssue{
		Description: finding.Message, Check: finding.Hazard, Fingerprint: hex.EncodeToString(sum[:16]), Severity: "minor",
	}
	switch level(finding) {
	case "error":
		issue.Severity = "critical"
	case "note":
		issue.Severity = "info"
	}
	issue.Location.Path = path
	issue.Location.Lines.Begin, issue.Location.Lines.End = finding.Start.Line, finding.End.Line
	return issue
}
