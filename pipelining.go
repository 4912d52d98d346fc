package whimbrel

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/stall"
	"github.com/whimbrel-db/whimbrel/migration"
)

// This file sends migrations ahead of the answers, so that a slow link costs
// its delay once and not once per migration.
//
// It uses PostgreSQL's pipeline mode: every migration is BEGIN … COMMIT in the
// extended protocol, and there is one Sync, behind the last of them. After an
// error the server ignores everything up to the Sync, so nothing that was sent
// ahead can run behind a failed migration: the protocol itself is the safeguard.
// See "Pipelining" in PostgreSQL's protocol documentation.

// How much is sent ahead: enough to fill a slow link, little enough to keep in
// memory on both sides.
const (
	aheadMigrations = 256
	aheadBytes      = 1 << 20
)

// aheadFlush is how many migrations the server answers together where none of
// them can wait or take long: an answer for each costs a tenth of a small one.
const aheadFlush = 16

const commit = "COMMIT"

// group counts the migrations at the head of the plan that may be sent as one
// pipeline. They all go in one direction, so that after a lost connection the
// history tells which of them are done.
func (r *run) group(plan []Planned) int {
	if r.m.config.NoPipeline || r.db.facts.behindPool {
		return 1
	}
	n := slices.IndexFunc(plan, func(p Planned) bool { return !canGoAhead(p) || p.Direction != plan[0].Direction })
	if n < 0 {
		n = len(plan)
	}
	return max(n, 1)
}

// canGoAhead reports whether a migration is one transaction in which nothing
// depends on an answer, and that is small beside what is sent ahead.
func canGoAhead(p Planned) bool {
	if p.Action.recovers() || !p.Atomic() || p.RecordOnly() || len(p.Steps) != 1 {
		return false
	}
	return p.Steps[0].code == nil && !p.Steps[0].Done && fitsOneMessage(p.Steps[0].Statements, p.stops())
}

// pipeline is a group of migrations on their way.
type pipeline struct {
	r     *run
	wire  *pgconn.Pipeline
	group []Planned
	sent  []sending // by migration
	of    *attempt  // at the migration whose answers are read
	bytes int       // sent and not yet answered
	ended bool      // the Sync has been sent
	// together are those that the server has not been asked to answer yet.
	together *together
	// last is set where the lease is given back behind the group; release is
	// then what was sent for that, until it is answered.
	last    bool
	release message
}

// sending is a migration on the wire.
type sending struct {
	message message
	with    *together
}

// together are migrations whose answers come at the same time.
type together struct {
	count int
	each  time.Duration // 0 until the first answer has come
}

// share is what each of them is said to have taken: an equal part of what the
// first answer was waited for, since it came with all the others.
func (t *together) share(waited time.Duration) time.Duration {
	if t.each == 0 {
		t.each = max(waited/time.Duration(t.count), 1)
	}
	return t.each
}

// ahead runs a group of migrations as one pipeline. It returns how many of them
// are done, and the last attempt. Any error belongs to the migration behind those.
// Behind the last group of a run it gives the lease back.
func (r *run) ahead(ctx context.Context, group []Planned, last bool) (done int, of *attempt, err error) {
	p := &pipeline{r: r, wire: r.db.conn.PgConn().StartPipeline(ctx), group: group, last: last}
	defer p.close()
	ending := make(chan struct{})
	var recalling sync.WaitGroup
	recalling.Go(func() { // what was sent cannot be unsent, but it can be made to fail at its fence
		select {
		case <-r.m.config.Stop:
			r.lease.revoke(ctx)
		case <-ending:
		}
	})
	defer recalling.Wait()
	defer close(ending)
	for i, planned := range group {
		p.of = &attempt{}
		if r.m.stopping() && i == len(p.sent) {
			return i, p.of, interrupted()
		}
		if err := p.fill(i); err != nil {
			return i, p.of, r.m.serverError(ctx, "sending ahead", err)
		}
		if err := p.finish(ctx, i, planned); err != nil {
			return i, p.of, err
		}
	}
	if last { // if that went wrong, the end of the run tries again
		_, err := p.answers(p.release)
		r.lease.gave(err == nil)
		p.release = nil
	}
	return len(group), p.of, nil
}

// errAgain is the failure of a migration that the pipeline leaves to the ordinary
// way, which knows how to wait and to try again.
var errAgain = errors.New("to be sent again by itself")

// fill sends migrations until enough are on their way. It does so when half of
// them have been answered, not after each.
func (p *pipeline) fill(answered int) error {
	if p.r.m.stopping() || len(p.sent) == len(p.group) {
		return nil
	}
	onTheWay := len(p.sent) - answered
	if onTheWay > aheadMigrations/2 || onTheWay > 0 && p.bytes > aheadBytes/2 {
		return nil
	}
	if err := p.r.lease.held(); err != nil {
		if onTheWay > 0 { // whose answers are still to come
			return nil
		}
		return err
	}
	for len(p.sent) < len(p.group) && len(p.sent)-answered < aheadMigrations && p.bytes < aheadBytes {
		p.send(p.group[len(p.sent)])
	}
	p.ask()
	if len(p.sent) == len(p.group) {
		if p.last {
			p.release = p.r.lease.give()
			p.put(p.release)
		}
		p.wire.SendPipelineSync() // with the last, so that its answer costs no delay of its own
		p.ended = true
	}
	return p.wire.Flush()
}

