package forecast

import (
	"fmt"
	"strings"
	"time"

	ast "github.com/pganalyze/pg_query_go/v6"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Estimate is about how long something takes, and what that is made of.
type Estimate struct {
	// Known is false where there is nothing to go by; About is then what the parts
	// take of which something is known.
	Known bool          `json:"known"`
	About time.Duration `json:"about_ms"`
	Basis string        `json:"basis,omitempty"`
}

// MarshalJSON writes durations in milliseconds.
func (e Estimate) MarshalJSON() ([]byte, error) { return millis.Marshal(&e) }

// UnmarshalJSON reads what MarshalJSON writes.
func (e *Estimate) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, e) }

// moment is what takes no time worth speaking of.
var moment = Estimate{Known: true}

// brief is up to how long a lock that is held counts as held briefly: the stall
// budget that the engine has unless it is told otherwise.
const brief = whimbrel.DefaultMaxStall

// plus is the time for one thing after the other.
func (e Estimate) plus(next Estimate) Estimate {
	sum := Estimate{Known: e.Known && next.Known, About: e.About + next.About, Basis: next.Basis}
	if e == (Estimate{}) {
		sum.Known = next.Known
	}
	if e.Basis != "" && next.Basis != "" && e.Basis != next.Basis {
		sum.Basis = e.Basis + "; then " + next.Basis
	} else if sum.Basis == "" {
		sum.Basis = e.Basis
	}
	return sum
}

// work is what a statement does to the rows that it goes through.
type work int

const (
	reads   work = iota
	changes      // updates, deletes or inserts rows
	builds       // makes indexes
)

// pace is how fast one session goes through a table that is not in memory: a cautious
// guess at hardware of today.
type pace struct {
	bytes float64 // a second
	rows  float64 // a second
	verb  string
}

var (
	readingPace   = pace{200 << 20, 4e6, "reading"}
	buildingPace  = pace{80 << 20, 800e3, "building an index"}
	changingPace  = pace{20 << 20, 60e3, "changing rows"}
	rewritingPace = pace{50 << 20, 400e3, "rewriting"}
)

// takes is the time for a table of a size; rows is -1 where it is not known.
func (p pace) takes(rows, bytes int64) time.Duration {
	seconds := max(float64(bytes)/p.bytes, float64(rows)/p.rows, 0)
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
}

func (p pace) String() string {
	return fmt.Sprintf("%s at %s a second and %s rows a second", p.verb, present.Bytes(int64(p.bytes)),
		roughCount(int64(p.rows)))
}

// estimate says how long a statement takes on tables of the size that they have.
func (t *teller) estimate(s Statement, o *lint.Observation) Estimate {
	if s.Opaque {
		return Estimate{Basis: "what it does cannot be read from its text"}
	}
	names := s.touched()
	if len(names) == 0 {
		return moment
	}
	for _, name := range names {
		if _, known := t.facts.table(name); !known && !t.facts.Complete {
			return Estimate{Basis: "the size of " + name + " is not known"}
		}
	}
	e := t.assumed(s, names)
	if s.Rows < 0 {
		e.Basis += "; the rows have not been counted: the table was never analyzed"
		return e
	}
	if measured, ok := t.measured(s, o, names); ok {
		return measured
	}
	return e
}

// assumed is an estimate by the usual paces.
func (t *teller) assumed(s Statement, names []string) Estimate {
	var sum time.Duration
	var paces []string
	for _, name := range names {
		p := s.pace(name)
		rows, bytes := t.amount(s, name)
		sum += p.takes(rows, bytes)
		if text := p.String(); !contains(paces, text) {
			paces = append(paces, text)
		}
	}
	e := Estimate{Known: true, About: sum, Basis: "assumed: " + strings.Join(paces, "; ")}
	if s.concurrent() {
		e.About *= 2
		e.Basis += ", twice, as it goes on concurrently; and as long as transactions that are open take to end"
		if t.facts.Oldest > aLongTime {
			e.Basis += fmt.Sprintf(" (the oldest has been open for %s)", roughly(t.facts.Oldest))
		}
	}
	return e
}

