package whimbrel

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/foreign"
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
		Code: CodeConfiguration, Message: fmt.Sprintf("the history cannot be kept in the schema %s: it is PostgreSQL's "+
			"own, or ends with the session", schema),
		Remedy: "name the table with an ordinary schema (Config.Table: public.schema_migrations)",
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

// column gives the name of a column, or, where a table that was described lacks it,
// what replaces it in a query. A table that is not described is complete.
func (r *relation) column(name, otherwise string) string {
	if r == nil || r.has(name) {
		return name
	}
	return otherwise
}

// versionIs reports whether the column "version" has one of the types.
func (r *relation) versionIs(types ...string) bool {
	return slices.ContainsFunc(r.Columns, func(c column) bool {
		return c.Name == "version" && slices.Contains(types,
			c.Type)
	})
}

// specified are the columns of a history table that any runner of this format
// writes. A table that has them is ours to adopt.
var specified = []string{"id", "version", "name", "executed_at", "execution_time_ms", "checksum", "rollback_sql",
	"batch_number"}

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
		return "something that is not a table"
	case !missing && history.versionIs(texts...):
		return ""
	}
	of, known := foreign.Owner(history.foreign())
	switch {
	case !known || of.Guessed(history.foreign()):
		return "another tool"
	case of.Name == "dbmate" && hasRailsMetadata:
		return "Rails"
	}
	return of.Title
}

// foreign is the table as the list of other tools' tables has it.
func (r *relation) foreign() (table foreign.Relation) {
	table.Name = r.Name
	for _, c := range r.Columns {
		table.Columns, table.Types = append(table.Columns, c.Name), append(table.Types, c.Type)
	}
	return table
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
		Remedy: "take that tool's history over with package adopt; or keep whimbrel's in a table of another name " +
			"(Config.Table: whimbrel_migrations), " +
			"and record there what is applied with Migrator.Baseline(VERSION)",
	}
}

// schemaVersion is the version of our four tables that this program writes: their
// columns, and what is in them. It is kept in the lease's row. Tables without one are
// of version 0, as are those of other runners of the format; they are upgraded where
// they are. Tables of a higher version are not written to: see database.newer.
//
// Who changes a column, the shape of a step's hash or of a cursor counts it up by one.
const schemaVersion = 2

// column definitions that tables of a lower version may lack, in the order in which
// they were added.
var (
	addedToHistory = []string{"kind varchar(16)", "objects jsonb"}
	addedToLock    = []string{
		"token bigint NOT NULL DEFAULT 0", "expires_at timestamptz", "backend_pid integer", "backend_start timestamptz",
		"host varchar(255)", "os_user varchar(255)", "tool_version varchar(255)",
		"schema_version integer NOT NULL DEFAULT 0", "schema_tool_version varchar(255)",
	}
	addedToJournal = []string{
		"name varchar(255)", "keys_done bigint NOT NULL DEFAULT 0",
		"run_by varchar(255)", "host varchar(255)", "tool_version varchar(255)", "schema_version integer", "session jsonb",
	}
	addedToLog = []string{
		"retries integer", backoffColumn, "lock_wait_ms double precision", "lease_wait_ms double precision",
		"steps jsonb",
	}
)

// backoffColumn was called gave_way_ms until version 1 of the tables.
const backoffColumn = "backoff_ms double precision"

