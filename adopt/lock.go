package adopt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
)

// hold takes the other tool's own lock and locks its table against writing, in
// a transaction that read then works in. All of it ends when hold returns.
func (t Table) hold(ctx context.Context, conn *pgx.Conn, wait time.Duration, work func() error) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return failed("locking "+t.String(), err)
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = tx.Rollback(ending)
	}()
	// A stale snapshot would not show what the lock was waited for.
	if _, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"); err != nil {
		return failed("locking "+t.String(), err)
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", max(wait.Milliseconds(), 1))); err != nil {
		return failed("locking "+t.String(), err)
	}
	if t.tool.locks != nil {
		for _, key := range t.tool.locks(t) {
			if err := lockKey(ctx, tx, key); err != nil {
				return t.busy(err, wait)
			}
		}
	}
	if err := t.lockTable(ctx, tx, t.quoted()); err != nil {
		return t.busy(err, wait)
	}
	if err := t.lockNoted(ctx, tx); err != nil {
		return t.busy(err, wait)
	}
	return work()
}

// lockKey takes an advisory lock to the end of the transaction, so that it holds
// behind a pooler in transaction mode as well. The other tool's own is one of a
// session, and there it lies on a server connection that anybody is given next:
// PostgreSQL would let this transaction have it a second time. See
// https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS.
func lockKey(ctx context.Context, tx pgx.Tx, key int64) error {
	var taken bool
	err := tx.QueryRow(ctx,
		`SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_catalog.pg_backend_pid()
		AND objsubid = 1 AND classid::bigint << 32 | objid::bigint = $1)`, pgx.QueryExecModeExec, key).Scan(&taken)
	if err != nil {
		return err
	}
	if taken {
		return errInPool
	}
	_, err = tx.Exec(ctx, "SELECT pg_catalog.pg_advisory_xact_lock($1)", pgx.QueryExecModeExec, key)
	return err
}

// errInPool is a lock that the session has which a pooler lent to us.
var errInPool = errors.New("the session of the pooler has the lock")

// lockNoted looks into the table in which a tool notes that it is at work, and keeps
// the note as it is. Without that table nobody was ever at work.
func (t Table) lockNoted(ctx context.Context, tx pgx.Tx) error {
	if t.tool.lockTable == "" {
		return nil
	}
	quoted := pgx.Identifier{t.Schema, t.Name + t.tool.lockTable}.Sanitize()
	var there bool
	if err := tx.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1) IS NOT NULL", pgx.QueryExecModeExec,
		quoted).Scan(&there); err != nil || !there {
		return err
	}
	if err := t.lockTable(ctx, tx, quoted); err != nil {
		return err
	}
	var locked bool
	if err := tx.QueryRow(ctx, "SELECT coalesce(bool_or(is_locked = 1), false) FROM "+quoted).Scan(&locked); err != nil {
		return err
	}
	if locked {
		return errLocked
	}
	return nil
}

// lockTable keeps writers out. Who may only read the table cannot do that; then
// the tool's own lock is all there is.
func (t Table) lockTable(ctx context.Context, tx pgx.Tx, quoted string) error {
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	_, err = savepoint.Exec(ctx, "LOCK TABLE "+quoted+" IN SHARE MODE")
	var refused *pgconn.PgError
	if errors.As(err, &refused) && (refused.Code == "42501" || refused.Code == "25006") {
		return savepoint.Rollback(ctx)
	}
	if err != nil {
		return err
	}
	return savepoint.Commit(ctx)
}

// errLocked is a lock that a tool has noted in a table of its own.
var errLocked = errors.New("the lock is taken")

func (t Table) busy(err error, wait time.Duration) error {
	var refused *pgconn.PgError
	if errors.Is(err, errLocked) {
		return &whimbrel.Error{
			Code: whimbrel.CodeLeaseHeld, Message: fmt.Sprintf("%s is at work, or died at work: %s says that it is locked",
				t.Tool, t.String()+t.tool.lockTable),
			Remedy: "wait until it is done; if nobody is at work, free the lock by that tool (knex migrate:unlock)", Err: err,
		}
	}
	if errors.Is(err, errInPool) {
		return &whimbrel.Error{
			Code: whimbrel.CodeLeaseHeld, Message: fmt.Sprintf("%s is at work on %s through the same pooler, or left its lock "+
				"on one of the pooler's connections", t.Tool, t),
			Remedy: "wait until it is done; if nobody is at work, have the pooler reconnect (RECONNECT in PgBouncer's " +
				"console), or go to the server directly", Err: err,
		}
	}
	if errors.As(err, &refused) && refused.Code == "55P03" {
		return &whimbrel.Error{
			Code: whimbrel.CodeLeaseHeld, Message: fmt.Sprintf("%s is at work on %s: its lock could not be had within %s",
				t.Tool, t, wait),
			Remedy: "wait until it is done and adopt again, or raise Options.Wait", Err: err,
		}
	}
	return failed("locking "+t.String(), err)
}
