package trial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/schema"
)

// afterDown says what a down migration did not bring back.
func afterDown(before, after schema.Schema) (findings []Finding, kept []enumValues) {
	for _, d := range schema.Diff(before, after) {
		if values, only := addedValues(d); only {
			kept = append(kept, enumValues{d.Name, values})
			continue
		}
		var message string
		switch d.Change {
		case schema.Added:
			message = "down leaves " + d.Reference.String() + " behind"
		case schema.Removed:
			message = "down does not bring back " + d.Reference.String()
		default:
			message = "down does not restore " + d.String()
		}
		findings = append(findings, Finding{
			Severity: Failure, Check: CheckSchema, Message: message, Difference: &d,
			Remedy: "make the down migration restore it; the schema after down must be the one before up",
		})
	}
	return findings, kept
}

// afterUpAgain says in what the second way up came out otherwise than the first.
func afterUpAgain(first, second schema.Schema) []Finding {
	var findings []Finding
	for _, d := range schema.Diff(first, second) {
		findings = append(findings, Finding{
			Severity: Failure, Check: CheckUpAgain, Message: "up after down gives another schema than the first up: " +
				d.String(), Difference: &d,
			Remedy: "look for what down leaves that changes how up works, such as IF NOT EXISTS over something old",
		})
	}
	return findings
}

// afterUpTwice says what a second up changed although there was nothing to do.
func afterUpTwice(first, second schema.Schema) []Finding {
	var findings []Finding
	for _, d := range schema.Diff(first, second) {
		findings = append(findings, Finding{
			Severity: Failure, Check: CheckUpTwice, Message: "up changed the schema although there was nothing to do: " +
				d.String(), Difference: &d,
		})
	}
	return findings
}

// enumValues are values that an enum has kept.
type enumValues struct {
	enum   string
	values []string
}

// String is the reason for which a migration cannot be taken back.
func (e enumValues) String() string {
	return fmt.Sprintf("PostgreSQL cannot drop a value of an enum: type %s keeps %s after down", e.enum,
		strings.Join(e.values, ", "))
}

// addedValues gives the values of an enum that are new, if that is all in which
// its labels differ: PostgreSQL can add values and cannot drop them, see
// https://www.postgresql.org/docs/current/sql-altertype.html
func addedValues(d schema.Difference) ([]string, bool) {
	if d.Change != schema.Changed || d.Kind != "type" || d.Property != "labels" {
		return nil, false
	}
	was, is := labels(d.From), labels(d.To)
	var added []string
	for _, label := range is {
		if len(was) > 0 && label == was[0] {
			was = was[1:]
		} else {
			added = append(added, label)
		}
	}
	return added, len(was) == 0 && len(added) > 0
}

// labels takes apart a list of quoted literals.
func labels(list string) []string {
	var all []string
	for list != "" {
		end := 1
		if i := strings.IndexByte(list, '\''); i >= 0 { // an E may be before it
			end = i + 1
		}
		for end < len(list) && (list[end] != '\'' || end+1 < len(list) && list[end+1] == '\'') {
			if list[end] == '\'' {
				end++ // a doubled quote
			}
			end++
		}
		end = min(end+1, len(list))
		all = append(all, list[:end])
		list = strings.TrimPrefix(list[end:], ", ")
	}
	return all
}

// withoutOurs leaves out what the tester has put into its database.
func withoutOurs(s schema.Schema) schema.Schema {
	ours := func(name string) bool {
		return name == observerSchema || strings.HasPrefix(name, observerSchema+".") || strings.Contains(name, " on "+
			observerSchema+".")
	}
	s.Objects = slices.DeleteFunc(s.Objects, func(o schema.Object) bool {
		return ours(o.Name) || slices.ContainsFunc(o.Parents, func(p schema.Reference) bool { return ours(p.Name) })
	})
	return s
}
