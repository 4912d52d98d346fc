package whimbrel

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/foreign"
	"github.com/whimbrel-db/whimbrel/internal/pause"
	"github.com/whimbrel-db/whimbrel/internal/redact"
	"github.com/whimbrel-db/whimbrel/migration"
)

// database is a connection with what we learnt about the server behind it. It
// belongs to one run and is used by one goroutine at a time.
type database struct {
	conn   *pgx.Conn
	facts  facts
	tables tables
	// relations that exist, by unquoted name.
	relations map[string]*relation
	// version is the schemaVersion of the tables, and writer the whimbrel that brought
	// them to it.
	version int
	writer  string
	// ready is set once all four tables are known to be there, in our version.
	ready bool
	// glanced is what the first look read of the tables; nil if it could not.
	glanced *state
	// free is the lease's token if the lease was free before anything of the
	// history was read.
	free *int64
	// prepared is set once the session knows our templates.
	prepared bool
	// onNotice receives what the server says while a statement runs.
	onNotice func(*pgconn.Notice)
	// onComplete receives the tag of each statement that the server has completed.
	onComplete func(tag pgconn.CommandTag)
}

// facts are what one query tells of a server and a session.
type facts struct {
	Version  int    // server_version_num
	Shown    string // server_version
	Platform string
	Recovery bool
	PID      int
	Schema   *string // of the history, or where it would be created
	// schemaMissing is set where that schema is to be created with the tables.
	schemaMissing bool
	// EventTriggers is set where functions of the user's run at definitions.
	EventTriggers bool
	// Others is set where there is no history of ours, and a sign of another tool's.
	Others bool
	// Marks are the schemas, quoted, in which something says that the database is
	// protected; see Protection.
	Marks      []string
	behindPool bool
}

// connect opens a connection, or takes over the one that was opened ahead, and
// learns what a run needs to know before it plans.
func (m *Migrator) connect(ctx context.Context) (*database, error) {
	if db, there, err := m.config.Opening.take(ctx, m); there {
		return db, err
	}
	ctx, release := m.untilStopped(dial.LetFinish(ctx))
	defer release()
	// A server, or a network, that falls silent is not waited for for ever.
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	db := &database{}
	config := m.connection.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if db.onNotice != nil {
			db.onNotice(notice)
		}
	}
	build := config.BuildFrontend
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return build(&tagReader{from: r, completed: db.completed}, w)
	}
	conn, err := m.open(ctx, config)
	if err != nil {
		return nil, m.connectionError(ctx, err)
	}
	db.conn = conn
	if err := db.look(ctx, m.config.Table); err != nil {
		db.close()
		return nil, m.serverError(ctx, "reading the catalog", err)
	}
	if s := db.facts.Schema; s != nil && isSystemSchema(*s) { // as the first of search_path
		db.close()
		return nil, unfitSchema(*s)
	}
	if db.facts.schemaMissing && strings.Contains(*db.facts.Schema, `"`) {
		db.close()
		return nil, &Error{
			Code: CodeConfiguration, Message: fmt.Sprintf("the schema %s, quotes included, does not exist", *db.facts.Schema),
			Remedy: "write the table's name without quotes: it is taken as it is",
		}
	}
	if db.facts.Schema == nil {
		db.close()
		return nil, &Error{
			Code: CodeConfiguration, Message: "no schema to keep the history in: search_path names none that exists",
			Remedy: "set search_path for this role, or name the table with its schema (Config.Table: public.schema_migrations)",
		}
	}
	return db, nil
}

func (db *database) completed(tag string) {
	if db.onComplete != nil {
		db.onComplete(pgconn.NewCommandTag(tag))
	}
}

// connectPatience is how long connecting and the first look may take together.
const connectPatience = 30 * time.Second

