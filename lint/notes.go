package lint

import (
	"fmt"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Notes gives the findings that the files do not allow as platforms show them
// beside the lines of a change.
func (r Report) Notes() []present.Note {
	var notes []present.Note
	for _, f := range r.Files {
		for _, s := range f.Statements {
			for _, finding := range s.Findings {
				if !finding.Allowed {
					notes = append(notes, note(f, s, finding))
				}
			}
		}
	}
	return notes
}

func note(f File, s Judgement, finding Finding) present.Note {
	h := finding.Hazard.Record()
	message := finding.Message
	if finding.Rewrite != "" {
		message += "\nInstead:\n" + finding.Rewrite
	}
	level := present.LevelWarning
	switch {
	case finding.Verdict == Unknown:
		level = present.LevelInfo
	case finding.Severity == Error:
		level = present.LevelError
	}
	return present.Note{
		Level: level, Check: h.ID.String(), Title: fmt.Sprintf("%s (%s)", h.Title, h.ID), Message: message + "\n" + h.Link,
		Path: f.Path, Line: finding.Start.Line, EndLine: finding.End.Line, Column: finding.Start.Column, Key: s.Text,
	}
}

// GitHub renders a report as workflow commands.
func (r Report) GitHub() string { return present.GitHub(r.Notes()) }

// GitLab renders a report as a code quality artifact.
func (r Report) GitLab() ([]byte, error) { return present.GitLab(r.Notes()) }
