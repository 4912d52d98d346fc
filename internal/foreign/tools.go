// Package foreign knows the tables in which other migration tools keep what they have
// applied: how each is recognised, and how it is read. It is the only list of them. What
// is made of it is the business of the engine, which does not run over such a history,
// and of package adopt, which takes it over.
package foreign

import (
	"slices"
	"strings"
)

// Identity says what a tool's rows call a migration.
type Identity int

// The identities.
const (
	// ByVersion: by its version.
	ByVersion Identity = iota
	// ByName: by its file's name, with or without a folder and an extension.
	ByName
	// Nameless: by what no file's name shows, or by names that are the same in every
	// project.
	Nameless
)

// Tool is how another tool keeps its history.
type Tool struct {
	// Name is what a format of package adopt is called, and Title what people call the tool.
	Name, Title string
	// Adoptable is set where package adopt can take the history over.
	Adoptable bool
	// Table is what the table is called unless somebody chose otherwise.
	Table    string
	Identity Identity

	// columns are those that tell the table from others, each with the beginning of its
	// type where that matters: "version bigint". Where they are exact there are no others.
	columns []string
	exact   bool
	// sign is a column that hardly any other table has, so that the table is known
	// whatever it is called. Without one, its name must be the tool's, or speak of migrations.
	sign string
	// guess is set where such columns are rare enough to look at the rows of a table whose
	// name says nothing: see Guessed.
	guess bool
	// rows is the query for what is applied, with %s for the table: see Records.
	rows string
}

// applied is a query for rows of which a tool says nothing but when it applied them.
func applied(key, name, at, rest string) string {
	return "SELECT " + key + ", " + name + ", '', " + at + "::timestamptz, 0::bigint, 'applied', '' FROM %s " + rest
}

// What is in a query for what a tool does not keep.
const noName, noTime = "''", "NULL"

// Tools are those that are known, the likelier ones first.
func Tools() []Tool { return known }

