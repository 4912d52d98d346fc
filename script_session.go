package whimbrel

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/stall"
	"github.com/whimbrel-db/whimbrel/migration"
)

// code is a migration that is not SQL: a script or a function in Go.
type code = Script

// codes gives what compiles scripts and finds functions.
func (m *Migrator) codes(ctx context.Context) func(migration.Migration) (code, error) {
	return func(file migration.Migration) (code, error) {
		if file.Unfit != nil {
			e := asError(file.Unfit, CodeUnsupported)
			e.Version, e.Name = file.Version, file.Name
			return nil, e
		}
		if file.Kind == migration.Func {
			for _, f := range m.config.Functions {
				if f.Version.Equal(file.Version) {
					return f, nil
				}
			}
		}
		if file.Kind != migration.Script || m.config.Scripts == nil {
			return nil, malformed(file, migration.Position{}, CodeUnsupported,
				"this program has no runner for migrations of kind "+string(file.Kind),
				"use a build that has one, or write the migration in SQL")
		}
		script, err := m.config.Scripts.Compile(ctx, file)
		if err != nil {
			return nil, asError(err, CodeMalformed)
		}
		return script, nil
	}
}

// reversible asks a script or function itself whether it has one.
func (s state) reversible(m migration.Migration) (bool, error) {
	if m.Kind == migration.SQL || m.Kind == migration.Opaque {
		return m.Reversible(), nil
	}
	code, err := s.code(m)
	if err != nil {
		return false, err
	}
	return code.HasDown(), nil
}

// storedDown is what the history keeps for the day when the file is not there.
func (p Planned) storedDown() string {
	if p.Migration.Kind != migration.Script {
		return p.Migration.StoredDown()
	}
	if len(p.Steps) == 0 || p.Steps[0].code == nil || !p.Steps[0].code.HasDown() {
		return ""
	}
	return p.Migration.StoredScript(p.Steps[0].code.Source())
}

// scripted runs a script or a function: in a transaction with its record, or outside one.
type scripted struct{ *execution }

func (r scripted) execute(ctx context.Context) (int64, error) {
	if !r.step.inTransaction() {
		return r.apart(ctx)
	}
	return r.persist(ctx, stall.Transactional, func() (rows int64, err error) {
		err = r.inTransaction(ctx, r.opening(r.planned), r.ending(r.earlier), func() error {
			return r.around(ctx, func() (err error) {
				rows, err = r.code(ctx, true)
				r.counted(rows)
				return err
			})
		})
		return rows, err
	})
}

// code runs it. The rows are those of its batches, with what
// earlier runs did of them, and those that its other statements have changed.
func (r scripted) code(ctx context.Context, inside bool) (rows int64, err error) {
	session := &session{execution: r.execution, inside: inside}
	defer session.counting()()
	err = r.step.code.Run(ctx, r.planned.Direction, session)
	return session.rows + session.changed, err
}

// inTransaction runs work between what opens and what closes a transaction. The
// transaction is over when it returns.
func (r *run) inTransaction(ctx context.Context, before, after message, work func() error) (err error) {
	conn := r.db.conn.PgConn()
	defer func() {
		if err != nil && !conn.IsClosed() {
			rollback(conn)
		}
	}()
	if _, err := send(ctx, conn, append(message{{text: "BEGIN", statement: ours}}, before...)); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	switch conn.TxStatus() {
	case 'E':
		return &Error{
			Code: CodeScript, Message: "a statement failed, and its error was caught: PostgreSQL has given up the whole " +
				"transaction",
			Remedy: "let the error through, or put a SAVEPOINT before the statement and ROLLBACK TO it after the error",
		}
	case 'I':
		return &Error{
			Code: CodeScript, Message: "the migration ended the transaction in which it is to be recorded",
			Remedy: "leave BEGIN, COMMIT and ROLLBACK to whimbrel; what it committed stays and is not recorded",
		}
	}
	if err := r.lease.held(); err != nil {
		return err
	}
	_, err = send(ctx, conn, append(after, piece{text: commit, statement: ours}))
	return err
}

// apart runs it outside a transaction. The journal says beforehand that it begins; after
// a crash it runs again from its start, and its batches go on where they stopped.
func (r scripted) apart(ctx context.Context) (rows int64, err error) {
	p, s := r.planned, r.step
	_, err = r.persist(ctx, stall.Transactional, func() (int64, error) {
		return send(ctx, r.db.conn.PgConn(),
			append(append(r.sessionBudget(p), r.opening(p)...), r.journalStep(p, s, "started", "")))
	})
	if err == nil {
		err = r.lease.held()
	}
	if err == nil {
		err = r.watched(ctx)
	}
	if err != nil {
		return 0, err
	}
	rows, err = r.code(ctx, false)
	r.watch.End()
	if err != nil {
		return rows, err
	}
	return r.finish(ctx, rows)
}

// watched has the stall monitor look at the code itself, outside its transactions.
func (e *execution) watched(ctx context.Context) error {
	return e.watching(ctx, e.planned.Ref(), e.step.Number, stall.Transactional, e.attempt)
}

