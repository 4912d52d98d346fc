package whimbrel

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Adopted is a migration that another tool has applied.
type Adopted struct {
	Version migration.Version
	Name    string        // for what has no file
	At      time.Time     // when that tool applied it; zero where it does not say
	Took    time.Duration // 0 where it does not say
}

// Adopt records what another tool has applied, in the order given and without
// running anything: all of it in one transaction, or nothing. Versions that the
// history has already are passed over.
func (m *Migrator) Adopt(ctx context.Context, applied []Adopted) (Result, error) {
	return m.Migrate(ctx, Adopt(applied))
}

func planAdopt(s state, applied []Adopted) (Plan, error) {
	if err := s.undone(); err != nil {
		return Plan{}, err
	}
	recorded := s.appliedVersions()
	var plan Plan
	for _, a := range applied {
		file, found := s.file(a.Version)
		if found {
			a.Version = file.Version // by which the history may have it already
		}
		if _, done := recorded[a.Version.Canonical()]; done {
			continue
		}
		if !found {
			file = migration.Migration{Version: a.Version, Name: a.Name, Kind: migration.Opaque}
		}
		plan.Migrations = append(plan.Migrations, Planned{Migration: file, Direction: Up, Action: ActionAdopt, adopted: &a,
			journalled: s.journal.of(a.Version).spellings()})
	}
	return plan, nil
}

// together records everything that is planned in one transaction.
func (r *run) together(ctx context.Context, plan Plan) error {
	m := r.opening(plan.Migrations[0])
	for _, p := range plan.Migrations {
		if len(p.journalled) > 0 {
			m = append(m, r.forget(p))
		}
		m = append(m, piece{text: r.adopting(p), statement: ours})
	}
	began := time.Now()
	if _, err := send(ctx, r.db.conn.PgConn(), m); err != nil {
		if fenced(err) {
			return leaseLost(r.lease.current(), err)
		}
		return r.m.serverError(ctx, "recording what was adopted", err)
	}
	for _, p := range plan.Migrations {
		r.finished(p, time.Since(began), 0)
	}
	return nil
}

// adopting is the history row of an adopted migration, and its line of the log.
func (r *run) adopting(p Planned) string {
	q := func(text string) string { return literal(r.db.conn, text) }
	who, m := r.m.identity, p.Migration
	at := "now()"
	if !p.adopted.At.IsZero() {
		at = q(p.adopted.At.UTC().Format(time.RFC3339Nano)) + "::timestamptz"
	}
	version, name, checksum := q(string(m.Version)), q(clip(cmp.Or(m.Name, string(m.Version)))), q(m.Checksum)
	return fmt.Sprintf(
		`WITH recorded AS (INSERT INTO %s (version, name, checksum, executed_at, execution_time_ms, rollback_sql, kind, batch_number)
VALUES (%s, %s, %s, %s, least(round(%s), 2147483647)::integer, %s, 'adopted', %d))
INSERT INTO %s (action, outcome, version, name, checksum, duration_ms, batch_number, run_by, host, tool_version, token)
VALUES ('adopt', 'done', %[2]s, %[3]s, %[4]s, %[6]s, %[8]d, %[10]s, %[11]s, %[12]s, %[13]d)`,
		r.db.tables.history, version, name, checksum, at, milliseconds(p.adopted.Took), q(p.storedDown()), r.batch,
		r.db.tables.log, q(clip(who.String())), q(clip(who.host)), q(clip(who.tool)), r.lease.current())
}