// known is the list. It is never altered.
var known = []Tool{
	{Name: "goose", Title: "goose", Adoptable: true, Table: "goose_db_version", columns: []string{"id", "version_id",
		"is_applied", "tstamp"}, sign: "version_id",
		// Old releases wrote another row for the down migration. Version 0 is there from the beginning.
		rows: `SELECT version_id::text, '', '', tstamp::timestamptz, 0::bigint, 'applied', ''
			FROM (SELECT DISTINCT ON (version_id) * FROM %s WHERE version_id <> 0 ORDER BY version_id, id DESC) newest
			WHERE is_applied ORDER BY id`},
	{Name: "golang-migrate", Title: "golang-migrate", Adoptable: true, Table: "schema_migrations",
		columns: []string{"version bigint", "dirty boolean"}, exact: true, sign: "dirty",
		// The one row may say that a down migration to before the first migration failed.
		rows: `SELECT version::text, '', '', NULL::timestamptz, 0::bigint, CASE WHEN dirty THEN 'unfinished' ELSE 'applied' END,
			CASE WHEN dirty THEN 'marked as dirty' ELSE '' END FROM %s WHERE version >= 0 OR dirty`},
	{Name: "dbmate", Title: "dbmate or Rails", Adoptable: true, Table: "schema_migrations",
		columns: []string{"version character varying"}, exact: true, guess: true,
		rows: applied("version", noName, noTime, "ORDER BY length(version), version")},
	{Name: "sql-migrate", Title: "sql-migrate", Adoptable: true, Table: "gorp_migrations", Identity: ByName,
		columns: []string{"id text", "applied_at timestamp"}, exact: true,
		guess: true,
		rows:  applied("id", noName, "applied_at", "ORDER BY applied_at, id")},
	{Name: "flyway", Title: "Flyway", Adoptable: true, Table: "flyway_schema_history",
		columns: []string{"installed_rank", "version", "description", "type", "script", "checksum", "success"},
		sign:    "installed_rank", rows: flywayRows},
	// 0 is nothing
	{Name: "tern", Title: "tern", Adoptable: true, Table: "schema_version", columns: []string{"version integer"},
		exact: true,
		rows:  applied("version::text", noName, noTime, "WHERE version > 0")},
	{Name: "atlas", Title: "Atlas", Adoptable: true, Table: "atlas_schema_revisions",
		columns: []string{"version", "description", "type", "applied", "total", "executed_at", "execution_time", "error",
			"hash"}, sign: "execution_time",
		// Of the types of revisions the bit 1 is a baseline.
		rows: `SELECT version, description, coalesce(hash, ''), executed_at::timestamptz, coalesce(execution_time, 0)::bigint,
			CASE WHEN coalesce(error, '') <> '' OR applied < total THEN 'unfinished' WHEN type & 1 = 1 THEN 'baseline' ELSE 'applied' END,
			'Atlas has ' || applied || ' of its ' || total || ' statements as applied' FROM %s
			WHERE version <> '.atlas_cloud_identifier' ORDER BY executed_at, version`},
	{Name: "node-pg-migrate", Title: "node-pg-migrate", Adoptable: true, Table: "pgmigrations", Identity: ByName,
		columns: []string{"id", "name", "run_on"}, exact: true, sign: "run_on",
		rows: applied("name", noName, "run_on", "ORDER BY run_on, id")},
	{Name: "db-migrate", Title: "db-migrate", Adoptable: true, Table: "migrations", Identity: ByName,
		columns: []string{"id", "name", "run_on"}, exact: true, sign: "run_on",
		rows: applied("name", noName, "run_on", "ORDER BY run_on, id")},
	{Name: "knex", Title: "Knex", Adoptable: true, Table: "knex_migrations", Identity: ByName, columns: []string{"id",
		"name", "batch", "migration_time"}, exact: true, sign: "migration_time",
		rows: applied("name", noName, "migration_time", "ORDER BY id")},
	{Name: "prisma", Title: "Prisma", Adoptable: true, Table: "_prisma_migrations", Identity: ByName,
		columns: []string{"checksum", "finished_at", "migration_name", "rolled_back_at", "started_at",
			"applied_steps_count"}, sign: "applied_steps_count",
		// What is neither finished nor rolled back is unfinished.
		rows: `SELECT migration_name, '', checksum, started_at, coalesce(extract(epoch FROM finished_at - started_at) * 1e9, 0)::bigint,
			CASE WHEN finished_at IS NULL THEN 'unfinished' ELSE 'applied' END, 'Prisma says that it began and did not end' FROM %s
			WHERE rolled_back_at IS NULL ORDER BY started_at, migration_name`},
	{Name: "drizzle", Title: "Drizzle", Adoptable: true, Table: "__drizzle_migrations", Identity: Nameless,
		columns: []string{"id", "hash text", "created_at bigint"}, exact: true,
		rows: `SELECT created_at::text, '', hash, NULL::timestamptz, 0::bigint, 'applied', '' FROM %s ORDER BY created_at, id`},

	{Name: "sqlx", Title: "sqlx", Table: "_sqlx_migrations",
		columns: []string{"version bigint", "description", "installed_on", "success", "checksum", "execution_time"},
		exact:   true, sign: "execution_time",
		rows: applied("version::text", "description", "installed_on", "ORDER BY version")},
	{Name: "diesel", Title: "Diesel", Table: "__diesel_schema_migrations", columns: []string{"version character varying",
		"run_on"}, exact: true, sign: "run_on",
		rows: applied("version", noName, "run_on", "ORDER BY version")},
	{Name: "sequelize", Title: "Sequelize", Table: "SequelizeMeta", Identity: ByName,
		columns: []string{"name character varying"}, exact: true,
		rows: applied("name", noName, noTime, "ORDER BY name")},
	{Name: "typeorm", Title: "TypeORM", Table: "migrations", columns: []string{"id", "timestamp bigint", "name"},
		exact: true,
		rows:  applied("timestamp::text", "name", noTime, "ORDER BY id")},
	{Name: "alembic", Title: "Alembic", Table: "alembic_version", Identity: Nameless,
		columns: []string{"version_num character varying"}, exact: true, sign: "version_num",
		rows: applied("version_num", noName, noTime, "ORDER BY version_num")},
	{Name: "django", Title: "Django", Table: "django_migrations", Identity: Nameless, columns: []string{"id", "app",
		"name", "applied"}, exact: true,
		rows: applied("app || '.' || name", noName, "applied", "ORDER BY id")},
	{Name: "liquibase", Title: "Liquibase", Table: "databasechangelog", Identity: ByName,
		columns: []string{"id", "author", "filename", "dateexecuted", "orderexecuted"}, sign: "orderexecuted",
		rows: applied("filename", "id", "dateexecuted", "ORDER BY orderexecuted")},
	{Name: "ef", Title: "Entity Framework", Table: "__EFMigrationsHistory", Identity: ByName,
		columns: []string{"MigrationId", "ProductVersion"}, exact: true, sign: "ProductVersion",
		rows: applied(`"MigrationId"`, noName, noTime, `ORDER BY "MigrationId"`)},
	{Name: "ef", Title: "Entity Framework", Table: "__ef_migrations_history", Identity: ByName,
		columns: []string{"migration_id", "product_version"}, exact: true, sign: "product_version",
		rows: applied("migration_id", noName, noTime, "ORDER BY migration_id")},
	{Name: "supabase", Title: "Supabase", Table: "schema_migrations", columns: []string{"version", "statements text[]"},
		rows: applied("version::text", noName, noTime, "ORDER BY version")},
	{Name: "pgroll", Title: "pgroll", Table: "migrations", Identity: ByName, columns: []string{"schema", "name",
		"migration jsonb", "parent", "done"},
		rows: applied("name", noName, "created_at", "WHERE done ORDER BY created_at")},
	{Name: "sqitch", Title: "Sqitch", Table: "changes", Identity: Nameless, columns: []string{"change_id", "script_hash",
		"change", "project", "committed_at"}, sign: "script_hash",
		rows: applied("change", noName, "committed_at", "ORDER BY committed_at")},
	{Name: "graphile-migrate", Title: "graphile-migrate", Table: "migrations", Identity: ByName, columns: []string{"hash",
		"previous_hash", "filename", "date"}, exact: true, sign: "previous_hash",
		rows: applied("filename", noName, "date", "ORDER BY filename")},
	{Name: "ecto", Title: "Ecto", Table: "schema_migrations", columns: []string{"version bigint",
		"inserted_at timestamp"}, exact: true,
		rows: applied("version::text", noName, "inserted_at", "ORDER BY version")},
	{Name: "laravel", Title: "Laravel", Table: "migrations", Identity: ByName, columns: []string{"id", "migration",
		"batch"}, exact: true,
		rows: applied("migration", noName, noTime, "ORDER BY id")},
	{Name: "phinx", Title: "Phinx", Table: "phinxlog", columns: []string{"version bigint", "migration_name", "start_time",
		"end_time", "breakpoint"}, exact: true, sign: "breakpoint",
		rows: applied("version::text", "migration_name", "start_time", "ORDER BY version")},
	{Name: "postgres-migrations", Title: "postgres-migrations", Table: "migrations", Identity: ByName,
		columns: []string{"id", "name", "hash", "executed_at"}, exact: true,
		rows: applied("id || '_' || name", noName, "executed_at", "WHERE id > 0 ORDER BY id")},
	{Name: "refinery", Title: "refinery", Table: "refinery_schema_history", columns: []string{"version", "name",
		"applied_on", "checksum"}, exact: true, sign: "applied_on",
		rows: applied("version::text", "name", noTime, "ORDER BY version")},
	{Name: "mikro-orm", Title: "MikroORM", Table: "mikro_orm_migrations", Identity: ByName, columns: []string{"id",
		"name", "executed_at"}, exact: true,
		rows: applied("name", noName, "executed_at", "ORDER BY id")},
}

