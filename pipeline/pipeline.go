// Package pipeline judges a change of migrations as a pull request needs it: are the
// files well, were merged ones left alone, does anything harm a database in use, do
// the new ones go up, down and up again.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/git"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/trial"
)

// Options say what to judge.
type Options struct {
	// Config has the migrations, and how they are run. Its database is asked only where
	// Target is set.
	Config whimbrel.Config
	// Sandbox is what the databases have in which migrations are run, before the first one.
	// Roles and settings of the target are added to it.
	Sandbox devdb.Furnishing
	// Loading is what reading the files said: the error of migration.Load.
	Loading error
	// Folders are those of the migrations, as the operating system takes them, and
	// Labels how they are shown.
	Folders, Labels []string
	// Base is the revision of git that the change is to go into; without one all
	// migrations count as new, and none as merged.
	Base string
	// Altered are the settings of the change by which it would be judged otherwise than
	// what is merged. It is not judged by them unless that was Accepted.
	Altered  []present.Note
	Accepted bool
	// Lint says how to judge; its Judge is not used. Rehearse is whether to rehearse.
	Lint     lint.Options
	Rehearse bool
	// Trial has the tests; its Project, Policy and what chooses migrations are not used. Nil: no
	// migration is tested.
	Trial *trial.Options
	// Target is set where the database of Config is asked what it has applied and what
	// would run.
	Target bool
	// Timeout is how long one migration may take where it is run; 0: as long as it likes.
	Timeout time.Duration
	// Progress is told about work that takes seconds; may be nil.
	Progress func(message string)
}

// The names of the steps, in their order.
const (
	Settings = "settings" // the change does not alter how it is judged
	Files    = "files"    // they can be read, and are in order
	Merged   = "merged"   // those that are merged are as they were; new ones are newer
	Applied  = "applied"  // the target has run what the files say
	Lint     = "lint"     // nothing new harms a database in use
	Test     = "test"     // what is new goes up, down and up again
	Plan     = "plan"     // what would run on the target
)

