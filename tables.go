package whimbrel

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// tables are the names of our four tables, quoted and with their schema, ready
// to stand in SQL.
type tables struct {
	history, journal, log, lock string
	// schema and name of the history table, unquoted.
	schema, name string
}

// companions gives the unquoted names of the tables that belong to a history
// table: journal, log, lock.
func companions(history string) (journal, log, lock string) {
	lock = history + "_lock"
	if history == DefaultTable {
		lock = "migration_lock"
	}
	return history + "_journal", history + "_log", lock
}

func nameTables(schema, history string) tables {
	journal, log, lock := companions(history)
	quote := func(name string) string { return pgx.Identifier{schema, name}.Sanitize() }
	return tables{
		history: quote(history), journal: quote(journal), log: quote(log), lock: quote(lock),
		schema: schema, name: history,
	}
}

// isSystemSchema reports whether a schema is one of PostgreSQL's own, which no
// user may create: of its catalogs, or of one session's temporary tables. Quotes
// and capitals are read as a slip for the same.
func isSystemSchema(name string) bool {
	name = strings.ToLower(strings.Trim(name, `"`))
	return strings.HasPrefix(name, "pg_") || name == "information_schema"
}

// unfitSchema refuses to keep the history in one of them: a temporary table ends
// with its session, and with it the knowledge of what was applied.
func unfitSchema(schema string) *Error {
	return &Error{
		Code: CodeConfiguration, Message: fmt.Sprintf("the history cannot be kept in the schema %s: it is PostgreSQL's own, or ends with the session", schema),
		Remedy: "name the table with an ordinary schema (--table public.schema_migrations)",
	}
}

// relation is a table as the catalog describes it.
type relation struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"` // pg_class.relkind
	Columns []column `json:"columns"`
	// UniqueVersion is set where the column "version" alone is unique.
	UniqueVersion bool `json:"unique_version"`
}

type column struct {
	Name string `json:"name"`
	Type string `json:"type"` // as format_type writes it, without modifiers
}

func (r *relation) has(name string) bool {
	return r != nil && slices.ContainsFunc(r.Columns, func(c column) bool { return c.Name == name })
}

// versionIs reports whether the column "version" has one of the types.
func (r *relation) versionIs(types ...string) bool {
	return slices.ContainsFunc(r.Columns, func(c column) bool { return c.Name == "version" && slices.Contains(types, c.Type) })
}

// specified are the columns of a history table that any runner of this format
// writes. A table that has them is ours to adopt.
var specified = []string{"id", "version", "name", "executed_at", "execution_time_ms", "checksum", "rollback_sql", "batch_number"}

// owner says to which other tool a table of the history's name belongs; empty
// when the table is ours.
func owner(history *relation, hasRailsMetadata bool) string {
	if history == nil {
		return ""
	}
	texts := []string{"character varying", "text"}
	missing := slices.ContainsFunc(specified, func(name string) bool { return !history.has(name) })
	switch {
	case history.Kind != "r" && history.Kind != "p":
		return "something that is no table"
	case !missing && history.versionIs(texts...):
		return ""
	case history.versionIs("bigint", "integer") && history.has("dirty"):
		return "golang-migrate"
	case history.versionIs("bigint") && history.has("inserted_at"):
		return "Ecto"
	case history.versionIs(texts...) && len(history.Columns) == 1 && hasRailsMetadata:
		return "Rails"
	case history.versionIs(texts...) && len(history.Columns) == 1:
		return "dbmate or Rails"
	default:
		return "another tool"
	}
}

func foreignTable(t tables, history *relation, owner string) *Error {
	var columns []string
	for _, c := range history.Columns {
		columns = append(columns, c.Name+" "+c.Type)
	}
	return &Error{
		Code: CodeForeignTable,
		Message: fmt.Sprintf("table %s.%s belongs to %s: its columns are %s",
			t.schema, t.name, owner, strings.Join(columns, ", ")),
		Remedy: "keep whimbrel's history in a table of another name (--table whimbrel_migrations), and record what that tool has applied with `whimbrel baseline VERSION`",
	}
}