// flywayRows takes what came last about each version or description.
const flywayRows = `SELECT coalesce(version, description), replace(description, ' ', '_'), CASE WHEN type = 'BASELINE' THEN '' ELSE coalesce(checksum::text, '') END,
	installed_on::timestamptz, coalesce(execution_time, 0)::bigint * 1000000,
	CASE WHEN NOT success THEN 'unfinished' WHEN type = 'BASELINE' THEN 'baseline' ELSE 'applied' END,
	CASE WHEN success THEN '' ELSE 'Flyway says that it failed' END
FROM (SELECT DISTINCT ON (coalesce(version, description)) * FROM %s ORDER BY coalesce(version, description), installed_rank DESC) newest
WHERE type NOT IN ('SCHEMA', 'DELETE') AND NOT (type LIKE 'UNDO%' AND success) ORDER BY installed_rank`

// Relation is a table as the catalog has it.
type Relation struct {
	Schema, Name string
	// Columns and Types, as format_type writes these without modifiers, in their order.
	Columns, Types []string
}

// Has reports whether the columns of a table are those of the tool's.
func (t Tool) Has(r Relation) bool {
	for _, column := range t.columns {
		name, kind, _ := strings.Cut(column, " ")
		i := slices.Index(r.Columns, name)
		if i < 0 || !strings.HasPrefix(r.Types[i], kind) {
			return false
		}
	}
	return !t.exact || len(r.Columns) == len(t.columns)
}

