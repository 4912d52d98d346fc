package whimbrel

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/stall"
	"github.com/whimbrel-db/whimbrel/migration"
)

// RecoverOptions say what becomes of which migration.
type RecoverOptions struct {
	Version migration.Version // may be empty where only one is half done
	Action  Action
}

// Recover takes up or forgets a migration that stopped half-way, in the direction in
// which it stopped, and writes into the log that somebody decided so. Unfinished lists
// what there is to decide about.
func (m *Migrator) Recover(ctx context.Context, options RecoverOptions) (Result, error) {
	return m.Migrate(ctx, Recover(options.Version, options.Action))
}

func planRecover(s state, options aim) (Plan, error) {
	if !options.Action.recovers() {
		return Plan{}, &Error{
			Code: CodeConfiguration, Message: fmt.Sprintf("unknown way to recover %q", options.Action),
			Remedy: "use continue, restart or discard",
		}
	}
	version, err := options.Version, error(nil)
	if version != "" {
		if version, err = s.meant(version); err != nil {
			return Plan{}, err
		}
	}
	u, found, err := s.chooseUnfinished(version)
	if err != nil || !found {
		return Plan{}, err
	}
	var p Planned
	switch {
	case options.Action == RecoverDiscard:
		p = s.discarded(u)
	case u.Recorded && u.Direction == Up:
		return Plan{}, &Error{
			Code: CodeUnfinished, Version: u.Version, Name: u.Name, Direction: Up,
			Message: fmt.Sprintf("%s is recorded as applied, and the journal has steps of it", u.Version),
			Remedy:  "discard them: nothing is left to run",
		}
	case u.Direction == Up && s.undone() != nil:
		return Plan{}, s.undone()
	default:
		if p, err = s.afresh(u.Version, u.Direction); err != nil {
			return Plan{}, err
		}
		p.Action = options.Action
		err = p.resume(s.journal)
	}
	p.unfinished = &u
	return Plan{Migrations: []Planned{p}}, err
}

// chooseUnfinished finds the one that is meant. Nothing is found where nothing is half done.
func (s state) chooseUnfinished(v migration.Version) (u Unfinished, found bool, err error) {
	all := s.unfinished()
	var names []string
	for _, u := range all {
		if v != "" && u.Version.Equal(v) {
			return u, true, nil // the way down, of what stopped on both
		}
		names = append(names, string(u.Version))
	}
	names = slices.Compact(names)
	switch {
	case v != "":
		return u, false, &Error{
			Code: CodeUnknownVersion, Version: v, Message: fmt.Sprintf("%s is not half done", v),
			Remedy: "see what is with Migrator.Recover",
		}
	case len(names) > 1:
		return u, false, &Error{
			Code: CodeConfiguration, Message: "several migrations are half done: " + strings.Join(names, ", "),
			Remedy: "name one of them",
		}
	case len(all) == 0:
		return u, false, nil
	}
	return all[0], true, nil
}

// discarded is a migration of which all is forgotten.
func (s state) discarded(u Unfinished) Planned {
	m, found := s.file(u.Version)
	if !found {
		m = migration.Migration{Name: u.Name, Kind: migration.Opaque}
	}
	m.Version = u.Version
	return Planned{Migration: m, Direction: u.Direction, Action: RecoverDiscard,
		journalled: s.journal.of(u.Version).spellings()}
}

// keep lets what an earlier run did of a step stand, although the file says something
// else now. Ranges of another table, or by another key, it cannot go on in.
func (p *Planned) keep(i int, entry journalEntry) bool {
	if p.Action != RecoverContinue {
		return false
	}
	_, part := entry.isPart()
	switch {
	case !part:
	case i < 0, p.Steps[i].Kind == StepBatch && !entry.goesThrough(*p.Steps[i].Body()[0].Batch),
		p.Steps[i].Kind != StepBatch && p.Steps[i].code == nil:
		return false
	}
	if !part && i >= 0 {
		p.Steps[i].Done = true
	}
	p.kept = append(p.kept, entry)
	return true
}