// look learns the facts, and reads our tables as if they were complete, which
// is the common case and the quick way to find that there is nothing to do: one
// round trip. The lease is read before the history, so that who then takes it
// from the token that was seen knows that the history is still what was read.
func (db *database) look(ctx context.Context, table string) error {
	schema, name := "", table
	if before, after, found := strings.Cut(table, "."); found {
		schema, name = before, after
	}
	journal, log, lock := companions(name)
	as := func(name string) string {
		if schema == "" {
			return pgx.Identifier{name}.Sanitize()
		}
		return pgx.Identifier{schema, name}.Sanitize()
	}
	batch := &pgx.Batch{}
	batch.Queue(factsQuery, as(name), as(journal), as(log), as(lock), as(railsMetadata), schema)
	batch.Queue("SELECT token, is_locked, schema_version FROM " + as(lock) + " WHERE id = 1")
	batch.Queue(appliedQuery(as(name), false, "kind"))
	batch.Queue(journalQuery(as(journal), (*relation)(nil).column))
	results := db.conn.SendBatch(ctx, batch)
	defer func() { _ = results.Close() }()
	named, err := db.learn(results.QueryRow(), schema, name)
	switch {
	case err != nil || db.facts.Schema == nil:
		return err
	case named.none():
		db.free = new(int64) // a new lease begins at zero
		return nil
	case named.complete(*db.facts.Schema) && db.glance(results) == nil:
		return nil
	}
	_ = results.Close()
	// Something of these names is there, and it is not all of ours.
	return db.describe(ctx)
}

// learn takes over what factsQuery says, for a history table by that name, and in
// that schema unless it is empty.
func (db *database) learn(row pgx.Row, schema, name string) (named, error) {
	f := &db.facts
	var n named
	if err := row.Scan(&f.Version, &f.Shown, &f.Platform, &f.Recovery, &f.PID, &f.EventTriggers, &f.Others, &f.Marks,
		&f.Schema, &f.schemaMissing, &n.kinds, &n.schemas); err != nil {
		return n, err
	}
	f.behindPool = f.PID != int(db.conn.PgConn().PID())
	if schema != "" {
		f.Schema = &schema
	} else if home := n.schemas[0]; home != nil && !strings.HasPrefix(*home, "pg_") {
		f.Schema = home
	}
	if f.Schema != nil {
		db.tables = nameTables(*f.Schema, name)
	}
	return n, nil
}

// named is what the names of our four tables, and of Rails' metadata, stand for:
// what pg_identify_object calls it, and in which schema; nil for nothing.
type named struct{ kinds, schemas []*string }

func (n named) none() bool {
	return !slices.ContainsFunc(n.kinds, func(kind *string) bool { return kind != nil })
}

// complete reports whether tables of our four names are there.
func (n named) complete(schema string) bool {
	for i := range 4 {
		if n.kinds[i] == nil || *n.kinds[i] != "table" || *n.schemas[i] != schema {
			return false
		}
	}
	return true
}

// describe asks the catalog for what has the names of our tables in the history's
// schema, and of which version it is.
func (db *database) describe(ctx context.Context) error {
	journal, log, lock := companions(db.tables.name)
	var raw []byte
	var found []*relation
	names := []string{db.tables.name, journal, log, lock, railsMetadata}
	if err := db.conn.QueryRow(ctx, relationsQuery, *db.facts.Schema, names).Scan(&raw); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("reading the catalog's answer: %w", err)
	}
	db.relations, db.version, db.writer = map[string]*relation{}, 0, ""
	for _, r := range found {
		db.relations[r.Name] = r
	}
	if !db.relations[lock].has("schema_version") {
		return nil
	}
	err := db.conn.QueryRow(ctx, "SELECT schema_version, coalesce(schema_tool_version, '') FROM "+db.tables.lock+
		" WHERE id = 1").Scan(&db.version, &db.writer)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// newer refuses tables of a version that this program does not know: to what it does
// not know it must not write, and cannot say what it means.
func (db *database) newer() error {
	if db.version <= schemaVersion {
		return nil
	}
	return &Error{
		Code: CodeTablesNewer,
		Message: fmt.Sprintf("the tables of %s.%s are of version %d, made by whimbrel %s; this program knows them up to "+
			"version %d",
			db.tables.schema, db.tables.name, db.version, cmp.Or(db.writer, "of a later version"), schemaVersion),
		Remedy: fmt.Sprintf("use whimbrel %s or newer; nothing was changed", cmp.Or(db.writer, "of a later version")),
	}
}

