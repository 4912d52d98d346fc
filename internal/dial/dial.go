// Package dial opens and ends connections so that the server is asked to
// cancel what is meant to be cancelled, and nothing else.
//
// A cancel request is a connection of its own, and it names a session, not a
// statement. One that comes too late hits the next statement or nothing, and one
// that is cut off half-way, as by the end of a process, brings some poolers down for
// everybody: see https://github.com/pgbouncer/pgbouncer/issues/801. The driver sends
// one in the background whenever it gives a connection up, whatever its context
// watcher does. What is opened here sends none in the background.
package dial

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

const (
	// Patience is how long a statement may take to end after its context, and the
	// server to answer a request to cancel it, before the connection is given up.
	Patience = 5 * time.Second
	// grace is how long a statement may take to end by itself before the server is
	// asked to cancel it.
	grace = 250 * time.Millisecond
	// delivery is how long a request that the server has answered may take to reach
	// the session, which must not be given another statement before; see
	// pgconn.CancelRequestContextWatcherHandler.
	delivery = 100 * time.Millisecond
	// finishing is how long a statement may take to finish where it is not cancelled,
	// and a connection to be cleaned up.
	finishing = time.Second
)

// Open connects as pgx.ConnectConfig does. The config is copied. When the context of a
// statement ends while that is on its way, the statement may finish if it is about
// to; otherwise the server is asked to cancel it, and the call returns once that
// request is completed. LetFinish makes a context for which that is not so.
func Open(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	config = config.Copy()
	guard := &guard{dial: config.DialFunc}
	config.DialFunc = guard.connect
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &watcher{conn: conn}
	}
	conn, err := pgx.ConnectConfig(context.WithValue(ctx, purpose{}, connecting), config)
	guard.broken.Store(false) // of servers that were tried before the one that answers
	return conn, err
}

// Connect opens a connection to an address, as Open does.
func Connect(ctx context.Context, address string) (*pgx.Conn, error) {
	config, err := Parse(address)
	if err != nil {
		return nil, err
	}
	return Open(ctx, config)
}

// LetFinish marks a context whose statements only ask something, so that cancelling
// them is of no use: where the context is cancelled they are waited for, though not
// for long, and where its deadline has passed the connection is given up. The server
// is asked nothing.
func LetFinish(ctx context.Context) context.Context {
	return context.WithValue(ctx, finish{}, true)
}

// finish is the key of that mark.
type finish struct{}

// Close ends a connection in good order and in bounded time. It returns when nothing
// of the connection is left. It may be called on one that is closed, and on nil.
func Close(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), finishing)
	defer cancel()
	_ = conn.Close(ctx)
	select {
	case <-conn.PgConn().CleanupDone():
	case <-ctx.Done():
	}
}

// purpose is the key under which a context says what is dialled for. The driver's
// own cancel requests come with a context of its own, without a purpose.
type purpose struct{}

const (
	connecting = "connecting"
	cancelling = "cancelling"
)

// guard dials for one connection, and refuses the driver's own cancel request when
// that connection breaks: whatever was meant to be cancelled has been.
type guard struct {
	dial   pgconn.DialFunc
	broken atomic.Bool
}

var errNothingToCancel = errors.New("the connection is given up: there is nothing to cancel")

func (g *guard) connect(ctx context.Context, network, address string) (net.Conn, error) {
	switch ctx.Value(purpose{}) {
	case connecting:
		conn, err := g.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wire{Conn: conn, broken: &g.broken}, nil
	case cancelling:
		return g.dial(ctx, network, address)
	}
	if g.broken.Load() {
		return nil, errNothingToCancel
	}
	return g.dial(ctx, network, address) // by a copy of the connection's configuration
}

// wire notes that a connection is broken, or is not waited for any longer.
type wire struct {
	net.Conn
	broken *atomic.Bool
}

func (w wire) Read(p []byte) (int, error)  { return w.noted(w.Conn.Read(p)) }
func (w wire) Write(p []byte) (int, error) { return w.noted(w.Conn.Write(p)) }

func (w wire) noted(n int, err error) (int, error) {
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

// watcher is told by the driver that a context has ended while a statement was on
// its way, and when that statement has ended.
type watcher struct {
	conn  *pgconn.PgConn
	ended chan struct{} // closed when the statement has ended
	done  chan struct{} // closed when no request is on its way any more
}

// HandleCancel implements ctxwatch.Handler.
func (w *watcher) HandleCancel(ctx context.Context) {
	w.ended, w.done = make(chan struct{}), make(chan struct{})
	if ctx.Value(finish{}) != nil {
		patience := finishing
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			patience = 0
		}
		_ = w.conn.Conn().SetDeadline(time.Now().Add(patience))
		close(w.done)
		return
	}
	_ = w.conn.Conn().SetDeadline(time.Now().Add(Patience))
	go func() { // HandleUnwatchAfterCancel waits for it
		defer close(w.done)
		if !w.pause(grace) {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), purpose{}, cancelling), Patience)
		defer cancel()
		if w.conn.CancelRequest(ctx) == nil {
			time.Sleep(delivery)
		}
	}()
}

// HandleUnwatchAfterCancel implements ctxwatch.Handler. A request to cancel that has
// been begun is completed first.
func (w *watcher) HandleUnwatchAfterCancel() {
	close(w.ended)
	<-w.done
	_ = w.conn.Conn().SetDeadline(time.Time{})
}

// pause waits, and reports whether the statement is still on its way.
func (w *watcher) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.ended:
		return false
	case <-timer.C:
		return true
	}
}
