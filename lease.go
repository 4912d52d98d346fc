package whimbrel

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// lease is the right to change the schema. It is a row that one runner holds
// by compare-and-set under the server's clock, with a token that grows by one
// with every holder.
//
// Three things keep two runners apart. The fence: every transaction of ours
// first proves the token and holds the row FOR KEY SHARE until it ends, while
// taking over asks FOR UPDATE, so nobody enters beside a living transaction.
// Retirement: anyone who takes over a lease that was not given back ends the
// sessions of older tokens, which covers what cannot run in a transaction. And
// the holder's own clock: what it has not been able to renew, it gives up
// before it runs out.
//
// There is no session state in it: it holds behind a pooler in transaction mode.
type lease struct {
	migrator *Migrator
	tables   tables
	cancel   context.CancelCauseFunc // ends all work under the lease

	mutex   sync.Mutex
	token   int64     // grows when the run has to reconnect
	renewed time.Time // by this machine's clock, when the last renewal was sent
	lost    bool      // known to be somebody else's
	keepRow bool      // never to be given back: an earlier session may be at work
	giving  bool      // the release is on its way, behind the last migration
	given   bool      // it has been given back

	// unchanged is set where nobody has held the lease since before the
	// history was read: then the history is still what was read.
	unchanged bool
	// waited is how long it was waited for while somebody else held it.
	waited time.Duration

	stop context.CancelFunc // ends renewing
	done sync.WaitGroup
}

// renewals per lease duration.
const renewals = 3

// takeQuery takes the lease if it is free, run out, or its holder's session is
// gone. FOR UPDATE SKIP LOCKED never waits, and finds nothing while a fenced
// transaction of the holder is alive.
const takeQuery = `
WITH free AS (
	SELECT l.id, l.is_locked, l.locked_by, l.host, l.tool_version, l.token, l.locked_at, l.expires_at, l.backend_pid,
		coalesce(l.expires_at, l.locked_at + interval '30 seconds', '-infinity') < pg_catalog.clock_timestamp() AS expired
	FROM %[1]s l
	WHERE l.id = 1 AND l.schema_version = %[2]d AND (NOT l.is_locked
		OR coalesce(l.expires_at, l.locked_at + interval '30 seconds', '-infinity') < pg_catalog.clock_timestamp()
		OR (l.backend_pid IS NOT NULL AND NOT EXISTS (
			SELECT FROM pg_catalog.pg_stat_activity a WHERE a.pid = l.backend_pid
			AND (a.backend_start IS NULL OR l.backend_start IS NULL OR a.backend_start = l.backend_start))))
	FOR UPDATE OF l SKIP LOCKED
), taken AS (
	UPDATE %[1]s l SET is_locked = true, locked_at = pg_catalog.clock_timestamp(), locked_by = $1, host = $2, os_user = $3, tool_version = $4,
		token = l.token + 1, expires_at = pg_catalog.clock_timestamp() + $5::bigint * interval '1 millisecond',
		backend_pid = CASE WHEN $6 THEN pg_catalog.pg_backend_pid() END,
		backend_start = CASE WHEN $6 THEN (SELECT a.backend_start FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_catalog.pg_backend_pid()) END
	FROM free WHERE l.id = free.id
	RETURNING l.token
), killed AS (%[3]s)
SELECT taken.token, free.is_locked, coalesce(free.locked_by, ''), coalesce(free.host, ''), free.token,
	free.locked_at::timestamptz, free.expires_at, coalesce(free.backend_pid, 0), free.expired,
	pg_catalog.set_config('application_name', $7 || taken.token, false)
FROM taken, free`

// logKilled writes the line of the log about a run that did not give its lease back, in
// the statement that takes the lease from it, so that there is exactly one, no matter who
// competes. What the run was at, the journal knows, if it was a chain; what the run has
// recorded is done. A run that has logged its failure has said all by itself.
func logKilled(t tables, reason string) string {
	return fmt.Sprintf(`
	INSERT INTO %[1]s (action, outcome, version, name, error, run_by, role, host, tool_version, token)
	SELECT coalesce(at.direction, 'run'), 'killed', at.version, at.name, 'the run ended without giving its lease back: ' || %[3]s ||
			coalesce('; step ' || at.number || CASE WHEN at.state = 'done' THEN ' was done' ELSE ' was begun' END, '; nothing of it is half done'),
		free.locked_by, '', free.host, free.tool_version, free.token
	FROM free LEFT JOIN LATERAL (
		SELECT j.direction, j.version, j.name, j.state, CASE WHEN j.step >= %[4]d THEN j.step / %[4]d ELSE j.step END AS number FROM %[2]s j
		WHERE j.token = free.token OR j.run_by = free.locked_by AND j.started_at >= free.locked_at
		ORDER BY number DESC, j.state LIMIT 1) at ON true
	WHERE free.is_locked AND NOT EXISTS (SELECT FROM %[1]s l WHERE l.token = free.token AND l.outcome <> 'done')`,
		t.log, t.journal, reason, partsOfSteps)
}