// send puts one migration on the wire. The server is asked for its answers before
// and behind each that may wait or take long, so that what is told is always of
// the migration that runs.
func (p *pipeline) send(planned Planned) {
	quick := !p.r.db.facts.EventTriggers && makesOnlyNew(planned.Steps[0])
	if !quick || p.together != nil && p.together.count == aheadFlush {
		p.ask()
	}
	m := p.r.whole(planned)
	p.put(m)
	if p.together == nil {
		p.together = &together{}
	}
	p.together.count++
	p.sent = append(p.sent, sending{message: m, with: p.together})
	if !quick {
		p.ask()
	}
}

// ask makes the server answer what it has been sent.
func (p *pipeline) ask() {
	if p.together != nil {
		p.wire.SendFlushRequest()
		p.together = nil
	}
}

// makesOnlyNew reports whether a step locks nothing that was there before, thus waits for
// nobody, and reads no rows.
func makesOnlyNew(s Step) bool {
	return !slices.ContainsFunc(s.Statements, func(s migration.Statement) bool { return !pgsql.MakesOnlyNew(s.Statement) })
}

func (p *pipeline) put(m message) {
	for _, piece := range m {
		if piece.prepared != nil {
			p.wire.SendQueryPrepared(piece.prepared.name, piece.prepared.arguments, nil, nil)
		} else {
			p.wire.SendQueryParams(piece.text, nil, nil, nil, nil)
		}
		p.bytes += piece.size()
	}
}

// whole is a migration as the pipeline sends it.
func (r *run) whole(p Planned) message {
	m := append(p.Steps[0].begin(), r.opening(p)...)
	for i, s := range p.Steps[0].Statements {
		m = append(append(m, piece{text: s.Text, statement: i}), r.keepBudget(p, s)...)
	}
	m = append(append(m, r.tidyAfter(p.Steps[0])...), r.closing(p, 0, &attempt{})...) // what it will wait for is not known
	return append(m, piece{text: commit, statement: ours})
}

// finish reads the answers for one migration and tells what they say.
func (p *pipeline) finish(ctx context.Context, i int, planned Planned) error {
	r, s := p.r, planned.Steps[0]
	began := time.Now()
	r.db.onNotice = func(n *pgconn.Notice) { r.notice(planned.Ref(), n) }
	defer func() { r.db.onNotice = nil }()
	r.m.emit(MigrationStarted{Migration: planned.Ref(), Steps: 1, Atomic: true})
	p.of.begin(s)
	r.m.emit(StepStarted{Migration: planned.Ref(), Step: 1, StepKind: s.Kind, Summary: s.Summary()})
	if err := r.watching(ctx, planned.Ref(), s.Number, stall.Transactional, p.of); err != nil {
		return err
	}
	rows, err := p.answers(p.sent[i].message)
	p.sent[i].message = nil
	r.watch.End()
	if r.m.stopping() && fenced(err) {
		return interrupted()
	}
	if err != nil {
		if refused, passes := r.passesByItself(err); passes && ctx.Err() == nil {
			p.of.backedOff(time.Since(began), refused.Message)
			r.m.emit(Retrying{Migration: planned.Ref(), Step: 1, Attempt: 1, SQLState: refused.Code,
				Reason: r.m.redact(refused.Message)})
			return errAgain
		}
		if threwOurStatementsAway(err) {
			return errAgain
		}
		return r.explain(ctx, planned, s, err)
	}
	took := p.sent[i].with.share(time.Since(began))
	r.m.emit(StepFinished{Migration: planned.Ref(), Step: 1, Duration: took, Rows: rows})
	r.finished(planned, took, rows)
	return nil
}

// answers reads what the server says to each piece of a message.
func (p *pipeline) answers(m message) (rows int64, err error) {
	for _, piece := range m {
		var tag pgconn.CommandTag
		results, err := p.wire.GetResults()
		if reader, ok := results.(*pgconn.ResultReader); err == nil && ok {
			tag, err = reader.Close()
		} else if err == nil {
			err = errors.New("the server's answers do not fit what was sent")
		}
		if err != nil {
			f := &failure{cause: err, statement: piece.statement, offset: offsetOf(err, piece.text)}
			if piece.text == commit {
				f.statement = m.last()
			}
			return 0, f
		}
		if piece.statement >= 0 && changes(tag) {
			rows += tag.RowsAffected()
		}
		p.bytes -= piece.size()
	}
	return rows, nil
}

// close ends the pipeline and what transaction a failure may have left open.
// What the server refused has been read before, and of what is done the
// answers have come: if the connection ends here, anyone who uses it next is told.
func (p *pipeline) close() {
	conn := p.r.db.conn.PgConn()
	if p.release != nil && !conn.IsClosed() {
		p.r.lease.gave(false) // the server ignored it, after an error
	}
	if conn.IsClosed() {
		return // the driver is ending it at this moment, and must be left alone
	}
	if !p.ended {
		_ = p.wire.Sync()
	}
	_ = p.wire.Close()
	if !conn.IsClosed() && conn.TxStatus() != 'I' {
		rollback(conn)
	}
}
