package whimbrel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/stall"
	"github.com/whimbrel-db/whimbrel/migration"
)

// This file puts the hooks into plans, and runs those of a whole run.
//
// What comes before and after each migration becomes statements of its own
// transaction where it is one, and else steps of its chain: so everything that
// is true of a migration's statements is true of them.

// decide asks a planner, and adds the hooks of the run where anything runs.
func (s state) decide(plan planner) (Plan, error) {
	planned, err := plan(s)
	if err != nil || !slices.ContainsFunc(planned.Migrations, func(p Planned) bool { return !p.RecordOnly() }) {
		return planned, err
	}
	direction := planned.Migrations[0].Direction
	if planned.Before, err = s.runHook(s.hooks.BeforeRun, direction); err != nil {
		return planned, err
	}
	planned.After, err = s.runHook(s.hooks.AfterRun, direction)
	return planned, err
}

// runHook makes a step of a hook of the run.
func (s state) runHook(hook *migration.Migration, direction Direction) (*Planned, error) {
	statements, err := s.hookStatements(hook)
	if err != nil || len(statements) == 0 {
		return nil, err
	}
	filled, _ := hook.WithVariables(s.variables, false) // it did not fail above
	return &Planned{Migration: filled, Direction: direction, Action: Action(hook.Name), Source: SourceFile,
		Steps: []Step{{Number: 1, Kind: StepSQL, Statements: statements}}}, nil
}

// hookStatements are those of a hook, each with where it comes from.
func (s state) hookStatements(hook *migration.Migration) ([]migration.Statement, error) {
	if hook == nil {
		return nil, nil
	}
	filled, err := hook.WithVariables(s.variables, false)
	if err != nil {
		return nil, asError(err, CodeMalformed)
	}
	statements := slices.Clone(filled.Up.Statements)
	for i := range statements {
		if err := runnable(filled, statements[i]); err != nil {
			return nil, err
		}
		if statements[i].Class == pgsql.Alone { // as a variable's value can make it
			return nil, malformed(filled, statements[i].Start, CodeMalformed, "a hook is part of a transaction, in which this "+
				"cannot be", "put it into a migration")
		}
		if settlesStrings(statements[i]) && hook != s.hooks.BeforeRun && hook != s.hooks.AfterRun {
			return nil, malformed(filled, statements[i].Start, CodeMalformed,
				"a hook cannot change how the strings of other files are read",
				"set standard_conforming_strings in the file that needs it")
		}
		statements[i] = statements[i].OfHook(hook)
	}
	return statements, nil
}

// surround puts the hooks around a migration.
func (s state) surround(p *Planned) error {
	before, err := s.hookStatements(s.hooks.BeforeEach)
	if err != nil {
		return err
	}
	after, err := s.hookStatements(s.hooks.AfterEach)
	if err != nil || len(before)+len(after) == 0 {
		return err
	}
	var settings []migration.Setting
	for _, hook := range []*migration.Migration{s.hooks.BeforeEach, s.hooks.AfterEach} {
		if hook != nil {
			filled, _ := hook.WithVariables(s.variables, false) // it did not fail above
			settings = append(settings, filled.Settings...)
		}
	}
	p.Migration.Settings = append(settings, p.Migration.Settings...) // the last one holds
	switch {
	case p.Atomic() && p.Steps[0].code != nil:
		p.Steps[0].Statements, p.Steps[0].before = slices.Concat(before, after), len(before)
	case p.Atomic() && !p.Steps[0].apart:
		p.Steps[0].Statements = slices.Concat(before, p.Steps[0].Statements, after)
	default:
		if last := &p.Steps[len(p.Steps)-1]; len(after) > 0 && last.Trailing > 0 { // it is not the last any more
			at := len(last.Statements) - last.Trailing
			after = slices.Concat(last.Statements[at:], after)
			last.Statements, last.Trailing = last.Statements[:at], 0
		}
		p.Steps = slices.Concat(asStep(before), p.Steps, asStep(after))
		p.Steps[0].hook = len(before) > 0
		for i := range p.Steps {
			p.Steps[i].Number = i + 1
		}
	}
	return nil
}

