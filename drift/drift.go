// Package drift compares the schema of a live database with the one that its
// migrations make: what was added, dropped or replaced by hand shows.
//
// What the migrations make is found out by running those that the history has, on
// a throw-away server, or taken from a file that was written that way before.
package drift

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/schema"
)

// Options say what to compare.
type Options struct {
	whimbrel.Project
	whimbrel.Target
	whimbrel.Policy
	// Stop is as in whimbrel.Config.
	Stop <-chan struct{}
	// Expected is what the schema should be; nil: what the migrations make.
	Expected *Expected
	// Server is where they are run, in a database of their own; nil starts one of the
	// live server's major version, or of another one where that is not to be had.
	Server *devdb.Server
	// Sandbox is what that database has before they run. Roles and settings of the live
	// database are added to it.
	Sandbox devdb.Furnishing
	// Privileges is set where owners and granted privileges are compared as well.
	// Often they are given out elsewhere, and differ between environments.
	Privileges bool
	// Progress is told about work that takes seconds; may be nil.
	Progress func(message string)
}

// config is what the engine is told, of whose events nobody hears.
func (o Options) config() whimbrel.Config {
	return whimbrel.Config{Project: o.Project, Target: o.Target, Policy: o.Policy, Stop: o.Stop}
}

// Report is what a comparison gives.
type Report struct {
	Database string `json:"database"`
	// Server and Replayed are the versions of the live server and of the one on which
	// the migrations were run; Replayed is empty where Expected was given.
	Server   string `json:"server"`
	Replayed string `json:"replayed_on,omitempty"`
	Objects  int    `json:"objects"` // of the live database
	// Differences lead from what the migrations make to what is there: an object that
	// was added by hand is Added.
	Differences []schema.Difference `json:"differences"`
	// Note is what to know when reading them; may be empty.
	Note string `json:"note,omitempty"`
}

// Compare reads the live schema and finds out what it should be. Nothing is changed
// in the live database. Applied migrations whose files are not there cannot be run
// again: that is an error of the code whimbrel.CodeMissingFile.
func Compare(ctx context.Context, options Options) (Report, error) {
	live, err := readLive(ctx, options)
	if err != nil {
		return Report{}, err
	}
	report := Report{Database: live.status.Database, Server: live.status.Server, Objects: len(live.schema.Objects),
		Differences: []schema.Difference{}}
	expected := options.Expected
	if expected == nil {
		applied, err := live.applied(options.Migrations)
		if err != nil {
			return report, err
		}
		options.Sandbox = live.sandbox
		made, err := replay(ctx, options, live, applied)
		if err != nil {
			return report, err
		}
		report.Replayed, expected = made.version, &made.expected
		if made.major != live.major {
			why := fmt.Sprintf("since there is no %d on this machine", live.major)
			if made.lent {
				why = fmt.Sprintf("since that is the server for tests, and not on %d", live.major)
			}
			report.Note = fmt.Sprintf("the migrations were run on PostgreSQL %s, %s: "+
				"some definitions may be written in another way", made.version, why)
		}
	}
	wanted, found := expected.Beforehand.without(expected.Schema, live.schema)
	report.Differences = append(report.Differences, schema.Diff(options.comparable(wanted),
		options.comparable(found))...)
	return report, nil
}

// Expect gives the schema that all migrations together make, to be kept for
// Options.Expected. It needs no database but the throw-away one.
func Expect(ctx context.Context, options Options, major int) (Expected, error) {
	made, err := replay(ctx, options, live{major: major}, options.Migrations)
	return made.expected, err
}

// live is what the database tells.
type live struct {
	status  whimbrel.Status
	schema  schema.Schema
	major   int
	sandbox devdb.Furnishing // with its roles and settings
}

