package whimbrel

import (
	"time"

	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Result is what a run did.
type Result struct {
	Command  string        `json:"command"`
	Database string        `json:"database"` // user@host:port/name
	Done     []Outcome     `json:"done"`     // in order; empty when there was nothing to do
	Batch    int           `json:"batch,omitempty"`
	Duration time.Duration `json:"duration_ms"`
	// Before is how many migrations the history had when the run began.
	Before int `json:"applied_before"`
	// Skipped are pending versions that the out-of-order policy left alone.
	Skipped []Ref `json:"skipped,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (r Result) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Result) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, r) }

// Outcome is one migration of a Result.
type Outcome struct {
	Ref
	Duration time.Duration `json:"duration_ms"`
	Rows     int64         `json:"rows"`
	// RowsUnknown is as in MigrationFinished.
	RowsUnknown bool `json:"rows_unknown,omitempty"`
	RecordOnly  bool `json:"record_only,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (o Outcome) MarshalJSON() ([]byte, error) { return millis.Marshal(&o) }

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Outcome) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, o) }

// Status is what the database and the files say, side by side. Getting it only
// reads.
type Status struct {
	Database string `json:"database"`
	Server   string `json:"server"` // PostgreSQL's version, "15.18"
	Table    string `json:"table"`  // with its schema
	// Initialised is false where no history table exists yet.
	Initialised bool      `json:"initialised"`
	Applied     []Applied `json:"applied"` // in the order in which they were applied
	Pending     []Pending `json:"pending"` // in the order in which they would run
	// Unfinished are those of either list that stopped half-way, and those that the files
	// no longer have.
	Unfinished []Unfinished `json:"unfinished"`
	// Holder is who holds the lease at this moment.
	Holder *Holder `json:"holder,omitempty"`
	// Others are histories of other tools, where there is none of whimbrel's yet.
	Others []OtherHistory `json:"other_histories,omitempty"`
	// Newer is set where the tables are of a newer whimbrel: the above is what this
	// one can read of them.
	Newer *Error `json:"tables_newer,omitempty"`
}

// Applied is a row of the history.
type Applied struct {
	ID         int64             `json:"id"`
	Version    migration.Version `json:"version"`
	Name       string            `json:"name"`
	ExecutedAt time.Time         `json:"executed_at"`
	Duration   time.Duration     `json:"duration_ms"`
	Checksum   string            `json:"checksum,omitempty"`
	Batch      int               `json:"batch,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Reversible bool              `json:"reversible"` // stored, or in the file
	// its file, by another name or version than when it was applied
	RenamedTo   string `json:"renamed_to,omitempty"`
	Missing     bool   `json:"missing"`               // no file with this version
	Changed     bool   `json:"changed"`               // the file's checksum is another one
	Path        string `json:"path,omitempty"`        // of the file, where there is one
	SquashedIn  string `json:"squashed_in,omitempty"` // the file that replaces it
	RollingBack bool   `json:"rolling_back"`          // a down migration stopped half-way
	Reason      string `json:"reason,omitempty"`      // why it is irreversible
	// Lost are the objects that a repeatable migration defines and that are not there.
	Lost []string `json:"lost,omitempty"`
	// ObjectsUnknown is set where nothing tells what a repeatable migration defines: it
	// was recorded without running, and its text names nothing.
	ObjectsUnknown bool `json:"objects_unknown,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (a Applied) MarshalJSON() ([]byte, error) { return millis.Marshal(&a) }

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Applied) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, a) }

// Pending is a migration that is not applied.
type Pending struct {
	Ref
	Steps      int  `json:"steps"`
	Done       int  `json:"done"` // steps that an earlier run finished
	OutOfOrder bool `json:"out_of_order"`
	// Again is set for a repeatable migration that has run with another content,
	// or has lost what it defined.
	Again bool `json:"again,omitempty"`
	// Lost are the objects that it defines and that are not there.
	Lost []string `json:"lost,omitempty"`
	// Tags are those of its file.
	Tags []string `json:"tags,omitempty"`
}

// Holder is who holds the lease.
type Holder struct {
	By       string    `json:"by"` // user@host pid n
	Host     string    `json:"host,omitempty"`
	User     string    `json:"user,omitempty"`
	Tool     string    `json:"tool_version,omitempty"`
	Token    int64     `json:"token"`
	Since    time.Time `json:"since"`
	Expires  time.Time `json:"expires"`
	PID      int       `json:"backend_pid,omitempty"` // 0 behind a pooler
	Activity string    `json:"activity,omitempty"`    // what its session does now, as far as it can be seen
	// State is "alive", "expired", or "gone" (its session has ended).
	State string `json:"state"`
}

// Verification is how history and files differ; none means they agree.
type Verification struct {
	Database    string       `json:"database"`
	Applied     int          `json:"applied"`
	Differences []Difference `json:"differences"`
	// Warnings are about applied files, of the kinds "unread_mark" and "renamed"; they are no differences.
	Warnings []Difference `json:"warnings,omitempty"`
}

