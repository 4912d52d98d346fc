package whimbrel

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/digest"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Direction is the way a migration is taken.
type Direction string

// The two directions.
const (
	Up   Direction = "up"
	Down Direction = "down"
)

// Action is what a run does with a migration. The log keeps it; what is half done and
// recovered, it keeps as "recover".
type Action string

// The actions. Beside these there are those of RecoverOptions, and the names of hooks.
const (
	ActionUp     Action = "up"
	ActionDown   Action = "down"
	ActionRepeat Action = "repeat" // a repeatable migration, up
	// What is only recorded: the history is changed, and nothing runs.
	ActionBaseline  Action = "baseline"   // as applied
	ActionAdopt     Action = "adopt"      // as applied by another tool
	ActionAccept    Action = "accept"     // an edited file's checksum
	ActionForget    Action = "forget"     // as not applied
	ActionForceDown Action = "force_down" // as rolled back, without a down migration
)

// The ways out of a half-done state.
const (
	// RecoverContinue goes on where it stopped, also where the file now says something
	// else than what was done: that is as done.
	RecoverContinue Action = "continue"
	// RecoverRestart forgets what is done and runs it from its first step.
	RecoverRestart Action = "restart"
	// RecoverDiscard forgets what is done and runs nothing: what is done of it stays in
	// the database, and the history is as it was.
	RecoverDiscard Action = "discard"
)

func (a Action) recovers() bool {
	return a == RecoverContinue || a == RecoverRestart || a == RecoverDiscard
}

// logged is how the log names it.
func (a Action) logged() string {
	if a.recovers() {
		return "recover"
	}
	return string(a)
}

// inDirection is what is done with a migration as a rule.
func inDirection(m migration.Migration, direction Direction) Action {
	if direction == Up && m.Version.Repeatable() {
		return ActionRepeat
	}
	return Action(direction)
}

// Source is where the statements that run are from; empty where none do.
type Source string

// The sources.
const (
	SourceFile    Source = "file"
	SourceHistory Source = "history" // a stored down migration, whose file is not there
)

// StepKind says how a step runs.
type StepKind string

// The kinds of steps.
const (
	// StepSQL is one or more statements in one transaction.
	StepSQL StepKind = "sql"
	// StepAlone is one statement that cannot run in a transaction.
	StepAlone StepKind = "alone"
	// StepBatch is one statement that runs once per range of keys, each range
	// a transaction, and the assertions that are below it.
	StepBatch StepKind = "batch"
	// StepScript is one direction of a JavaScript or TypeScript migration.
	StepScript StepKind = "script"
	// StepFunc is one direction of a migration in Go.
	StepFunc StepKind = "func"
)

// Step is the unit of execution and of resumption.
type Step struct {
	Number     int // from 1
	Kind       StepKind
	Statements []migration.Statement
	// Done is set where an earlier run finished the step.
	Done bool
	// Started is set where an earlier run began the step and its end is unknown.
	Started bool
	// rows are those that it has changed, as far as that is known: of a done one, as an
	// earlier run recorded it; for the record, as this one has counted.
	rows int64
	// keys are those of its table that earlier runs have gone through in batches, of
	// about total.
	keys, total int64
	// Prelude counts the statements at the head of the step, and Trailing those at its
	// end, that only change settings, and are in no transaction of the step; see
	// migration.Step.
	Prelude, Trailing int
	// apart is set in a notransaction section.
	apart bool
	// hook is set where the step is what comes before each migration.
	hook bool
	// kept is what the journal keeps of the session as the step left it.
	kept kept
	// before is how many of the statements of a step with code come before it;
	// they all are those of hooks.
	before int
	// code is what a script or function step runs.
	code code
}

// Body is what the step does, without the settings around it.
func (s Step) Body() []migration.Statement {
	return s.Statements[s.Prelude : len(s.Statements)-s.Trailing]
}

// inTransaction reports whether the step is one transaction with its record.
func (s Step) inTransaction() bool {
	return s.Kind == StepSQL || s.code != nil && s.code.Transaction()
}

