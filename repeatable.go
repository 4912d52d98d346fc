package whimbrel

import (
	"cmp"
	"context"
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
	s.recognise(Recognised(s.migrations, s.applied))
}

// recognise takes over the files as the history knows them. By their own versions they are
// found as well.
func (s *state) recognise(known []migration.Migration) {
	var own map[string]migration.Version // by path
	for i, m := range known {
		if _, found := s.file(m.Version); found {
			continue
		}
		if own == nil {
			own = make(map[string]migration.Version, len(s.files))
			for v, file := range s.files {
				own[file.Path] = v
			}
		}
		s.files[own[m.Path]], s.files[m.Version.Canonical()] = &known[i], &known[i]
	}
	s.migrations = known
}

// Recognised gives the files with the versions by which a history has them: a migration
// may have its number for a version or its file's name, as other files of the number have
// come or gone. See migration.SameFile. What is given is not altered.
func Recognised(files []migration.Migration, applied []Applied) []migration.Migration {
	if !slices.ContainsFunc(files, func(m migration.Migration) bool { return m.Version.IsName() }) &&
		!slices.ContainsFunc(applied, func(a Applied) bool { return a.Version.IsName() }) {
		return files
	}
	files = slices.Clone(files)
	recorded := map[migration.Version]bool{}
	for _, a := range applied {
		recorded[a.Version.Canonical()] = true
	}
	type part struct {
		number migration.Version
		name   string
	}
	isFile, alike := map[migration.Version]bool{}, map[part][]int{}
	for i, m := range files {
		isFile[m.Version.Canonical()] = true
		key := part{m.Version.Number().Canonical(), m.Name}
		alike[key] = append(alike[key], i)
	}
	for _, a := range applied {
		if isFile[a.Version.Canonical()] {
			continue
		}
		row := migration.Named{Version: a.Version, Name: a.Name}
		for _, i := range alike[part{a.Version.Number().Canonical(), a.Name}] {
			if !recorded[files[i].Version.Canonical()] && migration.SameFile(files[i].Named(), row) {
				files[i].Version = a.Version
				break
			}
		}
	}
	slices.SortStableFunc(files, func(a, b migration.Migration) int { return a.Version.Compare(b.Version) })
	return files
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
// its file has not changed: one that it rests on was dropped and recreated.
const lost = "lost"

// again is a repeatable migration that is to run.
type again struct {
	migration.Migration
	// dependents are to run behind it, because it drops what they rest on.
	dependents []migration.Version
	// lost is set where its file has not changed, but what it defines is gone, or was
	// replaced by another migration.
	lost bool
}

// stale lists the repeatable migrations that are to run, in their order: those
// whose content the history does not have, those that have lost what they define,
// and those that lose it when one of these runs.
func (s state) stale() ([]again, error) {
	changed := map[migration.Version]bool{}
	for _, m := range s.repeatables {
		if row, found := s.repeatedVersion(m.Version); !found || s.hasLost(row) || !m.AcceptsChecksum(row.Checksum) {
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
		row, found := s.repeatedVersion(m.Version)
		one := again{Migration: m, dependents: ordered.Dependents(m.Version), lost: found && s.hasLost(row)}
		for _, v := range one.dependents {
			changed[v] = true
		}
		all = append(all, one)
	}
	return all, nil
}

// hasLost reports whether what a repeatable migration defines is gone or was replaced.
func (s state) hasLost(row Applied) bool {
	return row.Checksum == lost || len(s.objects[row.Version].gone) > 0
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
	return s.compileStale(stale[:min(most, len(stale))])
}

// compileBehind does so behind migrations with a version: at most so many, and of
// those that have lost what they define all. While a migration with a version is
// pending, these wait for it: their files are made for what comes behind all.
func (s state) compileBehind(most int) ([]Planned, error) {
	stale, err := s.stale()
	if err != nil {
		return nil, err
	}
	pending, _, err := s.pending()
	complete := err == nil && len(pending) == 0
	return s.compileStale(slices.DeleteFunc(stale, func(one again) bool {
		if most > 0 {
			most--
			return false
		}
		return !one.lost || !complete
	}))
}

func (s state) compileStale(stale []again) ([]Planned, error) {
	var planned []Planned
	for _, one := range stale {
		up, err := s.compileUp([]migration.Migration{one.Migration})
		if err != nil {
			return nil, err
		}
		if !up[0].Atomic() { // as a variable's value can make it
			return nil, malformed(one.Migration, migration.Position{}, CodeMalformed,
				"a repeatable migration must be one transaction", "put this into a migration with a version")
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
		m = append(m, piece{text: fmt.Sprintf("UPDATE %s SET checksum = '%s' WHERE version IN (%s)", r.db.tables.history,
			lost, strings.Join(versions, ", ")), statement: ours})
	}
	return append(m, r.call("whimbrel_again", append(head, p.storedDown(), "repeatable", fmt.Sprint(r.batch))...),
		r.recordObjects(p))
}

// cut parts what is taken up behind all others from what comes before.
func (p Plan) cut() (versioned, repeatables []Planned) {
	n := len(p.Migrations)
	for n > 0 && p.Migrations[n-1].Direction == Up && p.Migrations[n-1].Migration.Version.Repeatable() {
		n--
	}
	return p.Migrations[:n], p.Migrations[n:]
}

// mostRepeats is how often one repeatable migration runs in a run: once as planned,
// and once more for what another has taken from it. Two that define the same object
// would otherwise go on for ever.
const mostRepeats = 2

// repeat runs the repeatable migrations behind the others. What is planned was planned
// before those ran, and they may have dropped what a repeatable one defines: so the
// database is looked at again, until all that is to be there is there.
func (r *run) repeat(ctx context.Context, plan Plan, planned []Planned) error {
	ran, told := map[migration.Version]int{}, map[migration.Version]bool{}
	for look := r.watchesObjects; ; look = true {
		if look {
			s, err := r.readAgain(ctx)
			if err != nil {
				return err
			}
			planned = nil
			if plan.restores {
				if planned, err = s.compileBehind(plan.repeats); err != nil {
					return err
				}
			}
			planned = slices.DeleteFunc(planned, func(p Planned) bool { return ran[p.Migration.Version] >= mostRepeats })
			r.reportLost(s, planned, told)
		}
		if len(planned) == 0 {
			return nil
		}
		if err := r.inGroups(ctx, planned, false); err != nil {
			return err
		}
		for _, p := range planned {
			ran[p.Migration.Version]++
		}
		plan.repeats = 0 // from now on only what the others have taken
	}
}

// readAgain reads what is true now, over another connection if this one is lost.
func (r *run) readAgain(ctx context.Context) (state, error) {
	r.db.glanced = nil
	s, err := r.m.read(ctx, r.db, withoutDownMigrations)
	if lostConnection(ctx, err) {
		if err = r.reconnect(ctx, err); err == nil {
			s, err = r.m.read(ctx, r.db, withoutDownMigrations)
		}
	}
	return s, err
}

// reportLost says which repeatable migrations have lost what they define, each once.
func (r *run) reportLost(s state, planned []Planned, told map[migration.Version]bool) {
	for _, row := range s.repeated {
		file, found := s.file(row.Version)
		if !found || !s.hasLost(row) || told[row.Version] {
			continue
		}
		told[row.Version] = true
		r.m.emit(ObjectsLost{
			Migration: Ref{Version: row.Version, Name: file.Name, Path: file.Path, Direction: Up},
			Objects:   s.objects[row.Version].gone,
			Repeats:   slices.ContainsFunc(planned, func(p Planned) bool { return p.Migration.Version == row.Version }),
		})
	}
}

// describeRepeated sets the history's rows of repeatable migrations beside their files.
func (s state) describeRepeated() []Applied {
	var out []Applied
	for _, a := range s.repeated {
		file, found := s.file(a.Version)
		a.Missing = !found
		if found {
			a.Path, a.Changed, a.Reversible = file.Path, a.Checksum == lost ||
				!file.AcceptsChecksum(a.Checksum), file.Reversible()
			a.Lost, a.ObjectsUnknown = s.objects[a.Version].gone, !s.objects[a.Version].known
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
		out = append(out, Pending{Ref: ref, Steps: 1, Again: ran, Lost: s.objects[one.Version].gone, Tags: one.Tags})
	}
	return out
}

// gone is a repeatable migration that has run and has no file any more. Nothing
// stops for that: it is how one is given up.
func gone(a Applied, t tables) *Error {
	return &Error{
		Code: CodeMissingFile, Version: a.Version, Name: a.Name,
		Message: fmt.Sprintf("%s has run, but has no file", a.Version),
		Remedy: fmt.Sprintf("put the file back; or, to give it up, drop what it defined in a new migration, and forget it "+
			"there by DELETE FROM %s WHERE version = '%s'",
			t.history, strings.ReplaceAll(string(a.Version), "'", "''")),
	}
}

// compileWithdrawal makes steps of the down migrations of repeatable migrations, the
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
	rows := slices.SortedStableFunc(slices.Values(s.repeated),
		func(a, b Applied) int { return cmp.Compare(place[b.Version], place[a.Version]) })
	var planned []Planned
	for _, a := range rows {
		p, err := s.compileDown([]Applied{a}, true)
		if err != nil {
			return nil, err
		}
		if !p[0].RecordOnly() {
			planned = append(planned, p[0])
		}
	}
	return planned, nil
}
