package monitor

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Metrics are about the history of one database: every attempt to take a
// migration up or down that its log knows, by whatever process.
type Metrics struct {
	Total     int `json:"total"` // attempts
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Stopped   int `json:"stopped"` // by a signal, which is no failure
	// SuccessRate is the share of those that succeeded in those that were not stopped.
	SuccessRate Percent `json:"success_rate_percent"`
	// Durations are those of the attempts that succeeded.
	Durations Durations `json:"durations"`
	// Retries and Backoff are what all attempts together spent backing off.
	Retries int           `json:"retries"`
	Backoff time.Duration `json:"backoff_ms"`
	// LockWait and LeaseWait are what they waited for locks that they then got, and
	// for other runners.
	LockWait  time.Duration `json:"lock_wait_ms"`
	LeaseWait time.Duration `json:"lease_wait_ms"`
	// Directions has the same counts for each direction that was taken.
	Directions []DirectionCount `json:"directions"`
	// Errors has the migrations that ever failed, the most frequent first.
	Errors []ErrorCount `json:"errors"`
	// Slowest are the attempts that took longest, failed or not.
	Slowest []Attempt `json:"slowest"`
	// Recent are the newest attempts, the newest first.
	Recent []Attempt `json:"recent"`
}

// MarshalJSON writes durations in milliseconds.
func (m Metrics) MarshalJSON() ([]byte, error) { return millis.Marshal(&m) }

// Durations describe a set of durations; all are 0 where it is empty. The
// percentiles interpolate as PostgreSQL's percentile_cont does.
type Durations struct {
	Total   time.Duration `json:"total_ms"`
	Average time.Duration `json:"average_ms"`
	P50     time.Duration `json:"p50_ms"`
	P90     time.Duration `json:"p90_ms"`
	P95     time.Duration `json:"p95_ms"`
	P99     time.Duration `json:"p99_ms"`
	Longest time.Duration `json:"longest_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (d Durations) MarshalJSON() ([]byte, error) { return millis.Marshal(&d) }

// UnmarshalJSON reads what MarshalJSON writes.
func (d *Durations) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, d) }

// DirectionCount counts the attempts in one direction.
type DirectionCount struct {
	Direction whimbrel.Direction `json:"direction"`
	Succeeded int                `json:"succeeded"`
	Failed    int                `json:"failed"`
}

// ErrorCount counts the failures of one migration.
type ErrorCount struct {
	Version migration.Version `json:"version"`
	Name    string            `json:"name"`
	Errors  int               `json:"errors"`
	// The newest failure.
	At       time.Time `json:"at"`
	Error    string    `json:"error"`
	SQLState string    `json:"sqlstate,omitempty"`
}

// Percent is a share in hundredths of a percent, rounded half away from zero as
// PostgreSQL's numeric rounds, or Unknown.
type Percent int

// Unknown is the share of nothing.
const Unknown Percent = -1

func share(part, whole int) Percent {
	if whole == 0 {
		return Unknown
	}
	return Percent((2*10000*part + whole) / (2 * whole))
}

// String gives two decimals, as in "97.50".
func (p Percent) String() string {
	if p == Unknown {
		return "-"
	}
	return strconv.FormatFloat(float64(p)/100, 'f', 2, 64)
}

// MarshalJSON gives a number with two decimals, or null.
func (p Percent) MarshalJSON() ([]byte, error) {
	if p == Unknown {
		return []byte("null"), nil
	}
	return []byte(p.String()), nil
}

const (
	slowestShown = 5
	recentShown  = 10
)

// Measure computes the metrics of attempts, which come in the order of the log.
// Lines of the log that did not run a migration are left out.
func Measure(attempts []Attempt) Metrics {
	ran := slices.DeleteFunc(slices.Clone(attempts), func(a Attempt) bool { return !a.Ran() })
	m := Metrics{Total: len(ran), Directions: countDirections(ran), Errors: countErrors(ran)}
	var durations []time.Duration
	for _, a := range ran {
		m.Retries += a.Retries
		m.Backoff += a.Backoff
		m.LockWait += a.LockWait
		m.LeaseWait += a.LeaseWait
		switch {
		case a.Failed():
			m.Failed++
			continue
		case a.Stopped():
			m.Stopped++
			continue
		}
		m.Succeeded++
		durations = append(durations, a.Duration)
	}
	m.SuccessRate = share(m.Succeeded, m.Succeeded+m.Failed)
	m.Durations = describe(durations)
	m.Recent = newest(ran, recentShown)
	slices.SortStableFunc(ran, func(a, b Attempt) int { return cmp.Compare(b.Duration, a.Duration) })
	m.Slowest = slices.Clone(ran[:min(len(ran), slowestShown)])
	return m
}

// newest gives the last attempts, turned round.
func newest(attempts []Attempt, n int) []Attempt {
	last := slices.Clone(attempts[max(0, len(attempts)-n):])
	slices.Reverse(last)
	return last
}

func countDirections(ran []Attempt) []DirectionCount {
	counts := []DirectionCount{}
	for _, a := range ran {
		direction := whimbrel.Direction(a.Action)
		i := slices.IndexFunc(counts, func(c DirectionCount) bool { return c.Direction == direction })
		if i < 0 {
			i = len(counts)
			counts = append(counts, DirectionCount{Direction: direction})
		}
		switch {
		case a.Failed():
			counts[i].Failed++
		case !a.Stopped():
			counts[i].Succeeded++
		}
	}
	slices.SortFunc(counts, func(a, b DirectionCount) int { return -cmp.Compare(a.Direction, b.Direction) })
	return counts
}

func countErrors(ran []Attempt) []ErrorCount {
	place := map[migration.Version]int{}
	counts := []ErrorCount{}
	for _, a := range ran {
		if !a.Failed() {
			continue
		}
		i, seen := place[a.Version.Canonical()]
		if !seen {
			i = len(counts)
			place[a.Version.Canonical()] = i
			counts = append(counts, ErrorCount{Version: a.Version})
		}
		c := &counts[i]
		c.Name, c.At, c.Error, c.SQLState = a.Name, a.At, a.Error, a.SQLState
		c.Errors++
	}
	slices.SortFunc(counts, func(a, b ErrorCount) int {
		return cmp.Or(cmp.Compare(b.Errors, a.Errors), a.Version.Compare(b.Version))
	})
	return counts
}

func describe(durations []time.Duration) Durations {
	if len(durations) == 0 {
		return Durations{}
	}
	slices.Sort(durations)
	var total time.Duration
	for _, d := range durations {
		total += d
	}
	return Durations{
		Total: total, Average: total / time.Duration(len(durations)),
		P50: percentile(durations, 50), P90: percentile(durations, 90), P95: percentile(durations, 95),
		P99:     percentile(durations, 99),
		Longest: durations[len(durations)-1],
	}
}

// percentile interpolates between the two durations next to the rank.
func percentile(sorted []time.Duration, percent int) time.Duration {
	rank := percent * (len(sorted) - 1)
	below, rest := rank/100, rank%100
	if rest == 0 {
		return sorted[below]
	}
	step := float64(sorted[below+1]-sorted[below]) * float64(rest) / 100
	return sorted[below] + time.Duration(step)
}
