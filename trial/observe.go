package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
)

// observerSchema holds what the tester needs in its database.
const observerSchema = "whimbrel_trial"

// Locks and scans are looked at in two ways. A trigger on the history table and
// the journal runs inside each of the engine's transactions, right before its
// end, when every lock that the migration took is still held: what it writes
// down is complete. From a second connection, pg_locks is looked at every few
// milliseconds: that tells since when a lock is held, and what statements
// outside a transaction want, which wait at a gate until they were seen.
const observerSQL = `
CREATE SCHEMA ` + observerSchema + `;
CREATE TABLE ` + observerSchema + `.observations (
	id bigint GENERATED ALWAYS AS IDENTITY, pid integer, began timestamptz, at timestamptz, locks jsonb, scans jsonb
);
CREATE FUNCTION ` + observerSchema +
	`.observe() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO ` + observerSchema +
	`.observations (pid, began, at, locks, scans) SELECT pg_backend_pid(), transaction_timestamp(), clock_timestamp(),
		coalesce((SELECT jsonb_agg(jsonb_build_object('relation', l.relation::bigint, 'mode', l.mode)) FROM pg_locks l
			WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384
			AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())), '[]'),
		coalesce((SELECT jsonb_agg(jsonb_build_object('relation', s.relid::bigint, 'scans', s.seq_scan, 'rows', s.seq_tup_read))
			FROM pg_stat_xact_user_tables s WHERE s.seq_scan > 0), '[]');
	RETURN NULL;
END $$`

// installObserver puts the triggers in place. The history and its companions must exist.
func installObserver(ctx context.Context, conn *pgx.Conn, history pgx.Identifier) error {
	journal := slices.Clone(history)
	journal[len(journal)-1] += "_journal"
	sql := observerSQL
	for _, table := range []pgx.Identifier{history, journal} {
		sql += fmt.Sprintf(`;
CREATE TRIGGER whimbrel_trial AFTER INSERT OR UPDATE OR DELETE ON %[1]s FOR EACH STATEMENT EXECUTE FUNCTION %[2]s.observe();
ALTER TABLE %[1]s ENABLE ALWAYS TRIGGER whimbrel_trial`, table.Sanitize(), observerSchema)
	}
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// observation is what the trigger saw at the end of one transaction.
type observation struct {
	PID       int
	Began, At time.Time
	Locks     []heldLock
	Scans     []scanned
}

type heldLock struct {
	Relation uint32 `json:"relation"`
	Mode     string `json:"mode"` // as pg_locks writes it: AccessExclusiveLock
}

type scanned struct {
	Relation uint32 `json:"relation"`
	Scans    int64  `json:"scans"`
	Rows     int64  `json:"rows"`
}

// takeObservations reads what the trigger wrote down and forgets it.
func takeObservations(ctx context.Context, conn *pgx.Conn) ([]observation, error) {
	rows, err := conn.Query(ctx, "WITH taken AS (DELETE FROM "+observerSchema+
		".observations RETURNING *) SELECT pid, began, at, locks::text, scans::text FROM taken ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (observation, error) {
		var o observation
		var locks, scans string
		if err := row.Scan(&o.PID, &o.Began, &o.At, &locks, &scans); err != nil {
			return o, err
		}
		return o, errors.Join(json.Unmarshal([]byte(locks), &o.Locks), json.Unmarshal([]byte(scans), &o.Scans))
	})
}

// relations are the tables of a database at one moment, by oid.
type relations map[uint32]relation

type relation struct {
	name, kind  string
	file        uint32
	scans, rows int64 // since ever, of a table that was read as a whole
}

// readRelations gives all tables but the tester's and the engine's.
func readRelations(ctx context.Context, conn *pgx.Conn, own []string) (relations, error) {
	rows, err := conn.Query(ctx,
		`SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind::text, c.relfilenode,
	coalesce(pg_stat_get_numscans(c.oid), 0), coalesce(pg_stat_get_tuples_returned(c.oid), 0)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND c.oid >= 16384 AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '`+observerSchema+`')
AND quote_ident(n.nspname) || '.' || quote_ident(c.relname) <> ALL ($1)`, own)
	if err != nil {
		return nil, err
	}
	all := relations{}
	var oid uint32
	var r relation
	_, err = pgx.ForEachRow(rows, []any{&oid, &r.name, &r.kind, &r.file, &r.scans, &r.rows}, func() error {
		all[oid] = r
		return nil
	})
	return all, err
}