// glance reads lease, history and journal as they are in tables of our version.
func (db *database) glance(results pgx.BatchResults) error {
	var token int64
	var held bool
	var s state
	if err := results.QueryRow().Scan(&token, &held, &db.version); err != nil {
		return err
	}
	if db.version != schemaVersion {
		return errors.New("tables of another version")
	}
	var err error
	if s.applied, s.journal, err = readBoth(results); err != nil {
		return err
	}
	if err := results.Close(); err != nil {
		return err
	}
	db.ready, db.glanced = true, &s
	if !held {
		db.free = &token
	}
	return nil
}

func readBoth(results pgx.BatchResults) ([]Applied, journal, error) {
	rows, err := results.Query()
	if err != nil {
		return nil, nil, err
	}
	applied, err := scanApplied(rows)
	if err != nil {
		return nil, nil, err
	}
	if rows, err = results.Query(); err != nil {
		return nil, nil, err
	}
	journal, err := scanJournal(rows)
	return applied, journal, err
}

// factsQuery finds out what five names stand for by functions that look into the
// server's caches: a new session has no plan of a join over the catalog, and takes
// longer for one than for the history of a thousand migrations.
var factsQuery = `
SELECT pg_catalog.current_setting('server_version_num')::int, pg_catalog.current_setting('server_version'), pg_catalog.version(),
	pg_catalog.pg_is_in_recovery(), pg_catalog.pg_backend_pid(), EXISTS (SELECT FROM pg_catalog.pg_event_trigger),
	CASE WHEN pg_catalog.to_regclass($1) IS NULL THEN ` + foreign.Hint() + ` ELSE false END,
	ARRAY(SELECT c.relnamespace::pg_catalog.regnamespace::text FROM pg_catalog.pg_class c WHERE c.relname = 'whimbrel_protection' AND c.relkind = 'r' AND c.relpersistence <> 't'),
	pg_catalog.current_schema()::text,
	$6 <> '' AND pg_catalog.to_regnamespace(pg_catalog.quote_ident($6)) IS NULL,
	ARRAY[(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($1), 0)).type,
		(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($2), 0)).type,
		(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($3), 0)).type,
		(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($4), 0)).type,
		(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($5), 0)).type],
	ARRAY[(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($1), 0)).schema,
		(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($2), 0)).schema,
		(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($3), 0)).schema,
		(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($4), 0)).schema,
		(pg_catalog.pg_identify_object('pg_catalog.pg_class'::pg_catalog.regclass, pg_catalog.to_regclass($5), 0)).schema]`

// relationsQuery describes what has one of the names $2 in schema $1.
const relationsQuery = `
SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
	'name', c.relname, 'kind', c.relkind,
	'unique_version', EXISTS (SELECT FROM pg_catalog.pg_index i
		JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version'
		WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
		AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),
	'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
			'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, NULL)) ORDER BY a.attnum)
		FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))), '[]')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY ($2)`

// railsMetadata is the table that tells Rails' history from dbmate's.
const railsMetadata = "ar_internal_metadata"

// close ends the connection politely, in bounded time, whatever became of the run.
func (db *database) close() { dial.Close(db.conn) }

// history is the history table as the catalog has it; nil when it is not there.
func (db *database) history() *relation { return db.relations[db.tables.name] }

// log is the log as the catalog has it; nil when it is not there.
func (db *database) log() *relation {
	_, log, _ := companions(db.tables.name)
	return db.relations[log]
}

// misnamed refuses what has a name of one of our tables and is none: a sequence, an
// index. CREATE TABLE IF NOT EXISTS would pass over it.
func (db *database) misnamed() error {
	journal, log, lock := companions(db.tables.name)
	for _, name := range []string{journal, log, lock} {
		if r := db.relations[name]; r != nil && r.Kind != "r" && r.Kind != "p" {
			return &Error{
				Code: CodeForeignTable, Message: fmt.Sprintf("%s.%s is not a table, and whimbrel needs one of that name",
					db.tables.schema, name),
				Remedy: "rename what is there, or keep whimbrel's history under another name (Config.Table)",
			}
		}
	}
	return nil
}