func readLive(ctx context.Context, options Options) (l live, err error) {
	m, err := whimbrel.New(options.config())
	if err != nil {
		return l, err
	}
	if l.status, err = m.Status(ctx); err != nil {
		return l, err
	}
	config := options.Connection
	if config == nil {
		if config, err = dial.Parse(options.DatabaseURL); err != nil {
			return l, err // New has read it before
		}
	}
	config = config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // a pooler may be in front
	config.RuntimeParams["application_name"] = "whimbrel verify"
	if before := options.BeforeConnect; before != nil {
		if err := before(ctx, config); err != nil {
			return l, fmt.Errorf("preparing a connection: %w", err)
		}
	}
	conn, err := dial.Open(ctx, config)
	if err != nil {
		return l, fmt.Errorf("reading the schema: %w", err)
	}
	defer dial.Close(conn)
	err = conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int / 10000").Scan(&l.major)
	if err == nil {
		l.sandbox, err = sandbox.Like(ctx, conn, options.Sandbox)
	}
	if err == nil {
		l.schema, err = schema.Read(ctx, conn, schema.Options{Exclude: whimbrel.Tables(options.Table)})
	}
	if err != nil {
		return l, fmt.Errorf("reading the schema: %w", err)
	}
	return l, nil
}

// applied are the migrations that the history has.
func (l live) applied(all []migration.Migration) ([]migration.Migration, error) {
	all = whimbrel.Recognised(all, l.status.Applied)
	files := map[migration.Version]migration.Migration{}
	for _, m := range all {
		files[m.Version.Canonical()] = m
	}
	var missing []string
	done := map[migration.Version]bool{}
	for _, a := range l.status.Applied {
		if _, there := files[a.Version.Canonical()]; !there && a.SquashedIn == "" {
			missing = append(missing, string(a.Version))
		}
		done[a.Version.Canonical()] = true
	}
	if len(missing) > 0 {
		return nil, &whimbrel.Error{
			Code: whimbrel.CodeMissingFile, Remedy: "bring the files back, or compare the history alone, with Migrator.Verify",
			Message: "the schema cannot be compared: applied migrations have no file here: " + strings.Join(missing, ", "),
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(m migration.Migration) bool { return !done[m.Version.Canonical()] }),
		nil
}

// made is what the migrations make, and where they were run.
type made struct {
	expected Expected
	version  string
	major    int
	lent     bool // the server was somebody else's
}

// replay runs migrations on a throw-away server and reads what they made.
func replay(ctx context.Context, options Options, like live, migrations []migration.Migration) (made, error) {
	server := options.Server
	if server == nil {
		var err error
		if server, err = start(ctx, like.major, options.Progress); err != nil {
			return made{}, err
		}
		defer func() { _ = server.Stop() }()
	}
	url, drop, err := server.FreshDatabase(ctx)
	if err != nil {
		return made{}, fmt.Errorf("making a database to run the migrations in: %w", err)
	}
	defer drop()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return made{}, err
	}
	created, err := sandbox.Furnish(ctx, config, sandbox.Program{Furnishing: options.Sandbox,
		Migrations: slices.Concat(options.Hooks.All(), migrations), Functions: options.Functions,
		Variables: options.Variables})
	server.CreatedRoles(created...)
	if err != nil {
		return made{}, err
	}
	conn, err := dial.Open(ctx, config)
	if err != nil {
		return made{}, fmt.Errorf("running the migrations: %w", err)
	}
	defer dial.Close(conn)
	tables := whimbrel.Tables(options.Table)
	if len(tables[0]) > 1 {
		if _, err := conn.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+tables[0][:1].Sanitize()); err != nil {
			return made{}, fmt.Errorf("preparing a database to run the migrations in: %w", err)
		}
	}
	before, err := readBeforehand(ctx, conn, options.Sandbox)
	if err != nil {
		return made{}, err
	}
	options.Target = whimbrel.Target{Connection: config, Table: options.Table}
	options.Migrations, options.Tags, options.AcceptMarks = migrations, nil, true
	m, err := whimbrel.New(options.config())
	if err != nil {
		return made{}, err
	}
	if err := run(ctx, m, conn, created); err != nil {
		return made{}, elsewhere(err, server.Lent())
	}
	s, err := schema.Read(ctx, conn, schema.Options{Exclude: tables})
	version := server.Version()
	return made{Expected{s, before}, version.Version, version.Major, server.Lent()}, err
}

