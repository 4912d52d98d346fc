package whimbrel

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// Defaults of a Policy.
const (
	DefaultMaxStall      = 100 * time.Millisecond
	DefaultRetryBudget   = 10 * time.Minute
	DefaultLeaseDuration = 30 * time.Second
	// LongestStall is the longest lock_timeout that PostgreSQL knows.
	LongestStall    = math.MaxInt32 * time.Millisecond
	DefaultLockWait = 10 * time.Minute
)

// Durations of a Policy with a meaning of their own.
const (
	// NoWait is a LockWait that waits for no other runner.
	NoWait time.Duration = -1
	// NoRetry is a RetryBudget in which nothing is retried.
	NoRetry time.Duration = 1
	// IgnoreReplicas is a MaxReplicaLag that any replica is within.
	IgnoreReplicas time.Duration = -1
)

// OutOfOrder is what to do with pending versions that are older than the
// newest applied one.
type OutOfOrder string

// The policies for out-of-order versions.
const (
	RefuseOutOfOrder OutOfOrder = "refuse" // an error that lists them
	ApplyOutOfOrder  OutOfOrder = "apply"  // run them, oldest first
	SkipOutOfOrder   OutOfOrder = "skip"   // leave them pending
)

// Policy is how it is run: how patiently, and what is allowed.
type Policy struct {
	// OutOfOrder is RefuseOutOfOrder unless set.
	OutOfOrder OutOfOrder
	// AllowMissing lets a run go on although applied versions have no file.
	AllowMissing bool
	// MaxStall is how long a statement of ours may wait for a lock while
	// others queue behind it.
	MaxStall time.Duration
	// RetryBudget is how long a step that backed off is tried again; NoRetry: not at all.
	RetryBudget time.Duration
	// LeaseDuration is how long a lease holds without renewal.
	LeaseDuration time.Duration
	// LockWait is how long to wait for another runner; NoWait, or a negative duration: not
	// at all.
	LockWait time.Duration
	// MaxReplicaLag is how far replicas may be behind while a backfill runs,
	// before it waits for them. With 0 they must have what was there before the
	// last batch; with IgnoreReplicas, or any negative duration, it never waits.
	MaxReplicaLag time.Duration
	// OnProtected is asked before a protected database is changed, at a moment when
	// nothing is held; the run ends with its error. Without it, a plan that takes something
	// away (see Plan.Loses) is refused with CodeProtected, and any other is run.
	// AllowProtected allows everything.
	OnProtected func(context.Context, Protection, Plan) error
	// NoPipeline waits for the answer to each migration before the next is
	// sent. Without it, migrations that are one transaction are sent ahead.
	NoPipeline bool
}

// orDefaults puts the defaults where nothing is set.
func (p Policy) orDefaults() Policy {
	p.OutOfOrder = cmp.Or(p.OutOfOrder, RefuseOutOfOrder)
	p.MaxStall = cmp.Or(p.MaxStall, DefaultMaxStall)
	p.RetryBudget = cmp.Or(p.RetryBudget, DefaultRetryBudget)
	p.LeaseDuration = cmp.Or(p.LeaseDuration, DefaultLeaseDuration)
	p.LockWait = cmp.Or(p.LockWait, DefaultLockWait)
	return p
}

func (p Policy) check() error {
	if !slices.Contains([]OutOfOrder{RefuseOutOfOrder, ApplyOutOfOrder, SkipOutOfOrder}, p.OutOfOrder) {
		return misconfigured("use refuse, apply or skip", "unknown out-of-order policy %q", p.OutOfOrder)
	}
	if p.MaxStall < time.Millisecond || p.MaxStall > LongestStall {
		return misconfigured(fmt.Sprintf("use at least 1ms, and at most %s", LongestStall),
			"MaxStall: a stall budget of %s cannot be kept", p.MaxStall)
	}
	if p.RetryBudget < 0 {
		return misconfigured("use a positive duration, or NoRetry", "invalid RetryBudget %s",
			p.RetryBudget)
	}
	if p.LeaseDuration < time.Second || p.LeaseDuration > LongestStall {
		return misconfigured(fmt.Sprintf("use at least 1s, and at most %s", LongestStall),
			"LeaseDuration: a lease of %s cannot be renewed in time, or taken over", p.LeaseDuration)
	}
	return nil
}
