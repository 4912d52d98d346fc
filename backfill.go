package whimbrel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pause"
	"github.com/whimbrel-db/whimbrel/internal/stall"
	"github.com/whimbrel-db/whimbrel/migration"
)

// backfill goes through a table in ranges of its key. Each range is one
// transaction, in which the journal says that it is done, so that after a crash
// every row is done exactly once. Several workers take ranges in turn.
//
// What the journal keeps of it are rows of their own, one per worker: the key
// up to which everything is done (low), the ranges beyond it that this worker has
// done, and how many keys and rows all of its ranges were. Together they tell a later
// run what is left, and what is done. A range, and its part of these numbers, is noted
// in the transaction that does it, behind the statement, when the server has said how
// many rows it has changed: so the numbers are right whenever the run ends.
type backfill struct {
	main  *execution // the first worker
	batch migration.Batch
	call  int // of a script's batches, from 1; 0 for a step of its own
	// work does one range in one transaction of a worker, with after at
	// its end. It gives the rows changed.
	work func(ctx context.Context, r *execution, k *keys, s span, after message) (rows int64, err error)

	keys  *keys
	below key // where the first range begins

	mutex    sync.Mutex
	number   int // of the pass
	size     int
	cursor   key    // of the last range that was given out
	low      key    // everything up to here is done
	out      []span // given out and not done, or done beyond low, in order
	finished []span // by an earlier run, beyond low, in order
	own      map[int][]span
	ended    bool

	began time.Time
	// noted is what the journal's row of each worker says; that of the first has what
	// earlier runs have done. Earlier is, of its rows, those of earlier passes.
	noted   map[int]tally
	earlier int64
	here    int64 // keys, by this run
	told    time.Time
	gauge   *gauge
}

// tally counts what is done: keys gone through in this pass, rows changed in all.
type tally struct{ keys, rows int64 }

func (t tally) plus(o tally) tally { return tally{t.keys + o.keys, t.rows + o.rows} }

// place is what a journal row of a worker keeps.
type place struct {
	Pass  int    `json:"pass"`
	Low   key    `json:"low,omitempty"`
	Spans []span `json:"spans,omitempty"`
	Ended bool   `json:"ended,omitempty"`
	// Earlier is how many of the row's rows were changed by earlier passes.
	Earlier int64 `json:"earlier,omitempty"`
	// Of is what a script's batches go through: with another source it may be another
	// table at the same place.
	Of string `json:"of,omitempty"`
}

// batched runs a statement over all ranges, and again as long as an assertion below it
// does not hold and a pass changes something.
type batched struct{ *execution }

func (r batched) execute(ctx context.Context) (int64, error) {
	p, s, statement := r.planned, r.step, r.step.Body()[0]
	b := &backfill{main: r.execution, batch: *statement.Batch, work: func(ctx context.Context, r *execution, k *keys,
		at span, after message) (int64, error) {
		text, original := bind(statement.Text, k.literals(r.db.conn, at.From), k.literals(r.db.conn, at.To))
		bound := s
		bound.Statements = slices.Clone(s.Statements[:s.Prelude+1])
		bound.Statements[s.Prelude].Text, bound.Trailing = text, 0
		after = append(append(r.tidyShared(p, s), r.asOurselves(p)...), after...)
		rows, err := r.transaction(ctx, p, bound, s.Prelude, r.stepOpening(p), after)
		var f *failure
		if errors.As(err, &f) && f.offset >= 0 {
			f.offset = original(f.offset)
		}
		return rows, err
	}}
	for {
		rows, changed, err := b.pass(ctx)
		if err != nil {
			return rows, err
		}
		r.step.rows = rows
		r.counted(rows)
		// Makes sure that the assertions hold and records the step, in one transaction, with
		// the settings that the file has behind its last one.
		_, err = r.persist(ctx, stall.Transactional, func() (int64, error) {
			return r.transaction(ctx, p, s, s.Prelude+1, r.stepOpening(p), r.ending(r.spent()))
		})
		var own *Error
		if err == nil || !errors.As(err, &own) || own.Code != CodeAssertion {
			return rows, err
		}
		// Also where this is the end: when the file or the data has been
		// corrected, the next run begins with a pass of its own.
		again := b.write(ctx, place{Pass: b.number + 1, Earlier: rows}, tally{rows: rows})
		if again != nil || changed == 0 {
			return rows, err
		}
	}
}

