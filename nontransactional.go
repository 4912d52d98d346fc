package whimbrel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/stall"
)

// nonTransactional runs a statement that cannot be in a transaction, and records it in
// one. The journal says beforehand that it begins. A crash in between is cleared up by
// asking the catalog, or by what the server says to a repetition.
type nonTransactional struct{ *execution }

func (r nonTransactional) execute(ctx context.Context) (int64, error) {
	rows, err := r.persist(ctx, stall.NonTransactional, func() (int64, error) { return r.once(ctx) })
	if err != nil {
		return 0, err
	}
	return r.finish(ctx, rows)
}

func (r nonTransactional) once(ctx context.Context) (rows int64, err error) {
	p, s, conn := r.planned, r.step, r.db.conn.PgConn()
	statement := s.Body()[0]
	build, isBuild := pgsql.ReadIndexBuild(statement.Statement)
	isBuild = isBuild && build.Concurrently
	var others string
	if isBuild {
		if valid, err := r.repairIndex(ctx, build); err != nil || valid {
			return 0, err
		}
		if others, err = r.others(ctx, build); err != nil {
			return 0, err
		}
	}
	if pgsql.RebuildsConcurrently(statement.Statement) {
		if s.Started {
			if err := r.dropCopies(ctx); err != nil {
				return 0, err
			}
		}
		if others, err = r.copies(ctx); err != nil {
			return 0, err
		}
	}
	before := r.borrow(p)
	if mayChangeSession(statement) && r.keepsSession(p) {
		before = append(before, r.observe(p, false))
	}
	if _, err := send(ctx, conn, append(append(before, r.opening(p)...), r.journalStep(p, s, "started",
		others))); err != nil {
		return 0, err
	}
	rows, err = r.sendAlone(ctx, statement.Text)
	if finalize, pending := pendingDetach(statement.Text, err); pending {
		rows, err = r.sendAlone(ctx, finalize)
	}
	if err == nil || s.Started && alreadyDone(statement.Command, err) {
		return rows, nil
	}
	r.cleanUp(build, isBuild, err)
	return 0, err
}

// sendAlone sends a statement that no fence protects, if by this machine's
// clock the lease is still ours.
func (r nonTransactional) sendAlone(ctx context.Context, text string) (int64, error) {
	if err := r.lease.held(); err != nil {
		return 0, err
	}
	return send(ctx, r.db.conn.PgConn(), message{{text: text, statement: r.step.Prelude}})
}

// lent are settings of the session that are other while a statement outside a
// transaction runs. Its waiting makes nobody queue who reads or writes, so it may wait
// for its locks as long as it takes; and if we are killed, the server notices and ends
// it. An annotation that sets lock_timeout holds. Behind a pooler there are none: they
// would reach other clients.
func (r *run) lent(p Planned) map[string]string {
	if r.db.facts.behindPool {
		return nil
	}
	values := map[string]string{}
	if !p.setsLockTimeout() {
		values["lock_timeout"] = "0"
	}
	if r.db.facts.Version >= 140000 && strings.Contains(r.db.facts.Platform, "linux") {
		values["client_connection_check_interval"] = "1000"
	}
	return values
}

// wasLent is an expression for what such a setting is in the file's session.
func wasLent(name string) string {
	return fmt.Sprintf("coalesce(nullif(pg_catalog.current_setting('whimbrel.lent_%s', true), ''), "+
		"pg_catalog.current_setting('%[1]s'))", name)
}

// borrow puts them in force, and keeps what they were.
func (r nonTransactional) borrow(p Planned) message {
	var calls []string
	for name, value := range r.lent(p) {
		calls = append(calls, fmt.Sprintf("pg_catalog.set_config('whimbrel.lent_%s', %s, false)", name, wasLent(name)),
			r.setConfig(name, value, false))
	}
	return asSelect(calls)
}

// giveBack undoes borrow, unless the statement itself has put the session back.
func (r *run) giveBack(p Planned) message {
	var calls []string
	for name := range r.lent(p) {
		calls = append(calls, fmt.Sprintf("pg_catalog.set_config('%s', %s, false)", name, wasLent(name)),
			fmt.Sprintf("pg_catalog.set_config('whimbrel.lent_%s', '', false)", name))
	}
	return asSelect(calls)
}

// asSelect makes calls a statement of ours; nothing where there are none.
func asSelect(calls []string) message {
	if len(calls) == 0 {
		return nil
	}
	return message{{text: "SELECT " + strings.Join(calls, ", "), statement: ours}}
}

// cleanUp puts the session back in order after a failed statement, removes the
// invalid index that a failed build leaves, and takes back that the step had
// begun where the server itself said that it came to nothing. It does its best;
// whatever it cannot do, the next attempt does.
func (r nonTransactional) cleanUp(build pgsql.IndexBuild, isBuild bool, failed error) {
	if r.db.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	p, s, conn := r.planned, r.step, r.db.conn.PgConn()
	_, _ = send(ctx, conn, append(r.giveBack(p), piece{text: "SELECT " + r.setApplicationName(), statement: ours}))
	var refused *pgconn.PgError
	if !errors.As(failed, &refused) {
		return // nobody knows what became of it
	}
	if isBuild && r.lease.held() == nil {
		if _, err := r.repairIndex(ctx, build); err != nil {
			return
		}
	}
	if pgsql.RebuildsConcurrently(s.Body()[0].Statement) && r.lease.held() == nil && r.dropCopies(ctx) != nil {
		return // the journal keeps what to look for
	}
	_, _ = send(ctx, conn, append(r.opening(p), r.forgetStep(p, s)))
}

// pendingDetach recognises an ALTER TABLE … DETACH PARTITION … CONCURRENTLY
// that an earlier attempt left half done, and gives the statement that ends it.
// See "DETACH PARTITION" in PostgreSQL's documentation of ALTER TABLE.
func pendingDetach(text string, err error) (finalize string, pending bool) {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "55000" {
		return "", false
	}
	return pgsql.FinalizeDetach(text)
}

// alreadyDone reports whether the server refuses a repetition because the
// first time had worked: what is to be made is there, what is to be removed is
// not. It is only asked after a crash that left the outcome unknown.
func alreadyDone(command string, err error) bool {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return false
	}
	const (
		undefinedTable    = "42P01" // also: is not a partition of that table
		undefinedObject   = "42704"
		undefinedDatabase = "3D000"
		duplicateDatabase = "42P04"
		duplicateObject   = "42710"
	)
	expected := map[string]string{
		"CREATE DATABASE": duplicateDatabase, "DROP DATABASE": undefinedDatabase,
		"CREATE TABLESPACE": duplicateObject, "DROP TABLESPACE": undefinedObject,
		"CREATE SUBSCRIPTION": duplicateObject, "DROP SUBSCRIPTION": undefinedObject,
		"DROP INDEX CONCURRENTLY": undefinedObject, "ALTER TABLE": undefinedTable,
	}
	return expected[command] == refused.Code
}
