// Package forecast says of a plan what it will do to a database that is in use:
// which locks its statements take and for how long, what they read and rewrite,
// how long that takes on tables of the size that they have there, what is lost, what
// the down migration is, whether the application or the migration is to be deployed first,
// and how risky all that is, with the reasons.
//
// Study gathers what is needed: it reads the catalog and the sizes from the database,
// judges the statements with package lint and, if that is asked, rehearses them on a
// throw-away server. It writes nothing. Foretell makes the Forecast of what was
// gathered; it and all else here are functions from values to values.
package forecast

import (
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Forecast is what is foretold of a plan.
type Forecast struct {
	Database string    `json:"database"` // user@host:port/name
	Server   string    `json:"server"`   // PostgreSQL's version
	At       time.Time `json:"at"`
	// Risk is the highest of all migrations; Low where there are none.
	Risk     Risk     `json:"risk"`
	Duration Estimate `json:"duration"`
	// Migrations are in the order in which they run.
	Migrations []Migration    `json:"migrations"`
	Skipped    []whimbrel.Ref `json:"skipped,omitempty"`
	// Tables are those that are touched, as they are now.
	Tables []Table `json:"tables"`
	// Rehearsal is set where the statements were run on a throw-away server.
	Rehearsal *Rehearsal `json:"rehearsal,omitempty"`
	// Unseen lists what could not be seen, and why.
	Unseen []string `json:"unseen,omitempty"`
}

// Migration is the part of a forecast that is about one migration in one direction.
type Migration struct {
	whimbrel.Ref
	// Atomic is set where it is one transaction together with its record.
	Atomic bool `json:"atomic"`
	// Divided is set where transaction blocks of its file make it several transactions.
	Divided    bool `json:"divided,omitempty"`
	RecordOnly bool `json:"record_only,omitempty"` // the history is changed and nothing runs
	Stored     bool `json:"stored,omitempty"`      // what runs comes from the history
	Risk       Risk `json:"risk"`
	// Reasons are for the risk, the gravest first; there is at least one.
	Reasons  []Reason `json:"reasons"`
	Duration Estimate `json:"duration"`
	// Disk is about how many bytes are needed beside those that are freed at the end:
	// for tables and indexes that are rewritten. There is as much WAL.
	Disk   int64    `json:"disk_bytes,omitempty"`
	Loses  []Loss   `json:"loses,omitempty"`
	Down   Reversal `json:"down"`
	Deploy Deploy   `json:"deploy"`
	Steps  []Step   `json:"steps"`
}

// Step is a step of the plan.
type Step struct {
	Number  int               `json:"number"`
	Kind    whimbrel.StepKind `json:"kind"`
	Done    bool              `json:"done"` // by an earlier run: it does not run again
	Started bool              `json:"started,omitempty"`
	Batch   *Batch            `json:"batch,omitempty"`
	// Local are settings that end with the step, although others follow.
	Local []string `json:"local,omitempty"`
	// Locks are the strongest that the step takes of each table that is there before
	// its migration, in the order in which it first takes one.
	Locks      []Lock      `json:"locks,omitempty"`
	Duration   Estimate    `json:"duration"`
	Statements []Statement `json:"statements"`
}

// Batch says how a step goes through a table. See migration.Batch.
type Batch struct {
	Table   string   `json:"table"`
	Key     []string `json:"key"`
	Size    int      `json:"size"`
	Pause   string   `json:"pause"`
	Workers int      `json:"workers"`
	// Checked is set where an assertion tells whether rows were left.
	Checked bool `json:"checked"`
}

// Statement is what is foretold of one statement.
type Statement struct {
	Line    int          `json:"line"`
	Command string       `json:"command"`
	Text    string       `json:"text"`
	Verdict lint.Verdict `json:"verdict"`
	// Opaque is set where its text does not tell all that it does.
	Opaque bool `json:"opaque,omitempty"`
	// Locks are what the statement adds to those that its transaction has.
	Locks []lint.Lock `json:"locks,omitempty"`
	// Scans are tables of which it reads all rows, Rewrites those that it writes
	// again. Builds is set where it makes indexes of what it reads.
	Scans    []string `json:"scans,omitempty"`
	Rewrites []string `json:"rewrites,omitempty"`
	Builds   bool     `json:"builds,omitempty"`
	// Rows and Bytes are the size of what it goes through; Rows is -1 where nobody
	// has counted.
	Rows     int64           `json:"rows"`
	Bytes    int64           `json:"bytes"`
	Duration Estimate        `json:"duration"`
	Findings []lint.Finding  `json:"findings,omitempty"`
	Evidence []lint.Evidence `json:"evidence,omitempty"`

	work work
}

// Lock is a lock on a table and how long it is held.
type Lock struct {
	Table string    `json:"table"`
	Mode  lint.Mode `json:"mode"`
	Hold  Hold      `json:"hold"`
	// Held is about how long, from the statement of Line to the end of the step.
	Held Estimate `json:"held"`
	Line int      `json:"line"`
}

// Hold says how long a lock is held.
type Hold string

// How long a lock is held.
const (
	// Brief: for a moment, in which nothing is gone through that is not tiny.
	Brief Hold = "brief"
	// Long: while rows are read or written, or an index is built.
	Long Hold = "long"
	// HoldUnknown: what runs meanwhile is not known.
	HoldUnknown Hold = "unknown"
)

// Rehearsal is the circumstances of a rehearsal.
type Rehearsal struct {
	Server string `json:"server"` // PostgreSQL's version
	Rows   int    `json:"rows"`   // that each table got
	// Stopped says why migrations from some point on were not rehearsed.
	Stopped string `json:"stopped,omitempty"`
}

// Refused reports whether a rehearsal showed that the plan does not run through: the
// server refused a statement, or it ended early.
func (f Forecast) Refused() bool { return f.Rehearsal != nil && f.Rehearsal.Stopped != "" }

// Judged is what package lint has to say about a plan.
type Judged struct {
	// Report has a file for each migration of Sequence(plan), corrected by what
	// was observed; Back one for each down migration, in the order of the migrations.
	Report, Back lint.Report
	// Observations and BackObservations are those of a rehearsal; their versions are
	// those of the sequences.
	Observations, BackObservations []lint.Observation
	Rehearsal                      *Rehearsal
}

// Foretell makes a forecast of a plan, of what was judged of it, and of the facts of
// the database on which it is to run.
func Foretell(plan whimbrel.Plan, judged Judged, facts Facts, parser lint.Parser) Forecast {
	f := Forecast{
		Database: facts.Database, Server: facts.Server, At: facts.At, Risk: Low, Migrations: []Migration{}, Tables: []Table{},
		Rehearsal: judged.Rehearsal, Unseen: facts.Unseen,
	}
	for _, m := range plan.Skipped {
		f.Skipped = append(f.Skipped, whimbrel.Ref{Version: m.Version, Name: m.Name, Path: m.Path, Direction: whimbrel.Up})
	}
	teller := &teller{judged: judged, facts: facts, parser: parser}
	touched := map[string]bool{}
	for i, p := range plan.Migrations {
		m := teller.migration(i, p)
		f.Migrations = append(f.Migrations, m)
		f.Risk = max(f.Risk, m.Risk)
		f.Duration = f.Duration.plus(m.Duration)
		for _, name := range m.tables() {
			touched[name] = true
		}
	}
	for _, t := range facts.Tables {
		if touched[t.Name] {
			f.Tables = append(f.Tables, t)
		}
	}
	return f
}

// teller makes forecasts of migrations.
type teller struct {
	judged Judged
	facts  Facts
	parser lint.Parser
}

func (t *teller) migration(at int, p whimbrel.Planned) Migration {
	m := Migration{
		Ref: p.Ref(), Atomic: p.Atomic(), Divided: p.Divided(), RecordOnly: p.RecordOnly(),
		Stored: p.Source == whimbrel.SourceHistory, Steps: []Step{},
	}
	file := fileOf(t.judged.Report, planVersion(at))
	observed := observationsOf(t.judged.Observations, planVersion(at))
	next := 0
	for _, s := range p.Steps {
		step := Step{Number: s.Number, Kind: s.Kind, Done: s.Done, Started: s.Started, Local: p.Local(s),
			Statements: []Statement{}}
		if s.Kind == whimbrel.StepBatch {
			b := s.Body()[0].Batch
			step.Batch = &Batch{b.Table, b.Key, b.Size, b.Pause, b.Workers, len(s.Body()) > 1}
		}
		for _, statement := range s.Statements {
			told := Statement{Line: statement.Start.Line, Command: statement.Command, Text: statement.Written()}
			if !s.Done && next < len(file.Statements) {
				told = t.statement(statement, file.Statements[next], observed[next])
				next++
			}
			step.Statements = append(step.Statements, told)
		}
		if !s.Done {
			step.settle()
		}
		m.Duration = m.Duration.plus(step.Duration)
		m.Steps = append(m.Steps, step)
	}
	m.Disk = t.disk(m)
	m.Loses = t.losses(remaining(p))
	m.Down = t.reversal(at, p)
	m.Deploy = t.deploy(p)
	m.assess(t.facts)
	return m
}

// statement puts together what is foretold of one statement.
func (t *teller) statement(s migration.Statement, j lint.Judgement, o *lint.Observation) Statement {
	told := Statement{
		Line: s.Start.Line, Command: s.Command, Text: s.Written(), Verdict: j.Verdict, Locks: j.Effect.Locks,
		Scans:    j.Effect.Scans,
		Rewrites: j.Effect.Rewrites, Findings: j.Findings, Evidence: j.Evidence,
	}
	told.Opaque = j.Opaque
	told.work = workOf(s, t.trees(s.Text))
	if s.Batch != nil {
		told.Scans = t.facts.leaves(batched(s.Batch))
	}
	told.Builds = told.work == builds && len(told.Scans) > 0
	told.Rows, told.Bytes = t.facts.size(told.touched())
	told.Duration = t.estimate(told, o)
	return told
}

// touched are the tables that a statement goes through.
func (s Statement) touched() []string {
	all := append([]string{}, s.Rewrites...)
	for _, name := range s.Scans {
		if !contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// tables are those that a migration touches in any way.
func (m Migration) tables() []string {
	var all []string
	for _, step := range m.Steps {
		for _, lock := range step.Locks {
			all = append(all, lock.Table)
		}
		for _, s := range step.Statements {
			all = append(all, s.touched()...)
		}
	}
	return all
}

// batched is the table that a batch goes through.
func batched(b *migration.Batch) string {
	parts := b.TableName()
	name := lint.Name{Object: parts[len(parts)-1]}
	if len(parts) > 1 {
		name.Schema = parts[0]
	}
	return name.String()
}
