package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Limits are how long something may last before somebody is told. Zero stands
// for the default; a negative one switches the alert off.
type Limits struct {
	SlowMedium time.Duration // a migration runs: medium; 5 minutes
	SlowHigh   time.Duration // a migration runs: high; 10 minutes
	Lease      time.Duration // another runner holds the lease; 2 minutes
	Lock       time.Duration // a step backs off from the same or other sessions; 1 minute
	Traffic    time.Duration // others wait behind a step; 5 seconds
	Still      time.Duration // a backfill makes no progress; 5 minutes
}

// The limits unless others are set.
const (
	DefaultSlowMedium = 5 * time.Minute
	DefaultSlowHigh   = 10 * time.Minute
	DefaultLease      = 2 * time.Minute
	DefaultLock       = time.Minute
	DefaultTraffic    = 5 * time.Second
	DefaultStill      = 5 * time.Minute
)

func (l Limits) withDefaults() Limits {
	for _, each := range []struct {
		limit     *time.Duration
		otherwise time.Duration
	}{
		{&l.SlowMedium, DefaultSlowMedium}, {&l.SlowHigh, DefaultSlowHigh}, {&l.Lease, DefaultLease},
		{&l.Lock, DefaultLock}, {&l.Traffic, DefaultTraffic}, {&l.Still, DefaultStill},
	} {
		if *each.limit == 0 {
			*each.limit = each.otherwise
		}
	}
	return l
}

// rules decide when there is an alert. They know the time only from what they
// are told, and have no other effect than what they return: the same
// observations and times give the same alerts, but for their IDs.
type rules struct {
	limits      Limits
	environment string
	link        string
	runner      string

	database, command string
	conditions        []*condition // that last at this moment
	step              stepping
	// outstanding are alerts of failures that nothing has mended yet.
	outstanding []Alert
	failed      bool // a migration of this run failed, and that was said
}

// stepping is the step at work.
type stepping struct {
	migration whimbrel.Ref
	number    int
	kind      whimbrel.StepKind
}

// condition is something that is so for the time being.
type condition struct {
	reason Reason
	since  time.Time
	levels []level
	raised int // levels that were told
	alert  Alert
	// tell words the alert for how long it has lasted.
	tell func(lasted time.Duration) (title, message string)
	// over words its end.
	over string
	// seen is when there was the last sign of it. What gives signs again and again
	// is over when they stay away.
	seen time.Time
}

// patience is for how long a condition that gives signs lasts without one. The
// engine repeats every few seconds who blocks it.
const patience = 15 * time.Second

// gone is when the condition is taken to be over; zero if it says so itself.
func (c *condition) gone() time.Time {
	if c.seen.IsZero() {
		return time.Time{}
	}
	return c.seen.Add(patience)
}

// level is when a condition is told, and how urgently.
type level struct {
	after    time.Duration
	severity Severity
}

// levels leaves out those that are switched off.
func levels(all ...level) []level {
	return slices.DeleteFunc(all, func(l level) bool { return l.after < 0 })
}

// due is when the condition is to be told next; zero if never.
func (c *condition) due() time.Time {
	if c.raised == len(c.levels) {
		return time.Time{}
	}
	return c.since.Add(c.levels[c.raised].after)
}

// next is when the rules want to be asked again; zero if not before something
// happens.
func (r *rules) next() time.Time {
	var earliest time.Time
	for _, c := range r.conditions {
		for _, at := range []time.Time{c.due(), c.gone()} {
			if !at.IsZero() && (earliest.IsZero() || at.Before(earliest)) {
				earliest = at
			}
		}
	}
	return earliest
}

// tick raises what has lasted too long by now. A condition that is past
// several of its levels is told once, with the highest.
func (r *rules) tick(now time.Time) []Alert {
	alerts := r.close(now, func(c *condition) bool { return !c.seen.IsZero() && !c.gone().After(now) })
	for _, c := range r.conditions {
		before := c.raised
		for at := c.due(); !at.IsZero() && !at.After(now); at = c.due() {
			c.raised++
		}
		if c.raised > before {
			alerts = append(alerts, r.raise(c, now))
		}
	}
	return alerts
}

func (r *rules) raise(c *condition, now time.Time) Alert {
	a := c.alert
	a.ID, a.Status, a.Time, a.Since = newID(), Firing, now, c.since
	a.Severity = c.levels[c.raised-1].severity
	a.Duration = now.Sub(c.since)
	a.Title, a.Message = c.tell(now.Sub(c.since))
	return a
}

// begin notes that something is so, unless it was so before, and gives what is
// known of it, to be completed.
func (r *rules) begin(reason Reason, since time.Time, key string, levels []level) *condition {
	if i := slices.IndexFunc(r.conditions, func(c *condition) bool { return c.reason == reason }); i >= 0 {
		return r.conditions[i]
	}
	c := &condition{reason: reason, since: since, levels: levels, alert: r.about(reason, key)}
	c.alert.Type = Warning
	if len(levels) > 0 {
		r.conditions = append(r.conditions, c)
	}
	return c
}

// end notes that something is no longer so. What was told is resolved.
func (r *rules) end(now time.Time, reasons ...Reason) []Alert {
	return r.close(now, func(c *condition) bool { return slices.Contains(reasons, c.reason) })
}

func (r *rules) close(now time.Time, isOver func(*condition) bool) []Alert {
	var alerts []Alert
	r.conditions = slices.DeleteFunc(r.conditions, func(c *condition) bool {
		if !isOver(c) {
			return false
		}
		if c.raised > 0 {
			a := r.raise(c, now)
			a.Status = Resolved
			a.Title = "Resolved: " + a.Title
			a.Message = fmt.Sprintf("%s, after %s.", c.over, present.Duration(now.Sub(c.since)))
			alerts = append(alerts, a)
		}
		return true
	})
	return alerts
}

// about is an alert with what is the same in all of a run.
func (r *rules) about(reason Reason, key string) Alert {
	return Alert{
		Key: clip("whimbrel/" + r.database + "/" + key), Reason: reason,
		Environment: r.environment, Database: r.database, Command: r.command, Runner: r.runner, Link: r.link,
	}
}

// clip keeps keys within what services take (PagerDuty: 255 characters).
func clip(key string) string {
	const most = 200
	if len(key) <= most {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "whimbrel/" + hex.EncodeToString(sum[:])
}

func keyOf(ref whimbrel.Ref, reason Reason) string {
	return string(ref.Version.Canonical()) + "/" + string(ref.Direction) + "/" + string(reason)
}

// runner is who runs this process: user@host pid n, as the engine's tables have it.
func runner() string {
	host, _ := os.Hostname()
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	} else if uid := os.Getuid(); uid >= 0 {
		name = fmt.Sprintf("uid %d", uid)
	}
	return fmt.Sprintf("%s@%s pid %d", name, host, os.Getpid())
}
