package whimbrel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/millis"
)

// This file writes the bookkeeping that goes into the same transaction as what
// it records: the fence, the history row, the journal and the log.

// template is one of our statements, with parameters $1, $2, … and their types.
type template struct {
	name  string
	types []string
	sql   string
	// rare is set where it is not worth while to prepare it.
	rare bool
}

// templates are the statements that run with every migration. A session
// prepares them once, which saves the server the planning: a third of the cost
// of a small migration.
func (m *Migrator) templates(db *database) []template {
	t, who := db.tables, m.identity
	q := func(text string) string { return literal(db.conn, text) }
	elapsed := func(earlier string) string {
		return "extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000 + " + earlier
	}
	log := func(duration, batch string) string {
		return fmt.Sprintf(
			`INSERT INTO %s (action, outcome, version, name, checksum, duration_ms, batch_number, run_by, host,
				tool_version, token, retries, backoff_ms, lock_wait_ms, lease_wait_ms, steps)
VALUES ($5, 'done', $2, $3, $4, %s, %s, %s, %s, %s, $1, $7, $8, $9, $10, $11)
RETURNING pg_catalog.set_config('application_name', %s || $1, false)`, t.log, duration, batch,
			q(clip(who.String())), q(clip(who.host)), q(clip(who.tool)), q(applicationPrefix(t)))
	}
	record := func(conflict string) string {
		return fmt.Sprintf("WITH recorded AS (INSERT INTO %s (version, name, checksum, execution_time_ms, rollback_sql, "+
			"kind, batch_number)\nVALUES ($2, $3, $4, least(round((%s)::numeric), 2147483647)::integer, $12, $13, $14)%s)\n%s",
			t.history, elapsed("$6"), conflict, log(elapsed("$6"), "$14"))
	}
	head := []string{"bigint", "text", "text", "text", "text", "double precision", "integer", "double precision",
		"double precision", "double precision", "jsonb"}
	up := append(slices.Clone(head), "text", "text", "integer")
	return append([]template{
		{name: "whimbrel_open", types: head[:1], sql: fmt.Sprintf(
			"SELECT pg_catalog.set_config('lock_timeout', '%d', true), "+
				"pg_catalog.set_config('idle_in_transaction_session_timeout', '%d', true), %s",
			m.config.MaxStall.Milliseconds(), m.config.LeaseDuration.Milliseconds(), proof(t))},
		{name: "whimbrel_up", types: up, sql: record("")},
		{name: "whimbrel_again", types: up, rare: true, sql: record(`
ON CONFLICT (version) DO UPDATE SET name = excluded.name, executed_at = pg_catalog.now(), checksum = excluded.checksum,
execution_time_ms = excluded.execution_time_ms, rollback_sql = excluded.rollback_sql, kind = excluded.kind, batch_number = excluded.batch_number`)},
		{name: "whimbrel_down", types: head, sql: fmt.Sprintf(
			"WITH recorded AS (DELETE FROM %s WHERE version = $2)\n%s", t.history, log(elapsed("$6"), "NULL"))},
		looking(),
	}, keeping()...)
}

// preparation makes the templates known to the session, again if need be.
// Behind a pooler there is no session to keep them in: see call.
func (m *Migrator) preparation(db *database) []string {
	if db.facts.behindPool {
		return nil
	}
	statements := []string{"DEALLOCATE ALL"}
	for _, t := range m.templates(db) {
		if t.rare {
			continue
		}
		statements = append(statements, "PREPARE "+t.name+" ("+strings.Join(t.types, ", ")+") AS "+t.sql)
	}
	return statements
}

// prepareTemplates sends the preparation by itself.
func (r *run) prepareTemplates(ctx context.Context) error {
	r.spelling = false
	var m message
	for _, statement := range r.m.preparation(r.db) {
		m = append(m, piece{text: statement, statement: ours})
	}
	if len(m) == 0 {
		return nil
	}
	if err := r.db.conn.DeallocateAll(ctx); err != nil { // so that the driver, too, knows of none
		return err
	}
	_, err := send(ctx, r.db.conn.PgConn(), m)
	return err
}

// prepareLost prepares again what a migration has thrown away.
func (r *run) prepareLost(ctx context.Context) error {
	if !r.spelling {
		return nil
	}
	if err := r.prepareTemplates(ctx); err != nil {
		return r.m.serverError(ctx, "preparing", err)
	}
	return nil
}

