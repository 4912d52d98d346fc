package schema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Options says what to read. The zero value is everything.
type Options struct {
	// Exclude are tables that are left out with all that hangs on them (columns,
	// indexes, sequences that they own): the ones that a tool keeps for itself. A
	// name without schema is looked for as SQL does, in the session's search_path.
	// One that does not exist is no error.
	Exclude []pgx.Identifier
	// Schemas, unless empty, are the only ones that are read; what is in no schema,
	// such as extensions and publications, is then left out.
	Schemas []string
}

// oldestMajor is the oldest version whose catalog is known here.
const oldestMajor = 13

// ErrTooOld is returned by Read for servers before PostgreSQL 13.
var ErrTooOld = errors.New("reading a schema needs PostgreSQL 13 or newer")

// ErrFailedTransaction is returned by Read for a connection in a transaction that has
// failed; it can be used again after a rollback.
var ErrFailedTransaction = errors.New("the connection is in a failed transaction, which has to be rolled back first")

// Read reads the schema of the database that conn is connected to, in one round
// trip. What the server keeps for itself and what belongs to an extension is left out;
// the extensions are in. It needs no privileges beyond connecting.
//
// It sees one snapshot: the transaction that conn is in, or else a read-only
// repeatable-read one of its own. (PostgreSQL's functions that write
// definitions look at the newest state whatever the snapshot, so what
// others change at the very same time may show, or make Read fail.) Nothing is changed and no
// setting of the session stays altered. To write the definition of a view the server locks it in
// ACCESS SHARE mode, so that Read waits for anyone who holds it in ACCESS
// EXCLUSIVE mode, as long as the session's lock_timeout allows.
//
// No connection string of a subscription, no password of a user mapping and no setting or
// option whose name speaks of a secret is ever in the result: of these it tells only
// that they are set.
func Read(ctx context.Context, conn *pgx.Conn, options Options) (Schema, error) {
	schema, err := read(ctx, conn, options)
	if err != nil {
		return Schema{}, fmt.Errorf("reading the schema of the database: %w", err)
	}
	return schema, nil
}

func read(ctx context.Context, conn *pgx.Conn, options Options) (Schema, error) {
	major, err := majorVersion(conn.PgConn().ParameterStatus("server_version"))
	if err != nil {
		return Schema{}, err
	}
	if major < oldestMajor {
		return Schema{}, fmt.Errorf("%w, and this is %d", ErrTooOld, major)
	}
	excluded, err := excludedQuery(conn.PgConn(), options.Exclude)
	if err != nil {
		return Schema{}, err
	}
	begin, end := own, ownEnd
	switch conn.PgConn().TxStatus() {
	case 'T':
		begin, end = within, withinEnd
	case 'E':
		return Schema{}, ErrFailedTransaction
	}
	statements := []string{begin, excluded, settings}
	for _, r := range readings {
		if applies(r.since, r.before, major) {
			statements = append(statements, r.sql(major))
		}
	}
	statements = append(statements, end)
	results, err := conn.PgConn().Exec(ctx, strings.Join(statements, ";\n")).ReadAll()
	if err != nil {
		return Schema{}, errors.Join(err, abandon(ctx, conn.PgConn(), begin))
	}
	return collect(results, options.Schemas)
}

// The statements around the queries. A savepoint that is rolled back gives the
// settings back as they were; so does the end of a transaction.
const (
	own       = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
	ownEnd    = "COMMIT"
	within    = "SAVEPOINT whimbrel_schema"
	withinEnd = "ROLLBACK TO SAVEPOINT whimbrel_schema; RELEASE SAVEPOINT whimbrel_schema"
)

// settings make the server write the same text whatever the session is used to.
// Where search_path has no schema of people, every name of theirs is written with its schema.
const settings = `SELECT pg_catalog.set_config(name, value, true) FROM (VALUES ('search_path', 'pg_catalog, pg_temp'), ('quote_all_identifiers', 'off'), ('standard_conforming_strings', 'on'),
	('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'), ('extra_float_digits', '1'), ('bytea_output', 'hex'),
	('jit', 'off')) AS wanted(name, value)`

