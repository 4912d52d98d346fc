package trial

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// blocks says who has to wait for a lock.
func blocks(mode pgsql.LockMode) string {
	switch {
	case mode == pgsql.AccessExclusive:
		return "readers and writers"
	case mode >= pgsql.Share:
		return "writers"
	}
	return ""
}

// holding is one lock for some time.
type holding struct {
	heldLock
	held time.Duration
}

// locksOf gives the strongest lock on each table that existed before, the
// strongest first.
func locksOf(before relations, observed []observation, samples []sample) []Lock {
	type best struct {
		mode pgsql.LockMode
		held time.Duration
	}
	strongest := map[uint32]best{}
	for _, h := range append(observedHoldings(observed, samples), sampledHoldings(observed, samples)...) {
		if _, existed := before[h.Relation]; !existed {
			continue
		}
		known := strongest[h.Relation]
		switch mode := pgsql.LockModeOf(h.Mode); {
		case mode > known.mode:
			strongest[h.Relation] = best{mode, h.held}
		case mode == known.mode:
			strongest[h.Relation] = best{mode, max(h.held, known.held)}
		}
	}
	oids := slices.SortedFunc(maps.Keys(strongest), func(a, b uint32) int {
		return cmp.Or(cmp.Compare(strongest[b].mode, strongest[a].mode), strings.Compare(before[a].name, before[b].name))
	})
	var locks []Lock
	for _, oid := range oids {
		if b := strongest[oid]; b.mode != pgsql.NoLock {
			locks = append(locks, Lock{Table: before[oid].name, Mode: b.mode.String(), Blocks: blocks(b.mode),
				Held: b.held})
		}
	}
	return locks
}

// observedHoldings are the locks that the trigger saw at the end of a
// transaction. Each was taken after the last sample that does not have it, or
// else at the beginning of the transaction.
func observedHoldings(observed []observation, samples []sample) []holding {
	var all []holding
	for _, o := range observed {
		for _, l := range o.Locks {
			since := o.Began
			for _, s := range samples {
				if s.at.After(o.At) || s.locks[sessionLock{o.PID, l}] && s.at.After(o.Began) {
					break
				}
				if s.at.After(since) {
					since = s.at
				}
			}
			all = append(all, holding{l, o.At.Sub(since)})
		}
	}
	return all
}

// sampledHoldings are the locks that were seen outside of the transactions that
// the trigger knows: those of statements that run on their own.
func sampledHoldings(observed []observation, samples []sample) []holding {
	known := func(pid int, at time.Time) bool {
		return slices.ContainsFunc(observed, func(o observation) bool {
			return o.PID == pid && !at.Before(o.Began) && !at.After(o.At)
		})
	}
	var all []holding
	open := map[sessionLock]time.Time{}
	previous := time.Time{}
	for _, s := range append(slices.Clone(samples), sample{}) {
		for l, since := range open {
			if !s.locks[l] {
				all = append(all, holding{l.heldLock, previous.Sub(since)})
				delete(open, l)
			}
		}
		for l := range s.locks {
			if _, begun := open[l]; !begun && !known(l.pid, s.at) {
				open[l] = cmp.Or(previous, s.at) // taken after the sample before
			}
		}
		previous = s.at
	}
	return all
}

// scansOf gives the tables that existed before and were read as a whole.
// totals are the server's own figures afterwards, or nil.
func scansOf(before relations, observed []observation, totals relations) []Scan {
	sums := map[uint32]scanned{}
	last := map[sessionTable]scanned{}
	for _, o := range observed {
		for _, s := range o.Scans {
			// The figures of a session grow until it hands them in, and then begin again.
			previous := last[sessionTable{o.PID, s.Relation}]
			last[sessionTable{o.PID, s.Relation}] = s
			if s.Scans < previous.Scans {
				previous = scanned{}
			}
			sum := sums[s.Relation]
			sums[s.Relation] = scanned{s.Relation, sum.Scans + s.Scans - previous.Scans, sum.Rows + s.Rows - previous.Rows}
		}
	}
	for oid, now := range totals {
		was, existed := before[oid]
		if more := now.scans - was.scans; existed && more > sums[oid].Scans {
			sums[oid] = scanned{oid, more, now.rows - was.rows}
		}
	}
	var scans []Scan
	for oid, sum := range sums {
		if r, existed := before[oid]; existed && sum.Scans > 0 {
			scans = append(scans, Scan{r.name, sum.Scans, sum.Rows})
		}
	}
	slices.SortFunc(scans, func(a, b Scan) int { return strings.Compare(a.Table, b.Table) })
	return scans
}

type sessionTable struct {
	pid      int
	relation uint32
}

// rewritten gives the tables that have other files than before.
func rewritten(before, after relations) []string {
	var names []string
	for oid, was := range before {
		if is, still := after[oid]; still && is.file != was.file {
			names = append(names, was.name)
		}
	}
	slices.Sort(names)
	return names
}
