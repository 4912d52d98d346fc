package whimbrel

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/migration"
)

// History reads the log: every attempt at every migration, the newest first.
// It only reads.
func (m *Migrator) History(ctx context.Context, options HistoryOptions) ([]LogEntry, error) {
	if err := cmp.Or(atLeastZero("Batch", options.Batch), atLeastZero("Limit", options.Limit)); err != nil {
		return nil, err
	}
	db, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer db.close()
	if err := db.newer(); err != nil {
		return nil, err
	}
	if !db.ready && db.log() == nil {
		return []LogEntry{}, nil
	}
	if options.Version, err = m.meantInLog(ctx, db, options.Version); err != nil {
		return nil, err
	}
	rows, err := db.conn.Query(ctx, historyQuery(db.tables.log, db.log().column), options.arguments()...)
	if err != nil {
		return nil, m.serverError(ctx, "reading the log", err)
	}
	entries, err := pgx.CollectRows(rows, scanEntry)
	if err != nil {
		return nil, m.serverError(ctx, "reading the log", err)
	}
	if entries == nil {
		entries = []LogEntry{}
	}
	return entries, nil
}

// meantInLog gives the version that a word means among those that the log has. A number is
// asked for as it is.
func (m *Migrator) meantInLog(ctx context.Context, db *database, word migration.Version) (migration.Version, error) {
	if strings.Trim(string(word), "0123456789") == "" {
		return word, nil
	}
	rows, err := db.conn.Query(ctx, "SELECT DISTINCT coalesce(version, ''), coalesce(name, ''), '' FROM "+db.tables.log)
	if err != nil {
		return "", m.serverError(ctx, "reading the log", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[migration.Named])
	if err != nil {
		return "", m.serverError(ctx, "reading the log", err)
	}
	return meantAmong(word, all)
}

// historyQuery reads a log. Column gives a column, or what replaces it in tables of a
// lower version.
func historyQuery(log string, column func(name, otherwise string) string) string {
	var waits string
	for _, name := range []string{"retries", "backoff_ms", "lock_wait_ms", "lease_wait_ms"} {
		waits += "coalesce(" + column(name, "NULL") + ", 0), "
	}
	waits += "coalesce(" + column("steps", "NULL") + "::text, '')"
	return `SELECT id, at, action, outcome, coalesce(version, ''), coalesce(name, ''), coalesce(batch_number, 0),
		coalesce(duration_ms, 0), coalesce(error, ''), coalesce(sqlstate, ''), coalesce(run_by, ''), role, coalesce(tool_version, ''),
		coalesce(host, ''), coalesce(token, 0), ` + waits + `
		FROM ` + log + `
		WHERE ($1 = '' OR pg_catalog.ltrim(version, '0') = pg_catalog.ltrim($1, '0')) AND ($2 = '' OR outcome = $2 OR $2 = 'failed' AND outcome = 'killed') AND ($3 = '' OR action = $3)
			AND ($4 = '' OR pg_catalog.strpos(pg_catalog.lower(coalesce(run_by, '') || ' ' || role), pg_catalog.lower($4)) > 0)
			AND ($5::bigint = 0 OR batch_number = $5) AND ($6::timestamptz IS NULL OR at >= $6)
		ORDER BY id DESC LIMIT $7`
}

func (o HistoryOptions) arguments() []any {
	var since *time.Time
	if !o.Since.IsZero() {
		since = &o.Since
	}
	var limit *int
	if o.Limit > 0 {
		limit = &o.Limit
	}
	return []any{string(o.Version), o.Outcome, o.Action, o.By, o.Batch, since, limit}
}

func scanEntry(row pgx.CollectableRow) (LogEntry, error) {
	var e LogEntry
	var took, backoff, lockWait, leaseWait float64
	var steps string
	err := row.Scan(&e.ID, &e.At, &e.Action, &e.Outcome, &e.Version, &e.Name, &e.Batch, &took, &e.Error, &e.SQLState,
		&e.By, &e.Role, &e.Tool,
		&e.Host, &e.Token, &e.Retries, &backoff, &lockWait, &leaseWait, &steps)
	if err != nil {
		return e, err
	}
	elapsed := func(milliseconds float64) time.Duration {
		return time.Duration(milliseconds * float64(time.Millisecond))
	}
	e.Duration, e.Backoff, e.LockWait, e.LeaseWait = elapsed(took), elapsed(backoff), elapsed(lockWait), elapsed(leaseWait)
	if steps == "" || json.Unmarshal([]byte(steps), &e.Steps) != nil { // what somebody else wrote there is none of ours
		e.Steps = nil
		return e, nil
	}
	e.completeSteps()
	return e, nil
}

// completeSteps gives the step that recorded the attempt its time, which nobody
// knew when that was written: what is left of the whole.
func (e *LogEntry) completeSteps() {
	last := len(e.Steps) - 1
	if last < 0 || e.Steps[last].Duration > 0 {
		return
	}
	left := e.Duration
	for _, s := range e.Steps[:last] {
		left -= s.Duration
	}
	e.Steps[last].Duration = max(left, 0)
}

// Accept stores the checksums of files that were changed after they were
// applied, for the versions given, and says so in the log.
func (m *Migrator) Accept(ctx context.Context, versions ...migration.Version) (Result, error) {
	return m.Migrate(ctx, Accept(versions...))
}

func planAccept(s state, versions []migration.Version) (Plan, error) {
	applied := s.appliedVersions()
	var plan Plan
	for _, word := range versions {
		v, err := s.meant(word)
		if err != nil {
			return Plan{}, err
		}
		file, isFile := s.file(v)
		row, isApplied := applied[v.Canonical()]
		if !isFile || !isApplied {
			return Plan{}, &Error{
				Code: CodeUnknownVersion, Version: v, Message: "version " + string(v) + " is not both a file and applied",
				Remedy: "see what differs with Migrator.Verify",
			}
		}
		if half := s.journal.of(v); len(half) > 0 {
			return Plan{}, half[0].halfDone()
		}
		if !file.AcceptsChecksum(row.Checksum) {
			file.Version = row.Version // as the history spells it
			plan.Migrations = append(plan.Migrations, Planned{Migration: file, Direction: Up, Action: ActionAccept})
		}
	}
	return plan, nil
}
