package whimbrel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Unfinished is a migration that stopped half-way, in the direction in which it did.
type Unfinished struct {
	Ref
	// Recorded is set where the history has it as applied, as it has until a way down
	// is at its end.
	Recorded bool      `json:"recorded"`
	Since    time.Time `json:"since,omitzero"` // when what the journal knows began
	// By is who began it, and Tool that whimbrel's version.
	By   string `json:"by,omitempty"`
	Tool string `json:"tool_version,omitempty"`
	// Running is set where a runner that is alive is at work at it.
	Running bool `json:"running"`
	// Steps are those of the file, and those that the journal has beyond them.
	Steps []UnfinishedStep `json:"steps"`
}

// UnfinishedStep is a step of it.
type UnfinishedStep struct {
	Step    int       `json:"step"` // from 1
	Kind    StepKind  `json:"step_kind,omitempty"`
	Summary string    `json:"summary,omitempty"`
	State   StepState `json:"state"`
	// Line is where it is in the file.
	Line int `json:"line,omitempty"`
	// Rewritten is set where the file now says something else than what was done; a step
	// without a Kind is not in the file any more.
	Rewritten bool `json:"rewritten,omitempty"`
	// Keys are the rows that a backfill has gone through, of about Total.
	Keys  int64 `json:"keys,omitempty"`
	Total int64 `json:"total,omitempty"`
	// Rows are those that it has changed.
	Rows int64 `json:"rows,omitempty"`
}

// StepState is how far a step is.
type StepState string

// The states of steps.
const (
	StepDone     StepState = "done"
	StepStopped  StepState = "stopped"   // it was begun; a part of it may be done
	StepNotBegun StepState = "not_begun" // nothing of it is done
)

// String says where it stopped: "5 orders stopped after step 2 of 3".
func (u Unfinished) String() string {
	name := strings.TrimRight(fmt.Sprintf("%s %s", u.Version, u.Name), " ")
	if u.Direction == Down {
		name += ", on its way down,"
	}
	i := slices.IndexFunc(u.Steps, func(s UnfinishedStep) bool { return s.State != StepDone })
	switch {
	case len(u.Steps) == 0:
		return name + " stopped half-way"
	case u.Running:
		return fmt.Sprintf("%s is running, at step %d of %d", name, max(i, 0)+1, len(u.Steps))
	case i < 0:
		return fmt.Sprintf("%s stopped behind its last step", name)
	case u.Steps[i].State == StepStopped:
		return fmt.Sprintf("%s stopped in step %d of %d", name, i+1, len(u.Steps))
	case i == 0:
		return fmt.Sprintf("%s stopped before step 1 of %d", name, len(u.Steps))
	}
	return fmt.Sprintf("%s stopped after step %d of %d", name, i, len(u.Steps))
}

// Unfinished lists what is half done, the newest first; of what stopped on both ways,
// the way down before the up migration. It only reads.
func (m *Migrator) Unfinished(ctx context.Context) ([]Unfinished, error) {
	db, err := m.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer db.close()
	s, err := m.read(ctx, db, withStoredDownMigrations)
	if err != nil {
		return nil, err
	}
	if s.holder, err = m.holder(ctx, db); err != nil {
		return nil, m.serverError(ctx, "reading the lease", err)
	}
	return s.unfinished(), nil
}

// at reports whether the holder of the lease, if it is alive, is who wrote a row of the
// journal last, or who began it.
func (h *Holder) at(e journalEntry) bool {
	return h != nil && h.State == "alive" && (e.token == h.Token || e.by == h.By && e.by != "")
}

func (s state) unfinished() []Unfinished {
	all := []Unfinished{}
	for _, v := range s.journal.versions() {
		for _, d := range []Direction{Down, Up} {
			if rows := s.journal.of(v).toward(d); len(rows) > 0 {
				all = append(all, s.describeUnfinished(v, d, rows))
			}
		}
	}
	return all
}

// describeUnfinished puts the journal's rows of one way beside the steps of the file.
func (s state) describeUnfinished(v migration.Version, d Direction, rows journal) Unfinished {
	a, recorded := s.recorded(v)
	u := Unfinished{Ref: Ref{Version: v, Name: a.Name, Direction: d}, Recorded: recorded, Since: rows[0].since,
		Steps: []UnfinishedStep{}}
	for i, e := range rows {
		if i == 0 || e.since.Before(u.Since) {
			u.Since, u.By, u.Tool, u.Name = e.since, e.by, e.tool, cmp.Or(e.name, u.Name)
		}
		u.Running = u.Running || s.holder.at(e)
	}
	p, err := s.afresh(v, d)
	if err == nil {
		u.Path = p.Migration.Path
	}
	for _, step := range p.Steps {
		shown := UnfinishedStep{Step: step.Number, Kind: step.Kind, Summary: step.Summary(), State: StepNotBegun}
		if len(step.Statements) > 0 {
			shown.Line = step.Statements[0].Start.Line
		}
		for _, e := range rows {
			shown.take(e, step)
		}
		u.Steps = append(u.Steps, shown)
	}
	for _, e := range rows {
		if _, part := e.isPart(); !part && e.step > len(p.Steps) {
			gone := UnfinishedStep{Step: e.step, State: StepNotBegun}
			gone.take(e, Step{Number: e.step})
			u.Steps = append(u.Steps, gone)
		}
	}
	return u
}

// take adds what a row of the journal says of the step.
func (s *UnfinishedStep) take(e journalEntry, step Step) {
	number, part := e.isPart()
	switch {
	case !part && e.step == step.Number:
		s.State, s.Rewritten = StepStopped, step.Kind != "" && e.done && !step.isHashed(e.hash)
		if e.done {
			s.State, s.Rows = StepDone, e.rows
		}
	case part && number == step.Number && s.State != StepDone && (e.advanced() || e.rows > 0):
		s.State, s.Rewritten = StepStopped, s.Rewritten || step.partHash() != e.hash
		s.Keys, s.Rows, s.Total = s.Keys+e.keys, s.Rows+e.rows, max(s.Total, e.total)
	}
}

// afresh is a migration as if the journal had nothing of it in that direction.
func (s state) afresh(v migration.Version, d Direction) (Planned, error) {
	var others journal
	for _, e := range s.journal {
		if !e.version.Equal(v) || e.direction != d {
			others = append(others, e)
		}
	}
	all := s.journal
	s.journal = others
	if d == Down {
		a, _ := s.recorded(v)
		planned, err := s.compileDown([]Applied{a}, false)
		if err != nil {
			return Planned{}, err
		}
		planned[0].journalled = all.of(v).spellings()
		return planned[0], nil
	}
	file, found := s.file(v)
	if !found {
		return Planned{}, s.abandoned(v)
	}
	planned, err := s.compileUp([]migration.Migration{file})
	if err != nil {
		return Planned{}, err
	}
	planned[0].journalled = all.of(v).spellings()
	return planned[0], nil
}
