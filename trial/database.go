package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// database is one throw-away database with a history up to some migration. It
// is used by one goroutine.
type database struct {
	trial    *trial
	made     made
	config   *pgx.ConnConfig
	conn     *pgx.Conn // looks at what came out
	aside    *pgx.Conn // looks at locks meanwhile
	gate     *pgx.Conn
	history  pgx.Identifier
	own      []string       // the engine's tables, quoted, with their schema
	position int            // so many migrations are applied
	known    *schema.Schema // what the schema is now, if that is known
	inserted map[*set]bool
	tracked  []*tracked
	filled   map[uint32]bool
	worked   map[*query]bool          // queries that could run
	medians  map[*query]time.Duration // what they took the last time
}

// newDatabase creates an empty database with the engine's tables and the observer in it.
func (t *trial) newDatabase(ctx context.Context) (*database, error) {
	config, m, err := t.host.create(ctx)
	if err != nil {
		return nil, err
	}
	d := &database{trial: t, made: m, config: config, inserted: map[*set]bool{}, filled: map[uint32]bool{},
		worked: map[*query]bool{}, medians: map[*query]time.Duration{},
		history: pgx.Identifier(strings.Split(t.history.config.Table, "."))}
	if err := d.furnish(ctx); err != nil {
		return nil, errors.Join(err, d.drop(ctx))
	}
	if err := d.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing the database %s: %w", m.name, err), d.drop(ctx))
	}
	return d, nil
}

// furnish makes what the first migration is to find.
func (d *database) furnish(ctx context.Context) error {
	h := d.trial.history
	created, err := sandbox.Furnish(ctx, d.config, sandbox.Program{Furnishing: d.trial.options.Sandbox,
		Migrations: h.config.Migrations, Functions: h.config.Functions, Variables: h.config.Variables})
	if guest := d.trial.host.guest; guest != nil {
		guest.CreatedRoles(created...)
	}
	return err
}

func (d *database) prepare(ctx context.Context) (err error) {
	plain := d.config.Copy()
	plain.DefaultQueryExecMode = pgx.QueryExecModeExec // no cache of plans for tables that change
	plain.RuntimeParams["timezone"] = "UTC"
	aside := d.config.Copy() // it asks the same thing again and again
	plain.RuntimeParams["application_name"], aside.RuntimeParams["application_name"] = "trial", "trial"
	if d.conn, err = dial.Open(ctx, plain); err != nil {
		return err
	}
	if d.aside, err = dial.Open(ctx, aside); err != nil {
		return err
	}
	if d.gate, err = dial.Open(ctx, aside); err != nil {
		return err
	}
	m, err := d.migrator(0, nil)
	if err != nil {
		return err
	}
	if err := m.Begin(ctx); err != nil {
		return err
	}
	if err := installObserver(ctx, d.conn, d.history); err != nil {
		return err
	}
	for _, table := range d.ownTables() {
		var name string
		err := d.conn.QueryRow(ctx, "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) "+
			"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
			table.Sanitize()).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			continue // the mark of a protected database, which this is not
		}
		if err != nil {
			return err
		}
		d.own = append(d.own, name)
	}
	return nil
}

// ownTables are the engine's tables.
func (d *database) ownTables() []pgx.Identifier { return whimbrel.Tables(strings.Join(d.history, ".")) }

func (d *database) close() {
	for _, conn := range []*pgx.Conn{d.conn, d.aside, d.gate} {
		dial.Close(conn)
	}
}

// drop removes the database.
func (d *database) drop(ctx context.Context) error {
	d.close()
	return d.trial.host.drop(ctx, d.made)
}

// retain leaves the database for a look, if that is wished, and drops it otherwise.
func (d *database) retain(ctx context.Context, state string) error {
	d.close()
	return d.trial.host.retain(ctx, d.made, state)
}

// schema reads everything but the engine's tables and the observer.
func (d *database) schema(ctx context.Context) (schema.Schema, error) {
	s, err := schema.Read(ctx, d.conn, schema.Options{Exclude: d.ownTables()})
	return withoutOurs(s), err
}

