package whimbrel

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/stall"
	"github.com/whimbrel-db/whimbrel/migration"
)

// state is what a plan is made from: the files and what the database says.
type state struct {
	migrations []migration.Migration                      // sorted by version
	applied    []Applied                                  // in the order of application
	files      map[migration.Version]*migration.Migration // all, by their canonical versions
	// repeatables and repeated are files and rows of those without a place in
	// the order; they are in neither of the above.
	repeatables []migration.Migration
	repeated    []Applied
	// objects are what is known of what the repeatable migrations that have run define.
	objects map[migration.Version]defined
	// squashes are the files that replace others.
	squashes []squash
	journal  journal
	// holder is who holds the lease, where that was asked for.
	holder *Holder
	// stored are down migrations of applied versions that have no file.
	stored map[migration.Version]string
	policy OutOfOrder
	// identity is which database it is, where that was asked for.
	identity Identity
	// variables are the values of those that files ask for.
	variables map[string]string
	// hooks are put into the plan.
	hooks migration.Hooks
	// others are histories of other tools, where there is none of ours.
	others []OtherHistory
	// tags narrow what is pending; with none, everything is.
	tags []string
	// allowMissing lets applied versions without a file pass.
	allowMissing bool
	// acceptMarks lets files run in which a comment looks like a mark.
	acceptMarks bool
	// history is the name of its table, with the schema.
	history string
	// code compiles what is not SQL. It is asked only for what is to run.
	code func(migration.Migration) (code, error)
}

// planner turns a state into a plan. It is pure: the same state gives the same
// plan, before the lease and under it.
type planner func(state) (Plan, error)

// command is what all connections of a command at work have in common.
type command struct {
	m       *Migrator
	lease   *lease
	unbegun bool // what was asked for cannot be: no run
	batch   int
	watch   *stall.Monitor
	first   Ref // of the migrations of this run
	// advanced counts what is done and recorded: migrations, steps and batches.
	advanced atomic.Int64
	result   Result
	// watchesObjects is set where repeatable migrations have run, whose objects this
	// run can drop or replace.
	watchesObjects bool
}

// run is a command at work over a connection: its own, or one more of a backfill.
type run struct {
	*command
	db *database
	// spelling is set where the session has lost our prepared statements, as by a
	// DEALLOCATE ALL: until they are prepared again, they are written out.
	spelling bool
}

// reading says what a command needs to know of the down migrations that are stored.
type reading int

const (
	withoutDownMigrations    reading = 0
	withReversibility        reading = 1 << (iota - 1)
	withStoredDownMigrations         // of versions that have no file
	andWhichDatabase                 // and which database it is
)

// start connects and reads the state, of tables that this program knows.
func (m *Migrator) start(ctx context.Context, need reading) (db *database, s state, err error) {
	if db, err = m.connect(ctx); err != nil {
		return nil, s, err
	}
	if err = db.newer(); err == nil {
		s, err = m.read(ctx, db, need)
	}
	if err != nil {
		db.close()
	}
	return db, s, err
}

// read gathers the state. It only reads, and needs no table to be there.
func (m *Migrator) read(ctx context.Context, db *database, need reading) (state, error) {
	if !db.ready && db.version <= schemaVersion {
		if tool := owner(db.history(), db.relations[railsMetadata] != nil); tool != "" {
			return state{}, foreignTable(db.tables, db.history(), tool)
		}
		if err := db.misnamed(); err != nil {
			return state{}, err
		}
	}
	s, err := db.read(ctx, need&withReversibility != 0)
	if newer := db.newer(); err != nil && newer != nil { // it cannot even be read
		return s, newer
	}
	if err != nil {
		return s, m.serverError(ctx, "reading the history", err)
	}
	s.split(m.config.Migrations)
	if len(s.repeated) > 0 {
		if err := db.lookAtObjects(ctx, &s); err != nil {
			return s, m.serverError(ctx, "looking for what repeatable migrations define", err)
		}
	}
	if err := db.findOthers(ctx, &s); err != nil {
		return s, m.serverError(ctx, "looking for the histories of other tools", err)
	}
	s.squashes = s.findSquashes()
	s.policy, s.allowMissing, s.tags = m.config.OutOfOrder, m.config.AllowMissing, m.config.Tags
	s.acceptMarks = m.config.AcceptMarks
	s.history = db.tables.schema + "." + db.tables.name
	s.variables, s.hooks, s.code = m.config.Variables, m.config.Hooks, m.codes(ctx)
	if need&andWhichDatabase != 0 {
		if s.identity, err = db.identify(ctx); err != nil {
			return s, m.serverError(ctx, "asking which database this is", err)
		}
	}
	if need&withStoredDownMigrations != 0 {
		if s.stored, err = db.storedDownMigrations(ctx, s); err != nil {
			return s, m.serverError(ctx, "reading the stored down migrations", err)
		}
	}
	return s, nil
}

