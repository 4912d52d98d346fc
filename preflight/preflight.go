// Package preflight looks at a live database before migrations run on it: is
// anything blocking, is there a backup, is this the hour for it, may the role
// do what is pending, will the server have the room.
//
// Run makes all checks and gives a Report. It only reads, in transactions that
// are rolled back, waits for no lock longer than a moment, and needs no more
// rights than pg_monitor gives. What the role cannot see is said in the report;
// a check that could not look has not passed.
//
// Reading and judging are apart: what a check read is a value, and the judgement
// a function of it and of the Settings.
package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Options say what to check, and against which limits.
type Options struct {
	// Connection is the database, as pgx.ParseConfig gives it. It is copied.
	Connection *pgx.ConnConfig
	// Plan is what is about to run, as Migrator.Plan gives it. Without it the
	// checks tell nothing of what is pending.
	Plan whimbrel.Plan
	// Unplanned is why there is no Plan, where one was asked for and refused: the
	// role may not read the history, or it disagrees with the files. Checks of what
	// is pending cannot tell then, and the others are made.
	Unplanned error
	// Touches says what a statement touches: lint.Touches, which links the parser of SQL.
	// Without it, and where it fails, checks of that cannot tell, and stop no run.
	Touches Toucher
	// Verify compares the history with the files: Migrator.Verify. Where it is
	// nil the check "history" is not made.
	Verify func(context.Context) (whimbrel.Verification, error)
	// Table is the history table's name, as in whimbrel.Config.
	Table string
	// Settings are the limits. Fields that are zero take the defaults.
	Settings Settings
	// Only are the names of the checks to make; empty for all. Skip are those
	// to leave out.
	Only, Skip []string
	// WarnOnly are checks that do not stop a run; Everything stands for all.
	// Block are checks that do, beside those that do so anyway.
	WarnOnly, Block []string
	// Now is the time for which the windows are judged; zero is this moment.
	Now time.Time
}

// Toucher says what a statement touches, or why that cannot be said of any.
type Toucher func(migration.Statement) (pgsql.Touched, error)

// Everything in WarnOnly stands for all checks.
const Everything = "all"

// Run makes the checks, one after the other, over one connection that it opens
// and closes. The error is for what kept it from checking at all: a name that
// does not exist, settings that make no sense, a database that cannot be
// reached. A check that fails, or that could not look, is no error: the Report
// says so.
func Run(ctx context.Context, options Options) (Report, error) {
	if err := options.check(); err != nil {
		return Report{}, err
	}
	options.Settings = options.Settings.withDefaults()
	if options.Now.IsZero() {
		options.Now = time.Now()
	}
	if options.Touches == nil {
		options.Touches = func(migration.Statement) (pgsql.Touched, error) {
			return pgsql.Touched{}, &whimbrel.Error{Code: whimbrel.CodeUnsupported,
				Message: "nothing is given that reads SQL", Remedy: "set Options.Touches to lint.Touches"}
		}
	}
	visit, err := open(ctx, options)
	if err != nil {
		return Report{}, err
	}
	defer visit.close()
	report := Report{Database: visit.database(), Server: visit.server.Shown, Role: visit.server.Role, At: options.Now,
		Passed: true, Results: []Result{}}
	for _, c := range checks() {
		if !options.wants(c) {
			continue
		}
		result, err := visit.make(ctx, c)
		if err != nil {
			return report, err
		}
		report.Passed = report.Passed && result.Passed
		report.Results = append(report.Results, result)
	}
	return report, nil
}

// check refuses options that make no sense.
func (o Options) check() error {
	wrong := func(remedy, format string, args ...any) error {
		return &whimbrel.Error{Code: whimbrel.CodeConfiguration, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	if o.Connection == nil {
		return wrong("give a connection", "no database is given")
	}
	names := Names()
	for _, list := range [][]string{o.Only, o.Skip, o.Block, o.WarnOnly} {
		for _, name := range list {
			if !slices.Contains(names, name) && name != Everything {
				return wrong("use one of "+strings.Join(names, ", "), "unknown check %q", name)
			}
		}
	}
	if !slices.ContainsFunc(checks(), o.wants) && !slices.Contains(o.Skip, Everything) {
		return wrong("name a check that is not skipped", "no check is left to make")
	}
	return o.Settings.Check()
}

// wants reports whether a check is to be made.
func (o Options) wants(c check) bool {
	named := func(list []string) bool { return slices.Contains(list, c.name) || slices.Contains(list, Everything) }
	if c.name == history && o.Verify == nil {
		return false
	}
	return (len(o.Only) == 0 || named(o.Only)) && !named(o.Skip)
}

// blocking reports whether a check stops a run when it does not pass.
func (o Options) blocking(c check, f finding) bool {
	named := func(list []string) bool { return slices.Contains(list, c.name) || slices.Contains(list, Everything) }
	return (c.blocking && !f.advisory || named(o.Block)) && !named(o.WarnOnly)
}