// prepare creates what is missing of our tables, adopts those of another runner of
// the format, and upgrades those of a lower version. Without an error, the tables
// are there for good; but for CodeLeaseHeld, which says that another runner is at
// work, whose tables are left alone. Runners that start together collide in the
// catalog, in any of the ways below; the one that came late tries again and finds
// the work done.
func (m *Migrator) prepare(ctx context.Context, db *database) error {
	if db.ready {
		return nil
	}
	collisions := []string{"23505", "42P07", "42701", "42710", "40P01", "40001", "55P03", "XX000", "42P01",
		duplicateSchema}
	deadline := time.Now().Add(m.config.RetryBudget)
	for attempt := 1; ; attempt++ {
		done, err := m.upgrade(ctx, db)
		if err == nil {
			db.ready = true
			m.createdSchema(db)
			for _, event := range done {
				m.emit(event)
			}
			return nil
		}
		var refused *pgconn.PgError
		again := errors.As(err, &refused) && slices.Contains(collisions, refused.Code) && time.Now().Before(deadline) &&
			attempt <= 1000
		// Where it is the adopted rows themselves that are at odds, there is nothing to wait for.
		if again = again && refused.ConstraintName != db.tables.name+"_version_unique"; !again {
			return m.cannotCreate(ctx, db, err)
		}
		if refused.Code == duplicateSchema {
			db.facts.schemaMissing = false // another runner was quicker
		}
		if err := pause.For(ctx, pause.Backoff(attempt)); err != nil {
			return err
		}
	}
}

// cannotCreate says why our tables cannot be created.
func (m *Migrator) cannotCreate(ctx context.Context, db *database, err error) *Error {
	e := m.serverError(ctx, "creating whimbrel's tables", err)
	if db.facts.schemaMissing && e.SQLState == "42501" {
		quoted := pgx.Identifier{db.tables.schema}.Sanitize()
		e.Remedy = fmt.Sprintf("the schema %s does not exist and this role may not create it: "+
			"let an administrator run CREATE SCHEMA %s AUTHORIZATION %s, or keep the history in another schema (Config.Table)",
			db.tables.schema, quoted, pgx.Identifier{m.connection.User}.Sanitize())
	}
	return e
}

const duplicateSchema = "42P06"

// createTables are the definitions of our tables, and of their schema if it is not there.
func (m *Migrator) createTables(db *database) []string {
	statements := createTables(db.tables, db.relations, m.identity.tool, m.config.MaxStall)
	if !db.facts.schemaMissing {
		return statements
	}
	q := func(text string) string { return literal(db.conn, clip(text)) }
	// Without IF NOT EXISTS, so that of runners which start together one has created
	// it, and knows.
	schema, who := "CREATE SCHEMA "+pgx.Identifier{db.tables.schema}.Sanitize(), m.identity
	return append(append([]string{schema}, statements...),
		fmt.Sprintf("INSERT INTO %s (action, outcome, name, run_by, host, tool_version) VALUES ('create_schema', 'done', "+
			"%s, %s, %s, %s)",
			db.tables.log, q(db.tables.schema), q(who.String()), q(who.host), q(who.tool)))
}

// createdSchema says that this runner has created the history's schema, if it has.
func (m *Migrator) createdSchema(db *database) {
	if db.facts.schemaMissing {
		db.facts.schemaMissing = false
		m.emit(SchemaCreated{Schema: db.tables.schema})
	}
}