// take waits for the lease, at most as long as the configuration allows, and
// then keeps it until release. The context that it gives back ends, with
// CodeLeaseLost as its cause, when the lease cannot be kept. Our tables are
// there afterwards.
func (m *Migrator) take(ctx context.Context, db *database) (*lease, context.Context, error) {
	began := time.Now()
	var shown Holder
	var told time.Time
	for attempt := 1; ; attempt++ {
		sent := time.Now()
		token, previous, err := m.tryTake(ctx, db)
		if err != nil {
			return nil, nil, m.serverError(ctx, "taking the lease", err)
		}
		if token != 0 {
			l, leased, err := m.begin(ctx, db, token, previous, sent)
			if err == nil {
				l.unchanged = previous == nil && db.free != nil && token == *db.free+1
				if attempt > 1 {
					l.waited = time.Since(began)
				}
				taken := LeaseTaken{Token: token, Waited: time.Since(began), TakenFrom: previous}
				if previous != nil {
					taken.Recorded, taken.Last = m.recordedBy(leased, db, *previous)
				}
				m.emit(taken)
			}
			return l, leased, err
		}
		holder, err := m.holder(ctx, db)
		if err == nil && holder == nil { // given back this moment, or the row was deleted, or is of another version
			holder, err = &Holder{By: "another runner", State: "alive"}, m.lookAgain(ctx, db)
		}
		if err != nil {
			return nil, nil, m.serverError(ctx, "reading the lease", err)
		}
		if holder.Token != 0 && (holder.Token != shown.Token || holder.State != shown.State ||
			time.Since(told) > 5*time.Second) {
			shown, told = *holder, time.Now()
			m.emit(LeaseWaiting{Holder: *holder, Waited: time.Since(began)})
		}
		if m.config.LockWait < 0 || time.Since(began) > m.config.LockWait {
			return nil, nil, leaseHeld(holder, time.Since(began))
		}
		if holder.State == "expired" {
			m.endSilent(ctx, db, *holder)
		}
		if m.stopping() {
			return nil, nil, interrupted()
		}
		if err := pause.For(ctx, min(pause.Backoff(attempt), 500*time.Millisecond)); err != nil {
			return nil, nil, m.serverError(ctx, "waiting for the lease", err)
		}
	}
}

// recordedBy finds out what a run that did not give its lease back has recorded, by the
// log. It does its best: the log is not what decides.
func (m *Migrator) recordedBy(ctx context.Context, db *database, run Holder) (count int, last *Ref) {
	rows, err := db.conn.Query(ctx, "SELECT version, coalesce(name, ''), action FROM "+db.tables.log+
		" WHERE run_by = $1 AND at >= $2 AND outcome = 'done' AND version IS NOT NULL ORDER BY id", run.By, run.Since)
	if err != nil {
		return 0, nil
	}
	var r Ref
	_, err = pgx.ForEachRow(rows, []any{&r.Version, &r.Name, &r.Direction}, func() error {
		count++
		return nil
	})
	if err != nil || count == 0 {
		return 0, nil
	}
	if r.Direction != Down {
		r.Direction = Up
	}
	return count, &r
}

