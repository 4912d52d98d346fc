package schema

import (
	"fmt"
	"strings"
)

// reading is a query for the objects of one catalog. Its parts are expressions
// in SQL; the properties that every object may have (owner, comment, privileges,
// security labels) are added to those it lists.
type reading struct {
	since, before int    // the major versions that have the catalog; 0 = all
	kind          string // of the objects, as an expression
	name          string // the object's name within its kind
	// schema is the plain name of the schema it is in; "" = in none.
	schema string
	// parents are references, made with reference; each may be NULL.
	parents []string
	// catalog and oid (and column, for parts of a table) are the object's address, under
	// which comments and labels are kept; "" = it has neither.
	catalog, oid, column string
	// shared is set for what all databases have in common.
	shared bool
	// members are what else must not belong to an extension: the table of a column.
	members []address
	// owner is the oid of a role. acl is the list of privileges, and aclType the letter for acldefault; see
	// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-ACLITEM-FN-TABLE
	owner, acl, aclType string
	hidesOwner          bool // the owner is another object's property
	properties          []property
	from                string // with all conditions
}

// address is where the catalogs that refer to any object find one.
type address struct{ catalog, oid string }

// property is one of an object's properties, as an expression that gives text, or
// JSON for several. NULL means that it is not set.
type property struct {
	name, value   string
	since, before int // the major versions that have it; 0 = all
}

// sql is the query for a major version.
func (r reading) sql(major int) string {
	columns := []string{
		r.kind + " AS kind",
		r.name + " AS name",
		orNull(r.schema) + " AS schema",
		"json_build_array(" + strings.Join(r.parents, ", ") + ") AS parents",
	}
	for _, p := range append(r.properties[:len(r.properties):len(r.properties)], r.common()...) {
		if applies(p.since, p.before, major) {
			columns = append(columns, fmt.Sprintf("%s AS %q", p.value, p.name))
		}
	}
	sql := "SELECT " + strings.Join(columns, ",\n\t") + "\nFROM " + r.from
	members := r.members
	if r.catalog != "" && r.column == "" && !r.shared {
		members = append(members[:len(members):len(members)], address{r.catalog, r.oid})
	}
	for _, m := range members {
		sql += fmt.Sprintf("\nAND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '%s'::regclass AND e.objid = %s "+
			"AND e.deptype = 'e')", m.catalog, m.oid)
	}
	return sql
}

func applies(since, before, major int) bool { return since <= major && (before == 0 || major < before) }

func orNull(expression string) string {
	if expression == "" {
		return "NULL::text"
	}
	return expression
}

// common are the properties that every object has that can have them.
func (r reading) common() []property {
	var common []property
	if r.owner != "" && !r.hidesOwner {
		common = append(common, property{name: "owner", value: role(r.owner)})
	}
	if r.acl != "" {
		common = append(common, property{name: "privileges of", value: privileges(r.acl, r.aclType, r.owner)})
	}
	if r.catalog == "" {
		return common
	}
	descriptions, labels, column := "pg_description", "pg_seclabel", "0"
	if r.column != "" {
		column = r.column
	}
	part := " AND objsubid = " + column
	if r.shared {
		descriptions, labels, part = "pg_shdescription", "pg_shseclabel", ""
	}
	where := fmt.Sprintf(" WHERE classoid = '%s'::regclass AND objoid = %s%s)", r.catalog, r.oid, part)
	return append(common,
		property{name: "comment", value: "(SELECT description FROM " + descriptions + where},
		property{name: "security label", value: "(SELECT json_object_agg(provider, label) FROM " + labels + where},
	)
}

// What follows makes expressions out of expressions.

// qualified is a name with its schema: n is an alias of pg_namespace.
func qualified(n, name string) string {
	return "quote_ident(" + n + ".nspname) || '.' || quote_ident(" + name + ")"
}

// reference is a parent: NULL when its name is.
func reference(kind, name string) string {
	return "CASE WHEN (" + name + ") IS NOT NULL THEN json_build_object('kind', " + kind + ", 'name', " + name + ") END"
}

// relationKind is what a row of pg_class is called.
func relationKind(c string) string {
	return "CASE " + c + ".relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'" +
		" WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' ELSE 'table' END"
}

// ordinary is the condition that a schema is neither the server's own nor one of temporary tables.
func ordinary(n string) string {
	return n + ".nspname !~ '^pg_' AND " + n + ".nspname <> 'information_schema'"
}

