package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// proof is the test of one migration: up, up, down, up.
type proof struct {
	database  *database
	migration migration.Migration
	index     int
	result    Result

	before, first, last schema.Schema
	told                map[string]bool // findings about rows that were made already
	// intact is whether the database is as if the migration had just been applied.
	intact bool
}

// run tests the migration. The error is one of the tester's; what is wrong with
// the migration is in the result.
func (p *proof) run(ctx context.Context) error {
	if err := p.prepare(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) (bool, error){p.up, p.upTwice, p.down, p.upAgain} {
		if goOn, err := step(ctx); err != nil || !goOn {
			return err
		}
	}
	return p.finish(ctx)
}

// prepare puts in place what the migration is to find.
func (p *proof) prepare(ctx context.Context) error {
	d := p.database
	if err := d.insertDue(ctx, p.index, func(*set) bool { return true }); err != nil {
		return err
	}
	if rows := d.trial.options.AtScale; rows > 0 {
		if err := d.fill(ctx, rows); err != nil {
			return fmt.Errorf("filling the tables: %w", err)
		}
	}
	// Rows that an earlier migration has lost are its fault.
	lost, _, err := d.checkRows(ctx, p.index, "")
	if err != nil {
		return err
	}
	p.told = map[string]bool{}
	for _, f := range lost {
		p.told[f.identity("")] = true
	}
	if d.known == nil {
		s, err := d.schema(ctx)
		if err != nil {
			return err
		}
		d.known = &s
	}
	p.before, d.known = *d.known, nil
	return nil
}

// identity is what a finding about a row says, whenever it was found.
func (f Finding) identity(when string) string {
	return fmt.Sprint(f.Path, f.Line, f.Column, strings.TrimPrefix(f.Message, when+" "))
}

// up takes the migration up for the first time.
func (p *proof) up(ctx context.Context) (bool, error) {
	result, measure, failed := p.database.measured(ctx, p.index+1, func(m *whimbrel.Migrator) (whimbrel.Result, error) {
		return m.Up(ctx, whimbrel.UpOptions{})
	})
	p.result.Up = measure
	if failed != nil {
		e, err := p.engine(ctx, failed)
		if err != nil {
			return false, err
		}
		p.result.add(engineFailure(CheckUp, e))
		p.database.trial.breaks(p.index, e)
		return false, nil
	}
	if len(result.Done) != 1 {
		p.fail(CheckRecord, "up ran %s in place of this one", present.Plural(len(result.Done), "migration"))
	}
	if err := p.recorded(ctx, "up"); err != nil {
		return false, err
	}
	var err error
	if p.first, err = p.database.schema(ctx); err != nil {
		return false, err
	}
	return true, p.rows(ctx, p.index+1, "after up")
}

// engine gives the engine's own error, or passes on what is no verdict about a migration.
func (p *proof) engine(ctx context.Context, failed error) (*whimbrel.Error, error) {
	var e *whimbrel.Error
	if ctx.Err() != nil || !errors.As(failed, &e) || e.Code == whimbrel.CodeConnection ||
		e.Code == whimbrel.CodeInterrupted {
		return nil, failed
	}
	return e, nil
}

func (p *proof) fail(check Check, format string, args ...any) {
	p.result.add(Finding{Severity: Failure, Check: check, Message: fmt.Sprintf(format, args...), Path: p.migration.Path})
}

// recorded checks the history's row after a way up.
func (p *proof) recorded(ctx context.Context, after string) error {
	row, err := p.database.recorded(ctx, p.migration.Version)
	switch {
	case err != nil:
		return err
	case row == nil:
		p.fail(CheckRecord, "after %s it is not recorded in the history", after)
	case row.batch == nil || *row.batch < 1:
		p.fail(CheckRecord, "after %s it is recorded without a batch", after)
	case p.migration.Checksum != "" && (row.checksum == nil || *row.checksum != p.migration.Checksum):
		p.fail(CheckRecord, "after %s it is recorded with another checksum than its file has", after)
	}
	return nil
}

// upTwice takes up what is up, which must change nothing.
func (p *proof) upTwice(ctx context.Context) (bool, error) {
	before, err := p.database.marks(ctx)
	if err != nil {
		return false, err
	}
	m, err := p.database.migrator(p.index+1, p.database.trial.forward)
	if err != nil {
		return false, err
	}
	result, failed := m.Up(ctx, whimbrel.UpOptions{})
	if failed != nil {
		e, err := p.engine(ctx, failed)
		if err != nil {
			return false, err
		}
		p.result.add(engineFailure(CheckUpTwice, e))
		return false, nil
	}
	after, err := p.database.marks(ctx)
	if err != nil {
		return false, err
	}
	if len(result.Done) > 0 || before.records != after.records {
		p.fail(CheckUpTwice, "up ran again although it was up")
	}
	if before.transaction == after.transaction { // nobody has written anything on the whole server
		return true, nil
	}
	second, err := p.database.schema(ctx)
	p.result.add(afterUpTwice(p.first, second)...)
	return true, err
}

