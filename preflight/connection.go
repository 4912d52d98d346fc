package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/redact"
)

// visit is one connection with what was learnt over it. It belongs to one Run.
type visit struct {
	options Options
	conn    *pgx.Conn
	server  server
	secrets *redact.Redactor
	// pending are the statements that are about to run, with what they touch.
	pending pending
}

// server is what one query tells of the server and of the role.
type server struct {
	Version  int    // server_version_num
	Shown    string // server_version
	Role     string
	Database string
	Recovery bool
	// SystemIdentifier is the cluster's; backups of another one are none.
	SystemIdentifier string
	Superuser        bool
	// SeesSessions is set where the role sees what others' sessions do.
	SeesSessions bool
	// Pooled is set where a pooler is in front.
	Pooled bool
}

// connectPatience is how long connecting may take, and lockPatience how long a check
// waits for a lock: it must not queue in front of anybody.
const (
	connectPatience = 30 * time.Second
	lockPatience    = 100 * time.Millisecond
	cancelPatience  = 5 * time.Second
)

// open connects and learns what all checks need.
func open(ctx context.Context, options Options) (*visit, error) {
	config := options.Connection.Copy()
	// As the engine does: no statement cache, for poolers' sake.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "whimbrel check"
	}
	v := &visit{options: options, secrets: &redact.Redactor{}}
	v.secrets.Password(options.Connection.Password)
	connecting, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	conn, err := dial.Open(connecting, config)
	if err != nil {
		return nil, v.unreachable(ctx, err)
	}
	v.conn = conn
	if err := v.learn(connecting); err != nil {
		v.close()
		return nil, v.unreachable(ctx, err)
	}
	return v, nil
}

// close ends the connection; it does not wait for long.
func (v *visit) close() { dial.Close(v.conn) }

// learn asks for the facts, and resolves what the plan names.
func (v *visit) learn(ctx context.Context) error {
	var pid int
	s := &v.server
	err := v.conn.QueryRow(ctx,
		`SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1),
	current_user::text, pg_catalog.current_database()::text, pg_catalog.pg_is_in_recovery(), pg_catalog.pg_backend_pid(),
	(SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')`).
		Scan(&s.Version, &s.Shown, &s.Role, &s.Database, &s.Recovery, &pid, &s.Superuser, &s.SeesSessions)
	if err != nil {
		return err
	}
	s.Pooled = pid != int(v.conn.PgConn().PID())
	// Anyone who may not ask goes without.
	_ = v.conn.QueryRow(ctx,
		"SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&s.SystemIdentifier)
	return v.read(ctx, func(tx pgx.Tx) error {
		var err error
		v.pending, err = readPending(ctx, tx, v.options.Plan, v.options.Touches)
		if why := v.options.Unplanned; why != nil {
			v.pending.unplanned = why
			v.pending.unseen = append(v.pending.unseen, "what is pending: "+v.reason(why))
		}
		if why := v.pending.unread; why != nil {
			v.pending.unseen = append(v.pending.unseen, "what the pending statements touch: "+v.reason(why))
		}
		return err
	})
}

// read runs a function in a transaction that cannot write, waits for nothing
// long, and is rolled back.
func (v *visit) read(ctx context.Context, do func(pgx.Tx) error) error {
	tx, err := v.conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
		defer cancel()
		_ = tx.Rollback(ending)
	}()
	if _, err := tx.Exec(ctx,
		`SELECT pg_catalog.set_config('statement_timeout', $1, true), pg_catalog.set_config('lock_timeout', $2, true)`,
		milliseconds(v.options.Settings.Patience), milliseconds(lockPatience)); err != nil {
		return err
	}
	return do(tx)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }

// make runs a check. What it could not read becomes a result that has not passed;
// the error is for a lost connection, and for a caller who gave up.
func (v *visit) make(ctx context.Context, c check) (Result, error) {
	began := time.Now()
	f, err := c.look(ctx, v)
	if err != nil {
		if ctx.Err() != nil || v.conn.IsClosed() {
			return Result{}, v.unreachable(ctx, fmt.Errorf("%s: %w", c.name, err))
		}
		f = finding{unknown: true, message: "could not be looked at: " + v.reason(err), remedy: remedyFor(err)}
	}
	return Result{
		Name: c.name, Passed: f.passed && !f.unknown, Blocking: v.options.blocking(c, f), Unknown: f.unknown,
		Message: f.message, Remedy: f.remedy, Unseen: f.unseen, Details: f.details, Took: time.Since(began),
	}, nil
}

// database names the target for people, without the password.
func (v *visit) database() string {
	c := v.options.Connection
	return c.User + "@" + c.Host + ":" + strconv.Itoa(int(c.Port)) + "/" + c.Database
}

// unreachable is the error of a visit that cannot begin or go on.
func (v *visit) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &whimbrel.Error{Code: whimbrel.CodeInterrupted, Message: "the checks were interrupted",
			Remedy: "run the same command again", Err: err}
	}
	e := &whimbrel.Error{
		Code: whimbrel.CodeConnection, Message: "cannot check " + v.database() + ": " + v.reason(err), Err: err,
		Remedy: "check that the server runs and listens there, and that host, port and user are right",
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		e.SQLState = refused.Code
	}
	return e
}

// reason is what went wrong in the server's or the network's words, without what
// the driver wraps around it and without the password.
func (v *visit) reason(err error) string {
	var refused *pgconn.PgError
	var network *net.OpError
	var own *whimbrel.Error
	text := err.Error()
	switch {
	case errors.As(err, &own):
		text = own.Message
	case errors.As(err, &refused):
		text = refused.Message
	case errors.As(err, &network):
		text = network.Error()
	}
	return v.secrets.Clean(text)
}

func remedyFor(err error) string {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return ""
	}
	switch refused.Code {
	case "42501":
		return "grant the role pg_monitor, and SELECT on the history's tables"
	case "57014":
		return "give it more time by the setting patience"
	}
	return ""
}

// ask collects the rows of a query as values; the columns are named as the fields.
func ask[T any](ctx context.Context, tx pgx.Tx, query string, arguments ...any) ([]T, error) {
	rows, err := tx.Query(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// duration reads a number of seconds from SQL.
func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
