package monitor

import (
	"encoding/json"
	"time"

	"github.com/whimbrel-db/whimbrel"
)

// Observation is an event of the engine and what was seen around it.
type Observation struct {
	whimbrel.Record
	// Before and After are the process's memory: Before comes with
	// migration_started, both come with migration_finished and failed.
	Before, After *Memory
}

// MarshalJSON gives the record's flat object, with "memory_before" and
// "memory_after" where they are known.
func (o Observation) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(o.Record)
	if err != nil || o.Before == nil && o.After == nil {
		return text, err
	}
	memory, err := json.Marshal(struct {
		Before *Memory `json:"memory_before,omitempty"`
		After  *Memory `json:"memory_after,omitempty"`
	}{o.Before, o.After})
	if err != nil {
		return nil, err
	}
	return append(append(text[:len(text)-1], ','), memory[1:]...), nil
}

// Observer is told of every observation of a run, in order. Like
// whimbrel.Listener it is called by one goroutine at a time and delays the run
// while it works.
type Observer func(Observation)

// Listen makes a listener of observers, who are told in the order given. The
// nil ones among them are left out. A listener is for one Migrator: it takes
// what it hears for one run after the other.
func Listen(observers ...Observer) whimbrel.Listener {
	var told []Observer
	for _, observer := range observers {
		if observer != nil {
			told = append(told, observer)
		}
	}
	if len(told) == 0 {
		return nil
	}
	l := listening{observers: told, meter: newMeter()}
	return l.hear
}

// listening is a listener and what it remembers.
type listening struct {
	observers []Observer
	meter     *meter
	before    *Memory
	latest    *Memory
	at        time.Time
}

// fresh is for how long a reading of the memory serves: of migrations that follow
// one another at once, the one's end is the next one's beginning.
const fresh = 5 * time.Millisecond

func (l *listening) hear(record whimbrel.Record) {
	o := Observation{Record: record}
	switch record.Event.(type) {
	case whimbrel.MigrationStarted:
		if l.latest == nil || record.Time.Sub(l.at) > fresh {
			l.read(record.Time)
		}
		l.before = l.latest
		o.Before = l.before
	case whimbrel.MigrationFinished, whimbrel.Failed:
		l.read(record.Time)
		o.Before, o.After = l.before, l.latest
		l.before = nil
	}
	for _, observer := range l.observers {
		observer(o)
	}
}

func (l *listening) read(at time.Time) {
	memory := l.meter.read()
	l.latest, l.at = &memory, at
}
