package faults

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// schemaQuery gives a line for everything that a migration can make and that a
// crash could leave behind: columns, indexes with their validity, constraints,
// functions, types, triggers, views and rights. whimbrel's own tables are left
// out, and so are numbers that differ from run to run.
const schemaQuery = `
WITH relations AS (
	SELECT c.* FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND c.relname !~ '^(schema_migrations|migration_lock)'
)
SELECT line FROM (
	SELECT format('relation %s %s owned by %s, %s %s', c.relkind, c.oid::regclass, c.relowner::regrole, c.relacl, c.reloptions) AS line FROM relations c
	UNION ALL SELECT format('column %s.%s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
		FROM pg_catalog.pg_attribute a JOIN relations c ON c.oid = a.attrelid AND c.relkind <> 'i' AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	UNION ALL SELECT format('index %s valid %s ready %s', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready) FROM pg_catalog.pg_index i JOIN relations c ON c.oid = i.indexrelid
	UNION ALL SELECT format('constraint %s %s %s %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated) FROM pg_catalog.pg_constraint k JOIN relations c ON c.oid = k.conrelid
	UNION ALL SELECT format('trigger %s %s', pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_catalog.pg_trigger t JOIN relations c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
	UNION ALL SELECT format('view %s %s', c.oid::regclass, pg_get_viewdef(c.oid)) FROM relations c WHERE c.relkind IN ('v', 'm')
	UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		WHERE p.prokind IN ('f', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
	UNION ALL SELECT format('type %s %s', t.oid::regtype, (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid))
		FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
) lines ORDER BY line COLLATE "C"`

// tablesQuery names the tables whose rows are counted.
const tablesQuery = `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND c.relname !~ '^(schema_migrations|migration_lock)' ORDER BY 1`

// Schema describes what is in a database besides whimbrel's own tables, one
// line for each thing, and how many rows each table has, so that the outcome of
// two histories can be compared.
func Schema(ctx context.Context, conn *pgx.Conn) (string, error) {
	lines, err := column(ctx, conn, schemaQuery)
	if err != nil {
		return "", err
	}
	tables, err := column(ctx, conn, tablesQuery)
	if err != nil {
		return "", err
	}
	for _, table := range tables {
		count, err := column(ctx, conn, "SELECT count(*)::text FROM "+table)
		if err != nil {
			return "", err
		}
		lines = append(lines, "rows "+table+" "+count[0])
	}
	return strings.Join(lines, "\n"), nil
}

func column(ctx context.Context, conn *pgx.Conn, query string) ([]string, error) {
	rows, err := conn.Query(ctx, query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
