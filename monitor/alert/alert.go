// Package alert tells somebody while a migration is slow, stuck or failed.
//
// A Watch observes a run and raises alerts; each goes to the sinks that want
// it, in a goroutine of the sink's own, so that no sink delays a migration. What
// an alert was about is reported as resolved when it is over, with the same key.
//
// Package monitor/alert/service opens sinks for chat, mail and paging services.
package alert

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Severity says how urgent an alert is.
type Severity string

// The severities, in their order.
const (
	Low      Severity = "low"
	Medium   Severity = "medium"
	High     Severity = "high"
	Critical Severity = "critical"
)

// rank orders severities; an unknown one is below all.
func (s Severity) rank() int {
	for i, known := range []Severity{Low, Medium, High, Critical} {
		if s == known {
			return i + 1
		}
	}
	return 0
}

// ParseSeverity reads a severity; the empty text is Low, which lets all pass.
func ParseSeverity(text string) (Severity, error) {
	s := Severity(strings.ToLower(text))
	if s == "" {
		return Low, nil
	}
	if s.rank() == 0 {
		return "", fmt.Errorf("unknown severity %q: it is low, medium, high or critical", text)
	}
	return s, nil
}

// Status says whether what an alert is about is still so.
type Status string

// The statuses.
const (
	Firing   Status = "firing"
	Resolved Status = "resolved"
)

// Type says whether something went wrong or may be about to.
type Type string

// The types.
const (
	Warning Type = "warning"
	Error   Type = "error"
)

// Reason is what an alert is about.
type Reason string

// The reasons.
const (
	Slow    Reason = "slow"    // a migration has been running for long
	Failed  Reason = "failed"  // a migration, or a run, failed
	Refused Reason = "refused" // a safety check, or the engine before it began, refused to run
	Lease   Reason = "lease"   // another runner holds the lease, for long
	Lock    Reason = "lock"    // a step cannot get its lock, for long
	Traffic Reason = "traffic" // others have been waiting behind a step, for long
	Still   Reason = "still"   // a backfill has made no progress for long
	Test    Reason = "test"    // a sample
)

// Alert is what is sent to sinks; its JSON is what webhooks and commands get.
// It holds no password, no SQL of others, and no value of a row but what
// PostgreSQL quotes in its message.
type Alert struct {
	// ID is the alert's own; sending it again does not change it.
	ID string `json:"id"`
	// Key is the same for all alerts about one thing: first medium, then high, then
	// resolved. It does not depend on the process.
	Key      string    `json:"key"`
	Status   Status    `json:"status"`
	Type     Type      `json:"type"`
	Severity Severity  `json:"severity"`
	Reason   Reason    `json:"reason"`
	Title    string    `json:"title"`   // one line
	Message  string    `json:"message"` // what is so, and since when
	Remedy   string    `json:"remedy,omitempty"`
	Time     time.Time `json:"time"`
	Since    time.Time `json:"since"` // when it began

	Environment string        `json:"environment,omitempty"`
	Database    string        `json:"database,omitempty"` // user@host:port/name
	Command     string        `json:"command,omitempty"`
	Runner      string        `json:"runner,omitempty"` // who runs it, and where
	Link        string        `json:"link,omitempty"`   // to the pipeline's run
	Migration   *whimbrel.Ref `json:"migration,omitempty"`
	Step        int           `json:"step,omitempty"`
	Duration    time.Duration `json:"duration_ms"` // since Since
	Error       *Failure      `json:"error,omitempty"`
	Blockers    []Session     `json:"blockers,omitempty"` // who blocks it
}

// MarshalJSON writes durations in milliseconds.
func (a Alert) MarshalJSON() ([]byte, error) { return millis.Marshal(&a) }

// UnmarshalJSON reads what MarshalJSON writes.
func (a *Alert) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, a) }

// Failure is what failed, and where.
type Failure struct {
	Code     whimbrel.Code `json:"code"`
	Message  string        `json:"message"`
	Path     string        `json:"path,omitempty"`
	Line     int           `json:"line,omitempty"`
	Column   int           `json:"column,omitempty"`
	SQLState string        `json:"sqlstate,omitempty"`
}

func failureOf(e *whimbrel.Error) *Failure {
	if e == nil {
		return nil
	}
	return &Failure{Code: e.Code, Message: e.Message, Path: e.Path, Line: e.Line, Column: e.Column, SQLState: e.SQLState}
}

// Session is another session of the database, without its query.
type Session struct {
	PID         int           `json:"pid"`
	Application string        `json:"application,omitempty"`
	User        string        `json:"user,omitempty"`
	State       string        `json:"state,omitempty"`
	Age         time.Duration `json:"age_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (s Session) MarshalJSON() ([]byte, error) { return millis.Marshal(&s) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Session) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, s) }

func sessionsOf(blockers []whimbrel.Blocker) []Session {
	var sessions []Session
	for _, b := range blockers {
		sessions = append(sessions, Session{PID: b.PID, Application: b.Application, User: b.User, State: b.State, Age: b.Age})
	}
	return sessions
}

func (s Session) String() string {
	text := fmt.Sprintf("pid %d", s.PID)
	for _, part := range []string{s.Application, s.User, s.State} {
		if part != "" {
			text += ", " + part
		}
	}
	return text + ", for " + present.Duration(s.Age)
}

// Text is the whole alert for people: title, message, and what else is known,
// one thing on each line.
func (a Alert) Text() string {
	var b strings.Builder
	say := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	b.WriteString(a.Message + "\n")
	say("Database", a.Database)
	say("Environment", a.Environment)
	if a.Migration != nil {
		say("Migration", name(*a.Migration)+" ("+string(a.Migration.Direction)+")")
		say("File", a.Migration.Path)
	}
	if a.Duration > 0 {
		say("Duration", present.Duration(a.Duration))
	}
	for _, session := range a.Blockers {
		say("Blocked by", session.String())
	}
	say("Severity", string(a.Severity))
	say("Run by", a.Runner)
	say("What to do", a.Remedy)
	say("Link", a.Link)
	return strings.TrimRight(b.String(), "\n")
}

// Sample is an alert like one that a real run sends, and says that it is none.
func Sample(environment, database string, now time.Time) Alert {
	return Alert{
		ID: newID(), Key: "whimbrel/test", Status: Firing, Type: Warning, Severity: Critical, Reason: Test,
		Title: "whimbrel: a test of the alerts",
		Message: "This is a sample that whimbrel alert test sent. Nothing is wrong: alerts about slow, stuck and failed " +
			"migrations come this way.",
		Time: now, Since: now, Environment: environment, Database: database, Runner: runner(),
	}
}

func newID() string { return "wmb_" + rand.Text() }

func name(ref whimbrel.Ref) string {
	if ref.Name == "" {
		return string(ref.Version)
	}
	return string(ref.Version) + "_" + ref.Name
}
