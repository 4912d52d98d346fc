package whimbrel

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/migration"
)

// This file runs repeatable migrations: files R__name.sql that run whenever
// their content is another than the history has, after all that have a version.
//
// The history keeps them among the others, under the file's name as the version.
// To every planner they are apart: they have no place in the order.

// split takes the repeatable migrations out of files and history.
func (s *state) split(files []migration.Migration) {
	s.migrations, s.repeatables = divide(files, func(m migration.Migration) bool { return m.Version.Repeatable() })
	s.applied, s.repeated = divide(s.applied, func(a Applied) bool { return a.Version.Repeatable() })
	s.files = make(map[migration.Version]*migration.Migration, len(files))
	for i := range files { // which nothing alters, so that pointers do
		s.files[files[i].Version.Canonical()] = &files[i]
	}
}

// divide shares all where nothing is to be divided, as is the rule.
func divide[T any](all []T, apart func(T) bool) (rest, taken []T) {
	if !slices.ContainsFunc(all, apart) {
		return all, nil
	}
	for _, one := range all {
		if apart(one) {
			taken = append(taken, one)
		} else {
			rest = append(rest, one)
		}
	}
	return rest, taken
}

// lost is the checksum of a repeatable migration that is to run again although
// its file has not changed: one that it rests on was dropped and made anew.
const lost = "lost"

// again is a repeatable migration that is to run.
type again struct {
	migration.Migration
	// dependents are to run behind it, because it drops what they rest on.
	dependents []migration.Version
}

// stale lists the repeatable migrations that are to run, in their order: those
// whose content the history does not have, and those that lose what they define
// when one of these runs.
func (s state) stale() ([]again, error) {
	changed := map[migration.Version]bool{}
	for _, m := range s.repeatables {
		if row, found := s.repeatedVersion(m.Version); !found || row.Checksum == lost || !m.AcceptsChecksum(row.Checksum) {
			changed[m.Version] = true
		}
	}
	if len(changed) == 0 {
		return nil, nil
	}
	ordered, err := migration.OrderRepeatables(s.repeatables)
	if err != nil {
		return nil, asError(err, CodeMalformed)
	}
	var all []again
	for _, m := range ordered.Migrations {
		if !changed[m.Version] || len(s.tags) > 0 && !m.HasTag(s.tags...) {
			continue
		}
		one := again{Migration: m, dependents: ordered.Dependents(m.Version)}
		for _, v := range one.dependents {
			changed[v] = true
		}
		all = append(all, one)
	}
	return all, nil
}

func (s state) repeatedVersion(v migration.Version) (Applied, bool) {
	i := slices.IndexFunc(s.repeated, func(a Applied) bool { return a.Version == v })
	if i < 0 {
		return Applied{}, false
	}
	return s.repeated[i], true
}

// compileAgain makes steps of repeatable migrations, at most so many.
func (s state) compileAgain(most int) ([]Planned, error) {
	stale, err := s.stale()
	if err != nil {
		return nil, err
	}
	var planned []Planned
	for _, one := range stale[:min(most, len(stale))] {
		up, err := s.compileUp([]migration.Migration{one.Migration})
		if err != nil {
			return nil, err
		}
		if !up[0].Atomic() { // as a variable's value can make it
			return nil, malformed(one.Migration, migration.Position{}, CodeMalformed, "a repeatable migration must be one transaction", "put this into a migration with a version")
		}
		up[0].dependents = one.dependents
		planned = append(planned, up[0])
	}
	return planned, nil
}

// recordedAgain stores that a repeatable migration has run, and that those which
// lost what they define have not: in the same transaction, so that a run which
// is cut off behind it goes on with them.
func (r *run) recordedAgain(p Planned, head []string) message {
	var m message
	if len(p.dependents) > 0 {
		var versions []string
		for _, v := range p.dependents {
			versions = append(versions, literal(r.db.conn, string(v)))
		}
		m = append(m, piece{text: fmt.Sprintf("UPDATE %s SET checksum = '%s' WHERE version IN (%s)", r.db.tables.history, lost, strings.Join(versions, ", ")), statement: ours})
	}
	return append(m, r.call("whimbrel_again", append(head, p.wayBack(), "repeatable", fmt.Sprint(r.batch))...))
}

// describeRepeated sets the history's rows of repeatable migrations beside their files.
func (s state) describeRepeated() []Applied {
	var out []Applied
	for _, a := range s.repeated {
		file, found := s.file(a.Version)
		a.Missing = !found
		if found {
			a.Path, a.Changed, a.HasWayBack = file.Path, a.Checksum == lost || !file.AcceptsChecksum(a.Checksum), file.HasWayBack()
		}
		out = append(out, a)
	}
	return out
}

// describeStale lists what runs again, or for the first time. Where no order
// can be had, which the next run will say, it is that of the names.
func (s state) describeStale() []Pending {
	stale, err := s.stale()
	if err != nil {
		for _, m := range s.repeatables {
			stale = append(stale, again{Migration: m})
		}
	}
	var out []Pending
	for _, one := range stale {
		_, ran := s.repeatedVersion(one.Version)
		ref := Ref{Version: one.Version, Name: one.Name, Path: one.Path, Direction: Up}
		out = append(out, Pending{Ref: ref, Steps: 1, Again: ran, Tags: one.Tags})
	}
	return out
}

// gone is a repeatable migration that has run and has no file any more. Nothing
// stops for that: it is how one is given up.
func gone(a Applied, t tables) *Error {
	return &Error{
		Code: CodeMissingFile, Version: a.Version, Name: a.Name,
		Message: fmt.Sprintf("%s has run, but there is no file for it", a.Version),
		Remedy: fmt.Sprintf("put the file back; or, to give it up, drop what it defined in a new migration, and forget it there by DELETE FROM %s WHERE version = '%s'",
			t.history, strings.ReplaceAll(string(a.Version), "'", "''")),
	}
}

// compileWithdrawal makes steps of the ways back of repeatable migrations, the
// dependent ones first. Those that have none stay.
func (s state) compileWithdrawal() ([]Planned, error) {
	ordered, err := migration.OrderRepeatables(s.repeatables)
	if err != nil {
		return nil, asError(err, CodeMalformed)
	}
	place := map[migration.Version]int{} // those without a file go first
	for i, m := range ordered.Migrations {
		place[m.Version] = i - len(ordered.Migrations)
	}
	rows := slices.SortedStableFunc(slices.Values(s.repeated), func(a, b Applied) int { return cmp.Compare(place[b.Version], place[a.Version]) })
	var planned []Planned
	for _, a := range rows {
		p, err := s.compileDown([]Applied{a}, true)
		if err != nil {
			return nil, err
		}
		if !p[0].RecordOnly {
			planned = append(planned, p[0])
		}
	}
	return planned, nil
}
