package preflight

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Capacity are the details of lock_capacity.
type Capacity struct {
	// Slots is how many locks the server has room for: max_locks_per_transaction for
	// each connection and each prepared transaction that it allows.
	Slots int64 `json:"slots"`
	Used  int64 `json:"used"`
	// Steps are those of what is pending that take more than a tenth of the slots.
	Steps []StepLocks `json:"steps"`
}

// StepLocks is how many locks a transaction takes.
type StepLocks struct {
	Migration string `json:"migration"` // its path
	Step      int    `json:"step"`
	Locks     int64  `json:"locks"`
}

// Lines gives the numbers.
func (c Capacity) Lines() []string {
	out := []string{fmt.Sprintf("%d of %d locks are held", c.Used, c.Slots)}
	for _, s := range c.Steps {
		out = append(out, fmt.Sprintf("%s step %d: about %s", s.Migration, s.Step, present.Plural(int(s.Locks), "lock")))
	}
	return out
}

func lookCapacity(ctx context.Context, v *visit) (finding, error) {
	var c Capacity
	type locked struct {
		OID   uint32
		Locks int64
	}
	locks := map[uint32]int64{}
	err := v.read(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `
SELECT pg_catalog.current_setting('max_locks_per_transaction')::bigint * (pg_catalog.current_setting('max_connections')::bigint + pg_catalog.current_setting('max_prepared_transactions')::bigint),
	(SELECT count(*) FROM pg_catalog.pg_locks WHERE NOT fastpath AND locktype NOT IN ('virtualxid', 'spectoken'))`).Scan(
			&c.Slots, &c.Used); err != nil {
			return err
		}
		rows, err := ask[locked](ctx, tx, `
SELECT c.oid, 1 + (SELECT count(*) FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid) + CASE WHEN c.reltoastrelid <> 0 THEN 2 ELSE 0 END AS locks
FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1)`, append([]uint32{}, v.pending.tables()...))
		for _, r := range rows {
			locks[r.OID] = r.Locks
		}
		return err
	})
	if err != nil {
		return finding{}, err
	}
	c.Steps = v.pending.locks(locks)
	f := v.pending.tellTouched(judgeCapacity(c))
	f.unseen = append(f.unseen, v.pending.unseen...)
	return f, nil
}

// locks counts the locks of each step: every table that it names, with partitions,
// indexes and TOAST, once.
func (p pending) locks(of map[uint32]int64) []StepLocks {
	var out []StepLocks
	type place struct {
		path string
		step int
	}
	var at place
	seen := map[uint32]bool{}
	for _, t := range p.touches {
		if here := (place{t.statement.planned.Migration.Path, t.statement.step.Number}); here != at {
			at, seen = here, map[uint32]bool{}
			out = append(out, StepLocks{Migration: here.path, Step: here.step})
		}
		for _, member := range t.relation.Members {
			if !seen[member] {
				seen[member] = true
				out[len(out)-1].Locks += of[member]
			}
		}
	}
	return out
}

// judgeCapacity passes where the step with the most locks leaves a quarter of the
// table free: others take locks meanwhile, and fail as well when it is full.
func judgeCapacity(c Capacity) finding {
	var most StepLocks
	shown := []StepLocks{}
	for _, s := range c.Steps {
		if s.Locks > most.Locks {
			most = s
		}
		if s.Locks > c.Slots/10 {
			shown = append(shown, s)
		}
	}
	c.Steps = shown
	free := c.Slots - c.Used
	f := finding{details: c, passed: most.Locks <= free-c.Slots/4}
	if f.passed {
		f.message = fmt.Sprintf("%d of %d locks are free; the largest step takes about %d", free, c.Slots, most.Locks)
		return f
	}
	f.message = fmt.Sprintf("step %d of %s takes about %d locks, and %d of %d are free: it would fail with \"out of "+
		"shared memory\", and so would others", most.Step, most.Migration, most.Locks, free, c.Slots)
	f.remedy = "do it partition by partition in migrations of their own, or raise max_locks_per_transaction and restart " +
		"the server"
	return f
}
