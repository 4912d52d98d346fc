package forecast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Options say how to study a plan.
type Options struct {
	// Connection is the database on which the plan is to run, as pgx.ParseConfig
	// gives it. It is copied.
	Connection *pgx.ConnConfig
	// Parser is lint.PostgreSQL() unless something else is given.
	Parser lint.Parser
	// Severities are those of hazards, as a configuration has them.
	Severities lint.Severities
	// Rehearse runs the plan on a throw-away server as well, behind a replay of
	// History, and then its down migrations.
	Rehearse bool
	// History are the migrations that are applied, in the order in which they were.
	// If files are missing, WithoutFiles is set: then the rehearsal begins with what
	// the catalog tells of the schema.
	History      []migration.Migration
	WithoutFiles bool
	// Variables are the values of what files ask for. Those of four characters or more
	// stand nowhere in the forecast.
	Variables map[string]string
	// Scripts runs migrations that are no SQL, in the rehearsal; may be nil.
	Scripts whimbrel.Runtime
	// Server is where to rehearse; nil starts one, of the version that the database has.
	Server *devdb.Server
	// Sandbox is what it has before the first migration. Roles and settings of the database
	// are added to it.
	Sandbox devdb.Furnishing
	// Rows is how many each table gets in the rehearsal; 0, or less, is 5000.
	Rows int
	// Progress is told about work that takes seconds; may be nil.
	Progress func(message string)
}

// defaultRows is enough to tell how long a row takes, and soon made up.
const defaultRows = 5000

// Study gathers what there is to know about a plan and makes the forecast. It opens
// a connection of its own, on which it only reads, and blocks until it is done.
func Study(ctx context.Context, plan whimbrel.Plan, options Options) (Forecast, error) {
	if options.Parser == nil {
		options.Parser = lint.PostgreSQL()
	}
	facts, catalog, err := survey(ctx, &options)
	if err != nil {
		return Forecast{}, err
	}
	judged, err := judge(plan, facts, catalog, options)
	if err != nil {
		return Forecast{}, err
	}
	if options.Rehearse && len(plan.Migrations) > 0 {
		if err := rehearse(ctx, plan, catalog, &judged, options); err != nil {
			return Forecast{}, err
		}
	}
	f := Foretell(plan, judged.Judged, facts, options.Parser)
	f.hide(options.Variables)
	return f, nil
}

// survey reads facts and catalog of the database.
func survey(ctx context.Context, options *Options) (Facts, lint.Catalog, error) {
	config := options.Connection.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // poolers bear no prepared statements
	config.StatementCacheCapacity, config.DescriptionCacheCapacity = 0, 0
	conn, err := dial.Open(ctx, config)
	if err != nil {
		return Facts{}, lint.Catalog{}, fmt.Errorf("connecting for a look at the tables: %w", err)
	}
	defer dial.Close(conn)
	facts, err := ReadFacts(ctx, conn)
	if err != nil {
		return Facts{}, lint.Catalog{}, err
	}
	if options.Rehearse {
		if options.Sandbox, err = sandbox.Like(ctx, conn, options.Sandbox); err != nil {
			return Facts{}, lint.Catalog{}, err
		}
	}
	catalog, err := rehearsal.ReadCatalog(ctx, conn)
	return facts, catalog, err
}

// judgement is what was judged, and by whom, so that it can be corrected.
type judgement struct {
	Judged
	linter *lint.Linter
}

// judge judges a plan, and its down migrations, by text and catalog.
func judge(plan whimbrel.Plan, facts Facts, catalog lint.Catalog, options Options) (judgement, error) {
	wrong := func(err error) error {
		return &whimbrel.Error{Code: whimbrel.CodeConfiguration, Message: err.Error(),
			Remedy: "see the hazards that lint.Hazards lists", Err: err}
	}
	catalog.Rows = facts.counted(catalog.Rows)
	settings := lint.Options{Parser: options.Parser, Severities: options.Severities, Catalog: &catalog, Major: facts.Major}
	there, err := lint.New(settings)
	if err != nil {
		return judgement{}, wrong(err)
	}
	sequence := Sequence(plan)
	j := judgement{linter: there}
	if j.Report, err = there.Check(sequence); err != nil {
		return judgement{}, fmt.Errorf("judging the plan: %w", err)
	}
	backwards := downMigrations(plan, options.Variables)
	settings.Judge = func(m migration.Migration) bool { return isBack(m.Version) }
	back, err := lint.New(settings)
	if err != nil {
		return judgement{}, wrong(err)
	}
	if j.Back, err = back.Check(append(sequence, backwards...)); err != nil {
		return judgement{}, fmt.Errorf("judging the down migrations: %w", err)
	}
	return j, nil
}

