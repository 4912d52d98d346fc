package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Privileges are the details of privileges.
type Privileges struct {
	Role      string    `json:"role"`
	Superuser bool      `json:"superuser"`
	Missing   []Missing `json:"missing"`
}

// Missing is a right that the role lacks.
type Missing struct {
	Right  string `json:"right"` // "ownership", or a privilege: "UPDATE", "CREATE"
	Object string `json:"object"`
	// For are the statements that need it, as path:line; or what else does.
	For []string `json:"for"`
}

// Lines gives what is missing.
func (p Privileges) Lines() []string {
	var out []string
	for _, m := range p.Missing {
		out = append(out, fmt.Sprintf("%s of %s, for %s", m.Right, m.Object, present.List(m.For, 5)))
	}
	return out
}

func (p *Privileges) lacks(right, object, place string) {
	i := slices.IndexFunc(p.Missing, func(m Missing) bool { return m.Right == right && m.Object == object })
	if i < 0 {
		p.Missing = append(p.Missing, Missing{Right: right, Object: object})
		i = len(p.Missing) - 1
	}
	if !slices.Contains(p.Missing[i].For, place) {
		p.Missing[i].For = append(p.Missing[i].For, place)
	}
}

// wish is a right on a relation or a schema that is to be looked up.
type wish struct {
	object uint32
	right  string
}

// lookPrivileges asks the catalog what the role may do. Nothing is tried out.
func lookPrivileges(ctx context.Context, v *visit) (finding, error) {
	details := Privileges{Role: v.server.Role, Superuser: v.server.Superuser, Missing: []Missing{}}
	if v.server.Superuser {
		return finding{passed: true, details: details, message: fmt.Sprintf("the role %s is a superuser", v.server.Role)}, nil
	}
	var unseen []string
	err := v.read(ctx, func(tx pgx.Tx) error {
		if err := v.missingOnTables(ctx, tx, &details); err != nil {
			return err
		}
		if err := v.missingForNew(ctx, tx, &details); err != nil {
			return err
		}
		return v.missingForHistory(ctx, tx, &details)
	})
	if err != nil {
		return finding{}, err
	}
	for _, s := range v.pending.statements {
		if s.asOther {
			unseen = append(unseen, s.place()+" and what follows it: which role it runs as")
			break
		}
		if why := beyondTables(s.Statement); why != "" {
			unseen = append(unseen, s.place()+": "+why)
		}
	}
	f := v.pending.tellTouched(judgePrivileges(details))
	f.unseen = append(append(unseen, v.pending.unseen...), f.unseen...)
	return f, nil
}

// judgePrivileges passes where nothing is known to be missing.
func judgePrivileges(details Privileges) finding {
	f := finding{details: details, passed: len(details.Missing) == 0}
	if f.passed {
		f.message = fmt.Sprintf("the role %s lacks nothing that can be told from the statements", details.Role)
		return f
	}
	f.message = fmt.Sprintf("the role %s lacks %s", details.Role, present.Plural(len(details.Missing), "right"))
	f.remedy = "grant them, or connect as the owner"
	return f
}

// missingOnTables looks up what the statements need of relations that exist.
func (v *visit) missingOnTables(ctx context.Context, tx pgx.Tx, details *Privileges) error {
	wishes := map[wish][]Touch{}
	var objects []uint32
	var rights []string
	for _, t := range v.pending.touches {
		for _, n := range t.needs {
			w := wish{t.relation.OID, n}
			if t.statement.asOther {
				continue
			}
			if _, known := wishes[w]; !known {
				objects, rights = append(objects, w.object), append(rights, n)
			}
			wishes[w] = append(wishes[w], t)
		}
	}
	type granted struct {
		Object uint32
		Right  string
		Name   string
		Has    bool
	}
	maintain := "false"
	if v.server.Version >= 170000 {
		maintain = "pg_catalog.has_table_privilege(c.oid, 'MAINTAIN')"
	}
	// A right on some columns may be all that a statement needs, so it counts.
	answers, err := ask[granted](ctx, tx, `
SELECT c.oid AS object, w.wanted AS "right", pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
	CASE WHEN w.wanted = 'OWNER' THEN pg_catalog.pg_has_role(c.relowner, 'USAGE')
		WHEN w.wanted = 'MAINTAIN' THEN pg_catalog.pg_has_role(c.relowner, 'USAGE') OR `+maintain+`
		WHEN w.wanted IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') THEN pg_catalog.has_any_column_privilege(c.oid, w.wanted) OR pg_catalog.has_table_privilege(c.oid, w.wanted)
		ELSE pg_catalog.has_table_privilege(c.oid, w.wanted) END AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS has
FROM ROWS FROM (unnest($1::oid[]), unnest($2::text[])) AS w(object, wanted)
JOIN pg_catalog.pg_class c ON c.oid = w.object JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind <> 'S' OR w.wanted = 'OWNER'`, append([]uint32{}, objects...), append([]string{}, rights...))
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Has {
			continue
		}
		right := a.Right
		if right == pgsql.NeedsOwner || right == pgsql.NeedsMaintain {
			right = "ownership"
		}
		for _, t := range wishes[wish{a.Object, a.Right}] {
			details.lacks(right, a.Name, t.Place)
		}
	}
	return nil
}

