package whimbrel

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Runtime runs migrations that are scripts. Package js has one; a program that
// does not give it to its Config does not link it. Its methods may be called
// concurrently.
type Runtime interface {
	// Compile reads a script and what it needs of its neighbours, and touches
	// no database. What is wrong with the script is an *Error of the code
	// CodeMalformed with its place, a module that cannot be had one of the code
	// CodeScript. It is asked only for scripts that are about to run.
	Compile(ctx context.Context, m migration.Migration) (Script, error)
}

// Script is a compiled script. It is used by one goroutine at a time.
type Script interface {
	// Transaction reports whether the script runs in one transaction together
	// with its record, as it does unless it says otherwise.
	Transaction() bool
	// HasDown reports whether there is a down migration.
	HasDown() bool
	// Source is the script as one text that needs no neighbour, from which
	// Compile can make it again: it is kept in the history for the down migration.
	Source() string
	// Idle is how long it may leave the server without a question inside a
	// transaction. The server waits for that long, and a lease, before it ends a
	// session whose client may be gone.
	Idle() time.Duration
	// Run runs one direction, each time from a clean start. A failure that was
	// thrown by the script is an *Error of the code CodeScript with the place
	// in the script's own file; if it was the server's, it wraps the
	// *pgconn.PgError.
	Run(ctx context.Context, direction Direction, session Session) error
}

// Session is the database as a script sees it, for the time of one Run.
type Session interface {
	// Conn is the connection. In a transaction of ours it is inside it.
	Conn() *pgx.Conn
	// Check refuses a text that cannot be sent here: one that begins or ends a
	// transaction, or that cannot run inside the one that is open.
	Check(text string) error
	// Printed tells the run's listeners what the script printed. Level is
	// "log", "info", "warn" or "error".
	Printed(level, text string)
	// Transaction runs work in a transaction, which it commits, and rolls back
	// if work fails. It fails inside a transaction.
	Transaction(ctx context.Context, work func(context.Context) error) error
	// Batch runs work once per range of keys, each in a transaction together
	// with its cursor, so that it goes on there after a crash. Work returns how
	// many rows it has changed. It fails inside a transaction.
	Batch(ctx context.Context, batch migration.Batch, work func(context.Context, Range) (rows int64, err error)) error
}

// Range is a range of keys: what comes after From, up to and with To. The first
// range begins at a key that lies before all others.
type Range struct {
	From, To []KeyValue // by column of the key
}

// KeyValue is the value of a key's column, as PostgreSQL writes it.
type KeyValue struct {
	Text string
	Type uint32 // the type's oid
}
