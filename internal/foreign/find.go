package foreign

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Table is a table of a database that may be the history of another tool.
type Table struct {
	Relation
	OID      uint32
	Database string
	// Readable is set where this role may read it.
	Readable bool
}

// String is the table's name with its schema, for people.
func (t Table) String() string { return t.Schema + "." + t.Name }

// Quoted is the table's name for a statement.
func (t Table) Quoted() string { return pgx.Identifier{t.Schema, t.Name}.Sanitize() }

// Tables gives the tables of users' schemas that have few enough columns to be a
// history. It only reads the catalog.
func Tables(ctx context.Context, conn *pgx.Conn) ([]Table, error) {
	rows, err := conn.Query(ctx, `
SELECT n.nspname, c.relname, c.oid, pg_catalog.current_database(),
	pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'),
	pg_catalog.array_agg(a.attname::text ORDER BY a.attnum), pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, NULL) ORDER BY a.attnum)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND c.relnatts <= 40
GROUP BY n.nspname, n.oid, c.relname, c.oid ORDER BY n.nspname, c.relname`, pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Table, err error) {
		err = row.Scan(&t.Schema, &t.Name, &t.OID, &t.Database, &t.Readable, &t.Columns, &t.Types)
		return t, err
	})
}

// Record is a row of a history, or what several rows amount to.
type Record struct {
	Key      string // by the Identity of the tool
	Name     string // for people; may be empty
	Checksum string // "" where the tool keeps none
	At       time.Time
	Took     time.Duration
	State    string // "applied", "unfinished", "baseline"
	Note     string // what the row says of a failure
}

// Records reads what a tool has applied, in its order.
func (t Tool) Records(ctx context.Context, conn *pgx.Conn, table Table) ([]Record, error) {
	rows, err := conn.Query(ctx, t.query(table), pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRecord)
}

func (t Tool) query(table Table) string {
	return strings.ReplaceAll(t.rows, "%s", table.Quoted())
}

func scanRecord(row pgx.CollectableRow) (r Record, err error) {
	var at *time.Time
	err = row.Scan(&r.Key, &r.Name, &r.Checksum, &at, &r.Took, &r.State, &r.Note)
	if at != nil {
		r.At = *at
	}
	return r, err
}

// Glance reads like Records, and does not wait for a lock longer than patience.
func (t Tool) Glance(ctx context.Context, conn *pgx.Conn, table Table, patience time.Duration) ([]Record, error) {
	batch := &pgx.Batch{} // which is one transaction
	batch.Queue("SELECT pg_catalog.set_config('lock_timeout', $1::bigint::text, true)", patience.Milliseconds())
	batch.Queue(t.query(table))
	results := conn.SendBatch(ctx, batch)
	defer func() { _ = results.Close() }()
	if _, err := results.Exec(); err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRecord)
}
