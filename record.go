package whimbrel

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/migration"
)

// This file writes the bookkeeping that goes into the same transaction as what
// it records: the fence, the history row, the journal and the log.

// settings begins every transaction: the stall budget as lock_timeout, and
// what the file sets. All of it ends with the transaction. The comment is for
// whoever looks at pg_stat_activity and wonders.
func (r *run) settings(p Planned) piece {
	m := p.Migration
	calls := []string{r.setConfig("lock_timeout", strconv.FormatInt(r.m.config.MaxStall.Milliseconds(), 10), true)}
	for _, s := range m.Settings {
		calls = append(calls, r.setConfig(s.Name, s.Value, true))
	}
	label := strings.NewReplacer("*/", "", "/*", "").Replace(fmt.Sprintf("%s %s_%s", p.Direction, m.Version, m.Name))
	return piece{"/* whimbrel " + label + " */ SELECT " + strings.Join(calls, ", "), ours}
}

func (r *run) setConfig(name, value string, local bool) string {
	if value == "" {
		return fmt.Sprintf("pg_catalog.set_config(%s, '', %t)", literal(r.db.conn, name), local)
	}
	return fmt.Sprintf("pg_catalog.set_config(%s, %s, %t)", literal(r.db.conn, name), literal(r.db.conn, value), local)
}

// proof is a bigint expression that gives value while the lease is this
// runner's, and holds the lease row FOR KEY SHARE until the transaction ends;
// otherwise it fails. The clock in the text keeps the planner from evaluating
// the failing branch in advance.
func (r *run) proof(value int64) string {
	return fmt.Sprintf("coalesce((SELECT %d FROM %s l WHERE l.id = 1 AND l.is_locked AND l.token = %d FOR KEY SHARE), "+
		"('lease lost at ' || pg_catalog.clock_timestamp()::text)::bigint)", value, r.db.tables.lock, r.lease.token)
}

// recordUp inserts the history row, and with it proves the lease. It comes
// first in its transaction: whoever else tries the same version waits on its
// unique key and then fails whole.
func (r *run) recordUp(p Planned) message {
	q := func(text string) string { return literal(r.db.conn, text) }
	m := p.Migration
	kind := string(m.Kind)
	if p.RecordOnly {
		kind = "baseline"
	}
	name := m.Name
	if name == "" {
		name = string(m.Version)
	}
	return message{{fmt.Sprintf("INSERT INTO %s (version, name, checksum, rollback_sql, kind, execution_time_ms, batch_number) VALUES (%s, %s, %s, %s, %s, 0, %s)",
		r.db.tables.history, q(string(m.Version)), q(clip(name)), q(m.Checksum), q(m.StoredDown()), q(kind), r.proof(int64(r.batch))), fence}}
}

// recordAccepted stores the checksum and the way back of an edited file.
func (r *run) recordAccepted(p Planned) message {
	q := func(text string) string { return literal(r.db.conn, text) }
	return message{
		{"SELECT " + r.proof(1), fence},
		{fmt.Sprintf("UPDATE %s SET checksum = %s, rollback_sql = %s WHERE version = %s",
			r.db.tables.history, q(p.Migration.Checksum), q(p.Migration.StoredDown()), q(string(p.Migration.Version))), ours},
	}
}

// recordDown takes the history row away, after proving the lease.
func (r *run) recordDown(p Planned) message {
	return message{
		{"SELECT " + r.proof(1), fence},
		{fmt.Sprintf("DELETE FROM %s WHERE version = %s", r.db.tables.history, literal(r.db.conn, string(p.Migration.Version))), ours},
	}
}

// journalStep records the state of one step of a chain, after proving the lease.
func (r *run) journalStep(p Planned, s Step, state, cursor string) message {
	q := func(text string) string { return literal(r.db.conn, text) }
	finished := "NULL"
	if state == "done" {
		finished = "pg_catalog.clock_timestamp()"
	}
	return message{{fmt.Sprintf(`INSERT INTO %s AS j (version, direction, step, statement_hash, state, cursor, finished_at, token) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (version, direction, step) DO UPDATE SET statement_hash = excluded.statement_hash, state = excluded.state,
	cursor = coalesce(excluded.cursor, j.cursor), finished_at = excluded.finished_at, token = excluded.token`,
		r.db.tables.journal, q(string(p.Migration.Version)), q(string(p.Direction)), strconv.Itoa(s.Number), q(s.hash()), q(state), q(cursor), finished,
		r.proof(r.lease.token)), fence}}
}

// clearJournal forgets a chain that is over, in whichever direction it ran.
func (r *run) clearJournal(p Planned) piece {
	return piece{fmt.Sprintf("DELETE FROM %s WHERE version = %s", r.db.tables.journal, literal(r.db.conn, string(p.Migration.Version))), ours}
}

