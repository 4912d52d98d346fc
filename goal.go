package whimbrel

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Goal is what a run is to reach: Latest, Next, Back, Version, Redo and the like make one.
// Migrator.Plan says what that takes, and Migrator.Migrate does it.
type Goal struct {
	aim aim
	// exactly is the plan of which the goal is what is left.
	exactly *Basis
	// wrong is why the goal cannot be reached, whatever the database is like.
	wrong error
}

// aim is a Goal as plans keep it in their files.
type aim struct {
	Command     string              `json:"command"` // as the log and the hooks know it
	Steps       int                 `json:"steps,omitempty"`
	Version     migration.Version   `json:"version,omitempty"`
	ForceNoDown bool                `json:"force_no_down,omitempty"`
	Repeatable  bool                `json:"repeatable,omitempty"`
	Only        bool                `json:"only,omitempty"`
	WithOlder   bool                `json:"with_older,omitempty"`
	Action      Action              `json:"action,omitempty"`
	Versions    []migration.Version `json:"versions,omitempty"`
	Adopted     []Adopted           `json:"adopted,omitempty"`
}

// Rollback refines the goals that roll back.
type Rollback uint8

// How to roll back.
const (
	// ForceNoDown takes migrations without a down migration off the history, and runs
	// nothing for them.
	ForceNoDown Rollback = 1 << iota
	// RepeatableFirst rolls back the repeatable migrations that have a down migration
	// before all others: what they define may depend on them. The next run up runs them
	// again.
	RepeatableFirst
)

// Latest is that everything that is pending is applied.
func Latest() Goal { return Goal{aim: aim{Command: "up"}} }

// Next is that the n oldest pending migrations are applied. Repeatable ones that have
// lost what they define to the last of them are not counted.
func Next(n int) Goal { return counted("Next", n, aim{Command: "up", Steps: n}) }

// Back is that the n newest applied migrations are rolled back, the newest first. If one
// of them is irreversible, nothing is rolled back.
func Back(n int, options ...Rollback) Goal {
	return counted("Back", n, aim{Command: "down", Steps: n}, options...)
}

// Redo is that the n newest applied migrations are rolled back and applied again.
func Redo(n int) Goal { return counted("Redo", n, aim{Command: "redo", Steps: n}) }

// Version is that exactly the migrations up to a version are applied: newer ones are
// rolled back, older pending ones are applied. Version "0" rolls back everything.
func Version(v migration.Version, options ...Rollback) Goal {
	return aimed(aim{Command: "to", Version: v}, options...)
}

// Baseline is that all migrations up to a version are recorded as applied, without
// running anything. Where the history has rows, it refuses to record older pending ones.
func Baseline(v migration.Version) Goal { return aimed(aim{Command: "baseline", Version: v}) }

// BaselineWithOlder records older pending versions also where the history has rows.
func BaselineWithOlder(v migration.Version) Goal {
	return aimed(aim{Command: "baseline", Version: v, WithOlder: true})
}

// BaselineOnly records one version, whatever is pending.
func BaselineOnly(v migration.Version) Goal {
	return aimed(aim{Command: "baseline", Version: v, Only: true})
}

// Forget is that a version is off the history, without running anything.
func Forget(v migration.Version) Goal { return aimed(aim{Command: "forget", Version: v}) }

// Accept is that the history has the checksums that the files of these versions have now.
func Accept(versions ...migration.Version) Goal {
	return aimed(aim{Command: "accept", Versions: slices.Clone(versions)})
}

// Adopt is that what another tool has applied is recorded, all of it or nothing.
func Adopt(applied []Adopted) Goal {
	return aimed(aim{Command: "adopt", Adopted: slices.Clone(applied)})
}

// Recover is that a migration that stopped half-way is continued, restarted or discarded;
// the only one there is where the version is empty.
func Recover(v migration.Version, action Action) Goal {
	return aimed(aim{Command: "recover", Version: v, Action: action})
}

func aimed(a aim, options ...Rollback) Goal {
	for _, o := range options {
		a.ForceNoDown = a.ForceNoDown || o&ForceNoDown != 0
		a.Repeatable = a.Repeatable || o&RepeatableFirst != 0
	}
	return Goal{aim: a}
}