// call runs a template with the lease's token and its arguments, of which an
// empty one is NULL; behind a pooler, or where it is rare, it writes it out.
func (r *run) call(name string, arguments ...string) piece {
	p := &prepared{name: name, quote: r.quote, arguments: make([][]byte, 1+len(arguments))}
	text := strconv.AppendInt(make([]byte, 0, 32), r.lease.current(), 10) // of all the arguments
	p.arguments[0] = text
	for i, argument := range arguments {
		if argument != "" {
			text = append(text, argument...)
			p.arguments[1+i] = text[len(text)-len(argument):]
		}
	}
	if r.db.facts.behindPool || r.spelling || name == "whimbrel_again" {
		return piece{text: r.spelledOut(p), statement: ours}
	}
	return piece{statement: ours, prepared: p}
}

// quote makes an SQL literal of an argument, for the session that is at work.
func (r *run) quote(argument string) string { return literal(r.db.conn, argument) }

// spelledOut is a template with its arguments in place.
func (r *run) spelledOut(p *prepared) string {
	all := r.m.templates(r.db)
	t := all[slices.IndexFunc(all, func(t template) bool { return t.name == p.name })]
	var replacements []string
	for i, argument := range slices.Backward(p.arguments) { // $11 before $1
		replacements = append(replacements, "$"+strconv.Itoa(i+1), r.quote(string(argument))+"::"+t.types[i])
	}
	return strings.NewReplacer(replacements...).Replace(t.sql)
}

// proof is an expression that has a value while the lease with token $1 is
// this runner's, and holds the lease row FOR KEY SHARE until the transaction
// ends; otherwise it fails. The clock in the text keeps the planner from
// evaluating the failing branch in advance.
func proof(t tables) string {
	return fmt.Sprintf("coalesce((SELECT l.token FROM %s l WHERE l.id = 1 AND l.is_locked AND l.token = $1 FOR KEY "+
		"SHARE), "+
		"('lease lost at ' || pg_catalog.clock_timestamp()::text)::bigint)", t.lock)
}

// begin is in every transaction of ours: it sets the stall budget as
// lock_timeout, proves the lease, and applies what the file sets. If we are cut
// off, the server does not keep the transaction, and with it the proof, for
// longer than a lease, and what a script may compute. All of it ends with the transaction.
func (r *run) begin(p Planned) message {
	proof := r.call("whimbrel_open")
	proof.statement = fence
	if proof.prepared != nil {
		proof.prepared.about = p.Ref()
	} else {
		proof.text = comment(p.Ref()) + proof.text
	}
	m := message{proof}
	if p.hooked() {
		m = append(m, r.describe(p))
	}
	var calls []string
	if len(p.Steps) > 0 && p.Steps[0].code != nil && p.Steps[0].code.Idle() > 0 {
		patience := p.Steps[0].code.Idle() + r.m.config.LeaseDuration
		calls = append(calls, r.setConfig("idle_in_transaction_session_timeout", strconv.FormatInt(patience.Milliseconds(),
			10), true))
	}
	if !r.keepsSession(p) { // which has them already
		calls = append(calls, r.annotations(p, true)...)
	}
	if len(calls) == 0 {
		return m
	}
	return append(m, piece{text: "SELECT " + strings.Join(calls, ", "), statement: ours})
}

// annotations apply what the file sets by annotations, for the transaction or for the
// session.
func (r *run) annotations(p Planned, local bool) (calls []string) {
	for _, s := range p.Migration.Settings {
		calls = append(calls, r.setConfig(s.Name, s.Value, local))
	}
	return calls
}

func (r *run) setConfig(name, value string, local bool) string {
	if value == "" {
		return fmt.Sprintf("pg_catalog.set_config(%s, '', %t)", literal(r.db.conn, name), local)
	}
	return fmt.Sprintf("pg_catalog.set_config(%s, %s, %t)", literal(r.db.conn, name), literal(r.db.conn, value), local)
}

// closing ends the transaction that completes a migration: the history row and
// a line of the log. The row's unique key makes anyone who records the same
// version a second time, by whatever means, fail whole. The time of earlier
// steps is added to that of this transaction.
func (r *run) closing(p Planned, earlier time.Duration, of *attempt) message {
	m := p.Migration
	name := clip(cmp.Or(m.Name, string(m.Version)))
	strain := of.strain()
	head := []string{
		string(m.Version), name, m.Checksum, p.Action.logged(), milliseconds(earlier), strconv.Itoa(strain.retries),
		milliseconds(strain.backoff), milliseconds(strain.lockWait), milliseconds(r.leaseWait(p)), of.story(false),
	}
	out := r.replacedObjects(p)
	if p.Action != ActionAccept && (!p.Atomic() || len(p.journalled) > 0) {
		out = append(out, r.forget(p))
	}
	switch {
	case p.Action == ActionAccept:
		return append(out, piece{text: r.accepted(p), statement: ours})
	case p.Action == RecoverDiscard:
		return append(out, r.recovered(p))
	case p.Direction == Down:
		return append(out, r.call("whimbrel_down", head...))
	}
	if m.Version.Repeatable() {
		return append(out, r.recordedAgain(p, head)...)
	}
	kind := string(m.Kind)
	switch {
	case p.Action == ActionBaseline:
		kind = "baseline"
	case len(m.Squashes) > 0:
		kind = kindOfSquash
	}
	return append(out, r.call("whimbrel_up", append(head, p.storedDown(), kind, strconv.Itoa(r.batch))...))
}

