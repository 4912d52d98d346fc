package monitor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
)

// Attempt is a line of the engine's log, with how often and for how long the
// migration gave way to others.
type Attempt struct {
	whimbrel.LogEntry
	Retries int `json:"retries"`
	// GaveWay is the time of tries that ended without a lock, with a deadlock or
	// a serialisation failure, and of the pauses behind them.
	GaveWay whimbrel.Elapsed `json:"gave_way_ms"`
}

// Ran reports whether the attempt was to run a migration, rather than to record
// something about one (baseline, adoption, an accepted edit, a forced down).
func (a Attempt) Ran() bool { return a.Action == "up" || a.Action == "down" }

// Failed reports whether the attempt failed.
func (a Attempt) Failed() bool { return a.Outcome == "failed" }

// Querier is a connection, a pool or a transaction of pgx.
type Querier interface {
	Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error)
}

// ReadAttempts reads the log of the history table that is named, "" being
// whimbrel.DefaultTable, from the oldest line to the newest. It takes those since
// a time, or all of them where that is zero. It only reads. Where there is no log
// yet, there are no attempts.
func ReadAttempts(ctx context.Context, db Querier, table string, since time.Time) ([]Attempt, error) {
	if table == "" {
		table = whimbrel.DefaultTable
	}
	name := pgx.Identifier(strings.SplitN(table+"_log", ".", 2)).Sanitize()
	var from *time.Time
	if !since.IsZero() {
		from = &since
	}
	rows, err := db.Query(ctx, `SELECT id, at, action, outcome, coalesce(version, ''), coalesce(name, ''), coalesce(batch_number, 0),
		coalesce(duration_ms, 0), coalesce(error, ''), coalesce(sqlstate, ''), coalesce(run_by, ''), role, coalesce(tool_version, ''),
		coalesce(retries, 0), coalesce(gave_way_ms, 0)
		FROM `+name+` WHERE $1::timestamptz IS NULL OR at >= $1 ORDER BY id`, from)
	var attempts []Attempt
	if err == nil {
		attempts, err = pgx.CollectRows(rows, scanAttempt)
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42P01" { // undefined_table
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	return attempts, nil
}

func scanAttempt(row pgx.CollectableRow) (Attempt, error) {
	var a Attempt
	var took, gaveWay float64
	err := row.Scan(&a.ID, &a.At, &a.Action, &a.Outcome, &a.Version, &a.Name, &a.Batch, &took, &a.Error, &a.SQLState, &a.By, &a.Role, &a.Tool, &a.Retries, &gaveWay)
	a.Duration = whimbrel.Elapsed(took * float64(time.Millisecond))
	a.GaveWay = whimbrel.Elapsed(gaveWay * float64(time.Millisecond))
	return a, err
}

// Outstanding gives the migrations whose newest attempt failed, in the order of
// those failures: what is to be reported as mended once it succeeds. Any way to
// get a migration into the history, and any way out of it, mends its failures.
func Outstanding(attempts []Attempt) []whimbrel.Ref {
	var refs []whimbrel.Ref
	for _, a := range attempts {
		kept := refs[:0]
		for _, ref := range refs {
			if ref.Version.Canonical() != a.Version.Canonical() {
				kept = append(kept, ref)
			}
		}
		refs = kept
		if a.Ran() && a.Failed() {
			refs = append(refs, whimbrel.Ref{Version: a.Version, Name: a.Name, Direction: whimbrel.Direction(a.Action)})
		}
	}
	return refs
}
