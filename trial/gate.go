package trial

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// gate holds up a statement that runs outside a transaction, until it was seen
// which table it wants to lock: such a statement can be over before anybody has
// looked. It locks all tables in the weakest mode that is in the way of itself
// and of everything stronger, SHARE UPDATE EXCLUSIVE; whatever is weaker stops
// no reader, no writer and no migration. Its methods may be called concurrently.
type gate struct {
	conn   *pgx.Conn
	tables []string

	mutex  sync.Mutex
	closed bool
}

func newGate(conn *pgx.Conn, tables relations) *gate {
	g := &gate{conn: conn}
	for _, r := range tables {
		if r.kind != "m" { // LOCK takes no materialised view
			g.tables = append(g.tables, r.name)
		}
	}
	slices.Sort(g.tables)
	return g
}

// close puts the gate in the way. That it cannot be is no error: then the
// statement is only looked at as often as possible.
func (g *gate) close(ctx context.Context) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.closed || len(g.tables) == 0 {
		return
	}
	g.closed = true
	_, _ = g.conn.PgConn().Exec(ctx, "BEGIN; SET LOCAL lock_timeout = '100ms'; LOCK TABLE ONLY "+strings.Join(g.tables,
		", ONLY ")+" IN SHARE UPDATE EXCLUSIVE MODE").ReadAll()
}

// open lets everybody pass.
func (g *gate) open(ctx context.Context) error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if !g.closed {
		return nil
	}
	g.closed = false
	_, err := g.conn.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
	return err
}
