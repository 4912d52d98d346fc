package lint

import (
	"fmt"
	"path/filepath"
	"strings"
)

// GitHub renders a report as workflow commands, which GitHub Actions shows beside
// the lines of a change. See
// https://docs.github.com/actions/using-workflows/workflow-commands-for-github-actions.
func (r Report) GitHub() string {
	var b strings.Builder
	for _, f := range r.Files {
		for _, s := range f.Statements {
			for _, finding := range s.Findings {
				if finding.Allowed {
					continue
				}
				command := level(finding)
				if command == "note" {
					command = "notice"
				}
				h, _ := Lookup(finding.Hazard)
				message := finding.Message
				if finding.Rewrite != "" {
					message += "\nInstead:\n" + finding.Rewrite
				}
				message += "\n" + h.Link
				fmt.Fprintf(&b, "::%s file=%s,line=%d,endLine=%d,col=%d,title=%s::%s\n", command, property(filepath.ToSlash(f.Path)),
					finding.Start.Line, finding.End.Line, finding.Start.Column, property(h.Title+" ("+finding.Hazard+")"), data(message))
			}
		}
	}
	return b.String()
}

// data escapes what follows the double colon.
func data(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

// property escapes the value of a property.
func property(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(text)
}