// missingForNew looks up whether the role may make what the statements make.
func (v *visit) missingForNew(ctx context.Context, tx pgx.Tx, details *Privileges) error {
	made := map[string]bool{} // schemas that the plan itself makes
	for _, s := range v.pending.statements {
		if s.asOther {
			break
		}
		m := s.touched.Makes
		if m == nil || made[m.Schema] && m.Schema != "" {
			continue
		}
		made[m.Schema] = made[m.Schema] || m.Database
		if err := v.mayMake(ctx, tx, *m, s.place(), s.path, details); err != nil {
			return err
		}
	}
	return nil
}

func (v *visit) mayMake(ctx context.Context, tx pgx.Tx, m pgsql.Makes, place, path string, details *Privileges) error {
	var may bool
	if m.Database {
		if err := tx.QueryRow(ctx,
			"SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')").Scan(&may); err != nil {
			return err
		}
		if !may {
			details.lacks("CREATE", "database "+v.server.Database, place)
		}
		return nil
	}
	set, arguments := "SET LOCAL search_path TO DEFAULT", []any{}
	if path != "" {
		set, arguments = "SELECT pg_catalog.set_config('search_path', $1, true)", []any{path}
	}
	if _, err := tx.Exec(ctx, set, arguments...); err != nil {
		return err
	}
	var schema *string
	if err := tx.QueryRow(ctx, `SELECT n.nspname::text, coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), true)
		FROM (SELECT CASE WHEN $1 = '' THEN pg_catalog.current_schema()::text ELSE $1::text END AS wanted) w LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = w.wanted`,
		m.Schema).Scan(&schema, &may); err != nil {
		return err
	}
	if !may && schema != nil {
		details.lacks("CREATE", "schema "+*schema, place)
	}
	return nil
}

// beyondTables says what right a statement needs that is not looked up.
func beyondTables(s migration.Statement) string {
	for _, command := range []string{
		"CREATE ROLE", "CREATE USER", "ALTER ROLE", "ALTER USER", "DROP ROLE", "DROP USER", "CREATE DATABASE",
		"DROP DATABASE", "ALTER DATABASE",
		"ALTER SYSTEM", "CREATE TABLESPACE", "DROP TABLESPACE", "CREATE SUBSCRIPTION", "ALTER SUBSCRIPTION",
		"CREATE EVENT TRIGGER", "CREATE EXTENSION",
		"ALTER EXTENSION", "CREATE SERVER", "CREATE FOREIGN DATA WRAPPER", "ALTER FUNCTION", "DROP FUNCTION", "ALTER TYPE",
		"DROP TYPE",
		"ALTER SCHEMA", "DROP SCHEMA", "ALTER DEFAULT PRIVILEGES", "GRANT", "REVOKE", "REASSIGN", "DROP OWNED",
		"ALTER DOMAIN", "DROP DOMAIN",
	} {
		if pgsql.CommandIs(s.Command, command) {
			return "whether the role may " + command
		}
	}
	return ""
}

// missingForHistory looks up what every run needs of our own tables, or for making
// them.
func (v *visit) missingForHistory(ctx context.Context, tx pgx.Tx, details *Privileges) error {
	own := nameTables(v.options.Table)
	found, err := own.find(ctx, tx)
	if err != nil {
		return err
	}
	for _, name := range own.all() {
		r, exists := found[name]
		if !exists {
			if err := v.mayMake(ctx, tx, pgsql.Makes{Schema: own.schema}, "whimbrel's own table "+name, "",
				details); err != nil {
				return err
			}
			continue
		}
		var missing []string
		err := tx.QueryRow(ctx,
			`SELECT coalesce(pg_catalog.array_agg(p ORDER BY p), '{}') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
			WHERE NOT pg_catalog.has_table_privilege($1::oid, p)`, r.OID).Scan(&missing)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			details.lacks(strings.Join(missing, ", "), r.Table, "whimbrel itself")
		}
	}
	return nil
}