// upgrade is one attempt of prepare, in one transaction, and what there is to say
// about it. Nobody else enters the lease meanwhile.
func (m *Migrator) upgrade(ctx context.Context, db *database) (done []Event, err error) {
	_, _, lock := companions(db.tables.name)
	err = pgx.BeginFunc(ctx, db.conn, func(tx pgx.Tx) error {
		if r := db.relations[lock]; r != nil {
			budget := strconv.FormatInt(m.config.MaxStall.Milliseconds(), 10)
			if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, true)", budget); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "LOCK TABLE "+db.tables.lock+" IN ACCESS EXCLUSIVE MODE"); err != nil {
				return err
			}
		}
		if err := db.describe(ctx); err != nil { // again: others may have been here
			return err
		}
		db.facts.schemaMissing = db.facts.schemaMissing && len(db.relations) == 0
		if err := db.upgradable(); err != nil {
			return err
		}
		if db.version == schemaVersion {
			return nil
		}
		if holder, err := m.holder(ctx, db); err != nil || holder != nil && holder.State == "alive" {
			return cmp.Or(err, error(CodeLeaseHeld))
		}
		from, history := db.version, db.history()
		if _, err := tx.Conn().PgConn().Exec(ctx, strings.Join(m.createTables(db), separator)).ReadAll(); err != nil {
			return err
		}
		done, err = m.logTables(ctx, db, history, from)
		return err
	})
	return done, err
}

// upgradable refuses tables that are not ours to complete.
func (db *database) upgradable() error {
	_, _, lock := companions(db.tables.name)
	r := db.relations[lock]
	if r != nil && (!r.has("id") || !r.has("is_locked") || !r.has("locked_at") || !r.has("locked_by")) {
		return &Error{
			Code: CodeForeignTable, Message: fmt.Sprintf("table %s.%s is not a runner's lock: it lacks id, is_locked, "+
				"locked_at or locked_by", db.tables.schema, lock),
			Remedy: "rename that table, or keep whimbrel's history under another name (Config.Table)",
		}
	}
	return db.newer()
}

// logTables writes into the log that an existing history was taken over, or that our
// own tables were upgraded.
func (m *Migrator) logTables(ctx context.Context, db *database, history *relation, from int) ([]Event, error) {
	journal, _, _ := companions(db.tables.name)
	table := db.tables.schema + "." + db.tables.name
	switch {
	case history == nil:
		return nil, nil
	case db.relations[journal] != nil:
		return []Event{TablesUpgraded{Table: table, From: from, To: schemaVersion}},
			m.logRun(ctx, db, "upgrade", fmt.Sprintf("tables from version %d to %d", from, schemaVersion))
	}
	var rows int
	if err := db.conn.QueryRow(ctx, "SELECT count(*) FROM "+db.tables.history).Scan(&rows); err != nil {
		return nil, fmt.Errorf("counting the adopted rows: %w", err)
	}
	return []Event{TablesAdopted{Table: table, Rows: rows}}, m.logRun(ctx, db, "adopt", fmt.Sprintf("%d rows", rows))
}

// read reads history and journal in one round trip, as far as they are there.
// The down migrations are only looked at where whole is set: they can be large.
func (db *database) read(ctx context.Context, whole bool) (s state, err error) {
	if db.glanced != nil && !whole {
		s, db.glanced = *db.glanced, nil
		return s, nil
	}
	journal, _, _ := companions(db.tables.name)
	if !db.ready && db.history() == nil {
		return s, nil
	}
	batch := &pgx.Batch{}
	batch.Queue(appliedQuery(db.tables.history, whole, db.history().column("kind", "NULL")))
	if !db.ready && db.relations[journal] == nil {
		rows, err := db.conn.Query(ctx, batch.QueuedQueries[0].SQL)
		if err != nil {
			return s, err
		}
		s.applied, err = scanApplied(rows)
		return s, err
	}
	batch.Queue(journalQuery(db.tables.journal, db.relations[journal].column))
	results := db.conn.SendBatch(ctx, batch)
	s.applied, s.journal, err = readBoth(results)
	return s, errors.Join(err, results.Close())
}

// appliedQuery reads the history in the order of application.
func appliedQuery(table string, whole bool, kind string) string {
	reversible := "false"
	if whole {
		reversible = "coalesce(rollback_sql > '' AND rollback_sql NOT LIKE '-- +migrate Irreversible%', false)"
	}
	return "SELECT id, coalesce(version, ''), coalesce(name, ''), executed_at::timestamptz, coalesce(execution_time_ms, " +
		"0)::bigint, " +
		"coalesce(checksum, ''), coalesce(batch_number, 0)::int, " + reversible + ", coalesce(" + kind + ", '') FROM " +
		table +
		" ORDER BY id"
}

