package whimbrel

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Listener hears everything that happens during a run, in order. It is called
// by one goroutine at a time of each Migrator and delays the run while it works, so it
// hands on whatever takes long. The engine prints nothing: terminals, logs, metrics and
// tests are listeners.
type Listener func(Record)

// Record is an event, and what it is of: one Listener may be that of many runs.
type Record struct {
	Time time.Time
	// Run is the same for all events of a run and of no other; empty for what happens
	// outside of runs.
	Run string
	// Database is user@host:port/name, never with a password.
	Database string
	Event    Event
}

// MarshalJSON gives one flat object: "time", "event", "run", "database", and the event's
// fields.
func (r Record) MarshalJSON() ([]byte, error) {
	head, err := json.Marshal(struct {
		Time     string `json:"time"`
		Event    string `json:"event"`
		Run      string `json:"run,omitempty"`
		Database string `json:"database,omitempty"`
	}{r.Time.UTC().Format(time.RFC3339Nano), r.Event.Kind(), r.Run, r.Database})
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(r.Event)
	if err != nil || len(body) <= len("{}") {
		return head, err
	}
	return slices.Concat(head[:len(head)-1], []byte(","), body[1:]), nil
}

// Event is one of the types below; the set is closed.
type Event interface {
	// Kind is the event's stable name, as in "migration_started".
	Kind() string
	sealed()
}

// Ref names a migration in one direction.
type Ref struct {
	Version   migration.Version `json:"version"`
	Name      string            `json:"name"`
	Path      string            `json:"path,omitempty"`
	Direction Direction         `json:"direction"`
}

// Blocker is a session that is in the way of a lock.
type Blocker struct {
	PID         int           `json:"pid"`
	Application string        `json:"application,omitempty"`
	User        string        `json:"user,omitempty"`
	State       string        `json:"state,omitempty"` // as in pg_stat_activity
	Query       string        `json:"query,omitempty"` // shortened
	Age         time.Duration `json:"age_ms"`          // of its transaction
}

// MarshalJSON writes durations in milliseconds.
func (b Blocker) MarshalJSON() ([]byte, error) { return millis.Marshal(&b) }

// UnmarshalJSON reads what MarshalJSON writes.
func (b *Blocker) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, b) }

// RunStarted opens every run.
type RunStarted struct {
	Command  string `json:"command"`
	Database string `json:"-"`       // that of the Record
	Planned  int    `json:"planned"` // migrations, as known before the lease
	// Rollbacks is how many of those are rolled back; a redo rolls each back and runs it.
	Rollbacks int `json:"rollbacks,omitempty"`
}

// SchemaCreated says that the schema of the history was not there, and is now.
type SchemaCreated struct {
	Schema string `json:"schema"`
}

// TablesAdopted says that an existing history was taken over with its rows.
type TablesAdopted struct {
	Table string `json:"table"`
	Rows  int    `json:"rows"`
}

// OtherHistoryFound says that another tool has a history in a database that has none of
// whimbrel's, and that it has nothing to do with the files.
type OtherHistoryFound struct {
	OtherHistory
}

// TablesUpgraded says that whimbrel's own tables were brought to the version that this
// program writes.
type TablesUpgraded struct {
	Table string `json:"table"`
	From  int    `json:"from"`
	To    int    `json:"to"`
}

// ProtectionNoted says something of the protection of the database that is changed:
// that the mark was left, that it could not be, or that the database is a copy of a
// protected one.
type ProtectionNoted struct {
	Protection
}

