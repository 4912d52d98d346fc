package project

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// Database is the one that is meant, and why.
type Database struct {
	// URL leads to it, as a URL or keywords; empty where the PG* variables do, and where it
	// is that of the development server.
	URL      string
	Embedded bool   // the project's development server
	Source   string // where the decision came from, for people
	// Environment is its name in whimbrel.yaml; "" for a database of another source.
	Environment string
	// Protected is set where nothing may change without checks and a confirmation.
	Protected bool
	Table     string // the environment's own history table; "" for none

	viaPG   bool
	major   int      // of the development server; 0: the newest
	remarks []string // on values that were wrapped
}

// The variables that say which database is meant. Others of PostgreSQL's
// (PGSSLMODE, PGPASSWORD, …) only refine what was said.
var (
	dbVariables = []string{"DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"}
	pgVariables = []string{"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSERVICEFILE"}
)

// ChooseDatabase finds out which database is meant: the first that is given of
// Options.DatabaseURL, Options.Dev, environment in whimbrel.yaml, DATABASE_URL, DB_*, PG*.
// There is no default: without any of them it is an error that lists the ways.
func (p *Project) ChooseDatabase() (err error) {
	o := p.options
	if p.Database, err = o.choose(p.File); err != nil {
		return err
	}
	o.secret(p.Database.URL)
	for _, remark := range p.Database.remarks {
		o.notify(AboutAddress, remark)
	}
	if bare, around := dial.Unwrap(p.Database.URL); around != "" {
		p.Database.URL = bare
		o.secret(bare)
		o.notify(AboutAddress, dial.LeftOut(p.Database.Source, around))
	}
	return nil
}

func (o Options) choose(file File) (Database, error) {
	environment := cmp.Or(o.Environment, file.DefaultEnvironment)
	switch {
	case o.DatabaseURL != "" && o.Dev:
		return Database{}, usage("use only one of the two", "a database URL and the development server are two databases")
	case o.DatabaseURL != "":
		return Database{URL: o.DatabaseURL, Source: "Options.DatabaseURL"}, nil
	case o.Dev:
		d := Database{Embedded: true, Source: "Options.Dev"}
		if base, ok := file.Environments[environment]; ok && base.Embedded {
			d.major, d.Table = base.PGVersion, base.Table
		}
		return d, nil
	case environment != "":
		return file.database(environment, o.Lookup)
	case o.variable("DATABASE_URL") != "":
		return Database{URL: o.variable("DATABASE_URL"), Source: "DATABASE_URL"}, nil
	}
	for _, name := range dbVariables {
		if o.variable(name) != "" {
			d := Database{Source: name}
			d.URL = dial.Variables("DB_", "myapp", dial.Unwrapping(o.Lookup, dial.UnwrapVariable, &d.remarks))
			return d, nil
		}
	}
	for _, name := range pgVariables {
		if o.variable(name) != "" {
			return Database{viaPG: true, Source: name}, nil
		}
	}
	return Database{}, usage(
		"say it in one of these ways:\n"+
			"  Options.DatabaseURL: postgres://user:password@host:5432/database\n"+
			"  Options.Environment: NAME, with an environment of that name in "+Name+"\n"+
			"  the variable DATABASE_URL, or DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD, or PGHOST, PGDATABASE, …\n"+
			"  Options.Dev: a development server that whimbrel starts on this machine",
		"no database is given")
}

// database is that of one of the file's environments.
func (c File) database(name string, lookup func(string) (string, bool)) (Database, error) {
	base := c.Environments[name]
	d := Database{Embedded: base.Embedded, major: base.PGVersion, Table: base.Table, Source: "environment " + name,
		Environment: name, Protected: base.Protected}
	if base.Embedded {
		return d, nil
	}
	url, remarks, err := expandAddress(base.URL, lookup)
	if err != nil {
		return d, c.wrong(c.at("environments", name, "url"), "set it, or give a default as in ${NAME:-default}; special "+
			"characters of a password must be percent-encoded",
			"environment %q: %v", name, err)
	}
	d.URL, d.remarks = url, remarks
	return d, nil
}

// environment is that of the file which was asked for, or its default one.
func (p *Project) environment() Environment {
	return p.File.Environments[cmp.Or(p.options.Environment, p.File.DefaultEnvironment)]
}

// Reach says how the engine gets to the database that was chosen. The development server is
// started where that is meant.
func (p *Project) Reach(ctx context.Context) error {
	if p.Database.Embedded && p.Database.URL == "" {
		server, err := p.DevServer(p.Database.major)
		if err != nil {
			return err
		}
		if p.Database.URL, err = server.URL(ctx, ""); err != nil {
			return DevServerError(err)
		}
		p.options.secret(p.Database.URL)
	}
	p.Table = cmp.Or(p.options.Table, p.Database.Table, p.File.Table)
	if !p.Database.viaPG {
		p.DatabaseURL = p.Database.URL
		return nil
	}
	connection, err := dial.Parse("")
	var wrong *dial.AddressError
	if errors.As(err, &wrong) {
		return &whimbrel.Error{Code: whimbrel.CodeConfiguration, Message: "the PG* variables: " + wrong.Problem,
			Remedy: wrong.Remedy, Err: err}
	}
	if err != nil {
		return &whimbrel.Error{
			Code: whimbrel.CodeConfiguration, Message: "the PG* variables cannot be read: " + err.Error(),
			Remedy: "put them right, or set Options.DatabaseURL", Err: err,
		}
	}
	p.Connection = connection
	return nil
}

// DevServer names the project's development server, without starting it. 0 is the major
// version that the environment has, or else the newest.
func (p *Project) DevServer(major int) (*devdb.Project, error) {
	if major = cmp.Or(major, p.environment().PGVersion); major != 0 && !KnownMajor(major) {
		return nil, usage("use one of "+Majors(), "no development server with PostgreSQL %d", major)
	}
	return devdb.OpenProject(filepath.Join(p.File.Place, ".whimbrel"), devdb.ProjectOptions{
		Major: major, Progress: func(message string) { p.options.notify(AboutServer, message) },
	}), nil
}

// DevServerError gives an error of the development server the form of the engine's.
func DevServerError(err error) error {
	if err == nil {
		return nil
	}
	message, remedy := devdb.Explain(err)
	return &whimbrel.Error{
		Code: whimbrel.CodeConnection, Message: "the development server: " + message,
		Remedy: cmp.Or(remedy, "see DevServer and its Status; begin again with its Reset; "+
			"or give another database by Options.DatabaseURL"),
		Err: err,
	}
}