// journalQuery reads the chains that stopped half-way. Column gives a column, or what
// replaces it in tables of a lower version.
func journalQuery(table string, column func(name, otherwise string) string) string {
	text := func(name string) string { return "coalesce(" + column(name, "NULL") + ", '')" }
	return "SELECT version, direction, step, statement_hash, state = 'done', coalesce(cursor, ''), rows_done, " +
		"coalesce(rows_total, 0), started_at, token, " +
		strings.Join([]string{text("name"), column("keys_done", "0"), text("run_by"), text("host"), text("tool_version")},
			", ") +
		", coalesce(" + column("schema_version", "NULL::integer") + ", 0), coalesce((" + column("session", "NULL") +
		")::text, '') FROM " + table + " ORDER BY version, direction, step"
}

func scanApplied(rows pgx.Rows) ([]Applied, error) {
	applied := make([]Applied, 0, 1024) // what is not used of it is not memory yet
	var a Applied
	var at pgtype.Timestamptz
	var milliseconds int64
	_, err := pgx.ForEachRow(rows, []any{&a.ID, &a.Version, &a.Name, &at, &milliseconds, &a.Checksum, &a.Batch,
		&a.Reversible, &a.Kind}, func() error {
		a.ExecutedAt, a.Duration = at.Time, time.Duration(milliseconds)*time.Millisecond
		applied = append(applied, a)
		return nil
	})
	return applied, err
}

// storedDownMigrations reads the down migrations of applied versions that have no file.
func (db *database) storedDownMigrations(ctx context.Context, s state) (map[migration.Version]string, error) {
	var missing []string
	for _, a := range slices.Concat(s.applied, s.repeated) {
		if _, found := s.file(a.Version); !found {
			missing = append(missing, string(a.Version))
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	rows, err := db.conn.Query(ctx, "SELECT version, coalesce(rollback_sql, '') FROM "+db.tables.history+
		" WHERE version = ANY ($1)", missing)
	if err != nil {
		return nil, err
	}
	stored := map[migration.Version]string{}
	var version migration.Version
	var text string
	_, err = pgx.ForEachRow(rows, []any{&version, &text}, func() error {
		stored[version.Canonical()] = text
		return nil
	})
	return stored, err
}

// connectionError explains why the server could not be reached. Where the caller's
// context ended with an error of ours, that is why: it is given back as it is,
// since others whom it ended have it too.
func (m *Migrator) connectionError(ctx context.Context, err error) error {
	var own *Error
	if errors.As(context.Cause(ctx), &own) || errors.As(err, &own) {
		return own
	}
	e := m.serverError(ctx, "connecting", err)
	if e.Code == CodeInterrupted {
		return e
	}
	e.Code, e.Message = CodeConnection, "cannot connect to "+m.database()+": "+m.redact(rootCause(err))
	switch e.SQLState {
	case "28P01", "28000":
		e.Remedy = "check user and password, and the server's pg_hba.conf"
		if m.connection.User == "" {
			e.Remedy = "the address names no user, and this process runs as an account without a name: write it, as " +
				"postgres://user@host:5432/database, or set PGUSER"
		}
	case "3D000":
		e.Remedy = "create the database, or correct its name"
	case "53300":
		e.Remedy = "free a connection, or raise max_connections"
	case "57P03":
		e.Remedy = "wait until the server has started, then run the command again"
	case "42704", "22023", "42501", "55P02", "08P01": // of a setting at the start, also by a pooler
		e.Remedy = "the address, or PGOPTIONS, asks for that setting: correct it, or take it away"
	case "":
		e.Remedy = "check that the server runs and listens there, and that host and port are right"
	default:
		e.Remedy = "the server is there, and refuses: correct what it names, then run the command again"
	}
	return e
}

// rootCause drops what the driver wraps around an error: it repeats user and host.
func rootCause(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Message
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Error()
	}
	return err.Error()
}

// serverError turns what the driver or the server said into an *Error.
func (m *Migrator) serverError(ctx context.Context, doing string, err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	ended := context.Cause(ctx) // asked once: it may end at any moment
	if errors.As(ended, &own) {
		return own
	}
	e := &Error{Code: CodeStatement, Message: doing + ": " + m.redact(err.Error()), Err: err}
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused):
		e.fromServer(refused)
		e.Message = doing + ": " + refused.Message
		m.hideValues(e)
	case errors.Is(ended, context.DeadlineExceeded):
		e.Code, e.Message = CodeConnection, doing+": no answer in time"
		e.Remedy = "check the network between here and the server, then run the same command again"
	case ended != nil:
		e.Code, e.Message = CodeInterrupted, doing+": interrupted"
		e.Remedy = "run the same command again: it goes on where this one stopped"
	case brokenConnection(err):
		e.Code = CodeConnection
		e.Remedy = "run the same command again once the server can be reached: it goes on where this one stopped"
	}
	return e
}