func counted(name string, n int, a aim, options ...Rollback) Goal {
	g := aimed(a, options...)
	if n < 1 {
		g.wrong = &Error{Code: CodeConfiguration, Message: fmt.Sprintf("invalid goal %s(%d)", name, n),
			Remedy: "give a number of migrations from 1"}
	}
	return g
}

// optional is the goal of options whose number of steps may be left out.
func optional(steps int, a aim) Goal {
	if steps == 0 && a.Command != "up" {
		steps = 1
	}
	a.Steps = steps
	return Goal{aim: a, wrong: atLeastZero("Steps", steps)}
}

// check refuses what cannot be reached on any database, before one is connected to.
func (g Goal) check() error {
	if g.wrong == nil && g.aim.Command == "" {
		return &Error{Code: CodeConfiguration, Message: "the Goal is empty",
			Remedy: "make one with Latest, Next, Back, Version or another of these functions"}
	}
	return g.wrong
}

// need is what must be read to plan it.
func (g Goal) need() reading {
	need := withoutDownMigrations
	if slices.Contains([]string{"down", "redo", "to", "recover"}, g.aim.Command) {
		need = withStoredDownMigrations
	}
	if g.exactly != nil {
		need |= andWhichDatabase
	}
	return need
}

// plan is the planner of the goal.
func (g Goal) plan(s state) (Plan, error) {
	if g.exactly != nil {
		return g.exactly.rest(s)
	}
	return g.aim.plan(s)
}

func (a aim) plan(s state) (Plan, error) {
	switch a.Command {
	case "up":
		return planUp(s, a.Steps)
	case "down":
		return planDown(s, a)
	case "redo":
		return planRedo(s, a.Steps)
	case "to":
		return planTo(s, a)
	case "baseline":
		return planBaseline(s, a)
	case "forget":
		return planForget(s, a.Version)
	case "accept":
		return planAccept(s, a.Versions)
	case "adopt":
		return planAdopt(s, a.Adopted)
	case "recover":
		return planRecover(s, a)
	}
	return Plan{}, &Error{Code: CodeConfiguration, Message: fmt.Sprintf("unknown goal %q", a.Command)}
}

// IsZero reports whether it is the Goal that nobody made.
func (g Goal) IsZero() bool { return g.aim.Command == "" && g.wrong == nil }

// MarshalJSON writes the goal as a plan's file has it.
func (g Goal) MarshalJSON() ([]byte, error) { return json.Marshal(g.aim) }

// UnmarshalJSON reads it back.
func (g *Goal) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, &g.aim) }

// Plan gives what it takes to reach a goal, and only reads. Run runs the plan.
func (m *Migrator) Plan(ctx context.Context, goal Goal) (Plan, error) {
	if err := goal.check(); err != nil {
		return Plan{}, err
	}
	db, s, err := m.start(ctx, goal.need()|andWhichDatabase)
	if err != nil {
		return Plan{}, err
	}
	defer db.close()
	plan, err := s.decide(goal.plan)
	if err != nil {
		return plan, err
	}
	plan.origin = &origin{state: s, aim: goal.aim, at: time.Now().UTC().Truncate(time.Second), tool: m.config.ToolVersion}
	if goal.exactly != nil {
		plan.origin.state = goal.exactly.policies(s)
	}
	return plan, nil
}

// Run runs exactly a plan that Migrator.Plan has made, or ParsePlan has read, in this
// order; or it changes nothing and says what has changed since, as an *Error of the code
// CodePlanStale. The plan is compared with the history and the files under the lease, so
// that nothing can slip in between.
//
// What an earlier run of the same plan up has applied is not run again: after a crash the
// same plan goes on, and once it is done there is nothing to do. Any other plan that has
// run is stale.
func (m *Migrator) Run(ctx context.Context, plan Plan) (Result, error) {
	return m.Migrate(ctx, plan.Goal())
}

// Migrate plans what it takes to reach a goal, and runs that. Each migration is recorded
// in the transaction that completes it: what the Result lists is durable, also when an
// error comes with it.
//
// It plans, takes the lease, plans again with what is true under it, and runs that. With
// nothing to do it takes no lease and creates no table.
func (m *Migrator) Migrate(ctx context.Context, goal Goal) (Result, error) {
	if err := goal.check(); err != nil {
		return Result{}, err
	}
	r := &run{command: &command{m: m.ofRun(), result: Result{Command: goal.aim.Command, Database: m.database(),
		Done: []Outcome{}}}}
	return r.report(ctx, goal)
}
