package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/migration"
)

// trial is one Run.
type trial struct {
	options Options
	history history
	suite   *suite
	host    *host
	chosen  []int // indexes of the migrations to test
	jobs    int

	mutex   sync.Mutex
	results map[int]Result
	inserts map[migration.Version][]Finding
	general []Finding
	broken  int // 1 + the index of the first migration that fails on its up migration; 0: none
	why     string
	done    int

	telling sync.Mutex
}

// partsPerJob is into how many pieces each job's share is cut: a job that is
// through early takes another piece, and goes to where it begins by just applying what is before.
const partsPerJob = 4

// work tests all that is chosen, in contiguous pieces, each on the database of the job that takes it.
func (t *trial) work(ctx context.Context) error {
	first, err := t.newDatabase(ctx)
	if err != nil {
		return err
	}
	t.emit(Started{Server: t.host.version(), Migrations: len(t.chosen), Jobs: t.jobs})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	size := max(1, len(t.chosen))
	if t.jobs > 1 {
		size = (len(t.chosen) + t.jobs*partsPerJob - 1) / (t.jobs * partsPerJob)
	}
	pieces := make(chan []int, len(t.chosen)+1)
	for piece := range slices.Chunk(t.chosen, size) {
		pieces <- piece
	}
	close(pieces)
	failures := make([]error, t.jobs)
	var workers sync.WaitGroup
	for job := range t.jobs {
		workers.Go(func() {
			w := &worker{trial: t, job: job + 1}
			if job == 0 {
				w.database = first
			}
			if failures[job] = w.run(ctx, pieces); failures[job] != nil {
				cancel() // the others need not go on
			}
		})
	}
	workers.Wait()
	if err := firstCause(failures); err != nil {
		return err
	}
	return t.repeatables(ctx)
}

