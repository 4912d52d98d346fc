package main

import (
	"cmp"
	"errors"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// target is the database that a command works on.
type target struct {
	conninfo string // a URL or keywords; "" with viaPG: what the PG* variables say
	viaPG    bool
	embedded bool   // the project's development server
	major    int    // of the embedded server; 0: the newest
	table    string // the environment's own history table; "" for none
	source   string // where the decision came from, for people
	// environment is its name in whimbrel.yaml; "" for a database of another source.
	environment string
	// protected is set where nothing may change without checks and a confirmation.
	protected bool
	remarks   []string // on values that were wrapped
}

// The variables that say which database is meant. Others of PostgreSQL's
// (PGSSLMODE, PGPASSWORD, …) only refine what was said.
var (
	dbVariables = []string{"DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"}
	pgVariables = []string{"PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGSERVICEFILE"}
)

// resolveTarget finds out which database is meant: the first that is given of
// flag, environment in whimbrel.yaml, DATABASE_URL, DB_*, PG*. There is no
// default: without any of them it is an error that lists the ways.
func resolveTarget(flags globalFlags, file config, lookup func(string) (string, bool)) (target, error) {
	variable := func(name string) string { value, _ := lookup(name); return value }
	switch {
	case flags.databaseURL != "" && flags.dev:
		return target{}, usage("use only one of the two", "--database-url and --dev are two databases")
	case flags.databaseURL != "":
		return target{conninfo: flags.databaseURL, source: "--database-url"}, nil
	case flags.dev:
		t := target{embedded: true, source: "--dev"}
		if base, ok := file.Environments[cmp.Or(flags.env, file.DefaultEnvironment)]; ok && base.Embedded {
			t.major, t.table = base.PGVersion, base.Table
		}
		return t, nil
	case flags.env != "" || file.DefaultEnvironment != "":
		return file.target(cmp.Or(flags.env, file.DefaultEnvironment), lookup)
	case variable("DATABASE_URL") != "":
		return target{conninfo: variable("DATABASE_URL"), source: "DATABASE_URL"}, nil
	}
	for _, name := range dbVariables {
		if variable(name) != "" {
			t := target{source: name}
			t.conninfo = dial.Variables("DB_", "myapp", unwrapping(lookup, dial.UnwrapVariable, &t.remarks))
			return t, nil
		}
	}
	for _, name := range pgVariables {
		if variable(name) != "" {
			return target{viaPG: true, source: name}, nil
		}
	}
	return target{}, usage(
		"say it in one of these ways:\n"+
			"  --database-url postgres://user:password@host:5432/database\n"+
			"  --env NAME, with an environment of that name in "+configName+"\n"+
			"  the variable DATABASE_URL, or DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD, or PGHOST, PGDATABASE, …\n"+
			"  --dev: a development server that whimbrel starts on this machine",
		"no database is given")
}

// target is the database of one of the file's environments.
func (c config) target(name string, lookup func(string) (string, bool)) (target, error) {
	base, ok := c.Environments[name]
	if !ok && c.path == "" {
		return target{}, usage("write one with whimbrel init, or name it with --config",
			"no %s that could say what environment %q is", configName, name)
	}
	if !ok {
		return target{}, &whimbrel.Error{
			Code: whimbrel.CodeConfiguration, Path: c.path,
			Message: "unknown environment \"" + name + "\"", Remedy: c.environmentsRemedy(name),
		}
	}
	t := target{embedded: base.Embedded, major: base.PGVersion, table: base.Table, source: "environment " + name,
		environment: name, protected: base.Protected}
	if base.Embedded {
		return t, nil
	}
	url, remarks, err := expandAddress(base.URL, lookup)
	if err != nil {
		return t, c.wrong(c.at("environments", name, "url"), "set it, or give a default as in ${NAME:-default}; special "+
			"characters of a password must be percent-encoded",
			"environment %q: %v", name, err)
	}
	t.conninfo, t.remarks = url, remarks
	return t, nil
}

// configure puts the target into a Config.
func (t target) configure(c *whimbrel.Config) error {
	c.Table = cmp.Or(c.Table, t.table)
	if !t.viaPG {
		c.DatabaseURL = t.conninfo
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
			Remedy: "put them right, or give --database-url", Err: err,
		}
	}
	c.Connection = connection
	return nil
}

// remark notes something once.
func (a *app) remark(texts ...string) {
	for _, text := range texts {
		if !a.remarks[text] {
			a.remarks[text] = true
			a.note("note: %s", text)
		}
	}
}

// unwrapPG takes off what is around PG* variables, for the driver and for programs that
// are started.
func (a *app) unwrapPG() error {
	for _, name := range dial.PGVariables {
		value := os.Getenv(name)
		bare, around := dial.UnwrapVariable(name, value)
		if around == "" {
			continue
		}
		a.remark(leftOut(name, around))
		a.redactor.Password(map[bool]string{true: bare}[name == "PGPASSWORD"])
		if err := os.Setenv(name, bare); err != nil {
			return err
		}
	}
	return nil
}

// connectionOf is the connection that a Config speaks of.
func connectionOf(c whimbrel.Config) (*pgx.ConnConfig, error) {
	if c.Connection != nil {
		return c.Connection, nil
	}
	return dial.Parse(c.DatabaseURL) // which the engine has read already
}