// Calls reports whether a table has the name that the tool gives it.
func (t Tool) Calls(r Relation) bool { return strings.EqualFold(r.Name, t.Table) }

// Owner finds the tool that a table is the history of, whatever its name: by its
// columns, and of tools with the same ones, by its name.
func Owner(r Relation) (Tool, bool) {
	var likely *Tool
	for i, t := range known {
		if !t.Has(r) {
			continue
		}
		if t.Calls(r) {
			return t, true
		}
		if likely == nil && (t.sign != "" || t.guess || speaks(r.Name)) {
			likely = &known[i]
		}
	}
	if likely == nil {
		return Tool{}, false
	}
	return *likely, true
}

// Guessed reports whether only a table's columns speak for the tool, and other tables have
// such columns, too. Then it is the tool's where its rows name files, and not otherwise.
func (t Tool) Guessed(r Relation) bool { return t.sign == "" && !t.Calls(r) && !speaks(r.Name) }

// speaks reports whether a table's name speaks of migrations.
func speaks(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(name, word) })
}

// words are those by which a table's name speaks of migrations.
var words = []string{"migration", "schema_version", "schema_history", "sequelizemeta"}

// Hint is a condition of SQL: whether a database may have a history of another tool. It
// is for a query that runs anyway: it joins nothing, and looks at no table of PostgreSQL's own.
func Hint() string { return hint }

var hint = func() string {
	var signs []string
	for _, t := range known {
		if t.sign != "" && !slices.Contains(signs, "'"+t.sign+"'") {
			signs = append(signs, "'"+t.sign+"'")
		}
	}
	signs = append(signs, "'applied_at'") // sql-migrate's, whatever the table is called; dbmate's is the last condition
	return "EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND c.relname ~* '" + strings.Join(words, "|") + "') OR " +
		"EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid >= 16384 AND a.attname IN (" + strings.Join(signs,
		", ") +
		") OR a.attrelid >= 16384 AND a.attnum = 1 AND a.attname = 'version' AND a.atttypid = " +
		"'pg_catalog.varchar'::pg_catalog.regtype)"
}()