// sample is what was locked at one moment.
type sample struct {
	at      time.Time
	locks   map[sessionLock]bool // those that are waited for among them
	waiting bool                 // somebody waits for one
}

type sessionLock struct {
	pid int
	heldLock
}

// tick is how often the second connection looks.
const tick = 5 * time.Millisecond

// sampler looks at the locks of the engine's sessions while a run goes on.
type sampler struct {
	conn    *pgx.Conn
	gate    *gate
	samples []sample
	failed  error
	closely atomic.Bool // without a pause: a statement outside a transaction can be short
	wake    chan struct{}
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// startSampler begins to look. finish must be called before conn is used again.
func startSampler(ctx context.Context, conn *pgx.Conn, g *gate) *sampler {
	looking, stop := context.WithCancel(ctx)
	s := &sampler{conn: conn, gate: g, wake: make(chan struct{}, 1), stop: stop}
	s.done.Go(func() { s.run(ctx, looking) })
	return s
}

func (s *sampler) finish(ctx context.Context) ([]sample, error) {
	s.stop()
	s.done.Wait()
	return s.samples, errors.Join(s.failed, s.gate.open(ctx))
}

func (s *sampler) run(ctx, looking context.Context) {
	pause := time.NewTimer(tick)
	defer pause.Stop()
	for looking.Err() == nil {
		one, err := look(ctx, s.conn)
		if err != nil {
			s.failed = err
			return
		}
		s.samples = append(s.samples, one)
		if one.waiting {
			if s.failed = s.gate.open(ctx); s.failed != nil {
				return
			}
		}
		if s.closely.Load() {
			continue
		}
		pause.Reset(tick)
		select {
		case <-looking.Done():
		case <-s.wake:
		case <-pause.C:
		}
	}
}

// hear is called with the engine's events, before what they announce.
func (s *sampler) hear(ctx context.Context, record whimbrel.Record) {
	switch event := record.Event.(type) {
	case whimbrel.StepStarted:
		if event.StepKind != whimbrel.StepAlone {
			return
		}
		s.gate.close(ctx)
		s.closely.Store(true)
		select {
		case s.wake <- struct{}{}:
		default: // it was woken already
		}
	case whimbrel.StepFinished, whimbrel.MigrationFinished, whimbrel.Failed:
		s.closely.Store(false)
		_ = s.gate.open(ctx) // finish tries again, and says what is wrong
	}
}

func look(ctx context.Context, conn *pgx.Conn) (sample, error) {
	one := sample{locks: map[sessionLock]bool{}}
	rows, err := conn.Query(ctx,
		`SELECT clock_timestamp(), l.pid, l.relation, l.mode, NOT coalesce(l.granted, true) FROM (SELECT 1) one LEFT JOIN (
	SELECT l.pid, l.relation, l.mode, l.granted FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
	WHERE (l.locktype = 'relation' AND l.relation >= 16384 OR NOT l.granted)
	AND a.datname = current_database() AND starts_with(a.application_name, 'whimbrel/')
) l ON true`)
	if err != nil {
		return one, err
	}
	var pid *int
	var oid *uint32
	var mode *string
	var waits bool
	_, err = pgx.ForEachRow(rows, []any{&one.at, &pid, &oid, &mode, &waits}, func() error {
		one.waiting = one.waiting || waits
		if pid != nil && oid != nil {
			one.locks[sessionLock{*pid, heldLock{*oid, *mode}}] = true
		}
		return nil
	})
	return one, err
}

// settle waits until no session of the engine is left in the database, and
// hands in the figures of our own, so that the server's are complete: a session
// hands in its own at the latest when it ends. live is whether the server can
// say them at once, which it can from PostgreSQL 15 on.
func settle(ctx context.Context, conn *pgx.Conn) (live bool, err error) {
	for {
		var left int
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, 'whimbrel')`).Scan(&left); err != nil {
			return false, err
		}
		if left == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	_, err = conn.PgConn().Exec(ctx, "SELECT pg_stat_force_next_flush()").ReadAll()
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42883" { // there is no such function
		return false, nil
	}
	return err == nil, err
}