// Step is one thing that was looked at.
type Step struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Skipped is set where there was nothing to look at, or an earlier step stood in
	// the way; Message says which.
	Skipped bool           `json:"skipped,omitempty"`
	Message string         `json:"message"`
	Notes   []present.Note `json:"notes,omitempty"`
	Took    time.Duration  `json:"took_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (s Step) MarshalJSON() ([]byte, error) { return millis.Marshal(&s) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Step) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, s) }

// Report is what a change is found to be.
type Report struct {
	Base string `json:"base,omitempty"`
	// New are the paths of the migrations that are new or changed.
	New   []string       `json:"new"`
	Steps []Step         `json:"steps"`
	Lint  *lint.Report   `json:"-"` // where it was made
	Test  *trial.Report  `json:"-"` // likewise
	Plan  *whimbrel.Plan `json:"plan,omitempty"`
}

// Passed reports whether every step passed.
func (r Report) Passed() bool { return r.Failed() == "" }

// Failed gives the name of the first step that did not pass; "" where all did.
func (r Report) Failed() string {
	for _, s := range r.Steps {
		if !s.Passed && !s.Skipped {
			return s.Name
		}
	}
	return ""
}

// Notes gives those of all steps.
func (r Report) Notes() []present.Note {
	var all []present.Note
	for _, s := range r.Steps {
		all = append(all, s.Notes...)
	}
	return all
}

// Run goes through the steps. Altered settings end it before anything of the change is
// run, and malformed files since nothing else can be told then; any other step that fails
// does not. The error is for what could not
// be looked at: a revision that git does not know, a server that does not start.
func Run(ctx context.Context, options Options) (Report, error) {
	j := &judge{options: options, report: Report{Base: options.Base, New: []string{}, Steps: []Step{}},
		noted: map[devdb.MissingRole]bool{}}
	for _, step := range []struct {
		name string
		look func(context.Context) (Step, error)
	}{{Settings, j.settings}, {Files, j.files}, {Merged, j.merged}, {Applied, j.applied}, {Lint, j.lint}, {Test, j.test},
		{Plan, j.plan}} {
		began := time.Now()
		s, err := step.look(ctx)
		if err != nil {
			return j.report, err
		}
		s.Notes = append(s.Notes, j.missingRoles()...)
		s.Name, s.Took = step.name, time.Since(began)
		j.report.Steps = append(j.report.Steps, s)
		if !s.Passed && (step.name == Files || step.name == Settings && !s.Skipped) {
			break
		}
	}
	return j.report, nil
}

// judge is one Run.
type judge struct {
	options Options
	report  Report
	asRun   []migration.Migration
	fresh   map[string]bool // names of the files that are new or changed; nil: all are

	telling sync.Mutex
	missing []devdb.MissingRole // roles that nothing creates
	noted   map[devdb.MissingRole]bool
}

// found is told of a role that the migrations name and nothing creates.
func (j *judge) found(m devdb.MissingRole) {
	j.telling.Lock()
	defer j.telling.Unlock()
	if !slices.Contains(j.missing, m) {
		j.missing = append(j.missing, m)
	}
	if tell := j.options.Sandbox.Missing; tell != nil {
		tell(m)
	}
}

// sandbox is what databases have beforehand in which this change is run.
func (j *judge) sandbox() devdb.Furnishing {
	furnishing := j.options.Sandbox
	furnishing.Missing = j.found
	return furnishing
}

// missingRoles gives a note for each role that was found since the last time and is of a
// file that is new.
func (j *judge) missingRoles() (notes []present.Note) {
	j.telling.Lock()
	defer j.telling.Unlock()
	for _, m := range j.missing {
		if noted := j.noted[m]; noted || !slices.Contains(j.report.New, m.Path) {
			continue
		}
		j.noted[m] = true
		notes = append(notes, present.Note{Level: present.LevelInfo, Check: devdb.MissingRoleCheck,
			Title: "a role that nothing creates", Message: m.String(), Path: m.Path, Line: m.Line, Column: m.Column,
			Key: m.Role})
	}
	return notes
}

func skipped(message string) (Step, error) { return Step{Skipped: true, Message: message}, nil }

// settings looks whether the change chooses its judge.
func (j *judge) settings(context.Context) (Step, error) {
	altered := present.Plural(len(j.options.Altered), "setting")
	switch {
	case j.options.Base == "":
		return skipped("no base to compare with (Options.Base)")
	case len(j.options.Altered) == 0:
		return Step{Passed: true, Message: "the change is judged as what is merged into " + j.options.Base + " was"}, nil
	case j.options.Accepted:
		s := Step{Passed: true, Message: altered + " of the change, as was accepted"}
		for _, n := range j.options.Altered {
			n.Level = present.LevelInfo
			s.Notes = append(s.Notes, n)
		}
		return s, nil
	}
	return Step{Message: "a change does not choose its judge, and this one alters " + altered, Notes: j.options.Altered},
		nil
}

// files judges what reading them said.
func (j *judge) files(context.Context) (Step, error) {
	err := j.options.Loading
	if err == nil {
		j.asRun, err = migration.AsRun(j.options.Config.Migrations, j.options.Config.Variables)
	}
	if err == nil {
		for _, m := range j.asRun {
			j.report.New = append(j.report.New, m.Path)
		}
		s := Step{Passed: true, Message: present.Plural(len(j.options.Config.Migrations),
			"migration") + ", well-formed and in order"}
		if len(j.options.Config.Migrations) == 0 {
			s.Notes = j.nothingThere()
		}
		return s, nil
	}
	problems := migration.Problems(err)
	if len(problems) == 0 {
		return Step{}, err
	}
	s := Step{Message: present.Plural(len(problems), "problem") + " in the files"}
	for _, p := range problems {
		s.Notes = append(s.Notes, present.Note{
			Level: present.LevelError, Check: string(p.Code), Title: "malformed migration", Message: withRemedy(p.Message,
				p.Remedy),
			Path: p.Path, Line: p.Position.Line, Column: p.Position.Column, Key: p.Message,
		})
	}
	return s, nil
}

// nothingThere warns of folders without a migration: a wrong folder would be well for
// ever.
func (j *judge) nothingThere() (notes []present.Note) {
	for _, label := range j.options.Labels {
		notes = append(notes, present.Note{
			Level: present.LevelWarning, Check: "no-migrations", Title: "no migration", Path: label, Key: label,
			Message: withRemedy("no migration in this folder, so nothing is judged",
				"set Source.Dir to the folder of the migrations, or write one"),
		})
	}
	return notes
}

func withRemedy(message, remedy string) string {
	if remedy == "" {
		return message
	}
	return message + "\n" + remedy
}

// merged compares with the base: what is merged may have run anywhere, so it must not
// change; and what is new must run after it.
func (j *judge) merged(ctx context.Context) (Step, error) {
	if j.options.Base == "" {
		return skipped("no base to compare with (Options.Base)")
	}
	s := Step{}
	j.fresh = map[string]bool{}
	squashed := map[string]bool{}
	for _, m := range j.options.Config.Migrations {
		for _, version := range m.Squashes {
			squashed[string(version.Canonical())] = true
		}
	}
	for i, folder := range j.options.Folders {
		since, err := git.MergeBase(ctx, folder, j.options.Base)
		if err != nil {
			return s, refused(err)
		}
		changes, err := git.Changes(ctx, folder, since)
		if err != nil {
			return s, refused(err)
		}
		s.Notes = append(s.Notes, judgeChanges(changes, j.options.Labels[i], j.options.Base, squashed)...)
		fresh, err := git.ChangedNames(ctx, folder, since)
		if err != nil {
			return s, refused(err)
		}
		for name := range fresh {
			j.fresh[name] = true
		}
		for _, c := range changes { // a link may be as it was, and what it leads to is not
			j.fresh[path.Base(c.Name)] = true
		}
		known, err := git.Names(ctx, folder, j.options.Base)
		if err != nil {
			return s, refused(err)
		}
		s.Notes = append(s.Notes, j.late(known)...)
	}
	j.report.New = []string{}
	for _, m := range j.asRun {
		if j.isFresh(m) {
			j.report.New = append(j.report.New, m.Path)
		}
	}
	s.Passed = !slices.ContainsFunc(s.Notes, func(n present.Note) bool { return n.Level == present.LevelError })
	s.Message = fmt.Sprintf("%s since %s; those that are merged are as they were", present.Plural(len(j.report.New),
		"new migration"),
		j.options.Base)
	if !s.Passed {
		s.Message = present.Plural(len(s.Notes), "problem") + " with what is merged into " + j.options.Base
	}
	return s, nil
}

// refused is git's word as an error of ours.
func refused(err error) error {
	var said *git.Error
	if errors.As(err, &said) {
		return &whimbrel.Error{Code: whimbrel.CodeConfiguration, Message: said.Message, Remedy: said.Remedy}
	}
	return err
}

// judgeChanges says which changes of files are changes of merged migrations.
// Repeatable ones and hooks are there to be changed.
func judgeChanges(changes []git.Change, label, base string, squashed map[string]bool) []present.Note {
	var notes []present.Note
	for _, c := range changes {
		version, _, _, err := migration.ParseName(path.Base(c.Name))
		if err != nil || version.Repeatable() || squashed[string(version.Canonical())] {
			continue
		}
		n := present.Note{Level: present.LevelError, Check: "merged-migration-edited",
			Title: "a merged migration was edited", Path: path.Join(label, c.Name), Line: c.Line, Key: c.Name}
		n.Message = fmt.Sprintf("%s is merged into %s, so databases may have run it: what they have would not be what the "+
			"file says\nput the file back as it was, and write a new migration", c.Name, base)
		if c.Deleted {
			n.Check, n.Title = "merged-migration-deleted", "a merged migration was deleted"
			n.Message = fmt.Sprintf("%s is merged into %s, so databases may have run it, and cannot be verified without it\n"+
				"put the file back; package squash puts many into one", c.Name, base)
		}
		notes = append(notes, n)
	}
	return notes
}

// late finds new migrations that are older than merged ones: where those have run
// already, these come out of order.
func (j *judge) late(known []string) []present.Note {
	var newest migration.Version
	have := map[migration.Version]bool{}
	for _, name := range known {
		if version, _, _, err := migration.ParseName(name); err == nil && !version.Repeatable() {
			have[version.Canonical()] = true
			if newest == "" || version.Compare(newest) > 0 {
				newest = version
			}
		}
	}
	level := present.LevelError
	if policy := j.options.Config.OutOfOrder; policy == whimbrel.ApplyOutOfOrder || policy == whimbrel.SkipOutOfOrder {
		level = present.LevelWarning
	}
	var notes []present.Note
	for _, m := range j.options.Config.Migrations {
		if newest == "" || have[m.Version.Canonical()] || !j.isFresh(m) || m.Version.Repeatable() ||
			m.Version.Compare(newest) > 0 || len(m.Squashes) > 0 {
			continue
		}
		notes = append(notes, present.Note{
			Level: level, Check: "migration-out-of-order", Title: "a new migration is older than a merged one", Path: m.Path,
			Line: 1, Key: string(m.Version),
			Message: fmt.Sprintf("version %s comes before %s, which is merged into %s and may have run already\n"+
				"rename the file to a newer version", m.Version, newest, j.options.Base),
		})
	}
	return notes
}

func (j *judge) isFresh(m migration.Migration) bool {
	return j.fresh == nil || j.fresh[path.Base(m.Path)]
}

// applied asks the target whether it has run what the files say.
func (j *judge) applied(ctx context.Context) (Step, error) {
	if !j.options.Target {
		return skipped("no target is given")
	}
	m, err := whimbrel.New(j.options.Config)
	if err != nil {
		return Step{}, err
	}
	v, err := m.Verify(ctx)
	if err == nil {
		err = j.likeTarget(ctx)
	}
	if err != nil {
		return Step{}, err
	}
	s := Step{Passed: true, Message: fmt.Sprintf("%s of %s, as the files say", present.Plural(v.Applied,
		"applied migration"),
		v.Database)}
	for _, d := range v.Differences {
		if d.Kind == "pending" {
			continue
		}
		s.Passed, s.Message = false, "the history of "+v.Database+" and the files differ"
		s.Notes = append(s.Notes, present.Note{
			Level: present.LevelError, Check: d.Kind, Title: "applied migration " + string(d.Version),
			Message: withRemedy(d.Message, d.Remedy), Path: d.Path, Line: 1, Key: string(d.Version),
		})
	}
	return s, nil
}

// likeTarget has the migrations run where there is what the target has.
func (j *judge) likeTarget(ctx context.Context) error {
	config := j.options.Config.Connection
	if config == nil {
		var err error
		if config, err = dial.Parse(j.options.Config.DatabaseURL); err != nil {
			return err // New has read it before
		}
	}
	conn, err := dial.Open(ctx, config)
	if err != nil {
		return fmt.Errorf("reading roles and settings of the target: %w", err)
	}
	defer dial.Close(conn)
	j.options.Sandbox, err = sandbox.Like(ctx, conn, j.options.Sandbox)
	return err
}

// lint judges what is new, with everything else as its history.
func (j *judge) lint(ctx context.Context) (Step, error) {
	if len(j.report.New) == 0 {
		return skipped("nothing is new")
	}
	options := j.options.Lint
	options.Judge = j.isFresh
	var report lint.Report
	s := Step{}
	if j.options.Rehearse {
		result, err := rehearsal.Run(ctx, j.asRun, rehearsal.Options{
			Lint: options, Scripts: j.options.Config.Scripts, Timeout: j.options.Timeout, Progress: j.options.Progress,
			Sandbox: j.sandbox(),
		})
		if err != nil {
			return s, err
		}
		report = result.Report
	} else {
		linter, err := lint.New(options)
		if err != nil {
			return s, err
		}
		if report, err = linter.Check(j.asRun); err != nil {
			return s, err
		}
	}
	j.report.Lint = &report
	s.Passed, s.Notes = report.Count(lint.Error) == 0 && report.Stopped == "", report.Notes()
	s.Message = fmt.Sprintf("%s and %s in %s", present.Plural(report.Count(lint.Error), "error"),
		present.Plural(report.Count(lint.Warn),
			"warning"),
		present.Plural(len(report.Files), "migration"))
	if report.Stopped != "" {
		s.Message += "; " + report.Stopped
	}
	return s, nil
}

// test takes what is new up, down and up again.
func (j *judge) test(ctx context.Context) (Step, error) {
	switch {
	case j.options.Trial == nil:
		return skipped("not wanted")
	case len(j.report.New) == 0:
		return skipped("nothing is new")
	}
	options := *j.options.Trial
	options.Timeout, options.Sandbox = j.options.Timeout, j.sandbox()
	config := j.options.Config
	options.Project, options.Policy, options.Table = config.Project, config.Policy, config.Table
	options.From, options.ChangedSince, options.Only = "", "", nil
	for _, m := range j.options.Config.Migrations {
		if j.isFresh(m) {
			options.Only = append(options.Only, cmp.Or(string(m.Version), m.Name))
		}
	}
	report, err := trial.Run(ctx, options)
	if err != nil {
		return Step{}, err
	}
	j.report.Test = &report
	s := Step{Passed: report.OK(), Message: fmt.Sprintf("%d passed, %d failed, %d irreversible", report.Summary.Passed,
		report.Summary.Failed, report.Summary.Irreversible)}
	for _, r := range report.Migrations {
		s.Notes = append(s.Notes, notesOf(r.Findings, r.Path)...)
	}
	s.Notes = append(s.Notes, notesOf(report.Findings, "")...)
	repeatable := slices.ContainsFunc(j.options.Config.Migrations, func(m migration.Migration) bool {
		return m.Version.Repeatable()
	})
	s.Skipped = s.Passed && report.Summary.Tested == 0 && !repeatable // nothing has passed
	return s, nil
}

// notesOf gives what a test found; path is that of the migration.
func notesOf(findings []trial.Finding, path string) []present.Note {
	var notes []present.Note
	for _, f := range findings {
		level := present.LevelWarning
		if f.Severity == trial.Failure {
			level = present.LevelError
		}
		notes = append(notes, present.Note{
			Level: level, Check: string(f.Check), Title: "test: " + string(f.Check), Message: withRemedy(f.Message, f.Remedy),
			Path: cmp.Or(f.Path, path), Line: max(f.Line, 1), Column: f.Column, Key: f.Message,
		})
	}
	return notes
}

// plan asks the target what would run.
func (j *judge) plan(ctx context.Context) (Step, error) {
	if !j.options.Target {
		return skipped("no target is given")
	}
	m, err := whimbrel.New(j.options.Config)
	if err != nil {
		return Step{}, err
	}
	plan, err := m.Plan(ctx, whimbrel.Latest())
	var own *whimbrel.Error
	if errors.As(err, &own) && ctx.Err() == nil {
		return Step{Message: own.Message, Notes: []present.Note{{
			Level: present.LevelError, Check: string(own.Code), Title: "no plan can be made", Message: withRemedy(own.Message,
				own.Remedy), Path: own.Path, Line: own.Line, Key: own.Message,
		}}}, nil
	}
	if err != nil {
		return Step{}, err
	}
	j.report.Plan = &plan
	return Step{Passed: true, Message: present.Plural(len(plan.Migrations), "migration") + " would run"}, nil
}