// fewestRows is on how many rows something must have been measured for it to say
// anything about more of them: on fewer, what every statement takes is all there is.
const fewestRows = 100

// measured extrapolates from what a rehearsal took on few rows to the rows that are
// there. Few rows fit into memory, so the pace of a disk is the least that it takes.
func (t *teller) measured(s Statement, o *lint.Observation, names []string) (Estimate, bool) {
	if o == nil || o.Empty || o.Failure != nil {
		return Estimate{}, false
	}
	seen, least := int64(0), time.Duration(0)
	for _, name := range names {
		seen += o.Rows[name]
		_, bytes := t.amount(s, name)
		least += s.pace(name).takes(0, bytes)
	}
	if seen < fewestRows {
		return Estimate{}, false
	}
	each := o.Milliseconds / float64(seen)
	about := max(time.Duration(each*float64(s.Rows)*float64(time.Millisecond)).Round(time.Millisecond), least)
	return Estimate{
		Known: true, About: about,
		Basis: fmt.Sprintf("measured: %.2g µs a row on %s rows in the rehearsal; on disk no less than %s", each*1000,
			roughCount(seen), roughly(least)),
	}, true
}

// amount is what a statement goes through of a table.
func (t *teller) amount(s Statement, name string) (rows, bytes int64) {
	table, _ := t.facts.table(name)
	bytes = table.Heap + table.Toast
	if contains(s.Rewrites, name) {
		bytes += table.Indexes
	}
	return table.Rows, bytes
}

func (s Statement) concurrent() bool {
	return s.work == builds && strings.Contains(s.Command, "CONCURRENTLY")
}

// pace is that at which a statement goes through a table.
func (s Statement) pace(table string) pace {
	switch {
	case contains(s.Rewrites, table):
		return rewritingPace
	case s.work == builds:
		return buildingPace
	case s.work == changes:
		return changingPace
	}
	return readingPace
}

// trees parses a statement; nil where the grammar does not know it.
func (t *teller) trees(text string) []*ast.Node {
	nodes, err := t.parser.Parse(text)
	if err != nil {
		return nil
	}
	return nodes
}

// workOf tells what a statement does to the rows that it goes through.
func workOf(s migration.Statement, nodes []*ast.Node) work {
	if s.Batch != nil {
		return changes
	}
	for _, n := range nodes {
		switch node := n.GetNode().(type) {
		case *ast.Node_IndexStmt, *ast.Node_ReindexStmt:
			return builds
		case *ast.Node_InsertStmt, *ast.Node_UpdateStmt, *ast.Node_DeleteStmt, *ast.Node_MergeStmt:
			return changes
		case *ast.Node_AlterTableStmt:
			for _, c := range node.AlterTableStmt.Cmds {
				switch c.GetAlterTableCmd().GetDef().GetConstraint().GetContype() {
				case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE, ast.ConstrType_CONSTR_EXCLUSION:
					return builds
				}
			}
		}
	}
	return reads
}

// disk is about how much space a migration needs beside what it frees at its end.
// Transactions follow one another, so it is the most that any step takes.
func (t *teller) disk(m Migration) int64 {
	most := int64(0)
	for _, step := range m.Steps {
		sum := int64(0)
		for _, s := range step.Statements {
			for _, name := range s.touched() {
				table, _ := t.facts.table(name)
				switch {
				case contains(s.Rewrites, name):
					sum += table.Heap + table.Toast + table.Indexes
				case s.work == builds && table.IndexCount > 0:
					sum += table.Indexes / int64(table.IndexCount)
				case s.work == builds:
					sum += table.Heap / 4
				}
			}
		}
		most = max(most, sum)
	}
	return most
}
