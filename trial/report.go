package trial

import (
	"math"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// Report is what a trial found. It can be written as JSON and read back.
type Report struct {
	Server     string        `json:"server"` // PostgreSQL's version
	StartedAt  time.Time     `json:"started_at"`
	Duration   time.Duration `json:"duration_ms"`
	Summary    Summary       `json:"summary"`
	Migrations []Result      `json:"migrations"` // those that were to be tested, in order
	// Findings are about none of these migrations: rows that could not be
	// inserted before one that is not tested, tables that could not be filled.
	Findings []Finding `json:"findings,omitempty"`
	Kept     []Kept    `json:"kept,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (r Report) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Report) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, r) }

// Summary counts results.
type Summary struct {
	Tested       int `json:"tested"` // all but those that were not run
	Passed       int `json:"passed"`
	Failed       int `json:"failed"`
	Irreversible int `json:"irreversible"`
	NotRun       int `json:"not_run"`
	Warnings     int `json:"warnings"`
	// SuccessRate is how many percent of those that passed or failed have
	// passed, with two decimals. It is nil where nothing passed or failed, and where
	// it would be 100 although something else failed or was not run.
	SuccessRate *float64 `json:"success_rate"`
}

// Status is how a migration came out.
type Status string

// The outcomes.
const (
	Passed       Status = "passed"
	Failed       Status = "failed"
	Irreversible Status = "irreversible" // the up migration works, and no down migration brings everything back
	NotRun       Status = "not_run"      // an earlier one failed on the up migration, or the trial was stopped
)

// Result is what came of one migration.
type Result struct {
	Version migration.Version `json:"version"`
	Name    string            `json:"name"`
	Path    string            `json:"path,omitempty"`
	Status  Status            `json:"status"`
	// Reason is why it is irreversible, or was not run.
	Reason   string        `json:"reason,omitempty"`
	Findings []Finding     `json:"findings,omitempty"`
	Up       *Measure      `json:"up,omitempty"`
	Down     *Measure      `json:"down,omitempty"`
	Queries  []Timing      `json:"queries,omitempty"`
	Rows     int           `json:"rows,omitempty"` // given rows that were looked for
	Duration time.Duration `json:"duration_ms"`    // of the whole test
}

// MarshalJSON writes durations in milliseconds.
func (r Result) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Result) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, r) }

// Severity says whether a finding fails its migration.
type Severity string

// The severities.
const (
	Failure Severity = "failure"
	Warning Severity = "warning"
)

// Check is what was looked at when something was found.
type Check string

// The checks, in their order.
const (
	CheckInsert   Check = "insert"   // a given row could not be inserted
	CheckFill     Check = "fill"     // a table could not be filled
	CheckUp       Check = "up"       // the up migration failed
	CheckRecord   Check = "record"   // it was not recorded as it should be
	CheckUpTwice  Check = "up_twice" // up, when it was up, changed something
	CheckDown     Check = "down"     // the down migration failed
	CheckUnrecord Check = "unrecord" // it stayed on the record
	CheckSchema   Check = "schema"   // the schema is not what it was before
	CheckUpAgain  Check = "up_again" // up after down failed, or gave another schema
	CheckRows     Check = "rows"     // a row is lost or changed
	CheckQuery    Check = "query"    // a query is too slow, or gives other rows
)

// Finding is something that is not as it should be.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    Check    `json:"check"`
	Message  string   `json:"message"`
	Remedy   string   `json:"remedy,omitempty"`
	// Path, Line and Column are where: in a migration or in a file of tests.
	Path   string `json:"path,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Difference is set where two schemas differ.
	Difference *schema.Difference `json:"difference,omitempty"`
	// Error is set where the engine failed.
	Error *whimbrel.Error `json:"error,omitempty"`
}

// Measure is what one direction cost, at its first run.
type Measure struct {
	Duration time.Duration `json:"duration_ms"`
	Rows     int64         `json:"rows"` // changed, as the server counts them
	// Locks are on tables that existed before, the strongest on each.
	Locks []Lock `json:"locks,omitempty"`
	// Rewritten are tables that existed before and got new files, which TRUNCATE does as well.
	Rewritten []string `json:"rewritten,omitempty"`
	// Scanned are tables that existed before and were read as a whole.
	Scanned []Scan `json:"scanned,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (m Measure) MarshalJSON() ([]byte, error) { return millis.Marshal(&m) }

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Measure) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, m) }

// Lock is the strongest lock that was held on a table.
type Lock struct {
	Table string        `json:"table"`
	Mode  string        `json:"mode"`    // as in PostgreSQL's documentation: "ACCESS EXCLUSIVE"
	Held  time.Duration `json:"held_ms"` // at most, up to the end of the transaction
	// Blocks is who has to wait meanwhile: "readers and writers", "writers" or "".
	Blocks string `json:"blocks,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (l Lock) MarshalJSON() ([]byte, error) { return millis.Marshal(&l) }

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Lock) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, l) }

// Scan is how a table was read as a whole.
type Scan struct {
	Table string `json:"table"`
	Scans int64  `json:"scans"`
	Rows  int64  `json:"rows"`
}

// Timing is how long a query took.
type Timing struct {
	Name   string        `json:"name"`
	Median time.Duration `json:"median_ms"`
	Limit  time.Duration `json:"limit_ms"`
	Runs   int           `json:"runs"`
	Rows   int           `json:"rows"`
}

// MarshalJSON writes durations in milliseconds.
func (t Timing) MarshalJSON() ([]byte, error) { return millis.Marshal(&t) }

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Timing) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, t) }

// Kept is a database that was left for a look.
type Kept struct {
	Database string `json:"database"`
	State    string `json:"state"` // what it is like
	URL      string `json:"url"`   // without a password
}

// OK reports whether nothing failed.
func (r Report) OK() bool {
	return r.Summary.Failed == 0 && r.Summary.NotRun == 0 &&
		!slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Failure })
}

// summarise counts results.
func summarise(results []Result, general []Finding) Summary {
	var s Summary
	warnings := func(findings []Finding) {
		for _, f := range findings {
			if f.Severity == Warning {
				s.Warnings++
			}
		}
	}
	warnings(general)
	for _, r := range results {
		warnings(r.Findings)
		switch r.Status {
		case Passed:
			s.Passed++
		case Failed:
			s.Failed++
		case Irreversible:
			s.Irreversible++
		case NotRun:
			s.NotRun++
		}
	}
	s.Tested = s.Passed + s.Failed + s.Irreversible
	all := Report{Summary: s, Findings: general}.OK()
	if decided := s.Passed + s.Failed; decided > 0 && (all || s.Failed > 0) {
		rate := math.Round(10000*float64(s.Passed)/float64(decided)) / 100
		s.SuccessRate = &rate
	}
	return s
}

// add puts a finding to a result.
func (r *Result) add(findings ...Finding) { r.Findings = append(r.Findings, findings...) }

// conclude decides the status. An irreversible migration fails like any other.
func (r *Result) conclude() {
	switch {
	case r.Status == NotRun:
	case slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Failure }):
		r.Status = Failed
	case r.Status == "":
		r.Status = Passed
	}
}