// tryTake asks for the lease once. In the same round trip it creates our tables
// where none is there, and prepares what runs with every migration.
func (m *Migrator) tryTake(ctx context.Context, db *database) (token int64, previous *Holder, err error) {
	batch, who := &pgx.Batch{}, m.identity
	if len(db.relations) > 0 {
		if err := m.prepare(ctx, db); errors.Is(err, CodeLeaseHeld) {
			return 0, nil, nil
		} else if err != nil {
			return 0, nil, err
		}
	}
	creating := !db.ready
	if creating {
		for _, statement := range m.createTables(db) {
			batch.Queue(statement)
		}
	}
	before := batch.Len()
	killed := logKilled(db.tables, "CASE WHEN free.expired THEN 'its time had run out' ELSE 'its session was gone' END")
	batch.Queue(fmt.Sprintf(takeQuery, db.tables.lock, schemaVersion, killed),
		clip(who.String()), clip(who.host), clip(who.user), clip(who.tool), m.config.LeaseDuration.Milliseconds(),
		!db.facts.behindPool, applicationPrefix(db.tables))
	if !db.prepared {
		for _, statement := range m.preparation(db) {
			batch.Queue(statement)
		}
	}
	results := db.conn.SendBatch(ctx, batch)
	for range before {
		_, _ = results.Exec() // an error stays, and comes again below
	}
	token, previous, err = scanTaken(results.QueryRow())
	if closing := results.Close(); err == nil {
		err = closing
	}
	var refused *pgconn.PgError
	if creating && errors.As(err, &refused) { // which waits for others, or says what is wrong
		if err := m.prepare(ctx, db); !errors.Is(err, CodeLeaseHeld) {
			return 0, nil, err
		}
		return 0, nil, nil
	}
	if notNow(err) {
		return 0, nil, nil
	}
	if err == nil {
		db.ready, db.prepared = true, true
		m.createdSchema(db)
	}
	return token, previous, err
}

// scanTaken reads the answer of takeQuery: no token where the lease is held.
func scanTaken(row pgx.Row) (token int64, previous *Holder, err error) {
	var held, expired bool
	var holder Holder
	var since, expires pgtype.Timestamptz // which an operator may have set to infinity
	var name string
	err = row.Scan(&token, &held, &holder.By, &holder.Host, &holder.Token, &since, &expires, &holder.PID, &expired, &name)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil, nil
	}
	if err != nil || !held {
		return token, nil, err
	}
	holder.State = "gone"
	if expired {
		holder.State = "expired"
	}
	holder.Since, holder.Expires = since.Time, expires.Time
	return token, &holder, nil
}

// endSilent ends the session of a holder whose lease has run out and whose
// transaction has been waiting for its client, and for nothing else, for as
// long as a lease. The server's own timeout for that does not count inside a
// pipeline. Where the role may not, the transaction ends when the server finds
// out by itself that the client is gone.
func (m *Migrator) endSilent(ctx context.Context, db *database, holder Holder) {
	_, _ = db.conn.Exec(ctx, `SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a
		JOIN `+db.tables.lock+` l ON a.pid = l.backend_pid AND a.backend_start = l.backend_start
		WHERE l.id = 1 AND l.is_locked AND l.token = $1 AND l.expires_at < pg_catalog.clock_timestamp()
		AND a.state <> 'idle' AND a.wait_event = 'ClientRead'
		AND greatest(a.state_change, a.query_start) < l.expires_at`, holder.Token)
}

// lookAgain finds out why a lease that nobody holds could not be taken: its row may be
// gone, or the tables of another version by now. The next attempt completes them, but
// newer ones are left alone.
func (m *Migrator) lookAgain(ctx context.Context, db *database) error {
	if err := db.describe(ctx); err != nil {
		return err
	}
	db.ready = db.version == schemaVersion
	return db.newer()
}

// notNow reports a failure that only says that somebody else was quicker, as
// it happens where the role's isolation level is higher than the usual one.
func notNow(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "40001"
}

// begin makes a token that was just taken into a lease that renews itself.
func (m *Migrator) begin(ctx context.Context, db *database, token int64, previous *Holder,
	sent time.Time) (*lease, context.Context, error) {
	leased, cancel := context.WithCancelCause(ctx)
	renewing, stop := context.WithCancel(dial.LetFinish(leased))
	l := &lease{migrator: m, tables: db.tables, token: token, cancel: cancel, renewed: sent, stop: stop}
	l.done.Go(func() { l.keep(renewing) })
	if previous != nil {
		if err := m.retire(leased, db, token); err != nil {
			// The row stays as it is, so that anyone who comes next retires too.
			l.keepRow = true
			l.release(db)
			return nil, nil, err
		}
	}
	return l, leased, nil
}

