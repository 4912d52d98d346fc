package migration

import (
	"fmt"
	"slices"
)

// squashes checks one word of the annotation Squashes.
func (r *reader) squashes(l *line) func(word string) string {
	return func(word string) string {
		v := Version(word)
		switch {
		case !v.numeric() || len(word) > maxVersionDigits:
			return fmt.Sprintf("invalid version %q", word)
		case slices.ContainsFunc(r.migration.Squashes, v.Equal):
			return fmt.Sprintf("version %s is named twice", word)
		case v.Compare(r.migration.Version) > 0:
			return fmt.Sprintf("version %s is newer than this file", word)
		}
		r.migration.Squashes = append(r.migration.Squashes, v)
		if r.squashed == nil {
			r.squashed = &l.start
		}
		return ""
	}
}

// standsForItself makes sure that a file that replaces others has the version
// of the last of them: that is how a database shows that it need not run it.
func (r *reader) standsForItself() {
	if r.squashed != nil && len(r.problems) == 0 && !slices.ContainsFunc(r.migration.Squashes, r.migration.Version.Equal) {
		r.misplaced(*r.squashed, "Squashes must name the file's own version too",
			"give the file the version of the last migration that it replaces")
	}
}

// leftOver refuses files that lie beside the one that replaces them: a new
// database would run both.
func leftOver(migrations []Migration) (problems []error) {
	for _, baseline := range migrations {
		if len(baseline.Squashes) == 0 {
			continue
		}
		for _, m := range migrations {
			if m.Path != baseline.Path && slices.ContainsFunc(baseline.Squashes, m.Version.Equal) {
				problems = append(problems, &Error{Code: CodeDuplicateVersion, Path: m.Path,
					Message: fmt.Sprintf("%s replaces it", baseline.Path), Remedy: "move the file away, or delete it"})
			}
		}
	}
	return problems
}
