package trial

import (
	"encoding/json"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/millis"
)

// Listener hears how a trial goes on.
type Listener func(Event)

// Event is one of the types below; the set is closed.
type Event interface {
	// Kind is the event's stable name, as in "trial_started".
	Kind() string
	sealed()
}

// Started opens a trial.
type Started struct {
	Server     string `json:"server"`     // PostgreSQL's version
	Migrations int    `json:"migrations"` // to be tested
	Jobs       int    `json:"jobs"`
}

// Testing says that a migration is being tested.
type Testing struct {
	Migration whimbrel.Ref `json:"migration"`
	Job       int          `json:"job"` // from 1
}

// Tested says what came of a migration. With several jobs they do not come in order.
type Tested struct {
	Result Result `json:"result"`
	Done   int    `json:"done"` // migrations tested by now
	Total  int    `json:"total"`
}

// Finished closes a trial.
type Finished struct {
	Summary  Summary       `json:"summary"`
	Duration time.Duration `json:"duration_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (f Finished) MarshalJSON() ([]byte, error) { return millis.Marshal(&f) }

// Kind implements Event.
func (Started) Kind() string { return "trial_started" }

// Kind implements Event.
func (Testing) Kind() string { return "migration_testing" }

// Kind implements Event.
func (Tested) Kind() string { return "migration_tested" }

// Kind implements Event.
func (Finished) Kind() string { return "trial_finished" }

func (Started) sealed()  {}
func (Testing) sealed()  {}
func (Tested) sealed()   {}
func (Finished) sealed() {}

// MarshalEvent gives one flat JSON object: "event", and the event's fields.
func MarshalEvent(e Event) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return append([]byte(`{"event":"`+e.Kind()+`",`), body[1:]...), nil
}