// report runs what a goal takes, and tells how it went.
func (r *run) report(ctx context.Context, goal Goal) (Result, error) {
	began := time.Now()
	err := r.execute(ctx, goal)
	var declined *declined
	if errors.As(err, &declined) { // before anything began
		return r.result, declined.cause
	}
	r.result.Duration = time.Since(began)
	finished := RunFinished{Command: r.result.Command, Duration: r.result.Duration, Done: len(r.result.Done)}
	if err == nil {
		r.m.emit(finished)
		return r.result, nil
	}
	finished.Error = asError(err, CodeInternal)
	if !r.unbegun {
		r.m.emit(finished)
	}
	return r.result, finished.Error
}

func (r *run) execute(ctx context.Context, goal Goal) error {
	m := r.m
	started := RunStarted{Command: r.result.Command, Database: m.database()}
	db, s, err := m.start(ctx, goal.need())
	if err != nil {
		m.emit(started)
		return err
	}
	r.db = db
	defer func() { r.db.close() }() // another one, after a lost connection
	r.result.Before = len(s.applied) + len(s.repeated)
	planned, err := s.decide(goal.plan)
	if r.unbegun = wrongUse(err); r.unbegun {
		return err
	}
	var permission permission
	if err == nil && len(planned.Migrations) > 0 {
		if permission, err = r.permit(ctx, planned); permission.asked {
			if s, planned, err = r.planAgain(ctx, goal, err); err != nil {
				return err
			}
		}
	}
	started.Planned, started.Rollbacks = len(planned.Migrations), planned.rollbacks()
	m.emit(started)
	m.mention(s, planned)
	if err != nil || len(planned.Migrations) == 0 {
		r.result.skipped(planned)
		return err
	}
	if err := m.writable(r.db); err != nil {
		return err
	}
	if err := r.holdsBehindPool(planned); err != nil {
		return err
	}
	db = r.db
	var leased context.Context
	r.lease, leased, err = m.take(ctx, db)
	if err != nil {
		return err
	}
	defer func() { r.lease.release(r.db) }()
	if !r.lease.unchanged {
		if s, err = m.read(leased, db, goal.need()); err != nil {
			return err
		}
		if planned, err = s.decide(goal.plan); err != nil {
			return err
		}
	}
	if err := r.notePermission(leased, permission); err != nil {
		return err
	}
	r.result.Before = len(s.applied) + len(s.repeated)
	r.result.skipped(planned)
	r.batch, r.watchesObjects = nextBatch(slices.Concat(s.applied, s.repeated)), len(s.objects) > 0
	return r.migrations(leased, planned)
}

// wrongUse reports whether an error is about what was asked for: no run has begun, and
// nobody is to hear of one.
func wrongUse(err error) bool {
	var own *Error
	return errors.As(err, &own) && (own.Code == CodeUnknownVersion || own.Code == CodeConfiguration)
}

// writable refuses a server that cannot be written to, before anything starts.
func (m *Migrator) writable(db *database) error {
	if !db.facts.Recovery {
		return nil
	}
	return &Error{
		Code: CodeReadOnly, Message: "the server " + m.database() +
			" is a replica, or still recovering: it cannot be changed",
		Remedy: "connect to the primary (several hosts with target_session_attrs=read-write find it)",
	}
}

func (r *Result) skipped(p Plan) {
	r.Skipped = nil
	for _, m := range p.Skipped {
		r.Skipped = append(r.Skipped, Ref{Version: m.Version, Name: m.Name, Path: m.Path, Direction: Up})
	}
}

func nextBatch(applied []Applied) int {
	newest := 0
	for _, a := range applied {
		newest = max(newest, a.Batch)
	}
	return newest + 1
}

// migrations runs the plan, in groups that are sent together where that is
// possible. What finished is durable, whatever becomes of the rest.
func (r *run) migrations(ctx context.Context, plan Plan) error {
	if len(plan.Migrations) > 0 {
		r.first = plan.Migrations[0].Ref()
	}
	if len(plan.Migrations) > 0 && plan.Migrations[0].Action == ActionAdopt {
		return r.together(ctx, plan)
	}
	r.watch = r.monitor(ctx)
	defer r.watch.Stop()
	if err := r.hook(ctx, plan.Before, beforeFailed); err != nil {
		return err
	}
	r.announce(plan.Migrations)
	versioned, repeatables := plan.cut()
	if err := r.inGroups(ctx, versioned, plan.After == nil && len(repeatables) == 0 && !r.watchesObjects); err != nil {
		return err
	}
	if err := r.repeat(ctx, plan, repeatables); err != nil {
		return err
	}
	return r.hook(ctx, plan.After, afterFailed)
}