// fromServer takes over what PostgreSQL said, and what to do about the
// failures that are not the statement's fault.
func (e *Error) fromServer(refused *pgconn.PgError) {
	e.SQLState, e.Detail, e.Hint, e.Where = refused.Code, refused.Detail, refused.Hint, refused.Where
	e.Constraint = refused.ConstraintName
	switch refused.Code {
	case "42501":
		e.Code = CodePermission
		e.Remedy = "grant the role that right, or connect as the owner"
	case "25006":
		e.Code = CodeReadOnly
		e.Remedy = "connect to the primary, or unset default_transaction_read_only for this role"
	case "55P03":
		e.Code = CodeLockTimeout
	case "25001":
		e.Remedy = "this statement cannot run inside a transaction: " +
			"put it into a file of its own whose mark says `-- +migrate Up notransaction`"
		// Of "PL/pgSQL function …" the language's name is there in every language. A body is in a transaction,
		// whatever the mark says. (REINDEX of a partitioned table has another place, where it was.)
		if strings.Contains(refused.Where, "SQL") {
			e.Remedy = "this statement cannot run in a DO block, a function or a procedure: write it into the file as it is"
		}
	case "53100":
		e.Remedy = "free space on the server's disk, then run the same command again"
	case "55P04":
		e.Remedy = "a new enum value can be used only after its transaction: move the ALTER TYPE … ADD VALUE into a " +
			"migration of its own"
	case idleTooLong:
		e.Code = CodeConnection
		e.Remedy = "work out first what takes long, or begin with SET LOCAL idle_in_transaction_session_timeout = '10min'; " +
			"then run the same command again"
	case "57P01", "57P02", "57P03":
		e.Code = CodeConnection
		e.Remedy = "the server ended the session; run the same command again: it goes on where this one stopped"
	}
}

// idleTooLong is what the server says when it has ended a session in whose
// transaction nothing was asked for longer than the session allowed.
const idleTooLong = "25P03"

func brokenConnection(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) ||
		strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "conn closed") ||
		strings.Contains(err.Error(), "connection reset") || strings.Contains(err.Error(), "broken pipe")
}

// redact removes the password from a text that somebody else wrote, and puts
// variables back in the place of their values.
func (m *Migrator) redact(text string) string { return m.hidden().Clean(text) }

// secrets is what knows the secrets of a Config, made when a text is first to be shown.
func secrets(config Config, connection *pgx.ConnConfig) func() *redact.Redactor {
	return sync.OnceValue(func() *redact.Redactor {
		r := &redact.Redactor{}
		if config.DatabaseURL != "" {
			r.Connection(config.DatabaseURL)
		}
		if connection != nil {
			r.Password(connection.Password)
		}
		r.Values(config.Variables)
		return r
	})
}

// hideValues does so with what the server said about a statement.
func (m *Migrator) hideValues(e *Error) {
	for _, text := range []*string{&e.Message, &e.Detail, &e.Hint, &e.Where} {
		*text = m.redact(*text)
	}
}
