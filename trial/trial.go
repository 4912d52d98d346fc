package trial

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Options say what to test and where.
type Options struct {
	whimbrel.Project // its hooks do not run
	whimbrel.Policy
	// Table is where the history is, as in whimbrel.Target.
	Table string
	// Stop, once closed, ends the trial after the migrations that are being tested.
	Stop <-chan struct{}
	// Records hears the engine's events of all runs, one at a time; may be nil.
	Records whimbrel.Listener

	// Tests is the folder of rows and queries; nil for none. TestsLabel is what
	// messages show in front of the files' names.
	Tests      fs.FS
	TestsLabel string

	// Only, unless empty, are the migrations to test, by version or name; the
	// others are just applied. From is the first one, ChangedSince a revision of
	// git since which their files were changed, in the repository around the
	// folder Repository. What is given together must hold together.
	Only         []string
	From         string
	ChangedSince string
	Repository   string

	// AtScale is how many generated rows each table has before a migration is tested.
	// At most MostRows.
	AtScale int

	// Jobs is how many databases are worked on at once; 0 means one.
	Jobs int

	// Connection is the server to work on, by a database on it; see
	// FromEnvironment. Without it there is a server of the tester's own, of the
	// version Major if that is not 0.
	Connection *pgx.ConnConfig
	Major      int

	// Sandbox is what each database has before the first migration.
	Sandbox devdb.Furnishing

	// Keep leaves the databases for a look: the one in which a migration failed as
	// it was then, and the last ones. Without a Connection they are then made on
	// the development server in the folder KeepIn (".whimbrel" if empty), since
	// the tester's own server ends with the process.
	Keep   bool
	KeepIn string

	// Listener hears how the trial goes on; may be nil. It is called by one
	// goroutine at a time.
	Listener Listener
	// Progress is told about work that takes seconds before the trial can
	// begin, like fetching a server; may be nil.
	Progress func(message string)

	// Timeout is how long the test of one migration may take, and applying one
	// that is not tested; 0: as long as it likes. One that takes longer has failed.
	Timeout time.Duration
}

// MostRows is the largest Options.AtScale.
const MostRows = 1_000_000_000

// Run tests migrations and returns when all its databases are gone, or kept if
// so wished. A migration that fails is in the Report and no error: see
// Report.OK. The error says why the trial could not be made, or was broken off;
// the Report then has what was known by that time.
func Run(ctx context.Context, options Options) (Report, error) {
	began := time.Now()
	report := Report{StartedAt: began.UTC()}
	history, err := newHistory(options)
	if err != nil {
		return report, err
	}
	suite, err := readSuite(options.Tests, options.TestsLabel)
	if err != nil {
		return report, err
	}
	if err := suite.check(history); err != nil {
		return report, err
	}
	chosen, err := choose(ctx, history, options)
	if err != nil {
		return report, err
	}
	if options.AtScale < 0 || options.AtScale > MostRows {
		return report, wrong(fmt.Sprintf("use 0, or at most %d", MostRows), "AtScale: %d rows cannot be made",
			options.AtScale)
	}
	if options.Jobs < 0 {
		return report, wrong("use 0 or a positive number", "Jobs: %d is a negative number", options.Jobs)
	}
	host, err := openHost(ctx, options, history.config.Migrations)
	if err != nil {
		return report, err
	}
	t := &trial{
		options: options, history: history, suite: suite, host: host, chosen: chosen,
		jobs: max(1, min(options.Jobs, len(chosen))), results: make(map[int]Result, len(chosen)),
	}
	if host.shared && history.sharesServer() {
		t.jobs = 1 // roles and the like belong to the whole server: two databases at once would collide
	}
	err = t.work(ctx)
	report = t.report(report)
	report.Server, report.Kept = host.version(), host.kept()
	err = cmp.Or(err, host.close())
	report.Duration = time.Since(began)
	t.emit(Finished{Summary: report.Summary, Duration: report.Duration})
	return report, err
}

// history is all migrations in their order, the ones in Go among them.
type history struct {
	config     whimbrel.Config
	migrations []migration.Migration
}

// newHistory checks what the engine would check.
func newHistory(options Options) (history, error) {
	config := whimbrel.Config{Project: options.Project, Policy: options.Policy}
	config.AcceptMarks, config.OnProtected = true, nil
	// they are of whole runs, which these are not
	config.Hooks = migration.Hooks{}
	config.Target = whimbrel.Target{DatabaseURL: "host=localhost", Table: options.Table} // never connected to
	if _, err := whimbrel.New(config); err != nil {
		return history{}, err
	}
	all := slices.Clone(config.Migrations)
	for _, f := range config.Functions {
		all = append(all, migration.Migration{Version: f.Version, Name: f.Name, Kind: migration.Func})
	}
	all = slices.DeleteFunc(all, func(m migration.Migration) bool { return m.Version.Repeatable() }) // see repeatables
	slices.SortFunc(all, func(a, b migration.Migration) int { return a.Version.Compare(b.Version) })
	if len(all)+len(config.Migrations) == 0 {
		return history{}, wrong("write one", "no migration to test")
	}
	config.Table = cmp.Or(config.Table, whimbrel.DefaultTable)
	return history{config: config, migrations: all}, nil
}

// until is a configuration for the first so many migrations.
func (h history) until(count int, connection *pgx.ConnConfig) whimbrel.Config {
	config := h.config
	config.Connection = connection
	config.Migrations, config.Functions = nil, nil
	if count == 0 {
		return config
	}
	newest := h.migrations[count-1].Version
	for _, m := range h.config.Migrations {
		if m.Version.Compare(newest) <= 0 { // never a repeatable one: they have no place in the order
			config.Migrations = append(config.Migrations, m)
		}
	}
	for _, f := range h.config.Functions {
		if f.Version.Compare(newest) <= 0 {
			config.Functions = append(config.Functions, f)
		}
	}
	return config
}

// find gives the index of the migration that a word means.
func (h history) find(word string) (int, error) {
	var all []migration.Named
	for _, m := range h.migrations {
		all = append(all, m.Named())
	}
	version, found, err := migration.Find(word, all)
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, unknownMigration(word)
	}
	return slices.IndexFunc(h.migrations, func(m migration.Migration) bool { return m.Version.Equal(version) }), nil
}

// repeatable reports whether word is the version, as in R__views, or the name of a repeatable
// migration, and of no other.
func (h history) repeatable(word string) bool {
	named := func(m migration.Migration) bool { return string(m.Version) == word || m.Name == word }
	return !slices.ContainsFunc(h.migrations, named) && slices.ContainsFunc(h.config.Migrations, named)
}

// sharesServer reports whether a migration makes something that belongs to the
// server and not to its database.
func (h history) sharesServer() bool {
	return slices.ContainsFunc(h.migrations, func(m migration.Migration) bool {
		return slices.ContainsFunc(m.Up.Statements, func(s migration.Statement) bool {
			words := strings.Fields(s.Command)
			return len(words) > 1 && words[0] == "CREATE" && slices.Contains([]string{"ROLE", "USER", "GROUP", "TABLESPACE",
				"DATABASE"}, words[1]) ||
				s.Command == "DO" && strings.Contains(strings.ToUpper(s.Text), "ROLE")
		})
	})
}

// wrong is an error about what the caller asked for.
func wrong(remedy, format string, args ...any) error {
	return &whimbrel.Error{Code: whimbrel.CodeConfiguration, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}
