package schema

// database is the database itself: what ALTER DATABASE changes, but for its
// name.
var database = []reading{{
	kind: "'database'", name: "''", catalog: "pg_database", oid: "d.oid", shared: true,
	owner: "d.datdba", acl: "d.datacl", aclType: "d",
	properties: []property{
		{name: "connection limit", value: "nullif(d.datconnlimit, -1)::text"},
		{name: "template", value: yes("d.datistemplate")},
		{name: "setting", value: options(
			"(SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = 0)")},
		{name: "setting for role", value: `(SELECT json_object_agg(` + roleOr("s.setrole") + ` || ' ' || option_name,
			CASE WHEN option_name ~* '` + secretNames + `' THEN '(set, not shown)' ELSE option_value END)
			FROM pg_db_role_setting s, pg_options_to_table(s.setconfig) WHERE s.setdatabase = d.oid AND s.setrole <> 0)`},
	},
	from: "pg_database d WHERE d.datname = current_database()",
}}

// namespaces are what names are grouped by and what everything else may come from.
var namespaces = []reading{
	{
		kind: "'schema'", name: "quote_ident(n.nspname)", schema: "n.nspname",
		catalog: "pg_namespace", oid: "n.oid", owner: "n.nspowner", acl: "n.nspacl", aclType: "n",
		from: "pg_namespace n WHERE " + ordinary("n"),
	},
	{
		kind: "'extension'", name: "quote_ident(x.extname)", catalog: "pg_extension", oid: "x.oid", owner: "x.extowner",
		properties: []property{
			{name: "version", value: "x.extversion"},
			{name: "schema", value: "quote_ident(n.nspname)"},
		},
		from: "pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE true",
	},
	{
		kind: "'language'", name: "quote_ident(l.lanname)", catalog: "pg_language", oid: "l.oid", owner: "l.lanowner",
		acl: "l.lanacl", aclType: "l",
		properties: []property{
			{name: "trusted", value: yesNo("l.lanpltrusted")},
			{name: "handler", value: support("l.lanplcallfoid")},
			{name: "inline handler", value: support("l.laninline")},
			{name: "validator", value: support("l.lanvalidator")},
		},
		from: "pg_language l WHERE true",
	},
	{
		kind: "'access method'", name: "quote_ident(m.amname)", catalog: "pg_am", oid: "m.oid",
		properties: []property{
			{name: "type", value: choice("m.amtype", "i", "index", "t", "table")},
			{name: "handler", value: support("m.amhandler")},
		},
		from: "pg_am m WHERE m.oid >= " + firstNormalObject,
	},
}

// firstNormalObject is the lowest oid of what was not made by initdb; see
// https://www.postgresql.org/docs/current/system-catalog-initial-data.html#SYSTEM-CATALOG-OID-ASSIGNMENT
const firstNormalObject = "16384"

// defaultPrivileges are what objects yet to come will be granted.
var defaultPrivileges = []reading{{
	kind: "'default privileges'",
	name: `'on ' || ` + objectTypes + ` || ' of ' || ` + roleOr("a.defaclrole") +
		` || coalesce(' in schema ' || quote_ident(n.nspname), '')`,

	schema:  "n.nspname",
	parents: []string{reference("'schema'", "quote_ident(n.nspname)")},
	owner:   "a.defaclrole", hidesOwner: true, acl: "a.defaclacl", aclType: "r",
	properties: []property{{name: "state", value: "'set'"}}, // even when everything was revoked
	from:       "pg_default_acl a LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace WHERE true",
}}

const objectTypes = `CASE a.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
	WHEN 'n' THEN 'schemas' ELSE 'large objects' END`

// systemPrivileges are the ones that were changed on the server's own objects and on those of extensions, which are
// otherwise left out.
var systemPrivileges = []reading{
	changedPrivileges("pg_class", "c.oid", relationKind("c")+" || ' ' || "+qualified("n", "c.relname"), "c.relacl", "r",
		"c.relowner",
		"pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"),
	changedPrivileges("pg_proc", "p.oid", "'function ' || p.oid::regprocedure::text", "p.proacl", "f", "p.proowner",
		"pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"),
	changedPrivileges("pg_namespace", "n.oid", "'schema ' || quote_ident(n.nspname)", "n.nspacl", "n", "n.nspowner",
		"pg_namespace n"),
}

// changedPrivileges compares privileges with those that an object was made with, which pg_init_privs has where they are
// not the default.
func changedPrivileges(catalog, oid, name, acl, aclType, owner, from string) reading {
	asSet := func(acl string) string {
		return "ARRAY(SELECT one::text FROM unnest(coalesce(" + acl + ", acldefault('" + aclType + "', " + owner +
			"))) one ORDER BY 1)"
	}
	return reading{
		kind: "'privileges'", name: "'on ' || " + name, owner: owner, hidesOwner: true, acl: acl, aclType: aclType,
		properties: []property{{name: "state", value: "'changed'"}}, // even when everything was revoked
		from: from + " LEFT JOIN pg_init_privs i ON i.objoid = " + oid + " AND i.classoid = '" + catalog +
			"'::regclass AND i.objsubid = 0" +
			"\nWHERE (n.nspname = 'pg_catalog' OR EXISTS (SELECT FROM pg_depend e WHERE e.classid = '" + catalog +
			"'::regclass AND e.objid = " + oid + " AND e.deptype = 'e'))" +
			"\nAND " + acl + " IS DISTINCT FROM i.initprivs AND " + asSet(acl) + " <> " + asSet("i.initprivs"),
	}
}