// keep renews the lease from a connection of its own until release is called,
// and ends the run when it cannot.
func (l *lease) keep(ctx context.Context) {
	var conn *pgx.Conn
	defer func() { dial.Close(conn) }()
	duration := l.migrator.config.LeaseDuration
	var failed error // of the last renewal, if it did not work
	for wait := duration / renewals; pause.For(ctx, wait) == nil; {
		wait = duration / renewals
		if l.held() == nil {
			if failed = l.renew(ctx, &conn); failed != nil {
				wait = duration / (renewals * 10)
			}
		}
		// No renewal worked, or this process stood still, be it while one was on its way.
		if errors.Is(failed, CodeLeaseLost) || l.held() != nil {
			l.lose(failed)
			return
		}
	}
}

// renew sends one renewal, over a connection that it opens where there is none. It
// is too late for one when the lease has run out by the server's clock, even where
// nobody has taken it yet: who slept through that goes no further.
func (l *lease) renew(ctx context.Context, conn **pgx.Conn) error {
	ctx, cancel := context.WithDeadline(ctx, l.deadline())
	defer cancel()
	if *conn == nil || (*conn).IsClosed() {
		opened, err := l.migrator.aside(ctx)
		if err != nil {
			return err
		}
		*conn = opened
	}
	sent, token := time.Now(), l.current()
	tag, err := (*conn).Exec(ctx, "UPDATE "+l.tables.lock+" SET expires_at = pg_catalog.clock_timestamp() + $2::bigint "+
		"* interval '1 millisecond' WHERE id = 1 AND is_locked AND token = $1 AND expires_at > pg_catalog.clock_timestamp()",
		token, l.migrator.config.LeaseDuration.Milliseconds())
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		if token != l.current() || l.beingGiven() {
			return nil // the run has reconnected meanwhile, or has come to its end
		}
		return CodeLeaseLost
	}
	l.mutex.Lock()
	l.renewed = sent
	l.mutex.Unlock()
	return nil
}

// releaseQuery gives the lease with token %d back.
const releaseQuery = "UPDATE %s SET is_locked = false, locked_by = NULL, expires_at = NULL, backend_pid = NULL, " +
	"backend_start = NULL WHERE id = 1 AND token = %d"

// give says that the release is on its way; what became of it is told by gave.
func (l *lease) give() message {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.giving = true
	return message{{text: fmt.Sprintf(releaseQuery, l.tables.lock, l.token), statement: ours}}
}

func (l *lease) gave(done bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.giving, l.given = false, done
}

func (l *lease) beingGiven() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.giving || l.given
}

// current is the lease's token.
func (l *lease) current() int64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.token
}

// session is what the sessions that work under the lease are called.
func (l *lease) session() string {
	return applicationPrefix(l.tables) + strconv.FormatInt(l.current(), 10)
}

// lose ends the run because the lease is lost or could not be kept.
func (l *lease) lose(cause error) {
	l.mutex.Lock()
	l.lost = true
	l.mutex.Unlock()
	lost := leaseLost(l.current(), cause)
	if cause != nil && !errors.Is(cause, CodeLeaseLost) {
		lost.Message = fmt.Sprintf("the lease (token %d) could not be renewed in time, so this runner changes nothing "+
			"more: %s", l.current(), l.migrator.redact(rootCause(cause)))
	}
	l.cancel(lost)
}

// deadline is when the holder must have stopped: a fifth before the lease runs
// out by the server's clock, counted from when the renewal was sent.
func (l *lease) deadline() time.Time {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.renewed.Add(l.migrator.config.LeaseDuration * 4 / 5)
}

// held reports, by this machine's clock alone, whether the lease can still be
// ours. It is asked right before what the fence cannot protect, and before
// anything else is sent, so that a process that slept does nothing more, however
// late keep comes to know of it. The wall clock is asked too, because the other one
// may stand still while a machine sleeps.
func (l *lease) held() error {
	deadline := l.deadline()
	l.mutex.Lock()
	lost := l.lost
	l.mutex.Unlock()
	if lost || time.Now().After(deadline) || time.Now().Round(0).After(deadline.Round(0)) {
		return leaseLost(l.current(), nil)
	}
	return nil
}

// release gives the lease back and stops renewing. If the server cannot be
// reached, the lease runs out, or is taken at once since our session is gone.
func (l *lease) release(db *database) {
	l.stop()
	l.done.Wait()
	l.cancel(nil)
	if l.keepRow || l.given || db.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelPatience)
	defer cancel()
	_, _ = db.conn.Exec(ctx, fmt.Sprintf(releaseQuery, l.tables.lock, l.current()))
}

