package whimbrel

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Function is a migration written in Go. It has the same place in the order,
// the history and the events as a file of its version. Up, or UpConn, is
// obligatory; without Down and DownConn there is no down migration.
type Function struct {
	Version migration.Version // 1 to 19 digits
	Name    string
	Tags    []string // see Config.Tags
	// Up and Down run in the transaction in which the migration is recorded.
	// To commit it does nothing, to roll it back makes the migration fail. They may
	// be called again after they failed with a lock timeout, a deadlock or a
	// serialisation failure, or lost their connection.
	Up, Down func(ctx context.Context, tx pgx.Tx) error
	// UpConn and DownConn get the connection outside a transaction. They are called
	// again after a crash or a lost connection, so what they do must be
	// idempotent.
	UpConn, DownConn func(ctx context.Context, conn *pgx.Conn) error
}

// ownTransaction makes a pgx.Tx of the transaction that is already open.
var ownTransaction = pgx.TxOptions{BeginQuery: "SAVEPOINT whimbrel_function",
	CommitQuery: "RELEASE SAVEPOINT whimbrel_function"}

func (f Function) migration() (migration.Migration, error) {
	wrong := func(remedy, format string, args ...any) error {
		return &Error{Code: CodeConfiguration, Version: f.Version, Name: f.Name, Message: fmt.Sprintf(format, args...),
			Remedy: remedy}
	}
	version, _, _, err := migration.ParseName(string(f.Version) + "_function.sql")
	switch {
	case err != nil || version != f.Version:
		return migration.Migration{}, wrong("use 1 to 19 digits", "the function %q has the version %q", f.Name, f.Version)
	case f.Up == nil && f.UpConn == nil:
		return migration.Migration{}, wrong("give it an Up", "function %s (%s) does nothing", f.Version, f.Name)
	case f.Up != nil && (f.UpConn != nil || f.DownConn != nil), f.Down != nil && (f.UpConn != nil || f.DownConn != nil):
		return migration.Migration{}, wrong("give it Up and Down, or UpConn and DownConn",
			"function %s (%s) is both in a transaction and outside", f.Version, f.Name)
	}
	if i := slices.IndexFunc(f.Tags, func(tag string) bool { return !migration.IsTag(tag) }); i >= 0 {
		return migration.Migration{}, wrong("use letters, digits and the marks _ . : -", "function %s (%s) has the tag %q",
			f.Version, f.Name, f.Tags[i])
	}
	return migration.Migration{Version: f.Version, Name: f.Name, Kind: migration.Func, Tags: f.Tags}, nil
}

// Transaction implements code.
func (f Function) Transaction() bool { return f.UpConn == nil }

// HasDown implements code.
func (f Function) HasDown() bool { return f.Down != nil || f.DownConn != nil }

// Source implements code. Of a function there is none.
func (f Function) Source() string { return "" }

// Idle implements code. A function that takes its time says so to the server, by
// SET LOCAL idle_in_transaction_session_timeout.
func (f Function) Idle() time.Duration { return 0 }

// Run implements code. A panic is an error like any other: the transaction is
// rolled back, and the lease is given back.
func (f Function) Run(ctx context.Context, direction Direction, session Session) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &Error{
				Code: CodeScript, Message: fmt.Sprintf("the function panicked: %v", value), Where: string(debug.Stack()),
				Remedy: "correct the function; what it did in its transaction was rolled back",
			}
		}
	}()
	inside, outside := f.Up, f.UpConn
	if direction == Down {
		inside, outside = f.Down, f.DownConn
	}
	if inside != nil {
		var tx pgx.Tx
		if tx, err = session.Conn().BeginTx(ctx, ownTransaction); err == nil {
			err = inside(ctx, tx)
		}
	} else {
		err = outside(ctx, session.Conn())
	}
	if err == nil {
		return nil
	}
	var refused *pgconn.PgError
	if session.Conn().IsClosed() && !(errors.As(err, &refused) && refused.Code == idleTooLong) {
		return &Error{
			Code: CodeConnection, Message: err.Error(), Err: err,
			Remedy: "run the same command again once the server can be reached: it goes on where this one stopped",
		}
	}
	failed := &Error{Code: CodeScript, Message: err.Error(), Err: err,
		Remedy: "correct the function, then run the command again"}
	return failed.quote(err)
}