// inGroups runs migrations in order. The last of them may give the lease back where
// nothing follows.
func (r *run) inGroups(ctx context.Context, left []Planned, nothingFollows bool) error {
	var losses losses
	for len(left) > 0 {
		if r.m.stopping() {
			return interrupted()
		}
		if err := r.prepareLost(ctx); err != nil {
			return err
		}
		began := time.Now()
		group := left[:r.group(left)]
		done, of, err := r.runGroup(ctx, group, len(group) == len(left) && nothingFollows)
		left = left[done:]
		for onTheWay := len(group) - done; lostConnection(ctx, err); {
			before, lost := len(left), err
			left, err = r.resume(ctx, left, onTheWay, lost, of)
			onTheWay -= before - len(left)
			if losses.inVain(r.advanced.Load()) && len(left) > 0 && (err == nil || lostConnection(ctx, err)) {
				err = lostInVain(lost)
				break
			}
		}
		if err != nil {
			e := asError(why(ctx, err), CodeInternal)
			if e.Code == CodeInterrupted && e.Version == "" {
				return e // the next migration had not begun: it did not fail
			}
			took := time.Since(began)
			r.logFailure(left[0], e, took, of)
			// What was on its way when the connection ended, nobody has answered for.
			r.m.emit(Failed{Migration: left[0].Ref(), Duration: took, Error: e, Unknown: r.db.conn.IsClosed()})
			return e
		}
	}
	return nil
}

// runGroup runs migrations and returns how many of them are done, and the last attempt;
// an error belongs to the next one. The last group may give the lease back.
func (r *run) runGroup(ctx context.Context, group []Planned, last bool) (done int, of *attempt, err error) {
	of = &attempt{}
	if len(group) > 1 {
		if done, of, err = r.ahead(ctx, group, last); !errors.Is(err, errAgain) {
			return done, of, err
		}
	}
	began := time.Now()
	if err := r.takeUp(ctx, &group[done], of); err != nil {
		return done, of, err
	}
	rows, err := r.migrate(ctx, group[done], of)
	if err != nil {
		return done, of, err
	}
	r.finished(group[done], time.Since(began), rows)
	return done + 1, of, nil
}

// unknownRows are those of a migration that turned out to be recorded, and whose answers
// are lost.
const unknownRows = -1

// finished tells that a migration is done and recorded.
func (r *run) finished(p Planned, took time.Duration, rows int64) {
	r.advanced.Add(1)
	o := Outcome{Ref: p.Ref(), Duration: took, Rows: max(rows, 0), RowsUnknown: rows == unknownRows,
		RecordOnly: p.RecordOnly()}
	r.m.emit(MigrationFinished{Migration: p.Ref(), Duration: took, Rows: o.Rows, RowsUnknown: o.RowsUnknown,
		RecordOnly: p.RecordOnly()})
	r.result.Done = append(r.result.Done, o)
	if p.Direction == Up && p.Action != RecoverDiscard {
		r.result.Batch = r.batch
	}
}

// migrate runs one migration: as one transaction, or as a chain of steps.
func (r *run) migrate(ctx context.Context, p Planned, of *attempt) (rows int64, err error) {
	r.db.onNotice = func(n *pgconn.Notice) { r.notice(p.Ref(), n) }
	defer func() { r.db.onNotice = nil }()
	r.m.emit(p.started())
	if len(p.Steps) == 0 || p.RecordOnly() {
		return 0, r.recordOnly(ctx, p, of)
	}
	defer func() {
		if err != nil && !p.Atomic() { // the session of a chain
			r.restore()
		}
	}()
	if err := r.enter(ctx, p); err != nil {
		return 0, r.explain(ctx, p, p.Steps[0], err)
	}
	var earlier time.Duration
	for i, s := range p.Steps {
		if s.Done && i < len(p.Steps)-1 {
			rows += s.rows
			continue
		}
		of.before = rows
		if r.m.stopping() {
			return rows, interrupted().of(p)
		}
		of.begin(s)
		r.m.emit(StepStarted{Migration: p.Ref(), Step: s.Number, StepKind: s.Kind, Summary: s.Summary()})
		e := &execution{run: r, planned: p, step: s, last: i == len(p.Steps)-1, earlier: earlier, began: time.Now(),
			attempt: of}
		n, err := e.execute(ctx)
		if err != nil {
			return rows, r.explain(ctx, p, s, err)
		}
		rows += n
		took := time.Since(e.began)
		earlier += took
		of.end(took, n)
		r.advanced.Add(1)
		r.m.emit(StepFinished{Migration: p.Ref(), Step: s.Number, Duration: took, Rows: n})
	}
	return rows, nil
}

// started says that the migration begins, or goes on, and where.
func (p Planned) started() MigrationStarted {
	e := MigrationStarted{Migration: p.Ref(), Steps: len(p.Steps), Done: p.done(), Atomic: p.Atomic()}
	for _, s := range p.Steps {
		e.Rows += s.rows
		if !s.Done && s.keys > 0 {
			e.Keys, e.Total = s.keys, s.total
		}
	}
	return e
}

// recordOnly changes the history without running anything.
func (r *run) recordOnly(ctx context.Context, p Planned, of *attempt) error {
	if _, err := send(ctx, r.db.conn.PgConn(), append(r.opening(p), r.closing(p, 0, of)...)); err != nil {
		return r.explain(ctx, p, Step{}, err)
	}
	return nil
}

func (r *run) notice(ref Ref, n *pgconn.Notice) {
	r.m.emit(Notice{Migration: ref, Severity: n.SeverityUnlocalized, Message: r.m.redact(n.Message),
		Detail: r.m.redact(n.Detail), Hint: r.m.redact(n.Hint)})
}
