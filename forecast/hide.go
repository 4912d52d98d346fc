package forecast

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// hide puts references in the place of the values of variables: messages quote
// statements as they are sent, and a value need not be for everyone's eyes.
func (f *Forecast) hide(variables map[string]string) {
	names := slices.SortedFunc(maps.Keys(variables), func(a, b string) int { // the longest value first
		return cmp.Or(cmp.Compare(len(variables[b]), len(variables[a])), cmp.Compare(a, b))
	})
	var pairs []string
	for _, name := range names {
		if len(variables[name]) >= 4 {
			pairs = append(pairs, variables[name], "${"+name+"}")
		}
	}
	if len(pairs) == 0 {
		return
	}
	replacer := strings.NewReplacer(pairs...)
	clean := func(texts ...*string) {
		for _, text := range texts {
			*text = replacer.Replace(*text)
		}
	}
	for i := range f.Migrations {
		m := &f.Migrations[i]
		clean(&m.Down.Failure)
		for i := range m.Reasons {
			clean(&m.Reasons[i].Message)
		}
		for i := range m.Deploy.Reasons {
			clean(&m.Deploy.Reasons[i])
		}
		for _, losses := range [][]Loss{m.Loses, m.Down.Loses} {
			for i := range losses {
				clean(&losses[i].What)
			}
		}
		for _, step := range m.Steps {
			for i := range step.Statements {
				step.Statements[i].hide(clean)
			}
		}
	}
	if f.Rehearsal != nil {
		clean(&f.Rehearsal.Stopped)
	}
}

func (s *Statement) hide(clean func(...*string)) {
	s.Findings, s.Evidence = slices.Clone(s.Findings), slices.Clone(s.Evidence)
	for i := range s.Findings {
		clean(&s.Findings[i].Message, &s.Findings[i].Rewrite, &s.Findings[i].Evidence.Reason)
	}
	for i := range s.Evidence {
		clean(&s.Evidence[i].Reason)
	}
}