// firstCause prefers what went wrong to its consequence in the other jobs.
func firstCause(failures []error) error {
	for _, err := range failures {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(failures...)
}

// worker tests pieces of the history, one after the other.
type worker struct {
	*trial
	job      int
	database *database
}

func (w *worker) run(ctx context.Context, pieces <-chan []int) error {
	for piece := range pieces {
		for _, index := range piece {
			if err := w.one(ctx, index); err != nil {
				if w.database != nil {
					w.database.close()
				}
				return err
			}
		}
	}
	if w.database == nil {
		return nil
	}
	state := "no migration is applied"
	if n := w.database.position; n > 0 {
		state = "all migrations up to " + string(w.history.migrations[n-1].Version) + " are applied"
	}
	return w.database.retain(ctx, state)
}

// one tests one migration.
func (w *worker) one(ctx context.Context, index int) error {
	began := time.Now()
	m := w.history.migrations[index]
	result := Result{Version: m.Version, Name: m.Name, Path: m.Path}
	if reason := w.hindrance(index); reason != "" {
		result.Status, result.Reason = NotRun, reason
		w.record(index, result)
		return nil
	}
	w.emit(Testing{Migration: whimbrel.Ref{Version: m.Version, Name: m.Name, Path: m.Path, Direction: whimbrel.Up},
		Job: w.job})
	if w.database == nil {
		var err error
		if w.database, err = w.newDatabase(ctx); err != nil {
			return err
		}
	}
	late := func() *whimbrel.Error {
		return &whimbrel.Error{Code: whimbrel.CodeStatement, Version: m.Version,
			Message: fmt.Sprintf("it took longer than %v", w.options.Timeout)}
	}
	if overdue, err := w.limited(ctx, index-w.database.position+1,
		func(ctx context.Context) error { return w.database.advance(ctx, index) }); err != nil {
		if overdue {
			err = late()
		}
		if err := w.stuck(ctx, err); err != nil {
			return err
		}
		return w.one(ctx, index) // says why it is not run
	}
	p := &proof{database: w.database, migration: m, index: index, result: result}
	switch overdue, err := w.limited(ctx, 1, p.run); {
	case overdue:
		p.result.add(engineFailure(CheckUp, late()))
		w.breaks(index, late())
	case err != nil:
		return fmt.Errorf("testing %s: %w", m.Version, err)
	}
	p.result.conclude()
	p.result.Duration = time.Since(began)
	w.record(index, p.result)
	if p.intact {
		return nil
	}
	d := w.database
	w.database = nil
	return d.retain(ctx, "as the test of "+string(m.Version)+" left it")
}

// limited does what may take as long as so many migrations, and says whether it took longer.
func (w *worker) limited(ctx context.Context, count int, do func(context.Context) error) (overdue bool, err error) {
	if w.options.Timeout <= 0 {
		return false, do(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, w.options.Timeout*time.Duration(count))
	defer cancel()
	err = do(limited)
	return err != nil && limited.Err() != nil && ctx.Err() == nil, err
}

// hindrance is why a migration cannot be tested; "" if it can.
func (w *worker) hindrance(index int) string {
	select {
	case <-w.options.Stop: // a nil channel never answers
		return "the trial was stopped"
	default:
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.broken > 0 && index >= w.broken {
		return w.why
	}
	return ""
}

// stuck notes a migration that does not go up, on the way to one that is to be tested.
func (w *worker) stuck(ctx context.Context, failed error) error {
	var e *whimbrel.Error
	index := -1
	if errors.As(failed, &e) && ctx.Err() == nil {
		index = slices.IndexFunc(w.history.migrations, func(m migration.Migration) bool { return m.Version.Equal(e.Version) })
	}
	if index < 0 {
		return failed
	}
	w.breaks(index, e)
	if !slices.Contains(w.chosen, index) {
		w.note(engineFailure(CheckUp, e))
	}
	d := w.database
	w.database = nil
	return d.retain(ctx, "as the failure of "+string(e.Version)+" left it")
}

// breaks says that nothing can be tested from a migration on.
func (t *trial) breaks(index int, e *whimbrel.Error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.broken == 0 || index+1 < t.broken {
		t.broken = index + 1
		t.why = fmt.Sprintf("%s fails on the up migration: %s", t.history.migrations[index].Version, e.Message)
	}
}

// engineFailure is a failure of the engine as a finding.
func engineFailure(check Check, e *whimbrel.Error) Finding {
	message := e.Message
	if e.SQLState != "" {
		message += " (SQLSTATE " + e.SQLState + ")"
	}
	if e.Detail != "" {
		message += ": " + e.Detail
	}
	return Finding{Severity: Failure, Check: check, Message: message,
		Remedy: cmp.Or(e.Remedy, sandbox.Remedy(e)), Path: e.Path, Line: e.Line,
		Column: e.Column, Error: e}
}

// note keeps a finding that is about no tested migration, once.
func (t *trial) note(f Finding) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if !slices.ContainsFunc(t.general, func(known Finding) bool {
		return known.Message == f.Message &&
			known.Path == f.Path
	}) {
		t.general = append(t.general, f)
	}
}

func (t *trial) record(index int, r Result) {
	t.mutex.Lock()
	t.results[index] = r
	t.done++
	done := t.done
	t.mutex.Unlock()
	t.emit(Tested{Result: r, Done: done, Total: len(t.chosen)})
}

// report puts together what is known.
func (t *trial) report(r Report) Report {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	r.Migrations = []Result{}
	for _, index := range t.chosen {
		result, known := t.results[index]
		if !known {
			m := t.history.migrations[index]
			result = Result{Version: m.Version, Name: m.Name, Path: m.Path, Status: NotRun, Reason: "the trial was broken off"}
		}
		version := result.Version.Canonical()
		result.Findings = append(slices.Clone(t.inserts[version]), result.Findings...)
		delete(t.inserts, version)
		result.conclude()
		r.Migrations = append(r.Migrations, result)
	}
	r.Findings = slices.Clone(t.general)
	for _, m := range t.history.migrations { // what belongs to migrations that were only applied
		r.Findings = append(r.Findings, t.inserts[m.Version.Canonical()]...)
	}
	r.Summary = summarise(r.Migrations, r.Findings)
	return r
}

func (t *trial) emit(e Event) {
	if t.options.Listener == nil {
		return
	}
	t.telling.Lock()
	defer t.telling.Unlock()
	t.options.Listener(e)
}

// forward passes on what the engine says.
func (t *trial) forward(r whimbrel.Record) {
	if t.options.Records == nil {
		return
	}
	t.telling.Lock()
	defer t.telling.Unlock()
	t.options.Records(r)
}