// Difference is one disagreement between the history and the files.
type Difference struct {
	// "pending", "missing_file", "checksum_changed", "partly_squashed", "unfinished"
	Kind    string            `json:"kind"`
	Version migration.Version `json:"version"`
	Name    string            `json:"name"`
	Path    string            `json:"path,omitempty"`
	Message string            `json:"message"`
	Remedy  string            `json:"remedy"`
}

// LogEntry is a row of the append-only log: one attempt at one migration.
type LogEntry struct {
	ID int64     `json:"id"`
	At time.Time `json:"at"`
	// up, down, repeat, baseline, forget, force_down, adopt, accept, recover, create_schema
	Action   string            `json:"action"`
	Outcome  string            `json:"outcome"` // done, failed, or killed: it did not end by itself
	Version  migration.Version `json:"version"`
	Name     string            `json:"name"`
	Batch    int               `json:"batch,omitempty"`
	Duration time.Duration     `json:"duration_ms"`
	Error    string            `json:"error,omitempty"`
	SQLState string            `json:"sqlstate,omitempty"`
	By       string            `json:"by"`
	Role     string            `json:"role"` // the database's user
	Tool     string            `json:"tool_version"`
	Host     string            `json:"host,omitempty"`
	// Token is the lease's: the attempts of one run have the same, unless it had to
	// reconnect.
	Token int64 `json:"token,omitempty"`
	// Retries is how often a step backed off and was sent again. Backoff is the time
	// of those tries and of the pauses behind them.
	Retries int           `json:"retries"`
	Backoff time.Duration `json:"backoff_ms"`
	// LockWait is for how long steps outside a transaction, and all but the last
	// of the others, were seen waiting for a lock that they then got.
	LockWait time.Duration `json:"lock_wait_ms"`
	// LeaseWait is for how long the run had waited for another runner; it is
	// with the first migration of the run.
	LeaseWait time.Duration `json:"lease_wait_ms"`
	// Steps are those that began in this attempt. None are kept of a migration
	// that is one step and waited for nothing.
	Steps []StepEntry `json:"steps,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (l LogEntry) MarshalJSON() ([]byte, error) { return millis.Marshal(&l) }

// UnmarshalJSON reads what MarshalJSON writes.
func (l *LogEntry) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, l) }

// StepEntry is what the log keeps of a step of one attempt.
type StepEntry struct {
	Step     int           `json:"step"` // from 1
	Kind     StepKind      `json:"step_kind"`
	Summary  string        `json:"summary"`
	Duration time.Duration `json:"duration_ms"`
	// Rows are those it changed; not known of the step that records the attempt.
	Rows     int64         `json:"rows,omitempty"`
	Failed   bool          `json:"failed,omitempty"`
	Retries  int           `json:"retries,omitempty"`
	Backoff  time.Duration `json:"backoff_ms,omitempty"`
	LockWait time.Duration `json:"lock_wait_ms,omitempty"`
	Reason   string        `json:"reason,omitempty"` // why it backed off, the last time
	// Paused is for how long a backfill waited for replicas and the like, PausedFor
	// why, the last time.
	Paused    time.Duration `json:"paused_ms,omitempty"`
	PausedFor string        `json:"paused_for,omitempty"`
	// Blockers are who stood in its way, the last time; without their queries.
	Blockers []Blocker `json:"blockers,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (s StepEntry) MarshalJSON() ([]byte, error) { return millis.Marshal(&s) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *StepEntry) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, s) }

// UpOptions narrow an Up. The zero value applies everything that is pending.
type UpOptions struct {
	// Steps is how many migrations at most are run; 0: all. Repeatable ones that have
	// lost what they define to the last that was pending are not counted.
	Steps int
}

// DownOptions say how far Down goes.
type DownOptions struct {
	Steps int // so many migrations; 0: one
	// ForceNoDown un-records migrations that have no down migration, without
	// running anything for them.
	ForceNoDown bool
	// Repeatable rolls back the repeatable migrations that have a down migration, before
	// all others: what they define may rest on them. The next Up runs them again.
	Repeatable bool
}

// RedoOptions say how many of the newest migrations Redo takes down and up again.
type RedoOptions struct {
	Steps int // 0: one
}

// ToOptions refine To.
type ToOptions struct {
	ForceNoDown bool // as in DownOptions
	Repeatable  bool // likewise, where To goes down
}

// HistoryOptions narrow History. What is zero does not narrow it.
type HistoryOptions struct {
	Version migration.Version // only this one
	Outcome string            // "done", "failed" (with those that were killed) or "killed"
	Action  string            // "up", "down", …
	By      string            // a part of who ran it, in any case
	Batch   int
	Since   time.Time
	Limit   int // the newest so many; 0: all
}