// createTables is what brings our tables into being, or gives an adopted table,
// or a log of an older whimbrel, the columns that we add. It may run any number
// of times, but two sessions that run it at once can collide; see
// database.prepare.
func createTables(t tables, history, log *relation, maxStall time.Duration) []string {
	index := func(table, suffix string) string { return pgx.Identifier{table + suffix}.Sanitize() }
	statements := []string{
		fmt.Sprintf("SELECT pg_catalog.set_config('client_min_messages', 'warning', true), pg_catalog.set_config('lock_timeout', '%d', true)", maxStall.Milliseconds()),
		`CREATE TABLE IF NOT EXISTS ` + t.history + ` (
	id serial PRIMARY KEY,
	version varchar(255) NOT NULL UNIQUE,
	name varchar(255) NOT NULL,
	executed_at timestamptz NOT NULL DEFAULT now(),
	execution_time_ms integer,
	checksum varchar(64),
	rollback_sql text,
	batch_number integer,
	kind varchar(16)
)`}
	if history == nil {
		statements = append(statements, "CREATE INDEX IF NOT EXISTS "+index(t.name, "_batch_number")+" ON "+t.history+" (batch_number)")
	} else {
		if !history.has("kind") {
			statements = append(statements, "ALTER TABLE "+t.history+" ADD COLUMN IF NOT EXISTS kind varchar(16)")
		}
		if !history.UniqueVersion {
			statements = append(statements, "CREATE UNIQUE INDEX IF NOT EXISTS "+index(t.name, "_version_unique")+" ON "+t.history+" (version)")
		}
	}
	if log != nil && !log.has("steps") {
		statements = append(statements, "ALTER TABLE "+t.log+" ADD COLUMN IF NOT EXISTS retries integer, ADD COLUMN IF NOT EXISTS gave_way_ms double precision, "+
			"ADD COLUMN IF NOT EXISTS lock_wait_ms double precision, ADD COLUMN IF NOT EXISTS lease_wait_ms double precision, ADD COLUMN IF NOT EXISTS steps jsonb")
	}
	return append(statements, `CREATE TABLE IF NOT EXISTS `+t.lock+` (
	id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	is_locked boolean NOT NULL DEFAULT false,
	locked_at timestamptz,
	locked_by varchar(255)
)`, `ALTER TABLE `+t.lock+`
	ADD COLUMN IF NOT EXISTS token bigint NOT NULL DEFAULT 0,
	ADD COLUMN IF NOT EXISTS expires_at timestamptz,
	ADD COLUMN IF NOT EXISTS backend_pid integer,
	ADD COLUMN IF NOT EXISTS backend_start timestamptz,
	ADD COLUMN IF NOT EXISTS host varchar(255),
	ADD COLUMN IF NOT EXISTS os_user varchar(255),
	ADD COLUMN IF NOT EXISTS tool_version varchar(255)`,
		`INSERT INTO `+t.lock+` (id, is_locked) VALUES (1, false) ON CONFLICT (id) DO NOTHING`,
		`CREATE TABLE IF NOT EXISTS `+t.journal+` (
	version varchar(255) NOT NULL,
	direction varchar(4) NOT NULL,
	step integer NOT NULL,
	statement_hash varchar(64) NOT NULL,
	state varchar(8) NOT NULL CHECK (state IN ('started', 'done')),
	cursor text,
	rows_done bigint NOT NULL DEFAULT 0,
	rows_total bigint,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished_at timestamptz,
	token bigint NOT NULL,
	PRIMARY KEY (version, direction, step)
)`, `CREATE TABLE IF NOT EXISTS `+t.log+` (
	id bigserial PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	action varchar(16) NOT NULL,
	outcome varchar(8) NOT NULL,
	version varchar(255),
	name varchar(255),
	batch_number integer,
	duration_ms double precision,
	checksum varchar(64),
	error text,
	sqlstate varchar(5),
	run_by varchar(255),
	role text NOT NULL DEFAULT session_user,
	host varchar(255),
	tool_version varchar(255),
	token bigint,
	retries integer,
	gave_way_ms double precision,
	lock_wait_ms double precision,
	lease_wait_ms double precision,
	steps jsonb
)`)
}
