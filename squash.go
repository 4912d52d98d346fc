package whimbrel

import (
	"fmt"
	"slices"

	"github.com/whimbrel-db/whimbrel/migration"
)

// This file is about migrations that replace others: baselines that squash
// wrote. A database in which those others were applied goes on without running
// the baseline; a new one runs the baseline and nothing of what it replaces.

// kindOfSquash is the kind of a baseline's row in the history.
const kindOfSquash = "squash"

// squash is a file that replaces others, and what the history has of them.
type squash struct {
	file migration.Migration
	rows []Applied // of the versions that it replaces, its own among them
}

// findSquashes looks for the files that replace others.
func (s state) findSquashes() (all []squash) {
	for _, m := range s.migrations {
		if len(m.Squashes) == 0 {
			continue
		}
		q := squash{file: m}
		for _, a := range s.applied {
			if q.standsFor(a.Version) {
				q.rows = append(q.rows, a)
			}
		}
		all = append(all, q)
	}
	return all
}

func (q squash) standsFor(v migration.Version) bool {
	return slices.ContainsFunc(q.file.Squashes, func(member migration.Version) bool { return member.Equal(v) })
}

// isItself reports whether a row is that of the baseline, and not of the last
// migration that it replaces, which has the same version. A history of
// migrations that were squashed has more than one of them.
func (q squash) isItself(a Applied) bool {
	return a.Version.Equal(q.file.Version) && len(q.rows) == 1
}

// lacking lists the versions for which the baseline stands and which a database
// that has some of them does not have.
func (q squash) lacking() (missing []migration.Version) {
	if len(q.rows) == 0 {
		return nil
	}
	var up migration.Version // to here an earlier baseline stands for everything
	for _, a := range q.rows {
		whole := a.Kind == kindOfSquash || a.Kind == "baseline" || q.isItself(a) && q.file.AcceptsChecksum(a.Checksum)
		if whole && (up == "" || a.Version.Compare(up) > 0) {
			up = a.Version
		}
	}
	for _, member := range q.file.Squashes {
		covered := up != "" && member.Compare(up) <= 0
		if !covered && !slices.ContainsFunc(q.rows, func(a Applied) bool { return a.Version.Equal(member) }) {
			missing = append(missing, member)
		}
	}
	return missing
}

// squashedIn gives the baseline that replaces a row of the history, if there
// is one and the row is not its own.
func (s state) squashedIn(a Applied) (squash, bool) {
	for _, q := range s.squashes {
		if q.standsFor(a.Version) && !q.isItself(a) {
			return q, true
		}
	}
	return squash{}, false
}

// partly refuses a database that has some of what a baseline stands for: it can
// neither run it nor go on without.
func (s state) partly() *Error {
	for _, q := range s.squashes {
		missing := q.lacking()
		if len(missing) == 0 {
			continue
		}
		return &Error{
			Code: CodePartlySquashed, Version: q.file.Version, Name: q.file.Name, Path: q.file.Path,
			Message: fmt.Sprintf("the file replaces %d migrations, of which this database has only some: it lacks %s",
				len(q.file.Squashes), someOf(missing)),
			Remedy: "check out the last version that has these files, run Migrator.Up there, then come back; or, if the " +
				"database has everything already, record that with Migrator.Baseline(" + string(q.file.Version) + ")",
		}
	}
	return nil
}

// someOf lists a few versions.
func someOf(versions []migration.Version) string {
	const most = 3
	text := ""
	for i, v := range versions[:min(most, len(versions))] {
		if i > 0 {
			text += ", "
		}
		text += string(v)
	}
	if more := len(versions) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// squashedAway refuses to go back behind a baseline.
func (q squash) squashedAway(a Applied) *Error {
	return &Error{
		Code: CodeIrreversible, Version: a.Version, Name: a.Name, Direction: Down, Path: q.file.Path,
		Message: fmt.Sprintf("%s was squashed into %s: no down migration behind it, so nothing was rolled back",
			a.Version, q.file.Path),
		Remedy: "check out a version from before the squash, which has its file, and run the same command there",
	}
}