// abandon ends after a failure what was begun, so that the caller has the connection as it was.
func abandon(ctx context.Context, conn *pgconn.PgConn, begin string) error {
	if conn.IsClosed() {
		return nil
	}
	end := "ROLLBACK"
	if begin == within {
		end = withinEnd
	}
	if begin == own && conn.TxStatus() == 'I' {
		return nil
	}
	_, err := conn.Exec(ctx, end).ReadAll()
	return err
}

// majorVersion understands "15.8 (Debian 15.8-1)", "19beta1" and "19devel".
func majorVersion(version string) (int, error) {
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		digits = len(version)
	}
	major, err := strconv.Atoi(version[:digits])
	if err != nil {
		return 0, fmt.Errorf("the server calls its version %q, which begins with no number", version)
	}
	return major, nil
}

// excludedQuery looks for the tables to leave out, while the session's own
// search_path is in force, and gives their names as objects have them.
func excludedQuery(conn *pgconn.PgConn, tables []pgx.Identifier) (string, error) {
	sql := "SELECT 'excluded' AS kind, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name" +
		" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN (NULL"
	for _, table := range tables {
		literal, err := conn.EscapeString(table.Sanitize())
		if err != nil {
			return "", err
		}
		sql += ", pg_catalog.to_regclass('" + literal + "')"
	}
	return sql + ")", nil
}

// collect makes objects of rows. The columns of a row are kind, name, schema and
// parents, and then the properties under their names. A property that is an object in
// JSON stands for one property per key.
func collect(results []*pgconn.Result, schemas []string) (Schema, error) {
	var objects []Object
	excluded := map[Reference]bool{}
	for _, result := range results {
		if len(result.FieldDescriptions) < 2 || result.FieldDescriptions[0].Name != "kind" {
			continue // the answer to a command
		}
		for _, row := range result.Rows {
			if string(row[0]) == "excluded" {
				excluded[Reference{Kind: "table", Name: string(row[1])}] = true
				continue
			}
			if len(schemas) > 0 && (row[2] == nil || !slices.Contains(schemas, string(row[2]))) {
				continue
			}
			object, err := newObject(result.FieldDescriptions, row)
			if err != nil {
				return Schema{}, err
			}
			objects = append(objects, object)
		}
	}
	return Schema{Objects: sorted(without(objects, excluded))}, nil
}

// jsonOID is the type of the columns that hold several properties.
const jsonOID = 114

func newObject(fields []pgconn.FieldDescription, row [][]byte) (Object, error) {
	object := Object{Kind: string(row[0]), Name: string(row[1]), Properties: map[string]string{}}
	if err := json.Unmarshal(row[3], &object.Parents); row[3] != nil && err != nil {
		return Object{}, fmt.Errorf("the parents of %s: %w", object.Reference(), err)
	}
	// those that it could have but has not
	object.Parents = slices.DeleteFunc(object.Parents, func(r Reference) bool { return r == Reference{} })
	if len(object.Parents) == 0 {
		object.Parents = nil
	}
	for i := 4; i < len(row); i++ {
		name, value := fields[i].Name, row[i]
		switch {
		case len(value) == 0:
		case fields[i].DataTypeOID == jsonOID:
			var several map[string]string
			if err := json.Unmarshal(value, &several); err != nil {
				return Object{}, fmt.Errorf("the property %q of %s: %w", name, object.Reference(), err)
			}
			for key, value := range several {
				if value != "" {
					object.Properties[name+" "+key] = value
				}
			}
		default:
			object.Properties[name] = normal(name, string(value))
		}
	}
	if len(object.Properties) == 0 {
		object.Properties = nil
	}
	return object, nil
}

// without gives the objects that are not excluded and hang on none that is.
func without(objects []Object, excluded map[Reference]bool) []Object {
	for before := -1; before != len(excluded); {
		before = len(excluded)
		for _, object := range objects {
			if slices.ContainsFunc(object.Parents, func(r Reference) bool { return excluded[r] }) {
				excluded[object.Reference()] = true
			}
		}
	}
	return slices.DeleteFunc(objects, func(o Object) bool { return excluded[o.Reference()] })
}
