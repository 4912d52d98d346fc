package whimbrel

import (
	"context"
	"fmt"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// gauge tells when a backfill should rest: while a replica is behind, while a
// snapshot is so old that nothing can be cleaned up behind the backfill, and
// after its WAL forced a checkpoint.
type gauge struct {
	marks       []mark // of the WAL, before each of the last batches
	checkpoints int64  // requested ones, when last looked at
	wal         int64  // at that time
	forced      time.Time
	rest        time.Time
	told        bool // that the role cannot see the replicas
}

// mark is how far the WAL was at some time.
type mark struct {
	at  time.Time
	wal string
}

const (
	oldSnapshot = time.Hour
	// checkpointShare is the part of the time since the last checkpoint that a
	// forced one is left alone, checkpointRest the most.
	checkpointShare = 20
	checkpointRest  = time.Second
	// quietPause is how long a pause may be without being told.
	quietPause = 300 * time.Millisecond
)

// wait returns when the next batch may begin. It asks the server once before
// each batch.
func (g *gauge) wait(ctx context.Context, r *execution) error {
	began, shown := time.Now(), ""
	for {
		reason, behind, err := g.reason(ctx, r)
		if err != nil {
			return r.m.serverError(ctx, "looking at what else the server has to do", err)
		}
		if reason == "" {
			break
		}
		if time.Since(began) >= quietPause && reason != shown {
			shown = reason
			r.m.emit(BatchPaused{Migration: r.planned.Ref(), Step: r.step.Number, Reason: reason, Behind: behind})
		}
		if r.m.stopping() {
			return interrupted()
		}
		if err := pause.For(ctx, min(20*time.Millisecond+time.Since(began)/4, quietPause)); err != nil {
			return err
		}
	}
	if shown != "" {
		r.attempt.paused(time.Since(began), shown)
		r.m.emit(BatchResumed{Migration: r.planned.Ref(), Step: r.step.Number, Paused: time.Since(began)})
	}
	return nil
}

// reason says why to wait; empty when there is nothing to wait for. The second
// result is by how many bytes a replica is behind, if that is it.
func (g *gauge) reason(ctx context.Context, r *execution) (string, int64, error) {
	requested := "(SELECT checkpoints_req FROM pg_catalog.pg_stat_bgwriter)"
	if r.db.facts.Version >= 170000 {
		requested = "(SELECT num_requested FROM pg_catalog.pg_stat_checkpointer)"
	}
	reached := g.reached(r.m.config.MaxReplicaLag)
	var wal, replica, snapshot string
	var position, checkpoints, limit, behind int64
	var unseen bool
	err := r.underOurRole(ctx, r.planned, func() error {
		return r.db.conn.QueryRow(ctx, `
WITH replica AS (
	SELECT coalesce(nullif(application_name, ''), client_addr::text, 'pid ' || pid) AS name, replay_lsn,
		pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn)::bigint AS behind
	FROM pg_catalog.pg_stat_replication WHERE state IS NULL OR state = 'streaming'
)
SELECT pg_catalog.pg_current_wal_lsn()::text, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::bigint, `+requested+`,
	(SELECT setting::bigint * 1024 * 1024 FROM pg_catalog.pg_settings WHERE name = 'max_wal_size'),
	EXISTS (SELECT FROM replica WHERE replay_lsn IS NULL),
	coalesce((SELECT name FROM replica WHERE replay_lsn < $1::pg_lsn ORDER BY behind DESC LIMIT 1), ''),
	coalesce((SELECT max(behind) FROM replica), 0),
	coalesce((SELECT 'pid ' || pid || ' ' || application_name FROM pg_catalog.pg_stat_activity
		WHERE backend_xmin IS NOT NULL AND xact_start < pg_catalog.now() - $2::bigint * interval '1 second' AND datname = pg_catalog.current_database() ORDER BY xact_start LIMIT 1), '')`,
			reached, int64(oldSnapshot.Seconds())).Scan(&wal, &position, &checkpoints, &limit, &unseen, &replica, &behind,
			&snapshot)
	})
	if err != nil {
		return "", 0, err
	}
	if unseen && !g.told && r.m.config.MaxReplicaLag >= 0 {
		g.told = true
		r.m.emit(Notice{Migration: r.planned.Ref(), Severity: "WARNING",
			Message: "this role cannot see how far the replicas are, so the backfill does not wait for them (grant it " +
				"pg_monitor)"})
	}
	if g.checkpoints != 0 && checkpoints > g.checkpoints && position-g.wal > limit/4 {
		g.rest = time.Now().Add(min(time.Since(g.forced)/checkpointShare, checkpointRest))
	}
	if g.checkpoints != checkpoints {
		g.checkpoints, g.wal, g.forced = checkpoints, position, time.Now()
	}
	switch {
	case replica != "" && r.m.config.MaxReplicaLag >= 0:
		return "replica " + replica + " is behind", behind, nil
	case snapshot != "":
		return fmt.Sprintf("%s has a snapshot older than %s, and nothing can be cleaned up meanwhile", snapshot,
			oldSnapshot), 0, nil
	case time.Now().Before(g.rest):
		return "the amount of WAL forced a checkpoint", 0, nil
	}
	g.marks = append(g.marks, mark{time.Now(), wal})
	return "", 0, nil
}

// reached is the place in the WAL up to which replicas must have come: where it
// was before the last batch, or so long ago as they may be behind.
func (g *gauge) reached(lag time.Duration) string {
	for len(g.marks) > 1 && time.Since(g.marks[1].at) > lag {
		g.marks = g.marks[1:]
	}
	if len(g.marks) == 0 || time.Since(g.marks[0].at) <= lag {
		return "0/0"
	}
	return g.marks[0].wal
}