// record is what the history says about one migration.
type record struct {
	id       int64
	batch    *int
	checksum *string
}

// recorded gives the history's row of a migration, if there is one.
func (d *database) recorded(ctx context.Context, version migration.Version) (*record, error) {
	var r record
	err := d.conn.QueryRow(ctx, "SELECT id, batch_number, checksum FROM "+d.history.Sanitize()+
		" WHERE ltrim(version, '0') = ltrim($1, '0')", string(version)).
		Scan(&r.id, &r.batch, &r.checksum)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &r, err
}

// marks tell whether anything was written meanwhile.
type marks struct {
	records     string // what the engine has ever written about migrations
	transaction string // the server's next one that writes
}

func (d *database) marks(ctx context.Context) (m marks, err error) {
	log := d.ownTables()[2]
	err = d.conn.QueryRow(ctx, "SELECT (SELECT count(*) || '/' || coalesce(max(id), 0) FROM "+d.history.Sanitize()+
		") || ' ' || (SELECT count(*) FROM "+log.Sanitize()+
		"), pg_snapshot_xmax(pg_current_snapshot())::text").Scan(&m.records, &m.transaction)
	return m, err
}

// migrator works on the first so many migrations.
func (d *database) migrator(count int, listener whimbrel.Listener) (*whimbrel.Migrator, error) {
	config := d.trial.history.until(count, d.config)
	config.Listener = listener
	return whimbrel.New(config)
}

// measured runs something of the engine's and measures what it does.
func (d *database) measured(ctx context.Context, count int,
	do func(*whimbrel.Migrator) (whimbrel.Result, error)) (whimbrel.Result, *Measure, error) {
	live, err := settle(ctx, d.conn)
	if err != nil {
		return whimbrel.Result{}, nil, err
	}
	if _, err := takeObservations(ctx, d.conn); err != nil { // of runs that nobody measures
		return whimbrel.Result{}, nil, err
	}
	before, err := readRelations(ctx, d.conn, d.own)
	if err != nil {
		return whimbrel.Result{}, nil, err
	}
	s := startSampler(ctx, d.aside, newGate(d.gate, before))
	m, err := d.migrator(count, func(r whimbrel.Record) { s.hear(ctx, r); d.trial.forward(r) })
	if err != nil {
		_, _ = s.finish(ctx)
		return whimbrel.Result{}, nil, err
	}
	result, failed := do(m)
	samples, err := s.finish(ctx)
	if err != nil {
		return result, nil, errors.Join(failed, err)
	}
	_, err = settle(ctx, d.conn)
	after, err2 := readRelations(ctx, d.conn, d.own)
	observed, err3 := takeObservations(ctx, d.conn)
	if err := errors.Join(err, err2, err3); err != nil {
		return result, nil, errors.Join(failed, err)
	}
	var totals relations
	if live { // parallel workers, and what ran outside a transaction, are not in what the trigger saw
		totals = after
	}
	measure := &Measure{Locks: locksOf(before, observed, samples), Rewritten: rewritten(before, after),
		Scanned: scansOf(before, observed, totals)}
	for _, outcome := range result.Done {
		measure.Duration += outcome.Duration
		measure.Rows += outcome.Rows
	}
	return result, measure, failed
}

// advance applies migrations until so many are, and inserts the given rows in
// their places.
func (d *database) advance(ctx context.Context, count int) error {
	for d.position < count {
		if err := d.insertDue(ctx, d.position, func(*set) bool { return true }); err != nil {
			return err
		}
		stop := count
		for _, place := range d.trial.suite.places() {
			if place > d.position {
				stop = min(stop, place)
			}
		}
		m, err := d.migrator(stop, d.trial.forward)
		if err != nil {
			return err
		}
		if _, err := m.Up(ctx, whimbrel.UpOptions{}); err != nil {
			return err
		}
		d.position, d.known = stop, nil
	}
	return nil
}