// down takes the migration back, if there is a way.
func (p *proof) down(ctx context.Context) (bool, error) {
	if p.migration.Irreversible || !p.migration.Reversible() {
		p.irreversible(whyNotReversible(p.migration))
		return true, nil
	}
	_, measure, failed := p.database.measured(ctx, p.index+1, func(m *whimbrel.Migrator) (whimbrel.Result, error) {
		return m.Down(ctx, whimbrel.DownOptions{})
	})
	if errors.Is(failed, whimbrel.CodeIrreversible) { // a script or a function without one
		p.irreversible(whyNotReversible(p.migration))
		return true, nil
	}
	p.result.Down = measure
	if failed != nil {
		e, err := p.engine(ctx, failed)
		if err != nil {
			return false, err
		}
		p.result.add(engineFailure(CheckDown, e))
		return false, nil
	}
	if row, err := p.database.recorded(ctx, p.migration.Version); err != nil {
		return false, err
	} else if row != nil {
		p.fail(CheckUnrecord, "after down it is still recorded in the history")
	}
	after, err := p.database.schema(ctx)
	if err != nil {
		return false, err
	}
	findings, kept := afterDown(p.before, after)
	for _, f := range findings {
		f.Path = p.migration.Path
		p.result.add(f)
	}
	if len(kept) > 0 {
		var reasons []string
		for _, k := range kept {
			reasons = append(reasons, k.String())
		}
		p.irreversible(strings.Join(reasons, "; "))
	}
	// Where the schema is another, what comes after would only repeat it.
	return len(findings) == 0, p.rows(ctx, p.index, "after down")
}

func (p *proof) irreversible(reason string) {
	p.result.Status, p.result.Reason = Irreversible, reason
}

// whyNotReversible is why a migration has no down migration.
func whyNotReversible(m migration.Migration) string {
	switch {
	case m.Irreversible && m.Reason != "":
		return m.Reason
	case m.Irreversible:
		return "the file says so, and gives no reason"
	case m.Kind == migration.SQL:
		return "the file has no Down part"
	}
	return "it has no down function"
}

// upAgain takes the migration up for the second time, if it was taken down.
func (p *proof) upAgain(ctx context.Context) (bool, error) {
	if p.result.Down == nil {
		p.last = p.first
		return true, nil
	}
	m, err := p.database.migrator(p.index+1, p.database.trial.forward)
	if err != nil {
		return false, err
	}
	if _, failed := m.Up(ctx, whimbrel.UpOptions{}); failed != nil {
		e, err := p.engine(ctx, failed)
		if err != nil {
			return false, err
		}
		f := engineFailure(CheckUpAgain, e)
		f.Message = "up after down fails: " + f.Message
		if p.result.Status == Irreversible { // PostgreSQL's doing
			f.Severity, f.Remedy = Warning, "write ADD VALUE IF NOT EXISTS, so that it can go up again after a down that must "+
				"leave the value"
		}
		p.result.add(f)
		return false, nil
	}
	if err := p.recorded(ctx, "up, down and up"); err != nil {
		return false, err
	}
	second, err := p.database.schema(ctx)
	if err != nil {
		return false, err
	}
	p.last = second
	for _, f := range afterUpAgain(p.first, second) {
		f.Path = p.migration.Path
		p.result.add(f)
	}
	return true, p.rows(ctx, p.index+1, "after up, down and up")
}

// rows looks for the given rows, and tells of each fault once.
func (p *proof) rows(ctx context.Context, position int, when string) error {
	findings, looked, err := p.database.checkRows(ctx, position, when)
	p.result.Rows = max(p.result.Rows, looked)
	for _, f := range findings {
		if !p.told[f.identity(when)] {
			p.told[f.identity(when)] = true
			p.result.add(f)
		}
	}
	return err
}

// finish asks the queries, when everything is up for good.
func (p *proof) finish(ctx context.Context) error {
	d := p.database
	d.position, d.known = p.index+1, &p.last
	if err := d.insertDue(ctx, d.position, func(s *set) bool { return s.at != "" }); err != nil {
		return err
	}
	p.intact = true
	for _, f := range p.result.Findings {
		p.intact = p.intact && f.Severity != Failure
	}
	timings, findings, err := d.ask(ctx, d.position)
	p.result.Queries = timings
	p.result.add(findings...)
	return err
}