// revoke gives the lease back before the work on its way is over: what is
// inside a transaction proved the lease and goes on to its end, and nobody
// enters beside it; what has not begun fails at its fence.
func (l *lease) revoke(ctx context.Context) {
	l.stop()
	ctx = dial.LetFinish(ctx)
	conn, err := l.migrator.aside(ctx)
	if err != nil {
		return // then everything that was sent is done before the run ends
	}
	defer dial.Close(conn)
	_, _ = conn.Exec(ctx, "UPDATE "+l.tables.lock+" SET is_locked = false WHERE id = 1 AND token = $1", l.current())
}

// rejoin takes the lease from itself after the run had to reconnect: a token
// one higher, and the new session in the row. Like any taking it passes no
// living transaction, and whatever the lost session has not begun fails at its
// fence from then on. It fails when the lease is no longer this runner's, or has
// run out.
func (l *lease) rejoin(ctx context.Context, db *database) error {
	l.keepRow = true // until the lost session is known to be over
	for attempt := 1; ; attempt++ {
		if err := l.migrator.end(ctx, db, l.current()+1); err != nil {
			return err
		}
		sent := time.Now()
		var token int64
		var name string
		err := db.conn.QueryRow(ctx, fmt.Sprintf(`
WITH own AS (SELECT id FROM %[1]s WHERE id = 1 AND (is_locked AND expires_at > pg_catalog.clock_timestamp() OR NOT is_locked AND $5) AND token = $1 FOR UPDATE SKIP LOCKED)
UPDATE %[1]s l SET token = l.token + 1, is_locked = true, expires_at = pg_catalog.clock_timestamp() + $4::bigint * interval '1 millisecond',
	backend_pid = CASE WHEN $2 THEN pg_catalog.pg_backend_pid() END,
	backend_start = CASE WHEN $2 THEN (SELECT a.backend_start FROM pg_catalog.pg_stat_activity a WHERE a.pid = pg_catalog.pg_backend_pid()) END
FROM own WHERE l.id = own.id RETURNING l.token, pg_catalog.set_config('application_name', $3 || l.token, false)`,
			l.tables.lock),
			l.current(), !db.facts.behindPool, applicationPrefix(db.tables), l.migrator.config.LeaseDuration.Milliseconds(),
			l.beingGiven()).Scan(&token, &name)
		if err == nil {
			l.mutex.Lock()
			l.token, l.renewed, l.giving = token, sent, false
			l.mutex.Unlock()
			break
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		holder, err := l.migrator.holder(ctx, db)
		if err != nil {
			return err
		}
		if holder == nil && !l.beingGiven() || holder != nil && holder.Token != l.current() {
			return leaseLost(l.current(), nil)
		}
		// keep ends it, at the latest
		if err := pause.For(ctx, min(pause.Backoff(attempt), 500*time.Millisecond)); err != nil {
			return err
		}
	}
	if err := l.migrator.retire(ctx, db, l.current()); err != nil {
		return err
	}
	l.keepRow = false
	return nil
}

// retire makes sure that no session of an older token is still at work: it
// asks the server to end them and waits until they are gone.
func (m *Migrator) retire(ctx context.Context, db *database, token int64) error {
	deadline := time.Now().Add(max(m.config.LockWait, cancelPatience))
	for attempt := 1; ; attempt++ {
		older, err := m.olderSessions(ctx, db, token)
		if err != nil {
			return m.serverError(ctx, "looking for sessions of an earlier runner", err)
		}
		if len(older) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return &Error{
				Code: CodeLeaseHeld, Message: fmt.Sprintf("an earlier runner's session (backend pid %d) is still at work and "+
					"could not be ended", older[0]),
				Remedy: fmt.Sprintf("end it with SELECT pg_terminate_backend(%d) as a role that may, then run the command again",
					older[0]),
			}
		}
		if err := m.end(ctx, db, token); err != nil {
			return m.serverError(ctx, "ending an earlier runner's session", err)
		}
		if err := pause.For(ctx, pause.Backoff(attempt)); err != nil {
			return m.serverError(ctx, "waiting for an earlier runner's session to end", err)
		}
	}
}

// end asks the server to end the sessions of older tokens. A role that may not
// do that just waits until they end by themselves.
func (m *Migrator) end(ctx context.Context, db *database, token int64) error {
	older, err := m.olderSessions(ctx, db, token)
	if err != nil || len(older) == 0 {
		return err
	}
	var refused *pgconn.PgError
	// The name is asked for again: behind a pooler the session may be another client's by now.
	if _, err = db.conn.Exec(ctx, `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
		WHERE pid = ANY ($1) AND pg_catalog.starts_with(application_name, $2)`, older,
		applicationPrefix(db.tables)); errors.As(err, &refused) {
		return nil
	}
	return err
}