func asStep(statements []migration.Statement) []Step {
	if len(statements) == 0 {
		return nil
	}
	return []Step{{Kind: StepSQL, Statements: statements}}
}

// describe tells a transaction's hooks what is going on: by settings that end
// with it.
func (r *run) describe(p Planned) piece {
	text := "SELECT "
	for i, setting := range []struct{ name, value string }{
		{"whimbrel.command", r.result.Command}, {"whimbrel.direction", string(p.Direction)},
		{"whimbrel.version", string(p.Migration.Version)}, {"whimbrel.name", p.Migration.Name},
	} {
		if i > 0 {
			text += ", "
		}
		text += r.setConfig(setting.name, setting.value, true)
	}
	return piece{text: text, statement: ours}
}

// hook runs a hook of the run, in a transaction with a line of the log. A nil
// hook is done.
func (r *run) hook(ctx context.Context, hook *Planned, remedy string) error {
	if hook == nil {
		return nil
	}
	if r.m.stopping() {
		return interrupted()
	}
	began := time.Now()
	p, s := *hook, hook.Steps[0]
	e := &execution{run: r, planned: p, step: s, attempt: &attempt{}}
	e.attempt.begin(s)
	r.db.onNotice = func(n *pgconn.Notice) { r.notice(p.Ref(), n) }
	defer func() { r.db.onNotice = nil }()
	r.m.emit(HookStarted{Hook: p.Migration.Name, Path: p.Migration.Path})
	after := append(r.tidyAfter(s), r.hookRan(p))
	rows, err := e.persist(ctx, stall.Transactional, func() (int64, error) {
		return r.transaction(ctx, p, s, 0, r.opening(p), after)
	})
	finished := HookFinished{Hook: p.Migration.Name, Path: p.Migration.Path, Duration: time.Since(began),
		Rows: rows}
	if err == nil {
		r.m.emit(finished)
		return nil
	}
	failed := r.explain(ctx, p, s, err)
	failed.Remedy = strings.TrimPrefix(failed.Remedy+"; "+remedy, "; ")
	finished.Error = failed
	r.logFailure(p, failed, finished.Duration, e.attempt)
	r.m.emit(finished)
	return failed
}

// What to do about hooks of the run that fail.
const (
	beforeFailed = "correct the hook; no migration has been run"
	afterFailed  = "correct the hook; the migrations are applied and stay so, and the hook runs again behind the next " +
		"run that does anything"
)

// hookRan is the log's line for a hook of the run.
func (r *run) hookRan(p Planned) piece {
	q := func(text string) string { return literal(r.db.conn, text) }
	who := r.m.identity
	return piece{text: fmt.Sprintf("INSERT INTO %s (action, outcome, name, checksum, duration_ms, run_by, host, "+
		"tool_version, token) VALUES (%s, 'done', %s, %s, "+
		"extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000, %s, %s, %s, %d) "+
		"RETURNING %s",
		r.db.tables.log, q(p.Action.logged()), q(p.Migration.Name), q(p.Migration.Checksum), q(clip(who.String())),
		q(clip(who.host)), q(clip(who.tool)), r.lease.current(),
		r.setApplicationName()), statement: ours}
}

// around runs code with the hooks before and after it, in the transaction that
// is open.
func (e *execution) around(ctx context.Context, work func() error) error {
	s, conn := e.step, e.db.conn.PgConn()
	run := func(from, to int) error {
		for i := from; i < to; i++ {
			var err error
			if hook := s.Statements[i]; hook.Data != nil || hook.Assert != nil {
				_, err = stop(ctx, conn, hook, i)
			} else {
				_, err = send(ctx, conn, append(message{{text: hook.Text, statement: i}}, e.keepBudget(e.planned, hook)...))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := run(0, s.before); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return run(s.before, len(s.Statements))
}