// recording says that a step is done: in the journal, or, if it is the last, in
// the history.
func (e *execution) recording(earlier time.Duration) message {
	p, s := e.planned, e.step
	if e.last {
		return e.closing(p, earlier, e.attempt)
	}
	record := e.journalStep(p, s, "done", "")
	if s.Kind == StepSQL { // its rows are known when its statements are answered
		record.counted = func(rows int64) string {
			s.rows += rows
			return e.journalStep(p, s, "done", "").text
		}
	}
	return append(e.replacedObjects(p), record)
}

// accepted stores the checksum and the down migration of an edited file.
func (r *run) accepted(p Planned) string {
	q := func(text string) string { return literal(r.db.conn, text) }
	who, m := r.m.identity, p.Migration
	return fmt.Sprintf(`WITH recorded AS (UPDATE %s SET checksum = %s, rollback_sql = %s WHERE version = %s)
INSERT INTO %s (action, outcome, version, name, checksum, run_by, host, tool_version, token) VALUES ('accept', 'done', %s, %s, %s, %s, %s, %s, %d)`,
		r.db.tables.history, q(m.Checksum), q(p.storedDown()), q(string(m.Version)),
		r.db.tables.log, q(string(m.Version)), q(clip(m.Name)), q(m.Checksum), q(clip(who.String())), q(clip(who.host)),
		q(clip(who.tool)), r.lease.current())
}

// journalStep records the state of one step of a chain, with what is to be
// remembered of it, and names the session after its token again.
func (r *run) journalStep(p Planned, s Step, state, cursor string) piece {
	q := func(text string) string { return literal(r.db.conn, text) }
	finished := "NULL"
	if state == "done" {
		finished = "pg_catalog.clock_timestamp()"
	}
	return piece{
		text: fmt.Sprintf(`INSERT INTO %s AS j (%s, statement_hash, state, cursor, finished_at, rows_done, session)
VALUES (%s, %s, %s, %s, %s, %d, nullif(pg_catalog.current_setting('whimbrel.session', true), '')::jsonb)
ON CONFLICT (version, direction, step) DO UPDATE SET statement_hash = excluded.statement_hash, state = excluded.state,
cursor = coalesce(excluded.cursor, j.cursor), finished_at = excluded.finished_at, rows_done = excluded.rows_done,
token = excluded.token, schema_version = excluded.schema_version, session = excluded.session
RETURNING %s`,
			r.db.tables.journal, journalHead, r.journalHead(p, s.Number), q(s.hash()), q(state), q(cursor), finished, s.rows,
			r.setApplicationName()), statement: ours}
}

// journalPart records how far a part of a step is; see backfill.
func (r *run) journalPart(p Planned, part int, hash, cursor string, done tally, total int64) piece {
	q := func(text string) string { return literal(r.db.conn, text) }
	return piece{
		text: fmt.Sprintf(
			`INSERT INTO %s (%s, statement_hash, state, cursor, keys_done, rows_done, rows_total) VALUES (%s, %s, 'started', %s, %d, %d, %d)
ON CONFLICT (version, direction, step) DO UPDATE SET statement_hash = excluded.statement_hash, cursor = excluded.cursor,
keys_done = excluded.keys_done, rows_done = excluded.rows_done, rows_total = excluded.rows_total,
token = excluded.token, schema_version = excluded.schema_version
RETURNING %s`,
			r.db.tables.journal, journalHead, r.journalHead(p, part), q(hash), q(cursor), done.keys, done.rows, total,
			r.setApplicationName()), statement: ours}
}

// journalHead are the columns of the journal that say what a row is about and who
// began it; the method gives their values.
const journalHead = "version, name, direction, step, token, run_by, host, tool_version, schema_version"

func (r *run) journalHead(p Planned, step int) string {
	q := func(text string) string { return literal(r.db.conn, text) }
	who, m := r.m.identity, p.Migration
	return fmt.Sprintf("%s, %s, %s, %d, %d, %s, %s, %s, %d", q(p.inJournal()), q(clip(m.Name)), q(string(p.Direction)),
		step, r.lease.current(),
		q(clip(who.String())), q(clip(who.host)), q(clip(who.tool)), schemaVersion)
}

// forget removes all that the journal has of a version.
func (r *run) forget(p Planned) piece {
	versions := []string{literal(r.db.conn, p.inJournal())}
	for _, v := range p.journalled {
		versions = append(versions, literal(r.db.conn, string(v)))
	}
	return piece{text: fmt.Sprintf("DELETE FROM %s WHERE version IN (%s)", r.db.tables.journal,
		strings.Join(slices.Compact(versions), ", ")), statement: ours}
}