func (m *Migrator) olderSessions(ctx context.Context, db *database, token int64) ([]int, error) {
	prefix := applicationPrefix(db.tables)
	rows, err := db.conn.Query(ctx, `SELECT pid, application_name FROM pg_catalog.pg_stat_activity
		WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() AND pg_catalog.starts_with(application_name, $1)`, prefix)
	if err != nil {
		return nil, err
	}
	var older []int
	var pid int
	var name string
	_, err = pgx.ForEachRow(rows, []any{&pid, &name}, func() error {
		if theirs, err := strconv.ParseInt(strings.TrimPrefix(name, prefix), 10, 64); err == nil && theirs < token {
			older = append(older, pid)
		}
		return nil
	})
	return older, err
}

// applicationPrefix begins the application_name of every session that works
// under a lease; the token follows. The hash tells apart the leases of several
// histories in one database.
func applicationPrefix(t tables) string {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(t.lock))
	return fmt.Sprintf("whimbrel/%08x/", sum.Sum32())
}

// holder reads who holds the lease; nil when it is free.
func (m *Migrator) holder(ctx context.Context, db *database) (*Holder, error) {
	_, _, lock := companions(db.tables.name)
	if r := db.relations[lock]; !db.ready && (r == nil || !r.has("is_locked")) {
		return nil, nil
	}
	var h Holder
	var since, expires pgtype.Timestamptz // which an operator may have set to infinity
	column := db.relations[lock].column
	err := db.conn.QueryRow(ctx, `
SELECT coalesce(l.locked_by, ''), coalesce(l.host, ''), coalesce(l.os_user, ''), coalesce(l.tool_version, ''), coalesce(l.token, 0),
	l.locked_at::timestamptz, coalesce(l.expires_at, l.locked_at + interval '30 seconds'), coalesce(l.backend_pid, 0),
	coalesce(pg_catalog.left(a.query, 200), ''),
	CASE WHEN l.backend_pid IS NOT NULL AND a.pid IS NULL THEN 'gone'
		WHEN coalesce(l.expires_at, l.locked_at + interval '30 seconds', '-infinity') < pg_catalog.clock_timestamp() THEN 'expired' ELSE 'alive' END
FROM (SELECT id, is_locked, locked_at, locked_by, `+strings.Join([]string{
		column("token", "NULL::bigint AS token"), column("expires_at", "NULL::timestamptz AS expires_at"),
		column("backend_pid", "NULL::integer AS backend_pid"),
		column("backend_start", "NULL::timestamptz AS backend_start"), column("host", "NULL AS host"), column("os_user",
			"NULL AS os_user"), column("tool_version", "NULL AS tool_version"),
	}, ", ")+` FROM `+db.tables.lock+`) l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.backend_pid
	AND (a.backend_start IS NULL OR l.backend_start IS NULL OR a.backend_start = l.backend_start)
WHERE l.id = 1 AND l.is_locked`).Scan(&h.By, &h.Host, &h.User, &h.Tool, &h.Token, &since, &expires, &h.PID,
		&h.Activity, &h.State)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	h.Since, h.Expires = since.Time, expires.Time
	h.Activity = m.redact(h.Activity)
	return &h, err
}

// Lock tells who holds the lease; nil when it is free. It only reads.
func (m *Migrator) Lock(ctx context.Context) (*Holder, error) {
	db, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer db.close()
	holder, err := m.holder(ctx, db)
	if err != nil {
		return nil, m.serverError(ctx, "reading the lease", err)
	}
	return holder, nil
}

// ReleaseLock takes the lease away from the runner that holds it with the given
// token, ends its session, and gives the lease back. A runner that is alive
// after all changes nothing more from then on. The token is asked for so that
// nobody frees a lease other than the one that was looked at.
func (m *Migrator) ReleaseLock(ctx context.Context, token int64) error {
	db, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer db.close()
	if err := db.newer(); err != nil {
		return err
	}
	held, err := m.holder(ctx, db)
	if err != nil {
		return m.serverError(ctx, "reading the lease", err)
	}
	if held == nil || held.Token != token {
		return notHeldWith(token)
	}
	taken, err := m.takeAway(ctx, db, *held)
	if err != nil || taken == 0 {
		return err
	}
	if err := m.retire(ctx, db, taken); err != nil {
		return err // the row stays as it is, so that anyone who comes next retires too
	}
	_, err = db.conn.Exec(ctx, fmt.Sprintf(releaseQuery, db.tables.lock, taken))
	if err != nil {
		return m.serverError(ctx, "releasing the lease", err)
	}
	return nil
}

