package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/internal/redact"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/project"
)

// globalFlags are those that every command has.
type globalFlags struct {
	env, databaseURL, configPath, table string
	hooks                               string
	dirs, set                           []string
	files                               string // the format of the migrations
	dev, json, noColor, quiet, verbose  bool
	subfolders                          bool
}

// app is one run of the program.
type app struct {
	environment
	flags        globalFlags
	redactor     *redact.Redactor
	out, err     io.Writer     // guarded by the redactor
	style        present.Style // of out
	errStyle     present.Style // of err
	interruption *interruption
	// failing is what a command knew about the failure that ended it.
	failing *failing
	// observers are those of a run beside the terminal; nil where nothing runs.
	observers *project.Observers
	command   string // that they hear of
	// furnishing is what throw-away databases have beforehand, if a command has read it.
	furnishing devdb.Furnishing
	// loaded are the migrations that were read last.
	loaded []migration.Migration
	// opening is a connection that is opened while files are read; nil: none.
	opening *whimbrel.Opening
	// walls are the weakest around the servers of this run; nil where all stood, or no
	// server was needed. Where they must stand, a server without any is an error.
	walls      *devdb.Walls
	wallsMutex sync.Mutex // servers may be started at once
	needsWalls bool
	// needsServers is set for a command that one server does not suffice for.
	needsServers bool
	// needsSuperuser is set where migrations must be tried as one.
	needsSuperuser bool
	// remarks are those that have been made.
	remarks map[string]bool
	// streaming is set by commands that write events with --json.
	streaming bool
}

func newApp(env environment, interruption *interruption) *app {
	a := &app{environment: env, remarks: map[string]bool{}, redactor: &redact.Redactor{}, interruption: interruption}
	a.out, a.err = a.redactor.Writer(&lasting{w: env.stdout}), a.redactor.Writer(&lasting{w: env.stderr})
	return a
}

// begin is called when the flags are known.
func (a *app) begin() {
	colour := !a.flags.noColor && a.variable("NO_COLOR") == "" && a.variable("TERM") != "dumb"
	a.style = present.Style{Colour: colour && a.outTerminal}
	a.errStyle = present.Style{Colour: colour && a.errTerminal}
	for _, conninfo := range []string{a.flags.databaseURL, a.variable("DATABASE_URL")} {
		if conninfo != "" {
			a.redactor.Connection(conninfo)
		}
	}
	for _, name := range []string{"PGPASSWORD", "DB_PASSWORD", "TEST_DB_PASSWORD"} {
		a.redactor.Password(a.variable(name))
		bare, _ := dial.UnwrapPassword(a.variable(name))
		a.redactor.Password(bare)
	}
}

// say writes a line for people: nothing with --json or --quiet.
func (a *app) say(format string, args ...any) {
	if !a.flags.json && !a.flags.quiet {
		_, _ = fmt.Fprintf(a.out, format+"\n", args...)
	}
}

// note writes a remark to stderr.
func (a *app) note(format string, args ...any) {
	if !a.flags.quiet {
		_, _ = fmt.Fprintf(a.err, format+"\n", args...)
	}
}

// project reads the project's whimbrel.yaml, if it has one.
func (a *app) project() (*project.Project, error) {
	variables := map[string]string{}
	for _, pair := range a.flags.set {
		name, value, _ := strings.Cut(pair, "=") // checkSet says what is wrong with it
		variables[name] = value
	}
	return project.Open(a.flags.configPath, project.Options{
		Environment: a.flags.env, DatabaseURL: a.flags.databaseURL, Dev: a.flags.dev, Folders: a.flags.dirs,
		Hooks: a.flags.hooks, Subfolders: a.flags.subfolders, Format: a.flags.files, Variables: variables,
		Table: a.flags.table, ToolVersion: build().Version, Scripts: scriptRuntime, Hazard: problemOfHazard,
		Folder: a.folder, Lookup: a.lookup, Notify: a.noticed, Redactor: a.redactor,
	})
}

// noticed shows what is worth knowing about the way to the project.
func (a *app) noticed(n project.Notice) {
	text := commandLine(n.Text)
	switch {
	case n.About == project.AboutAddress:
		a.remark(text)
	case n.About == project.AboutServer:
		a.note("%s", text)
	case a.flags.json:
	case n.About == project.AboutUnread:
		a.note("%s %s", a.errStyle.Warning("!"), text)
	default:
		a.note("%s", a.errStyle.Faint(text))
	}
}

