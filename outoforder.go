package whimbrel

import (
	"fmt"
	"slices"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// This file says which pending migrations come late: after a newer one that
// should have waited for them.

// front is how far the history has come, by the tags of what was applied: of
// each set of tags the newest version.
//
// Where migrations have no tags that is simply the newest applied version. A run
// with --tag leaves older migrations behind on purpose, and they are not late
// for that: an applied migration has overtaken a pending one only if every run
// that takes the first takes the second as well. That is so if the pending one
// has all the tags of the other.
type front []furthest

type furthest struct {
	version migration.Version
	tags    []string
}

// front finds the front. A version without a file has no tags that we know of.
func (s state) front() front {
	var f front
	for _, a := range s.applied {
		file, _ := s.file(a.Version)
		tags := file.Tags
		i := slices.IndexFunc(f, func(m furthest) bool { return slices.Equal(m.tags, tags) })
		switch {
		case i < 0:
			f = append(f, furthest{a.Version, tags})
		case a.Version.Compare(f[i].version) > 0:
			f[i].version = a.Version
		}
	}
	return f
}

// overtook reports whether a pending migration is late.
func (f front) overtook(m migration.Migration) bool { return f.newest(m) != "" }

// newest is the newest version that has overtaken a pending migration; "" if
// there is none.
func (f front) newest(m migration.Migration) (newest migration.Version) {
	for _, applied := range f {
		passedBy := slices.ContainsFunc(applied.tags, func(tag string) bool { return !m.HasTag(tag) })
		if !passedBy && applied.version.Compare(m.Version) > 0 && (newest == "" || applied.version.Compare(newest) > 0) {
			newest = applied.version
		}
	}
	return newest
}

// checkTags refuses a tag that no migration has: it would be a slip that looks
// like having nothing to do.
func checkTags(wanted []string, migrations []migration.Migration) error {
	known := migration.AllTags(migrations)
	for _, tag := range wanted {
		if slices.Contains(known, tag) {
			continue
		}
		if !migration.IsTag(tag) {
			return &Error{Code: CodeConfiguration, Message: fmt.Sprintf("invalid tag %q", tag),
				Remedy: "name tags that migrations have: letters, digits and the marks _ . : -"}
		}
		remedy := "give a migration the tag with `-- +migrate Tags " + tag + "`"
		if near := plaintext.Nearest(tag, known); near != "" {
			remedy = fmt.Sprintf("did you mean %s?", near)
		}
		return &Error{Code: CodeConfiguration, Message: fmt.Sprintf("no migration has the tag %q", tag), Remedy: remedy}
	}
	return nil
}