// role is the name of a role; NULL for none.
func role(oid string) string {
	return "(SELECT quote_ident(rolname) FROM pg_roles WHERE oid = " + oid + ")"
}

// choice turns the one-letter codes of the catalog into words.
func choice(value string, lettersAndWords ...string) string {
	sql := "CASE " + value
	for i := 0; i+1 < len(lettersAndWords); i += 2 {
		sql += " WHEN '" + lettersAndWords[i] + "' THEN '" + lettersAndWords[i+1] + "'"
	}
	return sql + " END"
}

// yes is "yes" or not there; use choice where people expect to be told both.
func yes(condition string) string { return "CASE WHEN " + condition + " THEN 'yes' END" }

func yesNo(condition string) string {
	return "CASE WHEN " + condition + " THEN 'yes' ELSE 'no' END"
}

// list is what a subquery gives, as one text, in an order that depends on nothing but the texts.
func list(text, from string) string {
	return "(SELECT string_agg(" + text + ", ', ' ORDER BY (" + text + ") COLLATE \"C\") FROM " + from + ")"
}

// madeFor is the type that an object was made for by the server, as those are that come with a range.
func madeFor(catalog, oid string) string {
	return reference("'type'", "(SELECT min(d.refobjid::regtype::text) FROM pg_depend d WHERE d.classid = '"+catalog+
		"'::regclass AND d.objid = "+oid+
		" AND d.refclassid = 'pg_type'::regclass AND d.deptype = 'i')")
}

// routine is a function with its arguments; NULL for none.
func routine(oid string) string { return "nullif(" + oid + ", 0)::regprocedure::text" }

// support is a function without its arguments, which are always the same where it is used; NULL for none.
func support(oid string) string { return "nullif(" + oid + "::oid, 0)::regproc::text" }

// typeName is a type as SQL writes it; NULL for none.
func typeName(oid string) string { return "format_type(nullif(" + oid + ", 0), NULL)" }

// secretNames matches names of settings and options whose values nobody should see.
const secretNames = "(pass|secret|token|credential|api_?key|private_?key|access_?key|jwt|encryption_?key)"

// options makes properties of an array of texts "name=value".
func options(array string) string {
	return `CASE WHEN ` + array + ` IS NOT NULL THEN (SELECT json_object_agg(option_name, CASE WHEN option_name ~* '` +
		secretNames + `' THEN '(set, not shown)' ELSE option_value END)
		FROM pg_options_to_table(` + array + `)) END`
}

// columnACL is the letter for the privileges on a column.
const columnACL = "c"

// privileges makes a property for each grantee. A list that is not there replaces the default; the owner is not
// called by name, so that a change of owner is one difference.
func privileges(acl, aclType, owner string) string {
	granted := `(SELECT json_object_agg(grantee, granted) FROM (
		SELECT grantee, string_agg(privilege, ', ' ORDER BY privilege COLLATE "C") AS granted FROM (
			SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' WHEN ` + owner + ` THEN 'the owner' ELSE ` + roleOr("g.grantee") +
		` END AS grantee,
				g.privilege_type || CASE WHEN g.is_grantable THEN ' with grant option' ELSE '' END
				|| CASE WHEN g.grantor = ` + owner + ` THEN '' ELSE ' by ' || ` + roleOr("g.grantor") + ` END AS privilege
			FROM aclexplode(coalesce(` + acl + `, acldefault('` + aclType + `', ` + owner +
		`))) g) each_one GROUP BY grantee) by_grantee)`
	if aclType == columnACL { // of which the default is none
		return "CASE WHEN " + acl + " IS NOT NULL THEN " + granted + " END"
	}
	return granted
}

// roleOr is the name of a role, or its number when it was dropped by force.
func roleOr(oid string) string { return "quote_ident(pg_get_userbyid(" + oid + "))" }

// neededExtensions are the ones that an object was marked as depending on with DEPENDS ON EXTENSION.
func neededExtensions(catalog, oid string) property {
	return property{name: "depends on extension", value: list("quote_ident(x.extname)",
		"pg_depend d JOIN pg_extension x ON x.oid = d.refobjid WHERE d.classid = '"+catalog+"'::regclass AND d.objid = "+oid+
			" AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'")}
}