// Planned is one migration of a Plan, in one direction, with its steps.
type Planned struct {
	Migration migration.Migration
	Direction Direction
	Steps     []Step
	// Action is what somebody decided about what is half done, until the journal says so.
	Action Action
	Source Source
	// adopted is what another tool has applied.
	adopted *Adopted
	// journalled are the spellings of the version under which the journal has rows of it.
	journalled []migration.Version
	// kept are the journal's rows that hold although the file reads otherwise.
	kept []journalEntry
	// unfinished is what an earlier run has done of what is rolled back or recovered.
	unfinished *Unfinished
	// dependents are repeatable migrations that run again behind this one.
	dependents []migration.Version
	// mentions is what the texts of a chain speak of.
	mentions subjects
}

// Plan is what a run will do, in order: Migrator.Plan makes it, and Migrator.Run runs it.
// To keep it, write its Basis as JSON; ParsePlan reads that back.
type Plan struct {
	Migrations []Planned
	// Before and After are the hooks of the run; nil where there are none.
	Before, After *Planned
	// Skipped are pending versions left alone by the out-of-order policy.
	Skipped []migration.Migration
	// Others are histories of other tools that have nothing to do with it.
	Others []OtherHistory
	// restores is set where repeatable migrations are planned again behind all others,
	// by what is true then: repeats of them at most, and those that have lost what they define.
	restores bool
	repeats  int
	loses    string // see Loses
	// origin is what it was made from; basis is that of a plan that was read back, which
	// has no Migrations before it is planned again.
	origin *origin
	basis  *Basis
}

// Ref names the migration and its direction.
func (p Planned) Ref() Ref {
	return Ref{Version: p.Migration.Version, Name: p.Migration.Name, Path: p.Migration.Path, Direction: p.Direction}
}

// RecordOnly reports whether the history is changed and nothing runs.
func (p Planned) RecordOnly() bool { return p.Source == "" }

// hooked reports whether hooks are a part of it, or it is one.
func (p Planned) hooked() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool {
		n := len(s.Statements)
		return n > 0 && (s.Statements[0].Hook() != nil || s.Statements[n-1].Hook() != nil)
	})
}

// Divided reports whether the file's own transaction blocks make the migration several
// transactions: it is no longer all or nothing.
func (p Planned) Divided() bool { return p.section().Blocks() && len(p.Steps) > 1 }

// Atomic reports whether the migration is one transaction with its record in
// it. Otherwise it is a chain of steps that the journal keeps.
func (p Planned) Atomic() bool {
	return p.RecordOnly() || len(p.Steps) == 1 && p.Steps[0].Prelude == 0 && p.Steps[0].inTransaction()
}

// Reversible reports whether a migration that is to go up can be undone. Of a script
// or a function that is what it says itself.
func (p Planned) Reversible() bool {
	if len(p.Steps) > 0 && p.Steps[0].code != nil {
		return p.Steps[0].code.HasDown()
	}
	return p.Migration.Reversible()
}

// Unfinished is what an earlier run had done of a migration that is to be rolled back
// or recovered, step by step; nil where it was at its end.
func (p Planned) Unfinished() *Unfinished { return p.unfinished }