// start starts a server of a major version, or of any where that one cannot be had.
func start(ctx context.Context, major int, progress func(string)) (*devdb.Server, error) {
	server, err := devdb.Start(ctx, devdb.Options{Major: major, Progress: progress})
	if errors.Is(err, devdb.ErrNoBinaries) && major != 0 {
		server, err = devdb.Start(ctx, devdb.Options{Progress: progress})
	}
	var own *whimbrel.Error
	if errors.As(err, &own) { // it was to be a server that somebody named
		return nil, err
	}
	if err != nil {
		message, remedy := devdb.Explain(err)
		return nil, &whimbrel.Error{
			Code: whimbrel.CodeConnection, Err: err,
			Message: "no throw-away server could be started to run the migrations on: " + message,
			Remedy: cmp.Or(remedy, "see what it says") + "; or compare with a schema that was written " +
				"where there is a server (Options.Expected), or the history alone, with Migrator.Verify",
		}
	}
	return server, nil
}

// run runs the migrations. A role that they make is on the live server by now, and
// so among the furnished ones: it is dropped when the server says that it is there
// already, and the migrations go on.
func run(ctx context.Context, m *whimbrel.Migrator, conn *pgx.Conn, furnished []string) error {
	for {
		_, err := m.Up(ctx, whimbrel.UpOptions{})
		n := slices.IndexFunc(furnished, func(role string) bool { return isThere(err, role) })
		if n < 0 {
			return err
		}
		if _, err := conn.Exec(ctx, "DROP ROLE "+pgx.Identifier{furnished[n]}.Sanitize()); err != nil {
			return fmt.Errorf("leaving a role to the migration that makes it: %w", err)
		}
		furnished = slices.Delete(furnished, n, n+1)
	}
}

// isThere tells that a role cannot be made because there is one. The server has no
// field for its name; throw-away servers speak English.
func isThere(err error, role string) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "42710" && refused.Message == `role "`+role+`" already exists`
}

// elsewhere says of a failure that it was not in the live database.
func elsewhere(err error, lent bool) error {
	var own *whimbrel.Error
	if !errors.As(err, &own) {
		return fmt.Errorf("running the migrations on a throw-away server: %w", err)
	}
	moved := *own
	moved.Message = "on a throw-away server, on which the migrations were run to see what they make: " + own.Message
	if lent && own.SQLState == "42710" {
		moved.Message = "on the server for tests, on which the migrations were run to see what they make: " + own.Message
		moved.Remedy = "drop it there, or unset TEST_DB_*, so that whimbrel starts a server that has nothing"
		return &moved
	}
	moved.Remedy = "if it needs what that server does not have, such as rows or an extension, compare the " +
		"history alone, with Migrator.Verify"
	if remedy := sandbox.Remedy(own); remedy != "" {
		moved.Remedy = remedy + "; or compare the history alone, with Migrator.Verify"
	}
	return &moved
}

// comparable leaves out what belongs to an environment and not to its migrations.
func (o Options) comparable(s schema.Schema) schema.Schema {
	kept := schema.Schema{Objects: []schema.Object{}}
	for _, object := range s.Objects {
		if object.Kind == "database" || !o.Privileges && strings.HasSuffix(object.Kind, "privileges") {
			continue
		}
		if !o.Privileges {
			object.Properties = maps.Clone(object.Properties)
			maps.DeleteFunc(object.Properties, func(name, _ string) bool {
				return name == "owner" || strings.HasPrefix(name, "privileges of ")
			})
		}
		if object.Kind == "schema" && object.Name == "public" { // initdb wrote it; who recreates the schema has none
			object.Properties = maps.Clone(object.Properties)
			delete(object.Properties, "comment")
		}
		kept.Objects = append(kept.Objects, object)
	}
	return kept
}
