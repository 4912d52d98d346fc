package whimbrel

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/migration"
)

// History reads the log: every attempt at every migration, the newest first.
// It only reads.
func (m *Migrator) History(ctx context.Context, options HistoryOptions) ([]LogEntry, error) {
	db, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer db.close()
	_, log, _ := companions(db.tables.name)
	if !db.ready && db.relations[log] == nil {
		return []LogEntry{}, nil
	}
	var limit *int
	if options.Limit > 0 {
		limit = &options.Limit
	}
	rows, err := db.conn.Query(ctx, `SELECT id, at, action, outcome, coalesce(version, ''), coalesce(name, ''), coalesce(batch_number, 0),
		coalesce(duration_ms, 0), coalesce(error, ''), coalesce(sqlstate, ''), coalesce(run_by, ''), role, coalesce(tool_version, '')
		FROM `+db.tables.log+` WHERE $1 = '' OR pg_catalog.ltrim(version, '0') = pg_catalog.ltrim($1, '0') ORDER BY id DESC LIMIT $2`, string(options.Version), limit)
	if err != nil {
		return nil, m.serverError(ctx, "reading the log", err)
	}
	entries, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (LogEntry, error) {
		var e LogEntry
		var milliseconds float64
		err := row.Scan(&e.ID, &e.At, &e.Action, &e.Outcome, &e.Version, &e.Name, &e.Batch, &milliseconds, &e.Error, &e.SQLState, &e.By, &e.Role, &e.Tool)
		e.Duration = Elapsed(milliseconds * float64(time.Millisecond))
		return e, err
	})
	if err != nil {
		return nil, m.serverError(ctx, "reading the log", err)
	}
	if entries == nil {
		entries = []LogEntry{}
	}
	return entries, nil
}

// Accept stores the checksums of files that were changed after they were
// applied, for the versions given, and says so in the log.
func (m *Migrator) Accept(ctx context.Context, versions ...migration.Version) (Result, error) {
	return m.execute(ctx, "accept", withoutWaysBack, func(s state) (Plan, error) { return planAccept(s, versions) })
}

func planAccept(s state, versions []migration.Version) (Plan, error) {
	onDisk, applied := s.onDisk(), s.appliedVersions()
	var plan Plan
	for _, v := range versions {
		file, isFile := onDisk[v.Canonical()]
		row, isApplied := applied[v.Canonical()]
		if !isFile || !isApplied {
			return Plan{}, &Error{
				Code: CodeUnknownVersion, Version: v, Message: "version " + string(v) + " is not both a file and applied",
				Remedy: "see what differs with `whimbrel verify`",
			}
		}
		if !file.AcceptsChecksum(row.Checksum) {
			file.Version = row.Version // as the history spells it
			plan.Migrations = append(plan.Migrations, Planned{Migration: file, Direction: Up, RecordOnly: true, accept: true})
		}
	}
	return plan, nil
}
