package lint

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Hazard is one way in which a statement harms a database that is in use. Output,
// documentation and tests are made of these records.
type Hazard struct {
	ID    string `json:"id"`    // in kebab-case; stable
	Title string `json:"title"` // in a few words
	// Happens says what goes wrong, for somebody who has not met it.
	Happens string `json:"happens"`
	// Locks are those that Bad takes on the tables of the examples' schema.
	Locks []Lock `json:"locks,omitempty"`
	// Versions of PostgreSQL that it concerns; empty for all that are supported.
	Versions string `json:"versions,omitempty"`
	// Remedy says what to do instead; the SQL for a statement is in the finding.
	Remedy string `json:"remedy"`
	Link   string `json:"link"`
	// Setup makes what the examples need beyond ExampleSchema.
	Setup string `json:"setup,omitempty"`
	// Bad is a migration that does it, and Good are migrations that come to the same,
	// or nearly, without harm.
	Bad  string   `json:"bad"`
	Good []string `json:"good"`
	// Severity is the default.
	Severity Severity `json:"severity"`
	// Refused is set where the server refuses Bad, with this SQLSTATE.
	Refused string `json:"refused,omitempty"`
	// Observed is set for what only a rehearsal finds.
	Observed bool `json:"observed,omitempty"`
	// Since is the first major version of PostgreSQL that knows what Bad says, Until
	// the last one that it harms, and GoodSince the first that knows Good; 0 for all.
	Since     int `json:"since,omitempty"`
	Until     int `json:"until,omitempty"`
	GoodSince int `json:"good_since,omitempty"`
}

// Severity is how a finding is to be taken.
type Severity string

// The severities.
const (
	Off   Severity = "off"   // not looked for
	Warn  Severity = "warn"  // told
	Error Severity = "error" // a reason to refuse the migration
)

// Hazards gives all records, in the order in which documentation shows them.
func Hazards() []Hazard { return slices.Clone(records()) }

// records makes them once: some of their examples are long.
var records = sync.OnceValue(func() []Hazard {
	return slices.Concat(indexHazards(), columnHazards(), typeHazards(), constraintHazards(), tableHazards(),
		partitionHazards(),
		transactionHazards(), dataHazards(), accessHazards(), observedHazards(), adviceHazards())
})

// Lookup gives the record of an id.
func Lookup(id string) (Hazard, bool) {
	h, ok := byID()[id]
	return h, ok
}

var byID = sync.OnceValue(func() map[string]Hazard {
	all := make(map[string]Hazard)
	for _, h := range records() {
		all[h.ID] = h
	}
	return all
})

// Severities are the severities of hazards by their ids, as a configuration says.
type Severities map[string]Severity

// Check refuses hazards and severities that do not exist.
func (s Severities) Check() error {
	var ids []string
	for _, h := range records() {
		ids = append(ids, h.ID)
	}
	for id, severity := range s {
		if !slices.Contains(ids, id) {
			if near := plaintext.Nearest(id, ids); near != "" {
				return fmt.Errorf("unknown hazard %q; did you mean %q?", id, near)
			}
			return fmt.Errorf("unknown hazard %q", id)
		}
		if severity != Off && severity != Warn && severity != Error {
			return fmt.Errorf("hazard %s: invalid severity %q; it is %s", id, severity,
				strings.Join([]string{string(Off), string(Warn), string(Error)}, ", "))
		}
	}
	return nil
}