// takeAway makes this session the holder of a lease that another runner holds,
// and gives the new token; 0 where the runner gave the lease back by itself. It
// ends the runner's session as often as it takes: a runner that lives connects
// again, and has a new token then. To be quicker than that runner it does not ask
// for the row again and again, but is in line for it.
func (m *Migrator) takeAway(ctx context.Context, db *database, held Holder) (token int64, err error) {
	for {
		if err := m.end(ctx, db, held.Token+1); err != nil {
			return 0, m.serverError(ctx, "ending the runner's session", err)
		}
		token, err := m.seize(ctx, db, held.Token)
		if err != nil || token != 0 {
			return token, err
		}
		now, err := m.holder(ctx, db)
		if err != nil {
			return 0, m.serverError(ctx, "reading the lease", err)
		}
		if now == nil {
			return 0, nil
		}
		if now.By != held.By {
			return 0, notHeldWith(held.Token)
		}
		held = *now
	}
}

// seizePatience is how long to stand in line behind a transaction of the runner.
const seizePatience = 100 * time.Millisecond

// seize waits until no transaction of the runner is left, and takes the lease from
// its token; 0 where that takes too long or the token is another one by now.
func (m *Migrator) seize(ctx context.Context, db *database, from int64) (token int64, err error) {
	err = pgx.BeginFunc(ctx, db.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, true)",
			strconv.FormatInt(seizePatience.Milliseconds(), 10)); err != nil {
			return err
		}
		return tx.QueryRow(ctx, fmt.Sprintf(`
WITH free AS (SELECT * FROM %[1]s WHERE id = 1 AND is_locked AND token = $1 FOR UPDATE), killed AS (%[2]s)
UPDATE %[1]s l SET token = l.token + 1, locked_by = $2, expires_at = pg_catalog.clock_timestamp() + $4::bigint * interval '1 millisecond',
	backend_pid = CASE WHEN $3 THEN pg_catalog.pg_backend_pid() END, backend_start = NULL
FROM free WHERE l.id = free.id RETURNING l.token`, db.tables.lock, logKilled(db.tables, "'it was taken away'")),
			from, clip(m.identity.String()), !db.facts.behindPool, m.config.LeaseDuration.Milliseconds()).Scan(&token)
	})
	var refused *pgconn.PgError
	// it was in use all the time
	if errors.Is(err, pgx.ErrNoRows) || notNow(err) || errors.As(err, &refused) && refused.Code == "55P03" {
		return 0, nil
	}
	if err != nil {
		return 0, m.serverError(ctx, "taking the lease away", err)
	}
	return token, nil
}

func notHeldWith(token int64) error {
	return &Error{
		Code: CodeLeaseHeld, Message: fmt.Sprintf("the lease is not held with token %d any more", token),
		Remedy: "look at it again with Migrator.Lock",
	}
}

func leaseHeld(h *Holder, waited time.Duration) error {
	return &Error{
		Code: CodeLeaseHeld,
		Message: fmt.Sprintf("%s has held the lease since %s (%s, backend pid %d); waited %s", h.By,
			h.Since.UTC().Format(time.RFC3339), h.State, h.PID, waited.Round(time.Millisecond)),
		Remedy: "wait for it to end, raise Config.LockWait, or look with Migrator.Lock",
	}
}

func leaseLost(token int64, cause error) *Error {
	return &Error{
		Code: CodeLeaseLost, Message: fmt.Sprintf(
			"the lease (token %d) is no longer this runner's, so it changes nothing more", token),
		Remedy: "run the same command again: it goes on where this one stopped", Err: cause,
	}
}

// interrupted is an orderly end between two migrations, or two steps.
func interrupted() *Error {
	return &Error{
		Code: CodeInterrupted, Message: "interrupted before the next step",
		Remedy: "run the same command again: it goes on where this one stopped",
	}
}

// clip keeps a text within the 255 characters of our columns.
func clip(text string) string {
	if runes := []rune(text); len(runes) > 255 {
		return string(runes[:255])
	}
	return text
}