// remark notes something once.
func (a *app) remark(text string) {
	if !a.remarks[text] {
		a.remarks[text] = true
		a.note("note: %s", text)
	}
}

// absolute is a path as the operating system needs it.
func (a *app) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.folder, path)
}

// load reads the project's migrations.
func (a *app) load(p *project.Project) error {
	err := p.ReadMigrations()
	a.loaded = p.Migrations
	return err
}

// openFolder reads configuration and migrations, for a command that needs no database.
func (a *app) openFolder() (*project.Project, error) {
	p, err := a.project()
	if err == nil {
		err = a.load(p)
	}
	if err == nil {
		err = a.checkSet(p)
	}
	return p, err
}

// checkSet refuses a --set that no migration asks for: a slip.
func (a *app) checkSet(p *project.Project) error {
	for _, pair := range a.flags.set {
		if name, _, found := strings.Cut(pair, "="); !found || name == "" {
			return usage("write it as --set NAME=VALUE", "--set %s has no name or no value", pair)
		}
	}
	return p.CheckVariables()
}

// openAhead does as open does, and connects meanwhile, for a command whose first
// deed is to ask the database. The Config has that connection; run gives it up.
func (a *app) openAhead(ctx context.Context) (*project.Project, error) {
	return a.openWith(ctx, func(p *project.Project) error {
		if p.Database.Embedded { // which first must be started
			return nil
		}
		err := p.Reach(ctx)
		if err == nil {
			a.opening, err = whimbrel.Open(ctx, p.Target)
		}
		return err
	})
}

// open reads configuration and migrations, in this order, and starts the
// development server where it is meant.
func (a *app) open(ctx context.Context) (*project.Project, error) {
	return a.openWith(ctx, func(*project.Project) error { return nil })
}

// openWith begins something once it is known which database is meant.
func (a *app) openWith(ctx context.Context, begin func(*project.Project) error) (*project.Project, error) {
	p, err := a.openFile()
	for _, step := range []func() error{
		func() error { return begin(p) }, func() error { return a.load(p) }, func() error { return p.ReadHooks() },
		func() error { return a.checkSet(p) }, func() error { return p.Reach(ctx) },
	} {
		if err != nil {
			return p, err
		}
		err = step()
	}
	p.Opening = a.opening
	return p, err
}

// openFile reads the configuration, and finds out which database is meant.
func (a *app) openFile() (*project.Project, error) {
	p, err := a.project()
	if err == nil {
		err = a.unwrapPG()
	}
	if err == nil {
		err = p.ChooseDatabase()
	}
	return p, err
}

// unwrapPG takes off what is around PG* variables, for the driver and for programs that
// are started.
func (a *app) unwrapPG() error {
	for _, name := range dial.PGVariables {
		bare, around := dial.UnwrapVariable(name, os.Getenv(name))
		if around == "" {
			continue
		}
		a.remark(dial.LeftOut(name, around))
		a.redactor.Password(map[bool]string{true: bare}[name == "PGPASSWORD"])
		if err := os.Setenv(name, bare); err != nil {
			return err
		}
	}
	return nil
}

// openRecords does as open does, but for the migrations: what has happened to a
// database, and who is at work on it, is asked for in the night, from wherever.
func (a *app) openRecords(ctx context.Context) (*project.Project, *whimbrel.Migrator, error) {
	p, err := a.openFile()
	if err == nil {
		err = p.Reach(ctx)
	}
	if err != nil {
		return p, nil, err
	}
	migrator, err := whimbrel.New(p.Config)
	return p, migrator, err
}

// sandbox reads what throw-away databases have beforehand.
func (a *app) sandbox(p *project.Project) (devdb.Furnishing, error) {
	f, err := p.Furnishing()
	f.Missing = a.missingRole
	if err == nil {
		a.furnishing, a.needsSuperuser = f, p.File.Sandbox.Superuser
	}
	return f, err
}

// missingRole notes a role that a migration names and nothing creates.
func (a *app) missingRole(m devdb.MissingRole) {
	a.wallsMutex.Lock() // servers may be furnished at once
	defer a.wallsMutex.Unlock()
	a.remark(fmt.Sprintf("%s: %s:%d:%d: %s", devdb.MissingRoleCheck, m.Path, m.Line, m.Column, m))
}
