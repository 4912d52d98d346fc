package schema

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Change is what happened to an object between two schemas.
type Change string

// The changes.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed" // one of its properties did
)

// Difference is one thing in which two schemas differ.
type Difference struct {
	Change Change `json:"change"`
	Reference
	// Property is what differs in an object that is in both, From and To are its
	// values; "" = it is not set.
	Property string `json:"property,omitempty"`
	From     string `json:"from,omitempty"`
	To       string `json:"to,omitempty"`
}

// String is the difference in one line for people, like
//
//	index public.users_email_idx is missing
//	column public.users.email: default 'x' → none
//
// Long values are shortened, and of texts of several lines it has the first line that differs.
func (d Difference) String() string {
	switch {
	case d.Change == Added && d.Kind == "privileges":
		return d.Reference.String() + " are not those it came with"
	case d.Change == Removed && d.Kind == "privileges":
		return d.Reference.String() + " are again those it came with"
	case d.Change == Added:
		return d.Reference.String() + d.is() + "new"
	case d.Change == Removed:
		return d.Reference.String() + d.is() + "missing"
	}
	property := d.Property
	from, to, line := d.From, d.To, 0
	if strings.Contains(from, "\n") || strings.Contains(to, "\n") {
		from, to, line = firstDifference(from, to)
	}
	if line > 0 {
		property += " in line " + strconv.Itoa(line)
	}
	from, to = skipCommon(from, to)
	return fmt.Sprintf("%s: %s %s → %s", d.Reference, property, shorten(from), shorten(to))
}

func (d Difference) is() string {
	if strings.HasSuffix(d.Kind, "privileges") {
		return " are "
	}
	return " is "
}

// Diff gives everything in which after differs from before, in order of kinds
// and names. Nothing differs exactly when the fingerprints are the same.
//
// Where an object is missing or new, what could not exist without it (see
// Object.Parents) is not told as well; and columns are only told to have
// another position when their order has changed, not when others came or went.
func Diff(before, after Schema) []Difference {
	was, is := byReference(before), byReference(after)
	var differences []Difference
	for _, object := range before.Objects {
		if _, there := is[object.Reference()]; !there && !follows(object, was, is) {
			differences = append(differences, Difference{Change: Removed, Reference: object.Reference()})
		}
	}
	moved := moves(before, after)
	for _, object := range after.Objects {
		old, there := was[object.Reference()]
		switch {
		case there:
			differences = append(differences, changes(old, object, moved[object.Reference()])...)
		case !follows(object, is, was):
			differences = append(differences, Difference{Change: Added, Reference: object.Reference()})
		}
	}
	slices.SortStableFunc(differences, func(a, b Difference) int { return orderReferences(a.Reference, b.Reference) })
	return differences
}

func byReference(s Schema) map[Reference]Object {
	objects := make(map[Reference]Object, len(s.Objects))
	for _, object := range s.Objects {
		objects[object.Reference()] = object
	}
	return objects
}

// follows reports whether an object that is only in here is so because one of its parents is.
func follows(object Object, here, there map[Reference]Object) bool {
	return slices.ContainsFunc(object.Parents, func(parent Reference) bool {
		_, isHere := here[parent]
		_, isThere := there[parent]
		return isHere && !isThere
	})
}

func changes(old, object Object, moved bool) []Difference {
	names := slices.Collect(maps.Keys(object.Properties))
	for name := range old.Properties {
		if _, both := object.Properties[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var differences []Difference
	for _, name := range names {
		from, to := old.Properties[name], object.Properties[name]
		if from != to && (name != positionProperty || moved) {
			differences = append(differences, Difference{Change: Changed, Reference: object.Reference(), Property: name,
				From: from, To: to})
		}
	}
	return differences
}

// moves gives the columns whose place among those that are in both schemas is
// another: as few as explain the difference.
func moves(before, after Schema) map[Reference]bool {
	was := places(before)
	moved := map[Reference]bool{}
	for table, now := range places(after) {
		old := map[Reference]int{}
		for i, column := range was[table] {
			old[column] = i
		}
		common := slices.DeleteFunc(now, func(column Reference) bool { _, both := old[column]; return !both })
		stayed := longestIncreasing(common, old)
		for _, column := range common {
			if !stayed[column] {
				moved[column] = true
			}
		}
	}
	return moved
}

// places gives the columns of each table in their order.
func places(s Schema) map[Reference][]Reference {
	type place struct {
		column   Reference
		position int
	}
	found := map[Reference][]place{}
	for _, object := range s.Objects {
		if position, err := strconv.Atoi(object.Properties[positionProperty]); err == nil && len(object.Parents) > 0 {
			found[object.Parents[0]] = append(found[object.Parents[0]], place{object.Reference(), position})
		}
	}
	ordered := make(map[Reference][]Reference, len(found))
	for table, columns := range found {
		slices.SortStableFunc(columns, func(a, b place) int { return a.position - b.position })
		for _, c := range columns {
			ordered[table] = append(ordered[table], c.column)
		}
	}
	return ordered
}

// longestIncreasing gives the most columns whose old places are in the order of the list.
func longestIncreasing(columns []Reference, old map[Reference]int) map[Reference]bool {
	length, previous, last := make([]int, len(columns)), make([]int, len(columns)), -1
	for i := range columns {
		length[i], previous[i] = 1, -1
		for j := range i {
			if old[columns[j]] < old[columns[i]] && length[j] >= length[i] {
				length[i], previous[i] = length[j]+1, j
			}
		}
		if last < 0 || length[i] > length[last] {
			last = i
		}
	}
	chosen := map[Reference]bool{}
	for ; last >= 0; last = previous[last] {
		chosen[columns[last]] = true
	}
	return chosen
}

// firstDifference gives the first line that differs in two texts, and its number.
func firstDifference(from, to string) (was, is string, number int) {
	if from == "" || to == "" {
		return from, to, 0
	}
	before, after := strings.Split(from, "\n"), strings.Split(to, "\n")
	for i := 0; ; i++ {
		was, is = "", ""
		if i < len(before) {
			was = before[i]
		}
		if i < len(after) {
			is = after[i]
		}
		if was != is || i >= len(before) || i >= len(after) {
			return strings.TrimSpace(was), strings.TrimSpace(is), i + 1
		}
	}
}

// longest is how many characters of a value are shown, and before is how many of them may be
// from before the place where it differs.
const (
	longest = 160
	before  = 40
)

// skipCommon leaves out the beginning that two values share, where they are so
// long that what differs might not be seen.
func skipCommon(from, to string) (string, string) {
	a, b := []rune(from), []rune(to)
	if len(a) == 0 || len(b) == 0 || max(len(a), len(b)) <= longest {
		return from, to
	}
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	if same <= before {
		return from, to
	}
	return "…" + string(a[same-before:]), "…" + string(b[same-before:])
}

// shorten puts a value into one line. Control characters are shown as blanks, so that a terminal obeys none.
func shorten(value string) string {
	if value == "" {
		return "none"
	}
	runes := []rune(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, value))
	if len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return string(runes)
}
