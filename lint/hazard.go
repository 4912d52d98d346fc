package lint

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Hazard is one way in which a statement harms a database that is in use. Output,
// documentation and tests are made of these records.
type Hazard struct {
	ID    ID     `json:"id"`    // stable
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
	// Grows is set for what is as bad as it takes long: with a small table it is none.
	Grows bool `json:"-"`
	// Mechanical is set where Fix knows to rewrite it.
	Mechanical bool `json:"-"`
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

//go:embed hazards/*.md
var recordFiles embed.FS

// ExampleSchema is what the examples of all hazards stand on.
//
//go:embed hazards/schema.sql
var ExampleSchema string

// recordGroups are the files of the records, in the order in which documentation shows them.
var recordGroups = []string{"indexes", "columns", "types", "constraints", "objects", "partitions", "transactions",
	"data", "access", "observed", "advice"}

// manual is where PostgreSQL's documentation begins.
const manual = "https://www.postgresql.org/docs/current/"

var records = sync.OnceValue(func() (all []Hazard) {
	for _, group := range recordGroups {
		text, _ := recordFiles.ReadFile("hazards/" + group + ".md")
		for _, section := range strings.Split(string(text), "\n## ")[1:] {
			all = append(all, readRecord(section))
		}
	}
	return all
})

// readRecord reads the section of one hazard: its name, a list of what there is to know,
// what happens, the remedy, and the examples. A test holds that nothing in it is unknown.
func readRecord(section string) Hazard {
	blocks := strings.Split(section, "\n```sql ")
	head := strings.Split(strings.TrimSpace(blocks[0]), "\n\n")
	paragraph := func(text string) string { return strings.ReplaceAll(text, "\n", " ") }
	h := Hazard{ID: ID{head[0]}, Happens: paragraph(head[2]), Remedy: strings.TrimPrefix(paragraph(head[3]), "Remedy: ")}
	for item := range strings.SplitSeq(head[1], "\n") {
		name, value, _ := strings.Cut(strings.TrimPrefix(item, "- "), ": ")
		h.set(name, value)
	}
	for _, block := range blocks[1:] {
		name, sql, _ := strings.Cut(block, "\n")
		sql, _, _ = strings.Cut(sql, "\n```")
		switch name {
		case "setup":
			h.Setup = strings.ReplaceAll(sql, "{1600 columns}", columnsUpTo(maxColumns))
		case "bad":
			h.Bad = sql
		case "good":
			h.Good = append(h.Good, sql)
		}
	}
	return h
}

func (h *Hazard) set(name, value string) {
	number, _ := strconv.Atoi(value)
	switch name {
	case "severity":
		h.Severity = Severity(value)
	case "title":
		h.Title = value
	case "lock":
		mode, on, _ := strings.Cut(value, " on ")
		h.Locks = append(h.Locks, Lock{on, pgsql.LockModeOf(mode)})
	case "refused":
		h.Refused = value
	case "versions":
		h.Versions = value
	case "since":
		h.Since = number
	case "until":
		h.Until = number
	case "good since":
		h.GoodSince = number
	case "observed":
		h.Observed = true
	case "grows":
		h.Grows = true
	case "mechanical":
		h.Mechanical = true
	case "link":
		h.Link = value
		if !strings.HasPrefix(value, "annotations.md") {
			h.Link = manual + value
		}
	}
}

// columnsUpTo are the columns of a table that has as many.
func columnsUpTo(n int) string {
	all := "c1 boolean"
	for i := 2; i <= n; i++ {
		all += ", c" + number(i) + " boolean"
	}
	return all
}

// Lookup gives the record of a name.
func Lookup(name string) (Hazard, bool) {
	h, ok := byID()[ID{name}]
	return h, ok
}

// Record gives what there is to know of the hazard.
func (id ID) Record() Hazard { return byID()[id] }

var byID = sync.OnceValue(func() map[ID]Hazard {
	all := make(map[ID]Hazard)
	for _, h := range records() {
		all[h.ID] = h
	}
	return all
})

// Severities are the severities of hazards by their ids, as a configuration says.
type Severities map[string]Severity

// of gives the severity of a hazard.
func (s Severities) of(id ID) Severity {
	if own, ok := s[id.String()]; ok {
		return own
	}
	return id.Record().Severity
}

// Check refuses hazards and severities that do not exist.
func (s Severities) Check() error {
	var ids []string
	for _, h := range records() {
		ids = append(ids, h.ID.String())
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