// pass makes one pass, or the rest of one that an earlier run began. It gives how
// many rows were changed by all passes, and by this one, with what earlier runs did.
func (b *backfill) pass(ctx context.Context) (all, changed int64, err error) {
	r := b.main
	err = r.inFilesSession(ctx, r.planned, r.step, func() (err error) {
		b.keys, err = findKeys(ctx, r.db.conn, b.batch)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	if err := b.remember(ctx); err != nil {
		return 0, 0, r.m.serverError(ctx, "reading how far the backfill is", err)
	}
	if b.ended && len(b.finished) == 0 {
		return b.total().rows, b.total().rows - b.earlier, nil
	}
	if b.below, err = b.keys.below(ctx, r.db.conn); err != nil {
		return 0, 0, err
	}
	b.size, b.began, b.gauge = b.batch.Size, time.Now(), &gauge{}
	if b.below != nil {
		err = b.workers(ctx)
	}
	all, changed = b.total().rows, b.total().rows-b.earlier
	b.progress(true) // also of a run that ends here: what is told is what was done
	if err != nil {
		return all, changed, err
	}
	return all, changed, b.write(ctx, place{Pass: b.number, Ended: true, Earlier: b.earlier}, b.total())
}

// total is what is done by all workers, with what earlier runs did.
func (b *backfill) total() (all tally) {
	for _, t := range b.noted {
		all = all.plus(t)
	}
	return all
}

// workers runs as many workers as are wanted, the first on the run's own
// connection, and waits for all. The first failure ends the others.
func (b *backfill) workers(ctx context.Context) error {
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	var once sync.Once
	var failed error
	fail := func(err error) {
		if err != nil {
			once.Do(func() { failed = err; cancel(err) })
		}
	}
	workers := b.batch.Workers
	var settings string
	if workers > 1 {
		var alone bool
		var err error
		if settings, alone, err = b.main.shared(ctx, b.main.planned, b.main.step); err != nil {
			return b.main.m.serverError(ctx, "reading the settings of the session", err)
		}
		if alone {
			workers = 1
		}
	}
	for i := 1; i < workers; i++ {
		all.Go(func() { fail(b.apart(working, i, settings)) })
	}
	fail(b.goThrough(working, b.main, 0))
	all.Wait()
	return failed
}

// apart is a worker with a connection of its own, under the same lease and with the
// settings of the first.
func (b *backfill) apart(ctx context.Context, number int, settings string) error {
	main := b.main
	db, err := main.m.connect(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	db.ready, db.onNotice = true, main.db.onNotice
	r := &execution{run: &run{command: main.command, db: db}, planned: main.planned, step: main.step,
		attempt: main.attempt}
	if err := r.prepareTemplates(ctx); err != nil {
		return r.m.serverError(ctx, "preparing", err)
	}
	if err := r.share(ctx, r.planned, settings); err != nil {
		return r.m.serverError(ctx, "taking over the settings of the session", err)
	}
	return b.goThrough(ctx, r, number)
}

// goThrough does range after range until there are no more.
func (b *backfill) goThrough(ctx context.Context, r *execution, number int) error {
	pausing, _ := time.ParseDuration(b.batch.Pause)
	for first := true; ; first = false {
		if r.m.stopping() {
			return interrupted()
		}
		if !first && pausing > 0 {
			if err := pause.For(ctx, pausing); err != nil {
				return err
			}
		}
		at, keys, err := b.take(ctx, r)
		if err != nil || at == nil {
			return err
		}
		began := time.Now()
		rows, err := r.persist(ctx, stall.Batches, func() (int64, error) {
			return b.work(ctx, r, b.keys, *at, message{{statement: ours, counted: func(rows int64) string {
				return b.noting(r, number, *at, tally{keys, rows}).text
			}}})
		})
		if err != nil {
			return &inRange{span: *at, cause: err}
		}
		b.finish(number, *at, keys, rows, time.Since(began))
	}
}

// take gives out the next range, once nothing says that the database needs a
// rest; nil when there are no more.
func (b *backfill) take(ctx context.Context, r *execution) (*span, int64, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if err := b.gauge.wait(ctx, r); err != nil {
		return nil, 0, err
	}
	for !b.ended {
		var limit key
		if len(b.finished) > 0 {
			limit = b.finished[0].From
		}
		if limit != nil && slices.Equal(limit, b.cursor) {
			b.out = append(b.out, b.finished[0])
			b.cursor, b.finished = b.finished[0].To, b.finished[1:]
			b.advance()
			continue
		}
		to, rows, err := b.keys.next(ctx, r.db.conn, b.cursor, limit, b.size)
		if err != nil {
			return nil, 0, r.m.serverError(ctx, "looking for the next range", err)
		}
		if rows == 0 {
			b.cursor = limit
			b.ended = limit == nil
			continue
		}
		at := span{From: b.cursor, To: to}
		if at.From == nil {
			at.From = b.below
		}
		b.cursor = to
		b.out = append(b.out, at)
		return &at, rows, nil
	}
	return nil, 0, nil
}

// noting is the journal's row for a worker, with one more range done.
func (b *backfill) noting(r *execution, number int, at span, done tally) piece {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	noted := place{Pass: b.number, Low: b.low, Spans: append(slices.Clone(b.own[number]), at)}
	if len(b.out) > 0 && slices.Equal(b.out[0].To, at.To) { // it is the lowest: then low is its end
		noted.Low, noted.Spans = at.To, noted.Spans[:len(noted.Spans)-1]
	}
	if number == 0 {
		noted.Earlier = b.earlier
	}
	return b.row(r, number, noted, b.noted[number].plus(done))
}

// row writes what the journal keeps of a worker.
func (b *backfill) row(r *execution, number int, p place, done tally) piece {
	p.Of = b.of()
	text, _ := json.Marshal(p) // of strings and numbers
	return r.journalPart(r.planned, b.part(number), r.step.partHash(), string(text), done, b.keys.total)
}

// write is the first worker's row in a transaction of its own, in place of all that the
// journal had.
func (b *backfill) write(ctx context.Context, p place, done tally) error {
	r, part, below := b.main, b.part(0), b.part(maxWorkers)
	_, err := r.persist(ctx, stall.Transactional, func() (int64, error) {
		return send(ctx, r.db.conn.PgConn(), append(r.opening(r.planned),
			b.row(r, 0, p, done), r.inheritPart(r.planned, part, below), r.forgetParts(r.planned, part+1, below)))
	})
	if err == nil {
		b.noted = map[int]tally{0: done}
	}
	return err
}

// maxWorkers is one more than the number of the last worker.
const maxWorkers = 1000

// part is the number under which the journal keeps a worker's row.
func (b *backfill) part(number int) int {
	return partsOfSteps*b.main.step.Number + maxWorkers*b.call + number
}

// of tells whether the journal's rows are about these ranges: a script may choose its
// table as it runs.
func (b *backfill) of() string { return rangesOf(b.batch) }

func rangesOf(b migration.Batch) string {
	return strings.Join(b.TableName(), ".") + " by " + strings.Join(b.Key, ",")
}

// finish notes that a range is done and adapts the size of the next ones to the
// time that it took.
func (b *backfill) finish(number int, at span, keys, rows int64, took time.Duration) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.noted[number] = b.noted[number].plus(tally{keys, rows})
	b.here += keys
	b.main.advanced.Add(1)
	b.own[number] = append(b.own[number], at)
	b.advance()
	b.adapt(keys, took)
	b.progress(false)
}

// advance moves low over everything that is done without a gap.
func (b *backfill) advance() {
	isDone := func(s span) bool {
		for _, spans := range b.own {
			if slices.ContainsFunc(spans, func(o span) bool { return slices.Equal(o.To, s.To) }) {
				return true
			}
		}
		return false
	}
	for len(b.out) > 0 && isDone(b.out[0]) {
		passed := b.out[0]
		b.low, b.out = passed.To, b.out[1:]
		for number, spans := range b.own {
			b.own[number] = slices.DeleteFunc(spans, func(o span) bool { return slices.Equal(o.To, passed.To) })
		}
	}
}

// The time that a batch should take, and the limits of its size.
const (
	batchTarget  = 200 * time.Millisecond
	smallestSize = 100
	largestSize  = 50_000
)

// adapt brings the size nearer to what takes the time that a batch should
// take, and halves it where others had to wait for what the batch locked.
func (b *backfill) adapt(keys int64, took time.Duration) {
	if keys < int64(b.size)/2 {
		return // the last of a stretch says little
	}
	factor := min(max(float64(batchTarget)/float64(max(took, time.Millisecond)), 0.5), 2)
	if b.main.watch.Queued() {
		factor = 0.5
	}
	b.size = min(max(int(float64(b.size)*factor), min(smallestSize, b.batch.Size)), max(largestSize, b.batch.Size))
}

// progress tells how far it is, ten times a second at most.
func (b *backfill) progress(last bool) {
	if !last && time.Since(b.told) < 100*time.Millisecond {
		return
	}
	b.told = time.Now()
	done := b.total()
	event := BatchProgress{
		Migration: b.main.planned.Ref(), Step: b.main.step.Number, Total: b.keys.total, Size: b.size, Pass: b.number,
		Keys: done.keys, Rows: done.rows,
	}
	if seconds := time.Since(b.began).Seconds(); seconds > 0 {
		event.PerSecond = int64(float64(b.here) / seconds)
	}
	if left := event.Total - event.Keys; left > 0 && event.PerSecond > 0 && !last {
		event.Left = time.Duration(float64(left) / float64(event.PerSecond) * float64(time.Second))
	}
	b.main.m.emit(event)
}

// remember takes over from the journal what an earlier run has done.
func (b *backfill) remember(ctx context.Context) error {
	b.number, b.cursor, b.low, b.out, b.finished, b.ended = 1, nil, nil, nil, nil, false
	b.own, b.noted, b.earlier, b.here = map[int][]span{}, map[int]tally{}, 0, 0
	r := b.main
	type remembered struct {
		text string
		done tally
	}
	var parts []remembered
	err := r.underOurRole(ctx, r.planned, func() error {
		rows, err := r.db.conn.Query(ctx, "SELECT coalesce(cursor, '{}'), keys_done, rows_done FROM "+r.db.tables.journal+
			" WHERE version = $1 AND direction = $2 AND step >= $3 AND step < $4 AND statement_hash = $5",
			r.planned.inJournal(), string(r.planned.Direction), b.part(0), b.part(maxWorkers), r.step.partHash())
		if err != nil {
			return err
		}
		parts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (part remembered, err error) {
			return part, row.Scan(&part.text, &part.done.keys, &part.done.rows)
		})
		return err
	})
	if err != nil || len(parts) == 0 {
		return err
	}
	var lows []key
	var spans []span
	var done tally
	for _, part := range parts {
		var p place
		text := part.text
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return fmt.Errorf("the journal's cursor %q: %w", text, err)
		}
		if p.Pass < b.number || p.Of != "" && p.Of != b.of() { // an older version's has none
			continue
		}
		if p.Pass > b.number {
			b.number, lows, spans, done, b.earlier, b.ended = p.Pass, nil, nil, tally{}, 0, false
		}
		if p.Low != nil {
			lows = append(lows, p.Low)
		}
		spans = append(spans, p.Spans...)
		done, b.earlier, b.ended = done.plus(part.done), max(b.earlier, p.Earlier), b.ended || p.Ended
	}
	return b.arrange(ctx, lows, spans, done)
}

