package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/internal/redact"
	"github.com/whimbrel-db/whimbrel/migration"
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
	// foreign is the tool in whose format the migrations are; "" for whimbrel's own.
	foreign string
	// defaults are values of variables that another tool would give them.
	defaults map[string]string
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

// config reads the project's whimbrel.yaml, if it has one.
func (a *app) config() (config, error) {
	return loadConfig(a.flags.configPath, a.folder, cmp.Or(a.variable("HOME"), a.variable("USERPROFILE")),
		a.variable("SUDO_UID"))
}

// migrationFolders are the folders of the migrations: as the flags name them,
// or the file, or "migrations" beside the file.
func (a *app) migrationFolders(file config) []string {
	if len(a.flags.dirs) > 0 {
		return a.flags.dirs
	}
	named := file.Migrations
	if len(named) == 0 {
		named = folders{"migrations"}
	}
	var dirs []string
	for _, dir := range named {
		if !filepath.IsAbs(dir) {
			dir = shownPath(a.folder, filepath.Join(file.place, dir))
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// absolute is a path as the operating system needs it.
func (a *app) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(a.folder, path)
}

// load reads the project's migrations.
func (a *app) load(file config) (migrations []migration.Migration, err error) {
	migrations, err = a.loadFrom(a.sources(file), file)
	a.loaded = migrations
	return migrations, err
}

// sources are the folders of the migrations.
func (a *app) sources(file config) (sources []migration.Source) {
	for _, dir := range a.migrationFolders(file) {
		sources = append(sources, migration.Source{FS: migration.Folder(a.absolute(dir)), Dir: ".",
			Label: filepath.ToSlash(dir), Subfolders: file.Subfolders || a.flags.subfolders})
	}
	return sources
}

// hooks reads the hooks in the folder that the flag or the file names.
func (a *app) hooks(file config) (migration.Hooks, error) {
	dir := a.flags.hooks
	if dir == "" && file.Hooks != "" {
		if dir = file.Hooks; !filepath.IsAbs(dir) {
			dir = shownPath(a.folder, filepath.Join(file.place, dir))
		}
	}
	if dir == "" {
		return migration.Hooks{}, nil
	}
	return migration.LoadHooks(migration.Source{FS: migration.Folder(a.absolute(dir)), Dir: ".",
		Label: filepath.ToSlash(dir)})
}

// project is what most commands need: the migrations and the Config of the
// database, without a listener.
type project struct {
	file       config
	migrations []migration.Migration
	target     target
	config     whimbrel.Config
	observers  *observers // of a command that changes the database; nil otherwise
}

// settings are what the engine is told, all but the database.
func (a *app) settings(file config, migrations []migration.Migration) whimbrel.Config {
	return whimbrel.Config{
		Project: whimbrel.Project{Migrations: migrations, Variables: a.values(file), Scripts: file.Scripts.runtime()},
		Target:  whimbrel.Target{Table: a.flags.table},
		Policy: whimbrel.Policy{
			OutOfOrder: file.OutOfOrder, MaxStall: file.MaxStall, MaxReplicaLag: file.MaxReplicaLag,
			RetryBudget: file.orNothing("retry_budget", file.RetryBudget, whimbrel.NoRetry),
			LockWait:    file.orNothing("lock_wait", file.LockWait, whimbrel.NoWait),
		},
		ToolVersion: build().Version,
	}
}

// openAhead does as open does, and connects meanwhile, for a command whose first
// deed is to ask the database. The Config has that connection; run gives it up.
func (a *app) openAhead(ctx context.Context) (project, error) {
	return a.openWith(ctx, func(p project) error {
		if p.target.embedded { // which first must be started
			return nil
		}
		err := a.configure(&p)
		if err == nil {
			a.opening, err = whimbrel.Open(ctx, p.config.Target)
		}
		return err
	})
}

// open reads configuration and migrations, in this order, and starts the
// development server where it is meant.
func (a *app) open(ctx context.Context) (project, error) {
	return a.openWith(ctx, func(project) error { return nil })
}

// openWith begins something once it is known which database is meant.
func (a *app) openWith(ctx context.Context, begin func(project) error) (project, error) {
	p, err := a.openFile()
	if err != nil {
		return p, err
	}
	if err := begin(p); err != nil {
		return p, err
	}
	if p.migrations, err = a.load(p.file); err != nil {
		return p, err
	}
	hooks, err := a.hooks(p.file)
	if err != nil {
		return p, err
	}
	if err := a.checkSet(hooks.All(), p.migrations); err != nil {
		return p, err
	}
	if err := a.openDatabase(ctx, &p); err != nil {
		return p, err
	}
	p.config.Hooks, p.config.Opening = hooks, a.opening
	return p, nil
}

// openFile reads the configuration, and finds out which database is meant.
func (a *app) openFile() (project, error) {
	p := project{}
	var err error
	if p.file, err = a.config(); err != nil {
		return p, err
	}
	if err := a.unwrapPG(); err != nil {
		return p, err
	}
	if p.target, err = resolveTarget(a.flags, p.file, a.lookup); err != nil {
		return p, err
	}
	a.redactor.Connection(p.target.conninfo)
	a.remark(p.target.remarks...)
	if bare, around := dial.Unwrap(p.target.conninfo); around != "" {
		p.target.conninfo = bare
		a.redactor.Connection(bare)
		a.remark(leftOut(p.target.source, around))
	}
	return p, nil
}

// openDatabase says how the engine gets to the database.
func (a *app) openDatabase(ctx context.Context, p *project) (err error) {
	if p.target.embedded {
		if p.target.conninfo, err = a.startEmbedded(ctx, p.file, p.target.major); err != nil {
			return err
		}
		a.redactor.Connection(p.target.conninfo)
	}
	return a.configure(p)
}

// configure makes the Config of what is known.
func (a *app) configure(p *project) error {
	p.config = a.settings(p.file, p.migrations)
	if err := p.target.configure(&p.config); err != nil {
		return err
	}
	p.config.Table = cmp.Or(p.config.Table, p.file.Table)
	return nil
}

// openRecords does as open does, but for the migrations: what has happened to a
// database, and who is at work on it, is asked for in the night, from wherever.
func (a *app) openRecords(ctx context.Context) (project, *whimbrel.Migrator, error) {
	p, err := a.openFile()
	if err != nil {
		return p, nil, err
	}
	if err := a.openDatabase(ctx, &p); err != nil {
		return p, nil, err
	}
	migrator, err := whimbrel.New(p.config)
	return p, migrator, err
}