// rehearse runs the plan on a throw-away server and corrects the judgement.
func rehearse(ctx context.Context, plan whimbrel.Plan, catalog lint.Catalog, j *judgement, options Options) error {
	history := options.History
	if options.WithoutFiles {
		schema, err := migration.Parse("0_catalog_of_the_database.sql", strings.Join(catalog.Statements, ";\n")+";\n")
		if err != nil {
			return fmt.Errorf("replaying the catalog: %w", err)
		}
		history = []migration.Migration{schema}
		options.Sandbox.Prepare, options.Sandbox.Extensions = nil, nil // the catalog has them
	}
	sequence, stopped := runnable(plan)
	back := downMigrations(plan, options.Variables)
	everything := append(append(append([]migration.Migration{}, history...), finished(plan)...),
		append(sequence, back...)...)
	rows := options.Rows
	if rows <= 0 {
		rows = defaultRows
	}
	result, err := rehearsal.Run(ctx, everything, rehearsal.Options{
		Lint: lint.Options{Parser: options.Parser, Judge: func(m migration.Migration) bool {
			return isPlanned(m.Version) ||
				isBack(m.Version)
		}},
		Server: options.Server, Sandbox: options.Sandbox, Major: catalog.Major, Rows: rows, Progress: options.Progress,
		Scripts: options.Scripts,
	})
	if errors.Is(err, devdb.ErrNoBinaries) {
		return &whimbrel.Error{
			Code: whimbrel.CodeUnsupported, Message: "no server to rehearse on: " + err.Error(),
			Remedy: "install PostgreSQL on this machine, or leave the rehearsal out", Err: err,
		}
	}
	if err != nil {
		return fmt.Errorf("rehearsing the plan: %w", err)
	}
	for _, o := range result.Observations {
		if isBack(o.Version) {
			j.BackObservations = append(j.BackObservations, o)
		} else {
			j.Observations = append(j.Observations, o)
		}
	}
	stopped = cmp.Or(result.Stopped, stopped)
	j.Report = j.linter.Merge(j.Report, lint.Run{Observations: j.Observations, Stopped: stopped})
	j.Back = j.linter.Merge(j.Back, lint.Run{Observations: j.BackObservations, Stopped: stopped})
	j.Rehearsal = &Rehearsal{Server: result.Server, Rows: rows, Stopped: stopped}
	return nil
}

func isPlanned(v migration.Version) bool { return strings.HasPrefix(string(v), "plan-") }
func isBack(v migration.Version) bool    { return strings.HasPrefix(string(v), "back-") }

// runnable is what can be rehearsed of a plan: all up to a script or function that
// goes down. It says which that is.
func runnable(plan whimbrel.Plan) (sequence []migration.Migration, stopped string) {
	sequence = Sequence(plan)
	for i, p := range plan.Migrations {
		if p.Direction == whimbrel.Up || p.Migration.Kind == migration.SQL || p.RecordOnly() {
			continue
		}
		at := slices.IndexFunc(sequence, func(m migration.Migration) bool { return m.Version == planVersion(i) })
		return sequence[:at], "the rehearsal ended early, at " + p.Migration.Path + ": the down migration of a " +
			string(p.Migration.Kind) + " cannot be rehearsed"
	}
	return sequence, ""
}

// counted adds to the numbers of rows that the catalog has those of tables that
// nobody has analyzed and that are seen to be empty.
func (f Facts) counted(rows map[string]int64) map[string]int64 {
	all := maps.Clone(rows)
	for _, t := range f.Tables {
		if _, known := all[t.key]; !known && t.leaf && t.Rows >= 0 && all != nil {
			all[t.key] = t.Rows
		}
	}
	return all
}