// arrange puts keys in their order, which only the server knows, and writes
// them back as one row, since this run may have fewer workers.
func (b *backfill) arrange(ctx context.Context, lows []key, spans []span, done tally) error {
	all := slices.Clone(lows)
	for _, s := range spans {
		all = append(all, s.From)
	}
	order, err := b.keys.sort(ctx, b.main.db.conn, all)
	if err != nil {
		return err
	}
	for _, i := range order {
		if i < len(lows) {
			b.low, b.finished = lows[i], nil // whatever was before it is done
			continue
		}
		b.finished = append(b.finished, spans[i-len(lows)])
	}
	b.cursor = b.low
	b.own[0] = slices.Clone(b.finished)
	return b.write(ctx, place{Pass: b.number, Low: b.low, Spans: b.finished, Ended: b.ended, Earlier: b.earlier}, done)
}

// sort gives the order of keys, as indexes.
func (k *keys) sort(ctx context.Context, conn *pgx.Conn, all []key) ([]int, error) {
	if len(all) == 0 {
		return nil, nil
	}
	var rows, names, order []string
	for i, values := range all {
		rows = append(rows, fmt.Sprintf("(%d, %s)", i, k.literals(conn, values)))
	}
	for i, c := range k.columns {
		names = append(names, fmt.Sprintf("k%d", i))
		by := fmt.Sprintf("k%d", i)
		if c.Collation != "" {
			by += " COLLATE " + c.Collation
		}
		order = append(order, by)
	}
	found, err := conn.Query(ctx, fmt.Sprintf("SELECT n FROM (VALUES %s) AS keys (n, %s) ORDER BY %s, n",
		strings.Join(rows, ", "), strings.Join(names, ", "), strings.Join(order, ", ")))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[int])
}

// inRange is what went wrong in one range of a backfill.
type inRange struct {
	span
	cause error
}

func (e *inRange) Error() string { return e.cause.Error() }
func (e *inRange) Unwrap() error { return e.cause }

// KeyRange is the range of keys of a batch: what comes after From, up to and with To.
type KeyRange struct {
	From []string `json:"from"`
	To   []string `json:"to"`
}

// String shows the range with its values quoted: ('1000', '2000'].
func (k KeyRange) String() string {
	return "(" + quotedKey(k.From) + ", " + quotedKey(k.To) + "]"
}

func quotedKey(values []string) string {
	var quoted []string
	for _, value := range values {
		quoted = append(quoted, "'"+strings.ReplaceAll(value, "'", "''")+"'")
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}