// tidy undoes what a migration may have done to the session, so that nothing
// leaks into the next one, nor, behind a pooler, to other clients.
func tidy() message {
	return message{{"RESET SESSION AUTHORIZATION", ours}, {"RESET ROLE", ours}, {"RESET ALL", ours}, {"DISCARD TEMP", ours}}
}

// recordEnd completes the history row with the duration and appends to the
// log. The time before this transaction (earlier steps of a chain) is added.
func (r *run) recordEnd(p Planned, earlier Elapsed) piece {
	q := func(text string) string { return literal(r.db.conn, text) }
	who := r.m.identity
	elapsed := fmt.Sprintf("(extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000 + %.3f)::double precision", earlier.milliseconds())
	source, duration := "", elapsed
	if p.Direction == Up && !p.accept {
		source = fmt.Sprintf("WITH ended AS (UPDATE %s SET execution_time_ms = least(round(%s), 2147483647)::integer WHERE version = %s)\n",
			r.db.tables.history, elapsed, q(string(p.Migration.Version)))
	}
	return piece{source + fmt.Sprintf(`INSERT INTO %s (action, outcome, version, name, batch_number, duration_ms, checksum, run_by, host, tool_version, token)
VALUES (%s, 'done', %s, %s, %s, %s, %s, %s, %s, %s, %d) RETURNING %s`,
		r.db.tables.log, q(action(p)), q(string(p.Migration.Version)), q(clip(p.Migration.Name)), r.batchOrNull(p), duration,
		q(p.Migration.Checksum), q(clip(who.String())), q(clip(who.host)), q(clip(who.tool)), r.lease.token,
		r.setConfig("application_name", applicationPrefix(r.db.tables)+strconv.FormatInt(r.lease.token, 10), false)), ours}
}

func (e Elapsed) milliseconds() float64 { return float64(e) / 1e6 }

func (r *run) batchOrNull(p Planned) string {
	if p.Direction == Down {
		return "NULL"
	}
	return strconv.Itoa(r.batch)
}

// action names what is done, as the log keeps it.
func action(p Planned) string {
	switch {
	case p.accept:
		return "accept"
	case p.RecordOnly && p.Direction == Up:
		return "baseline"
	case p.RecordOnly:
		return "force_down"
	default:
		return string(p.Direction)
	}
}

// logFailure appends a failed attempt to the log. It does its best: where the
// connection is gone there is nothing to write to.
func (r *run) logFailure(p Planned, e *Error, took Elapsed) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	if r.db.conn.IsClosed() {
		return
	}
	who := r.m.identity
	_, _ = r.db.conn.Exec(ctx, "INSERT INTO "+r.db.tables.log+` (action, outcome, version, name, batch_number, duration_ms, checksum, error, sqlstate, run_by, host, tool_version, token)
		VALUES ($1, 'failed', $2, $3, $4, $5, $6, $7, nullif($8, ''), $9, $10, $11, $12)`,
		action(p), string(p.Migration.Version), clip(p.Migration.Name), r.batch, took.milliseconds(), p.Migration.Checksum,
		e.Error(), e.SQLState, clip(who.String()), clip(who.host), clip(who.tool), r.lease.token)
}

// logAdoption appends that an existing history was taken over.
func (m *Migrator) logAdoption(ctx context.Context, db *database, rows int) error {
	who := m.identity
	_, err := db.conn.Exec(ctx, "INSERT INTO "+db.tables.log+` (action, outcome, name, run_by, host, tool_version) VALUES ('adopt', 'done', $1, $2, $3, $4)`,
		fmt.Sprintf("%d rows", rows), clip(who.String()), clip(who.host), clip(who.tool))
	if err != nil {
		return m.serverError(ctx, "recording the adoption", err)
	}
	return nil
}

// journalEntry is a row of the journal.
type journalEntry struct {
	version   migration.Version
	direction Direction
	step      int
	hash      string
	done      bool
	cursor    string
}

// unfinished reads the journal: the chains that stopped half-way.
func (db *database) unfinished(ctx context.Context) ([]journalEntry, error) {
	journal, _, _ := companions(db.tables.name)
	if !db.ready && db.relations[journal] == nil {
		return nil, nil
	}
	rows, err := db.conn.Query(ctx, "SELECT version, direction, step, statement_hash, state = 'done', coalesce(cursor, '') FROM "+db.tables.journal+" ORDER BY version, direction, step")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (journalEntry, error) {
		var e journalEntry
		err := row.Scan(&e.version, &e.direction, &e.step, &e.hash, &e.done, &e.cursor)
		return e, err
	})
}