// Local lists the settings that end with a step although others follow: what SET LOCAL
// says holds to the end of its transaction. What comes before each migration sets them for
// all of its steps.
func (p Planned) Local(s Step) (names []string) {
	if s.Number == len(p.Steps) {
		return nil
	}
	for _, statement := range s.Statements {
		changes, _ := pgsql.SettingChanges(statement.Statement)
		for _, c := range changes {
			if c.Local && c.Name != "" && statement.Hook() == nil && !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// section is what is run of the migration.
func (p Planned) section() migration.Section {
	if p.Direction == Down {
		return p.Migration.Down
	}
	return p.Migration.Up
}

// done counts the steps that an earlier run finished.
func (p Planned) done() int {
	n := 0
	for _, s := range p.Steps {
		if s.Done {
			n++
		}
	}
	return n
}

// Summary says in a few words what the step does: the commands of its
// statements.
func (s Step) Summary() string {
	var names []string
	switch s.Kind {
	case StepScript:
		return "script"
	case StepFunc:
		return "function"
	case StepBatch:
		return s.Body()[0].Command + " in batches"
	}
	own := 0
	for _, statement := range s.Body() {
		if statement.Hook() != nil {
			continue
		}
		if own++; own <= 3 {
			names = append(names, statement.Command)
		}
	}
	switch {
	case own == 0 && len(s.Statements) > 0:
		return s.Statements[0].Hook().Name
	case own > 3:
		return fmt.Sprintf("%s and %d more", strings.Join(names, ", "), own-3)
	}
	return strings.Join(names, ", ")
}

// hash identifies what the step does, so that a resumed run can tell whether
// the file still says what was done. It is stored, so no variable's value is in
// it.
func (s Step) hash() string { return s.hashAs(s.Kind, "\n") }

// hashAs is the hash as a step of a kind, and as an earlier whimbrel made it of a file with
// such line ends.
func (s Step) hashAs(kind StepKind, end string) string {
	sum := sha256.New()
	write := func(text string) {
		if end != "\n" {
			text = strings.ReplaceAll(text, "\n", end)
		}
		digest.Write(sum, text)
	}
	write(string(kind))
	if s.code != nil {
		write("\x00")
		write(s.code.Source())
	}
	for _, statement := range s.Statements {
		write("\x00")
		write(statement.Written())
		write("\x00")
		if statement.Data != nil {
			write(*statement.Data)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// isHashed reports whether a hash is the step's, also where an earlier run found that
// it cannot be in a transaction after all.
func (s Step) isHashed(hash string) bool {
	is := func(kind StepKind) bool { return s.hashAs(kind, "\n") == hash || s.hashAs(kind, "\r\n") == hash }
	return is(s.Kind) || s.apart && is(StepAlone)
}

// partHash identifies what is done to each range of a backfill: the statement as it is
// written, table and key, and of a script its whole source. How large the ranges are
// and what is asserted behind them may change at any time.
func (s Step) partHash() string {
	if s.Kind != StepBatch {
		return s.hash()
	}
	sum, statement := sha256.New(), s.Body()[0]
	what := []string{string(s.Kind), statement.Written()}
	for _, text := range slices.Concat(what, statement.Batch.TableName(), statement.Batch.Key) {
		digest.Write(sum, text, "\x00")
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// rollbacks is how many of a plan's migrations are run backwards.
func (p Plan) rollbacks() int {
	count := 0
	for _, m := range p.Migrations {
		if m.Direction == Down {
			count++
		}
	}
	return count
}

// MarshalJSON gives the plan as an array of migrations with their steps and
// statements.
func (p Plan) MarshalJSON() ([]byte, error) {
	type statement struct {
		Line    int    `json:"line"`
		Command string `json:"command"`
		Text    string `json:"text"`
		// Hook is the file that it comes from, if that is not the migration's.
		Hook string `json:"hook,omitempty"`
	}
	type batch struct {
		Table   string   `json:"table"`
		Key     []string `json:"key"`
		Size    int      `json:"size"`
		Pause   string   `json:"pause"`
		Workers int      `json:"workers"`
		// Checked is set where an assertion tells whether rows were left.
		Checked bool `json:"checked"`
	}
	type step struct {
		Number int      `json:"number"`
		Kind   StepKind `json:"kind"`
		Done   bool     `json:"done"`
		Batch  *batch   `json:"batch,omitempty"`
		// Local are settings that end with the step, although others follow.
		Local      []string    `json:"local,omitempty"`
		Statements []statement `json:"statements"`
	}
	type planned struct {
		Ref
		Action     Action      `json:"action"`
		Source     Source      `json:"source,omitempty"`
		Atomic     bool        `json:"atomic"`
		Divided    bool        `json:"divided,omitempty"`
		Unfinished *Unfinished `json:"unfinished,omitempty"`
		Steps      []step      `json:"steps"`
	}
	show := func(m Planned) *planned {
		entry := &planned{
			Ref: m.Ref(), Action: m.Action, Source: m.Source, Atomic: m.Atomic(), Divided: m.Divided(),
			Unfinished: m.unfinished, Steps: []step{},
		}
		for _, s := range m.Steps {
			shown := step{Number: s.Number, Kind: s.Kind, Done: s.Done, Local: m.Local(s), Statements: []statement{}}
			if s.Kind == StepBatch {
				b := s.Body()[0].Batch
				shown.Batch = &batch{b.Table, b.Key, b.Size, b.Pause, b.Workers, len(s.Body()) > 1}
			}
			for _, t := range s.Statements {
				of := ""
				if t.Hook() != nil {
					of = t.Hook().Path
				}
				shown.Statements = append(shown.Statements, statement{t.Start.Line, t.Command, t.Written(), of})
			}
			entry.Steps = append(entry.Steps, shown)
		}
		return entry
	}
	out := struct {
		Before     *planned   `json:"before_run,omitempty"`
		Migrations []*planned `json:"migrations"`
		After      *planned   `json:"after_run,omitempty"`
		Skipped    []Ref      `json:"skipped,omitempty"`
		// Others are histories of other tools that have nothing to do with it.
		Others []OtherHistory `json:"other_histories,omitempty"`
	}{Migrations: []*planned{}, Others: p.Others}
	if p.Before != nil {
		out.Before = show(*p.Before)
	}
	if p.After != nil {
		out.After = show(*p.After)
	}
	for _, m := range p.Migrations {
		out.Migrations = append(out.Migrations, show(m))
	}
	for _, m := range p.Skipped {
		out.Skipped = append(out.Skipped, Ref{Version: m.Version, Name: m.Name, Path: m.Path, Direction: Up})
	}
	return json.Marshal(out)
}

// compile makes the steps of one direction of a migration. A script or function is
// one step.
func (s state) compile(m migration.Migration, direction Direction) (Planned, error) {
	planned := Planned{Migration: m, Direction: direction, Action: inDirection(m, direction), Source: SourceFile}
	if m.Kind != migration.SQL {
		code, err := s.code(m)
		if err != nil {
			return planned, err
		}
		kind := StepScript
		if m.Kind == migration.Func {
			kind = StepFunc
		}
		planned.Steps = []Step{{Number: 1, Kind: kind, code: code}}
		if err := s.surround(&planned); err != nil {
			return planned, err
		}
		planned.mention()
		return planned, planned.resume(s.journal)
	}
	for _, s := range m.Settings {
		if s.Name == "application_name" {
			return planned, malformed(m, s.Position, CodeMalformed,
				"application_name cannot be set: by it a runner knows the sessions of its predecessors", "remove the line")
		}
	}
	m, err := m.WithVariables(s.variables, direction == Down)
	if err != nil {
		return planned, asError(err, CodeMalformed)
	}
	planned.Migration = m
	section := planned.section()
	for _, statement := range section.Statements {
		if err := runnable(m, statement); err != nil {
			return planned, err
		}
	}
	for _, step := range section.Steps() {
		kind := StepSQL
		switch {
		case step.Body()[0].Batch != nil:
			kind = StepBatch
		case step.Alone:
			kind = StepAlone
		}
		planned.Steps = append(planned.Steps, Step{Kind: kind, Statements: step.Statements, Prelude: step.Prelude,
			Trailing: step.Trailing})
	}
	for i := range planned.Steps {
		planned.Steps[i].Number = i + 1
		planned.Steps[i].apart = section.NoTransaction
	}
	if err := s.surround(&planned); err != nil {
		return planned, err
	}
	planned.mention()
	return planned, planned.resume(s.journal)
}

// runnable refuses what the engine cannot run, before anything is touched.
func runnable(m migration.Migration, statement migration.Statement) error {
	switch {
	case statement.Command == "COPY" && statement.Class == pgsql.Query && pgsql.HasPhrase(statement.Text, "TO", "STDOUT"):
		return malformed(m, statement.Start, CodeMalformed,
			"COPY … TO STDOUT has nowhere to go in a migration", "remove the statement")
	case statement.Assert != nil && statement.Class == pgsql.Alone:
		return malformed(m, statement.Start, CodeMalformed, "an Assert needs a query", "write a SELECT below it")
	}
	return nil
}

func malformed(m migration.Migration, at migration.Position, code Code, message, remedy string) error {
	return &Error{
		Code: code, Message: message, Remedy: remedy,
		Version: m.Version, Name: m.Name, Path: m.Path, Line: at.Line, Column: at.Column,
	}
}
