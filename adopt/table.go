package adopt

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Table is where another tool keeps its history in a database.
type Table struct {
	Tool         string // the name of its format
	Schema, Name string

	tool     tool
	database string
	oid      uint32
}

// String is the table's name with its schema, for people.
func (t Table) String() string { return t.Schema + "." + t.Name }

func (t Table) quoted() string { return pgx.Identifier{t.Schema, t.Name}.Sanitize() }

// relation is a table as the catalog has it.
type relation struct {
	schema, name string
	oid          uint32
	columns      []string
	types        []string
}

// Find looks for the histories of other tools, in all schemas. Where a name is
// given, with or without a schema, it looks at the tables of that name only;
// what tools they are of, their columns say. It only reads.
func Find(ctx context.Context, conn *pgx.Conn, named string) ([]Table, error) {
	rows, err := conn.Query(ctx, `
SELECT n.nspname, c.relname, c.oid, current_database(),
	array_agg(a.attname::text ORDER BY a.attnum), array_agg(pg_catalog.format_type(a.atttypid, NULL) ORDER BY a.attnum)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND c.relnatts <= 40
GROUP BY n.nspname, c.relname, c.oid ORDER BY n.nspname, c.relname`, pgx.QueryExecModeExec)
	if err != nil {
		return nil, failed("looking for the tables of other tools", err)
	}
	var database string
	relations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r relation, err error) {
		err = row.Scan(&r.schema, &r.name, &r.oid, &database, &r.columns, &r.types)
		return r, err
	})
	if err != nil {
		return nil, failed("looking for the tables of other tools", err)
	}
	var found []Table
	for _, r := range relations {
		for _, t := range tools() {
			if r.isOf(t, named) {
				found = append(found, Table{Tool: t.name, Schema: r.schema, Name: r.name, tool: t, database: database, oid: r.oid})
			}
		}
	}
	return found, nil
}

// isOf reports whether a table is the history of a tool: it has the columns,
// and the name that the tool gives it or the one that is asked for.
func (r relation) isOf(t tool, named string) bool {
	if named == "" && !strings.EqualFold(r.name, t.table) {
		return false
	}
	if named != "" && named != r.name && named != r.schema+"."+r.name {
		return false
	}
	for _, column := range t.columns {
		i := slices.Index(r.columns, column)
		if i < 0 || t.types[column] != "" && t.types[column] != r.types[i] {
			return false
		}
	}
	return !t.exact || len(r.columns) == len(t.columns)
}

// Read reads what the other tool knows.
func (t Table) Read(ctx context.Context, conn *pgx.Conn) (History, error) {
	records, err := t.tool.read(ctx, conn, t)
	if err != nil {
		return History{}, failed("reading "+t.String(), err)
	}
	return History{Table: t, Records: records}, nil
}
