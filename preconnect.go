package whimbrel

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// Opening is a connection that is being opened, and the first look at the
// database by it, while the caller has something else to do: to read its
// migrations, as a rule. See Target.Opening.
type Opening struct {
	m      *Migrator // which knows the database
	cancel context.CancelFunc
	taken  atomic.Bool
	done   chan struct{} // closed when the rest is set
	db     *database
	err    error
}

// Open begins to open a connection to a database and its history table, and returns at
// once: an error is one of the Target. Whether it
// works is told by the method of a Migrator that takes the connection over. Close
// must be called; it may be before that.
func Open(ctx context.Context, target Target) (*Opening, error) {
	m, err := New(Config{Target: target})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	o := &Opening{m: m, cancel: cancel, done: make(chan struct{})}
	go func() { // Close waits for it
		defer close(o.done)
		o.db, o.err = m.connect(ctx)
	}()
	return o, nil
}

// Close gives the connection up, unless a Migrator has taken it over, and returns
// when that is done. It may be called more than once, and on nil.
func (o *Opening) Close() {
	if o == nil {
		return
	}
	o.cancel()
	<-o.done
	if o.err == nil && o.taken.CompareAndSwap(false, true) {
		o.db.close()
	}
}

// take hands the connection over when it is open, or why it is not: once, and only
// to a Migrator of the same database.
func (o *Opening) take(ctx context.Context, m *Migrator) (db *database, there bool, err error) {
	if o == nil || o.m.database() != m.database() || o.m.config.Table != m.config.Table {
		return nil, false, nil
	}
	select {
	case <-ctx.Done(): // connecting will say so
		return nil, false, nil
	case <-m.config.Stop: // and so
		return nil, false, nil
	case <-o.done:
	}
	if !o.taken.CompareAndSwap(false, true) {
		return nil, false, nil
	}
	return o.db, true, o.err
}

// Connection is how the Migrator connects: a copy.
func (m *Migrator) Connection() *pgx.ConnConfig { return m.connection.Copy() }