// inheritPart says that a part began when the first of several did, and by whom.
func (r *run) inheritPart(p Planned, part, below int) piece {
	return piece{
		text: fmt.Sprintf(
			`UPDATE %[1]s AS j SET started_at = first.started_at, run_by = first.run_by, host = first.host, tool_version = first.tool_version
FROM (SELECT * FROM %[1]s WHERE version = %[2]s AND direction = %[3]s AND step >= %[4]d AND step < %[5]d ORDER BY started_at, step LIMIT 1) AS first
WHERE j.version = first.version AND j.direction = first.direction AND j.step = %[4]d`,
			r.db.tables.journal, literal(r.db.conn, p.inJournal()), literal(r.db.conn, string(p.Direction)), part, below),
		statement: ours}
}

// forgetParts removes what the journal has of a step's parts.
func (r *run) forgetParts(p Planned, from, below int) piece {
	return piece{text: fmt.Sprintf("DELETE FROM %s WHERE version = %s AND direction = %s AND step >= %d AND step < %d",
		r.db.tables.journal, literal(r.db.conn, p.inJournal()), literal(r.db.conn, string(p.Direction)), from, below),
		statement: ours}
}

// forgetStep takes back that a step had begun.
func (r *run) forgetStep(p Planned, s Step) piece {
	return piece{text: fmt.Sprintf("DELETE FROM %s WHERE version = %s AND direction = %s AND step = %d AND state = "+
		"'started'",
		r.db.tables.journal, literal(r.db.conn, p.inJournal()), literal(r.db.conn, string(p.Direction)), s.Number),
		statement: ours}
}

func (r *run) setApplicationName() string {
	return r.setConfig("application_name", r.lease.session(), false)
}

// milliseconds is a duration as a number of SQL: the log has the same time in columns and
// in JSON.
func milliseconds(d time.Duration) string { return strconv.FormatFloat(millis.Of(d), 'f', 3, 64) }

// leaseWait is how long the run waited for the lease, where the migration is the
// first of the run: the log's sums are those of what was waited.
func (r *run) leaseWait(p Planned) time.Duration {
	if r.first != p.Ref() {
		return 0
	}
	return r.lease.waited
}

// logFailure appends a failed attempt to the log. It does its best: where the
// connection is gone there is nothing to write to, and anyone who takes the lease over
// writes the line, as where that has happened already.
func (r *run) logFailure(p Planned, e *Error, took time.Duration, of *attempt) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	if r.db.conn.IsClosed() {
		return
	}
	who := r.m.identity
	strain := of.strain()
	outcome := "failed"
	if e.Code == CodeInterrupted {
		outcome = "stopped"
	}
	_, _ = r.db.conn.Exec(ctx, "INSERT INTO "+r.db.tables.log+
		` (action, outcome, version, name, batch_number, duration_ms, checksum, error, sqlstate, run_by, host,
			tool_version, token, retries, backoff_ms, lock_wait_ms, lease_wait_ms, steps)
		SELECT $1, '`+outcome+
		`', $2, $3, $4::integer, $5::double precision, $6, $7, nullif($8, ''), $9, $10, $11, $12::bigint, $13::integer,
			$14::double precision, $15::double precision, $16::double precision, nullif($17, '')::jsonb
		FROM `+r.db.tables.lock+` WHERE id = 1 AND token = $12::bigint`,
		p.Action.logged(), string(p.Migration.Version), clip(p.Migration.Name), r.batch, millis.Of(took),
		p.Migration.Checksum,
		e.Error(), e.SQLState, clip(who.String()), clip(who.host), clip(who.tool), r.lease.current(),
		strain.retries, millis.Of(strain.backoff), millis.Of(strain.lockWait), millis.Of(r.leaseWait(p)),
		of.story(true))
}

// logRun appends a line that is about no migration.
func (m *Migrator) logRun(ctx context.Context, db *database, action, about string) error {
	who := m.identity
	_, err := db.conn.Exec(ctx, "INSERT INTO "+db.tables.log+
		` (action, outcome, name, run_by, host, tool_version) VALUES ($1, 'done', $2, $3, $4, $5)`,
		action, about, clip(who.String()), clip(who.host), clip(who.tool))
	return err
}

func scanJournal(rows pgx.Rows) (journal, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (journalEntry, error) {
		var e journalEntry
		var session string
		err := row.Scan(&e.version, &e.direction, &e.step, &e.hash, &e.done, &e.cursor, &e.rows, &e.total, &e.since, &e.token,
			&e.name, &e.keys, &e.by, &e.host, &e.tool, &e.schema, &session)
		e.kept = parseKept(session)
		return e, err
	})
}
