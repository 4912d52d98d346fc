// Package project reads what describes a project, whimbrel.yaml and the files that it names,
// into what the engine is told: migrations, database and policy, and who hears of a run.
//
//	p, err := project.Load(ctx, "whimbrel.yaml", project.Options{Environment: "production"})
//	migrator, err := whimbrel.New(p.Config)
//
// A library's remedies name the fields of Options; what the file says wrong has its line.
package project

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/redact"
	"github.com/whimbrel-db/whimbrel/migration"
)

// CodeUsage is the code of options, and of files by their names, that make no sense.
const CodeUsage whimbrel.Code = "usage"

func usage(remedy, format string, args ...any) error {
	return &whimbrel.Error{Code: CodeUsage, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

// Options are what is said beside the file, and wins over it. The zero value is good.
type Options struct {
	// Environment is one of the file's; empty: its default_environment.
	Environment string
	// DatabaseURL is a database that no environment needs to name; Dev is the development
	// server of the project, which is started where it does not run.
	DatabaseURL string
	Dev         bool
	// Folders are those of the migrations, and Hooks that of the hooks.
	Folders    []string
	Hooks      string
	Subfolders bool
	// Format is the tool whose migrations they are; empty: what they look like.
	Format    string
	Variables map[string]string
	// Table is the history's.
	Table       string
	ToolVersion string
	// Scripts makes what runs scripts within limits, as js.New does; nil: none are run.
	Scripts func(ScriptLimits) whimbrel.Runtime
	// Hazard says what is wrong with the name of a hazard, "" for nothing; nil: any name is
	// good.
	Hazard func(id string) (problem string)
	// Folder is the working folder; empty: that of the process.
	Folder string
	// Lookup gives variables of the environment; nil: os.LookupEnv.
	Lookup func(name string) (value string, set bool)
	// Notify is told what is worth knowing about the way; may be nil.
	Notify func(Notice)
	// Redactor learns the secrets that are met. It is for whimbrel's own programs; may be nil.
	Redactor *redact.Redactor
}

// Notice is what is worth knowing about the way to a project.
type Notice struct {
	About About
	Text  string
}

// About is what a Notice is about.
type About int

// What notices are about.
const (
	AboutAddress About = iota // a value of an address, and what was around it
	AboutServer               // the development server, which takes a while to start
	AboutFormat               // the tool that files were taken to be of
	AboutUnread               // files that are not read
)

func (o Options) notify(about About, text string) {
	if o.Notify != nil {
		o.Notify(Notice{about, text})
	}
}

func (o Options) secret(address string) { o.Redactor.Connection(address) }

// variable is one of the environment; one that is empty counts as one that is not set.
func (o Options) variable(name string) string {
	value, _ := o.Lookup(name)
	return value
}

// beside is a path that a file names, as people write it.
func (o Options) beside(file File, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return files.Shown(o.Folder, filepath.Join(file.Place, path))
}

// absolute is a path as the operating system needs it.
func (o Options) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(o.Folder, path)
}

// Project is what a whimbrel.yaml and the options say together.
type Project struct {
	// Config is for whimbrel.New.
	whimbrel.Config
	File     File
	Database Database
	// Tool is the one in whose format the migrations are; "" for whimbrel's own.
	Tool string

	options  Options
	named    bool              // the file was, and not found
	defaults map[string]string // of variables, by another tool
}

// Load reads the whimbrel.yaml at a path, or the nearest one where that is empty, and all that
// it names: migrations, hooks and the database, so that the Config is whole. Nothing is
// connected to. The development server is started where that is the database.
func Load(ctx context.Context, path string, o Options) (*Project, error) {
	p, err := Open(path, o)
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		p.ChooseDatabase, p.ReadMigrations, p.ReadHooks, p.CheckVariables, func() error { return p.Reach(ctx) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	p.Protect = p.ProtectedAs(ctx)
	return p, nil
}

// Open reads the whimbrel.yaml at a path, or the nearest one, or none, and nothing else. The
// Config has the policy then; what Load does is left to the caller, step by step.
func Open(path string, o Options) (*Project, error) {
	if o.Folder == "" {
		folder, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		o.Folder = folder
	}
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	o.Redactor = cmp.Or(o.Redactor, &redact.Redactor{})
	file, err := o.readFile(path)
	if err == nil {
		err = file.checkChosen(o.Environment)
	}
	p := &Project{File: file, options: o, named: path != ""}
	if err != nil {
		return p, err
	}
	p.Table, p.ToolVersion, p.Variables = o.Table, o.ToolVersion, p.values()
	p.OutOfOrder, p.MaxStall, p.MaxReplicaLag = file.OutOfOrder, file.MaxStall, file.MaxReplicaLag
	p.RetryBudget = file.orNothing("retry_budget", file.RetryBudget, whimbrel.NoRetry)
	p.LockWait = file.orNothing("lock_wait", file.LockWait, whimbrel.NoWait)
	if o.Scripts != nil {
		p.Scripts = o.Scripts(file.Scripts)
	}
	return p, nil
}

// Folders are those of the migrations: as the options name them, or the file, or
// "migrations" beside the file.
func (p *Project) Folders() []string {
	if len(p.options.Folders) > 0 {
		return p.options.Folders
	}
	named := p.File.Migrations
	if len(named) == 0 {
		named = folders{"migrations"}
	}
	var dirs []string
	for _, dir := range named {
		dirs = append(dirs, p.options.beside(p.File, dir))
	}
	return dirs
}

// Sources are the folders of the migrations, to be read.
func (p *Project) Sources() (sources []migration.Source) {
	for _, dir := range p.Folders() {
		source := p.options.source(dir)
		source.Subfolders = p.File.Subfolders || p.options.Subfolders
		sources = append(sources, source)
	}
	return sources
}

// SourcesToAdopt are Sources, or the folder in which another tool keeps its migrations, where
// nobody says which folder it is and there is none of the usual name.
func (p *Project) SourcesToAdopt() []migration.Source {
	other := *p
	for _, dir := range []string{"migrations", "db/migrations", "db/migration", "sql", "prisma/migrations", "drizzle",
		"src/main/resources/db/migration"} {
		if len(p.options.Folders) > 0 || len(p.File.Migrations) > 0 {
			break
		}
		if info, err := os.Stat(p.options.absolute(dir)); err == nil && info.IsDir() {
			other.File.Migrations, other.File.Place = folders{dir}, p.options.Folder
			break
		}
	}
	return other.Sources()
}

func (o Options) source(dir string) migration.Source {
	return migration.Source{FS: migration.Folder(o.absolute(dir)), Dir: ".", Label: filepath.ToSlash(dir)}
}

// ReadHooks reads the hooks in the folder that the options or the file names.
func (p *Project) ReadHooks() (err error) {
	dir := p.options.Hooks
	if dir == "" && p.File.Hooks != "" {
		dir = p.options.beside(p.File, p.File.Hooks)
	}
	if dir != "" {
		p.Hooks, err = migration.LoadHooks(p.options.source(dir))
	}
	return err
}

// BesideFile is a folder as whimbrel.yaml has to name it.
func (p *Project) BesideFile(dir string) string {
	relative, err := filepath.Rel(p.File.Place, p.options.absolute(dir))
	if err != nil {
		return filepath.ToSlash(dir)
	}
	return filepath.ToSlash(relative)
}