// createTables creates what is not there of our tables, and gives those that are found
// the columns that they lack. It may run any number of times, but two sessions that run
// it at once can collide; see Migrator.prepare.
func createTables(t tables, found map[string]*relation, tool string, maxStall time.Duration) []string {
	journal, log, lock := companions(t.name)
	statements := []string{
		fmt.Sprintf("SELECT pg_catalog.set_config('client_min_messages', 'warning', true), "+
			"pg_catalog.set_config('lock_timeout', '%d', true)", maxStall.Milliseconds()),
	}
	for _, table := range []struct {
		name, quoted, columns string
		added                 []string
		constraint            string
	}{
		{t.name, t.history, historyColumns, addedToHistory, ""},
		{lock, t.lock, lockColumns, addedToLock, ""},
		{journal, t.journal, journalColumns, addedToJournal, "PRIMARY KEY (version, direction, step)"},
		{log, t.log, logColumns, addedToLog, ""},
	} {
		definitions := append(append([]string{table.columns}, table.added...), table.constraint)
		statements = append(statements, "CREATE TABLE IF NOT EXISTS "+table.quoted+" (\n\t"+
			strings.TrimSuffix(strings.Join(definitions, ",\n\t"), ",\n\t")+"\n)")
		lacking := found[table.name].lacks(table.added)
		if i := slices.Index(lacking, backoffColumn); i >= 0 && found[table.name].has("gave_way_ms") {
			statements = append(statements, "ALTER TABLE "+table.quoted+" RENAME COLUMN gave_way_ms TO backoff_ms")
			lacking = slices.Delete(lacking, i, i+1)
		}
		if len(lacking) > 0 {
			statements = append(statements, "ALTER TABLE "+table.quoted+" ADD COLUMN IF NOT EXISTS "+strings.Join(lacking,
				", ADD COLUMN IF NOT EXISTS "))
		}
	}
	return append(append(statements, indexHistory(t, found[t.name])...), insertLease(t, tool))
}

// indexHistory gives a history the index that it needs: by batch if it is ours, and
// a unique one of versions if another runner made it without.
func indexHistory(t tables, found *relation) []string {
	index := func(suffix string) string { return pgx.Identifier{t.name + suffix}.Sanitize() }
	switch {
	case found == nil:
		return []string{"CREATE INDEX IF NOT EXISTS " + index("_batch_number") + " ON " + t.history + " (batch_number)"}
	case !found.UniqueVersion:
		return []string{"CREATE UNIQUE INDEX IF NOT EXISTS " + index("_version_unique") + " ON " + t.history + " (version)"}
	}
	return nil
}

// insertLease makes the lease's row, with a token above every one that the log knows,
// or says in the row that is there of which version the tables are from now on.
func insertLease(t tables, tool string) string {
	return fmt.Sprintf(`INSERT INTO %[1]s AS l (id, is_locked, token, schema_version, schema_tool_version)
SELECT 1, false, coalesce(max(token), 0), %[3]d, '%[4]s' FROM %[2]s
ON CONFLICT (id) DO UPDATE SET schema_version = excluded.schema_version, schema_tool_version = excluded.schema_tool_version
WHERE l.schema_version < excluded.schema_version`, t.lock, t.log, schemaVersion, strings.ReplaceAll(clip(tool), "'",
		"''"))
}

// lacks gives those of the definitions whose columns a table that is there does not have.
func (r *relation) lacks(definitions []string) []string {
	if r == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(definitions), func(definition string) bool {
		name, _, _ := strings.Cut(definition, " ")
		return r.has(name)
	})
}

// The columns that our tables have had from the beginning.
const (
	historyColumns = `id serial PRIMARY KEY,
	version varchar(255) NOT NULL UNIQUE,
	name varchar(255) NOT NULL,
	executed_at timestamptz NOT NULL DEFAULT now(),
	execution_time_ms integer,
	checksum varchar(64),
	rollback_sql text,
	batch_number integer`
	lockColumns = `id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
	is_locked boolean NOT NULL DEFAULT false,
	locked_at timestamptz,
	locked_by varchar(255)`
	journalColumns = `version varchar(255) NOT NULL,
	direction varchar(4) NOT NULL,
	step integer NOT NULL,
	statement_hash varchar(64) NOT NULL,
	state varchar(8) NOT NULL CHECK (state IN ('started', 'done')),
	cursor text,
	rows_done bigint NOT NULL DEFAULT 0,
	rows_total bigint,
	started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished_at timestamptz,
	token bigint NOT NULL`
	logColumns = `id bigserial PRIMARY KEY,
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
	token bigint`
)
