package whimbrel

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/redact"
)

// DefaultTable is the Target.Table that is used where none is named.
const DefaultTable = "schema_migrations"

// Target is where it is run: a database, and the history in it.
type Target struct {
	// DatabaseURL is a URL or a keyword/value string, as libpq takes it.
	DatabaseURL string
	// Connection is used instead of DatabaseURL where it is given. It must
	// come from pgx.ParseConfig. It is copied.
	Connection *pgx.ConnConfig
	// BeforeConnect is called before each new connection of a run is opened, with a copy of
	// the configuration for it to alter: to fetch a password that is valid for minutes, as
	// clouds have them. It may be called concurrently. Where it fails, so does connecting.
	// May be nil.
	BeforeConnect func(context.Context, *pgx.ConnConfig) error
	// Table is the history table's name, with or without schema; its
	// companions are named after it.
	Table string
	// Protect, unless empty, says that the database is protected, and as what: the first
	// run that changes anything leaves the mark of that. See Protection.
	Protect string
	// Opening is a connection to this database that Open has begun to open; the
	// first method that connects takes it over. May be nil.
	Opening *Opening
}

// check refuses names that the tables cannot have.
func (t Target) check() error {
	if parts := strings.Split(t.Table, "."); len(parts) > 2 || slices.Contains(parts, "") {
		return misconfigured("write table or schema.table", "invalid name for the history table %q", t.Table)
	}
	if schema, _, found := strings.Cut(t.Table, "."); found && isSystemSchema(schema) {
		return unfitSchema(schema)
	}
	return nil
}

// parse prepares a connection for our use: no statement cache (it
// breaks after DDL and behind poolers).
func (t Target) parse(hidden func() *redact.Redactor) (*pgx.ConnConfig, error) {
	connection := t.Connection
	if connection == nil {
		if t.DatabaseURL == "" {
			return nil, &Error{Code: CodeConfiguration, Message: "no database is given", Remedy: "give a database URL"}
		}
		parsed, err := dial.Parse(t.DatabaseURL)
		if err != nil {
			return nil, unreadable(err, hidden())
		}
		connection = parsed
	} else {
		connection = connection.Copy()
	}
	connection.DefaultQueryExecMode = pgx.QueryExecModeExec
	connection.StatementCacheCapacity, connection.DescriptionCacheCapacity = 0, 0
	if connection.RuntimeParams["application_name"] == "" {
		connection.RuntimeParams["application_name"] = "whimbrel"
	}
	return connection, nil
}

// unreadable says why an address is not read.
func unreadable(err error, hidden *redact.Redactor) *Error {
	var wrong *dial.AddressError
	if errors.As(err, &wrong) {
		return &Error{Code: CodeConfiguration, Message: hidden.Clean(wrong.Problem), Remedy: hidden.Clean(wrong.Remedy),
			Err: err}
	}
	return &Error{
		Code: CodeConfiguration, Message: "the database URL cannot be read: " + hidden.Clean(err.Error()),
		Remedy: "write it as postgres://user:password@host:5432/database, with special characters of the password " +
			"percent-encoded",
	}
}