// LeaseWaiting says that another runner holds the lease. It comes again when
// the holder changes, and every few seconds.
type LeaseWaiting struct {
	Holder Holder        `json:"holder"`
	Waited time.Duration `json:"waited_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (l LeaseWaiting) MarshalJSON() ([]byte, error) { return millis.Marshal(&l) }

// LeaseTaken says that this runner may begin.
type LeaseTaken struct {
	Token  int64         `json:"token"`
	Waited time.Duration `json:"waited_ms"`
	// TakenFrom is the holder whose lease had run out or who was gone. Recorded is how
	// many migrations that run had recorded, and Last the last of them: whatever else it
	// had begun, outside of what Unfinished lists, came to nothing.
	TakenFrom *Holder `json:"taken_from,omitempty"`
	Recorded  int     `json:"recorded,omitempty"`
	Last      *Ref    `json:"last,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (l LeaseTaken) MarshalJSON() ([]byte, error) { return millis.Marshal(&l) }

// HookStarted says that a hook of the run begins. Those of each migration are
// part of it, and have no events of their own.
type HookStarted struct {
	Hook string `json:"hook"` // "before_run" or "after_run"
	Path string `json:"path,omitempty"`
}

// HookFinished follows HookStarted.
type HookFinished struct {
	Hook     string        `json:"hook"`
	Path     string        `json:"path,omitempty"`
	Duration time.Duration `json:"duration_ms"`
	Rows     int64         `json:"rows"`
	Error    *Error        `json:"error,omitempty"` // the run then ends with it
}

// MarshalJSON writes durations in milliseconds.
func (h HookFinished) MarshalJSON() ([]byte, error) { return millis.Marshal(&h) }

// UndoingUnfinished says, before anything runs, that a migration which is to be
// rolled back had stopped half-way up, and what is done of it.
type UndoingUnfinished struct {
	Migration  Ref        `json:"migration"`
	Unfinished Unfinished `json:"unfinished"`
}

// MigrationStarted opens a migration.
type MigrationStarted struct {
	Migration Ref `json:"migration"`
	Steps     int `json:"steps"`
	Done      int `json:"done"` // steps that an earlier run had finished
	// Keys are the rows of about Total that the backfill at which it goes on has gone
	// through, and Rows those that all of it has changed so far.
	Keys  int64 `json:"keys,omitempty"`
	Total int64 `json:"total,omitempty"`
	Rows  int64 `json:"rows,omitempty"`
	// Atomic is set where the migration is one transaction with its record.
	Atomic bool `json:"atomic"`
}

// StepStarted opens a step of a migration.
type StepStarted struct {
	Migration Ref      `json:"migration"`
	Step      int      `json:"step"` // from 1
	StepKind  StepKind `json:"step_kind"`
	Summary   string   `json:"summary"`
}

// LockWaiting says who blocks the running step.
type LockWaiting struct {
	Migration Ref           `json:"migration"`
	Step      int           `json:"step"`
	Blockers  []Blocker     `json:"blockers"`
	Waited    time.Duration `json:"waited_ms"` // since the step was sent
}

// MarshalJSON writes durations in milliseconds.
func (l LockWaiting) MarshalJSON() ([]byte, error) { return millis.Marshal(&l) }

// TrafficWaiting says that others have been waiting behind the running step for
// longer than the stall budget.
type TrafficWaiting struct {
	Migration Ref           `json:"migration"`
	Step      int           `json:"step"`
	Waiting   []Blocker     `json:"waiting"` // Age is for how long each has been running its query
	Longest   time.Duration `json:"longest_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (t TrafficWaiting) MarshalJSON() ([]byte, error) { return millis.Marshal(&t) }

// Retrying says that a step backed off (from a lock, a deadlock, a serialisation
// failure) and will be sent again.
type Retrying struct {
	Migration Ref           `json:"migration"`
	Step      int           `json:"step"`
	Attempt   int           `json:"attempt"`  // the one that failed, from 1
	After     time.Duration `json:"after_ms"` // the pause before the next
	SQLState  string        `json:"sqlstate"`
	Reason    string        `json:"reason"`
}

// MarshalJSON writes durations in milliseconds.
func (r Retrying) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// ConnectionLost says that the connection broke while a migration ran. The run
// reconnects, asks what became of the migration, and goes on.
type ConnectionLost struct {
	Migration Ref    `json:"migration"`
	Reason    string `json:"reason"`
}

// Reconnected follows ConnectionLost.
type Reconnected struct {
	Migration Ref           `json:"migration"`
	Waited    time.Duration `json:"waited_ms"`
	// Recorded is how many migrations turned out to be done, this one first.
	Recorded int `json:"recorded"`
}

// MarshalJSON writes durations in milliseconds.
func (r Reconnected) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// ObjectsLost says that what a repeatable migration defines is not there, or was
// replaced by another migration. It runs again: in this run, or with the next up.
type ObjectsLost struct {
	Migration Ref      `json:"migration"`
	Objects   []string `json:"objects,omitempty"` // that are not there, as "view public.names"
	Repeats   bool     `json:"repeats"`           // in this run
}

// IndexRepaired says what became of an index that an interrupted concurrent
// build had left behind.
type IndexRepaired struct {
	Migration Ref    `json:"migration"`
	Index     string `json:"index"`
	Action    string `json:"action"` // "dropped_invalid" or "kept_valid"
}

// Notice is a message of the server's, as RAISE NOTICE makes it.
type Notice struct {
	Migration Ref    `json:"migration"`
	Severity  string `json:"severity"`
	Message   string `json:"message"`
	Detail    string `json:"detail,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

// Printed is what a script printed.
type Printed struct {
	Migration Ref    `json:"migration"`
	Level     string `json:"level"` // "log", "info", "warn" or "error"
	Text      string `json:"text"`
}

// BatchProgress says how far a backfill has come.
type BatchProgress struct {
	Migration Ref   `json:"migration"`
	Step      int   `json:"step"`
	Keys      int64 `json:"keys"`       // rows of the table gone through, with those of earlier runs
	Total     int64 `json:"total"`      // the server's estimate of the table's rows; 0 if it has none
	Rows      int64 `json:"rows"`       // changed, as the server counts them, with those of earlier runs
	PerSecond int64 `json:"per_second"` // keys in this run
	// Left is how long the rest will take at that pace; 0 if nobody knows.
	Left time.Duration `json:"left_ms"`
	Size int           `json:"size"` // of the next batch
	Pass int           `json:"pass"` // from 1; more where an assertion did not hold yet
}

// MarshalJSON writes durations in milliseconds.
func (b BatchProgress) MarshalJSON() ([]byte, error) { return millis.Marshal(&b) }

// BatchPaused says why a backfill waits before its next batch. It comes again
// when the reason changes.
type BatchPaused struct {
	Migration Ref    `json:"migration"`
	Step      int    `json:"step"`
	Reason    string `json:"reason"`
	// Behind is by how many bytes of WAL the replica was behind, if that is why.
	Behind int64 `json:"behind_bytes,omitempty"`
}

// BatchResumed says that a backfill goes on after a pause.
type BatchResumed struct {
	Migration Ref           `json:"migration"`
	Step      int           `json:"step"`
	Paused    time.Duration `json:"paused_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (b BatchResumed) MarshalJSON() ([]byte, error) { return millis.Marshal(&b) }

// StepFinished closes a step.
type StepFinished struct {
	Migration Ref           `json:"migration"`
	Step      int           `json:"step"`
	Duration  time.Duration `json:"duration_ms"`
	Rows      int64         `json:"rows"` // changed, as the server counts them
}

// MarshalJSON writes durations in milliseconds.
func (s StepFinished) MarshalJSON() ([]byte, error) { return millis.Marshal(&s) }

// MigrationFinished closes a migration that is done and recorded.
type MigrationFinished struct {
	Migration Ref           `json:"migration"`
	Duration  time.Duration `json:"duration_ms"`
	Rows      int64         `json:"rows"` // of all its steps, with those that an earlier run did
	// RowsUnknown is set where it turned out to be recorded after the connection was
	// lost, and with it the answer that had the number.
	RowsUnknown bool `json:"rows_unknown,omitempty"`
	// RecordOnly is set where nothing ran (baseline, a forced down).
	RecordOnly bool `json:"record_only,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (m MigrationFinished) MarshalJSON() ([]byte, error) { return millis.Marshal(&m) }

// Failed says that a migration failed and what is left of it.
type Failed struct {
	Migration Ref           `json:"migration"`
	Duration  time.Duration `json:"duration_ms"`
	Error     *Error        `json:"error"`
	// Unknown is set where the connection was lost and could not be had again: whether
	// what was on its way is done, only the database knows.
	Unknown bool `json:"outcome_unknown,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (f Failed) MarshalJSON() ([]byte, error) { return millis.Marshal(&f) }

// RunFinished closes every run, failed or not.
type RunFinished struct {
	Command  string        `json:"command"`
	Duration time.Duration `json:"duration_ms"`
	Done     int           `json:"done"` // migrations done
	Error    *Error        `json:"error,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (r RunFinished) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// Kind implements Event.
func (RunStarted) Kind() string { return "run_started" }

// Kind implements Event.
func (SchemaCreated) Kind() string { return "schema_created" }

// Kind implements Event.
func (TablesAdopted) Kind() string { return "tables_adopted" }

// Kind is other_history_found.
func (OtherHistoryFound) Kind() string { return "other_history_found" }

// Kind implements Event.
func (TablesUpgraded) Kind() string { return "tables_upgraded" }

// Kind implements Event.
func (UndoingUnfinished) Kind() string { return "undoing_unfinished" }

// Kind implements Event.
func (ProtectionNoted) Kind() string { return "protection_noted" }

// Kind implements Event.
func (LeaseWaiting) Kind() string { return "lease_waiting" }

// Kind implements Event.
func (LeaseTaken) Kind() string { return "lease_taken" }

// Kind implements Event.
func (HookStarted) Kind() string { return "hook_started" }

// Kind implements Event.
func (HookFinished) Kind() string { return "hook_finished" }

// Kind implements Event.
func (MigrationStarted) Kind() string { return "migration_started" }

// Kind implements Event.
func (StepStarted) Kind() string { return "step_started" }

// Kind implements Event.
func (LockWaiting) Kind() string { return "lock_waiting" }

// Kind implements Event.
func (TrafficWaiting) Kind() string { return "traffic_waiting" }

// Kind implements Event.
func (Retrying) Kind() string { return "retrying" }

// Kind implements Event.
func (ConnectionLost) Kind() string { return "connection_lost" }

// Kind implements Event.
func (Reconnected) Kind() string { return "reconnected" }

// Kind implements Event.
func (ObjectsLost) Kind() string { return "objects_lost" }

// Kind implements Event.
func (IndexRepaired) Kind() string { return "index_repaired" }

// Kind implements Event.
func (Notice) Kind() string { return "notice" }

// Kind implements Event.
func (Printed) Kind() string { return "printed" }

// Kind implements Event.
func (BatchProgress) Kind() string { return "batch_progress" }

// Kind implements Event.
func (BatchPaused) Kind() string { return "batch_paused" }

// Kind implements Event.
func (BatchResumed) Kind() string { return "batch_resumed" }

// Kind implements Event.
func (StepFinished) Kind() string { return "step_finished" }

// Kind implements Event.
func (MigrationFinished) Kind() string { return "migration_finished" }

// Kind implements Event.
func (Failed) Kind() string { return "failed" }

// Kind implements Event.
func (RunFinished) Kind() string { return "run_finished" }

func (HookStarted) sealed()       {}
func (HookFinished) sealed()      {}
func (RunStarted) sealed()        {}
func (SchemaCreated) sealed()     {}
func (TablesAdopted) sealed()     {}
func (OtherHistoryFound) sealed() {}
func (TablesUpgraded) sealed()    {}
func (UndoingUnfinished) sealed() {}

// Kind implements Event.
func (ProtectionNoted) sealed()   {}
func (LeaseWaiting) sealed()      {}
func (LeaseTaken) sealed()        {}
func (MigrationStarted) sealed()  {}
func (StepStarted) sealed()       {}
func (LockWaiting) sealed()       {}
func (TrafficWaiting) sealed()    {}
func (Retrying) sealed()          {}
func (ConnectionLost) sealed()    {}
func (Reconnected) sealed()       {}
func (ObjectsLost) sealed()       {}
func (IndexRepaired) sealed()     {}
func (Notice) sealed()            {}
func (Printed) sealed()           {}
func (BatchProgress) sealed()     {}
func (BatchPaused) sealed()       {}
func (BatchResumed) sealed()      {}
func (StepFinished) sealed()      {}
func (MigrationFinished) sealed() {}
func (Failed) sealed()            {}
func (RunFinished) sealed()       {}