// sessionBudget puts the stall budget in force for the session, for code that runs
// outside our transactions, and notes how the session is. Behind a pooler a setting of
// the session would reach other clients.
func (r scripted) sessionBudget(p Planned) message {
	if r.db.facts.behindPool {
		return nil
	}
	m := message{r.observe(p, false)}
	if !p.setsLockTimeout() {
		m = append(asSelect([]string{r.setConfig("lock_timeout", fmt.Sprint(r.m.config.MaxStall.Milliseconds()), false)}),
			m...)
	}
	return m
}

// restore puts the session back in order after code that failed.
func (r *run) restore() {
	conn := r.db.conn.PgConn()
	if conn.IsClosed() {
		return
	}
	if conn.TxStatus() != 'I' {
		rollback(conn)
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	_, _ = send(ctx, conn, r.cleared())
}

// session is the Session of one run of a script or function.
type session struct {
	*execution
	inside  bool  // a transaction of ours
	batches int   // begun so far
	rows    int64 // changed by them, with what earlier runs did
	changed int64 // by statements that are in none of them
}

// counting counts the rows that the code's own statements change, until the function
// that it returns is called.
func (s *session) counting() (stop func()) {
	s.db.onComplete = func(tag pgconn.CommandTag) {
		if changes(tag) {
			s.changed += tag.RowsAffected()
		}
	}
	return s.notCounting
}

func (s *session) notCounting() { s.db.onComplete = nil }

// Conn implements Session.
func (s *session) Conn() *pgx.Conn { return s.db.conn }

// Printed implements Session.
func (s *session) Printed(level, text string) {
	s.m.emit(Printed{Migration: s.planned.Ref(), Level: level, Text: s.m.redact(text)})
}

// Check implements Session. A text that nothing fences is refused once the lease may be over.
func (s *session) Check(text string) error {
	if !s.inside { // no fence protects it
		if err := s.lease.held(); err != nil {
			return err
		}
	}
	statements, err := pgsql.Split(text, pgsql.Options{})
	if err != nil {
		return nil // the server says it better
	}
	refuse := func(remedy, format string, args ...any) error {
		return &Error{Code: CodeScript, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	for _, statement := range statements {
		switch {
		case s.db.facts.behindPool && !s.inside && staysInSession(migration.Statement{Statement: statement}):
			return refuse("say SET LOCAL in client.tx(), or run the migration over a direct connection",
				"behind a transaction pooler %s would reach other clients", statement.Command)
		case statement.Class == pgsql.TransactionControl && !(s.inside && pgsql.CommandIs(statement.Command, "SAVEPOINT",
			"RELEASE", "ROLLBACK TO")):
			return refuse("leave it out: whimbrel opens and commits the transaction in which the migration is recorded; "+
				"outside one, use client.tx()",
				"%s is not allowed in a migration", statement.Command)
		case statement.Class == pgsql.Alone && s.inside:
			return refuse("say `export const transaction = false` (or module.exports.transaction = false), or write this "+
				"statement in an SQL migration",
				"%s cannot run inside a transaction", statement.Command)
		}
	}
	return nil
}

func (s *session) outside(what string) error {
	if !s.inside {
		return nil
	}
	return &Error{
		Code: CodeScript, Message: what + " commits by itself, and the migration already is in a transaction",
		Remedy: "say `export const transaction = false` (or module.exports.transaction = false)",
	}
}

// Transaction implements Session.
func (s *session) Transaction(ctx context.Context, work func(context.Context) error) error {
	if err := s.outside("client.tx()"); err != nil {
		return err
	}
	s.inside = true
	defer func() { s.inside = false }()
	s.notCounting()
	defer func() { s.counting() }()
	before := s.changed
	_, err := s.persist(ctx, stall.Transactional, func() (int64, error) {
		s.changed = before
		return 0, s.inTransaction(ctx, s.stepOpening(s.planned), s.tidyShared(s.planned, s.step), func() error {
			defer s.counting()()
			return work(ctx)
		})
	})
	if again := s.watched(ctx); err == nil {
		err = again
	}
	return err
}

// Batch implements Session.
func (s *session) Batch(ctx context.Context, batch migration.Batch, work func(context.Context,
	Range) (int64, error)) error {
	if err := s.outside("client.batch()"); err != nil {
		return err
	}
	s.batches++
	s.inside = true
	defer func() { s.inside = false }()
	batch.Workers = 1 // a script is one thread
	fill := &backfill{main: s.execution, batch: batch, call: s.batches}
	fill.work = func(ctx context.Context, r *execution, _ *keys, span span, after message) (rows int64, err error) {
		after = append(append(r.tidyShared(s.planned, s.step), r.asOurselves(s.planned)...), after...)
		err = r.inTransaction(ctx, r.stepOpening(s.planned), after, func() error {
			rows, err = work(ctx, span.asRange(fill.keys))
			after.count(rows)
			return err
		})
		return rows, err
	}
	s.notCounting() // the work itself says what it has changed
	defer func() { s.counting() }()
	rows, _, err := fill.pass(ctx)
	s.rows += rows
	if again := s.watched(ctx); err == nil {
		err = again
	}
	return err
}

// quote takes over what the server said, if it is behind an error.
func (e *Error) quote(err error) *Error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		code, remedy := e.Code, e.Remedy
		e.fromServer(refused)
		if e.Code = code; refused.Code != idleTooLong {
			e.Remedy = remedy
		}
	}
	return e
}