// goesThrough reports whether the row of a part is about the table and the key of a batch.
func (e journalEntry) goesThrough(b migration.Batch) bool {
	var at place
	return json.Unmarshal([]byte(e.cursor), &at) == nil && (at.Of == rangesOf(b) || e.hash == olderHash(b))
}

// olderHash is what journals had of a batch before they knew its statement.
func olderHash(b migration.Batch) string {
	return fmt.Sprintf("%.40s by %.20s", strings.Join(b.TableName(), "."), strings.Join(b.Key, ","))
}

// restarted is the number of the row that a restart leaves in the journal, so that a
// first step that fails does not make what is half done look as if it were not begun.
const restarted = 0

// takeUp writes what was decided into the journal and the log, before the first step.
func (r *run) takeUp(ctx context.Context, p *Planned, of *attempt) error {
	if !p.Action.recovers() || p.Action == RecoverDiscard {
		return nil
	}
	m := r.opening(*p)
	if p.Action == RecoverRestart {
		m = append(m, r.forgetParts(*p, restarted, 1<<31-1), r.journalStep(*p, Step{Number: restarted}, "started", ""))
	}
	for _, entry := range p.kept {
		m = append(m, r.rehash(*p, entry))
	}
	m = append(m, r.recovered(*p))
	e := &execution{run: r, planned: *p, attempt: of}
	_, err := e.persist(ctx, stall.Transactional, func() (int64, error) { return send(ctx, r.db.conn.PgConn(), m) })
	if err != nil {
		return r.explain(ctx, *p, e.step, err)
	}
	p.Action = inDirection(p.Migration, p.Direction) // from here on it is a migration that is half done, like any other
	return nil
}

// rehash makes the journal say that what was done is what the file says now; of a step
// that the file does not have any more, it says nothing.
func (r *run) rehash(p Planned, e journalEntry) piece {
	q := func(text string) string { return literal(r.db.conn, text) }
	number, part := e.isPart()
	if !part {
		number = e.step
	}
	rows := fmt.Sprintf("version = %s AND direction = %s AND step", q(string(e.version)), q(string(e.direction)))
	i := slices.IndexFunc(p.Steps, func(s Step) bool { return s.Number == number })
	if i < 0 {
		return piece{text: fmt.Sprintf("DELETE FROM %s WHERE %s IN (%d, step %% %d + %d)",
			r.db.tables.journal, rows, number, partsOfSteps, partsOfSteps*number), statement: ours}
	}
	hash := p.Steps[i].hash()
	if part {
		hash = p.Steps[i].partHash()
	}
	return piece{statement: ours, text: fmt.Sprintf("UPDATE %s SET statement_hash = %s WHERE %s = %d",
		r.db.tables.journal, q(hash), rows, e.step)}
}

// announce says what an earlier run had done of what is rolled back now.
func (r *run) announce(planned []Planned) {
	for _, p := range planned {
		if p.unfinished != nil && p.Direction == Down && !p.Action.recovers() {
			r.m.emit(UndoingUnfinished{Migration: p.Ref(), Unfinished: *p.unfinished})
		}
	}
}

// recovered is the log's line for what was decided.
func (r *run) recovered(p Planned) piece {
	q := func(text string) string { return literal(r.db.conn, text) }
	who, m := r.m.identity, p.Migration
	what := map[Action]string{
		RecoverContinue: "continued", RecoverRestart: "restarted", RecoverDiscard: "discarded",
	}[p.Action]
	about := StepEntry{Step: 1, Kind: "recover", Summary: what + "; " + p.unfinished.String()}
	story, _ := json.Marshal([]StepEntry{about}) // of texts and numbers
	values := []string{"'recover'", "'done'"}
	for _, text := range []string{
		string(m.Version), clip(cmp.Or(m.Name, string(m.Version))), m.Checksum,
		clip(who.String()), clip(who.host), clip(who.tool), string(story),
	} {
		values = append(values, q(text))
	}
	return piece{statement: ours, text: fmt.Sprintf(`INSERT INTO %s
(action, outcome, version, name, checksum, run_by, host, tool_version, steps, token) VALUES (%s, %d) RETURNING %s`,
		r.db.tables.log, strings.Join(values, ", "), r.lease.current(), r.setApplicationName())}
}
