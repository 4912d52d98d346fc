package schema

// types are enumerations, composites, ranges and base types, and domains; see
// https://www.postgresql.org/docs/current/sql-createtype.html
// The types of tables' rows and of arrays come with what they are made of.
var types = []reading{
	{
		kind: "CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END", name: qualified("n", "t.typname"), schema: "n.nspname",
		parents: []string{"CASE t.typtype WHEN 'm' THEN " + madeFor("pg_type", "t.oid") + " END"},
		catalog: "pg_type", oid: "t.oid", owner: "t.typowner", acl: "t.typacl", aclType: "T",
		properties: []property{
			{name: "form", value: choice("t.typtype", "e", "enum", "c", "composite", "r", "range", "m", "multirange", "b",
				"base", "p", "shell")},
			{name: "labels", value: "(SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum " +
				"WHERE enumtypid = t.oid)"},
			{name: "base type", value: "CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END"},
			{name: "not null", value: "CASE t.typtype WHEN 'd' THEN " + yesNo("t.typnotnull") + " END"},
			{name: "default", value: "coalesce(pg_get_expr(t.typdefaultbin, 'pg_type'::regclass), t.typdefault)"},
			{name: "collation", value: "CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN " +
				"t.typcollation::regcollation::text END"},
			{name: "subtype", value: "format_type(r.rngsubtype, NULL)"},
			{name: "subtype operator class", value: "(SELECT " + qualified("o", "k.opcname") +
				" FROM pg_opclass k JOIN pg_namespace o ON o.oid = k.opcnamespace WHERE k.oid = r.rngsubopc)"},
			{name: "subtype collation", value: "nullif(r.rngcollation, 0)::regcollation::text"},
			{name: "canonical function", value: support("r.rngcanonical")},
			{name: "subtype difference function", value: support("r.rngsubdiff")},
			{name: "multirange type", value: "r.rngmultitypid::regtype::text", since: 14},
			{name: "function", value: baseOnly("json_strip_nulls(json_build_object('input', " + support("t.typinput") +
				", 'output', " + support("t.typoutput") +
				", 'receive', " + support("t.typreceive") + ", 'send', " + support("t.typsend") + ", 'analyze', " +
				support("t.typanalyze") +
				", 'modifier input', " + support("t.typmodin") + ", 'modifier output', " + support("t.typmodout") + "))")},
			{name: "subscript function", value: baseOnly(support("t.typsubscript")), since: 14},
			{name: "layout", value: baseOnly("concat_ws(', ', 'length ' || t.typlen, CASE WHEN t.typbyval THEN 'by value' " +
				"END, 'alignment ' || t.typalign::text, 'storage ' || t.typstorage::text)")},
			{name: "category", value: baseOnly(
				"t.typcategory::text || CASE WHEN t.typispreferred THEN ' preferred' ELSE '' END")},
			{name: "delimiter", value: baseOnly("nullif(t.typdelim::text, ',')")},
			{name: "element", value: baseOnly(typeName("t.typelem"))},
		},
		from: `pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
			LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_type b ON b.oid = t.typbasetype
			WHERE ` + ordinary("n") +
			` AND coalesce(c.relkind = 'c', true) AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)`,
	},
	{
		kind: "'collation'", name: qualified("n", "c.collname"), schema: "n.nspname", catalog: "pg_collation", oid: "c.oid",
		owner: "c.collowner",
		properties: []property{
			{name: "provider", value: choice("c.collprovider", "c", "libc", "i", "icu", "b", "builtin", "d", "default")},
			{name: "lc_collate", value: "c.collcollate"},
			{name: "lc_ctype", value: "c.collctype"},
			{name: "locale", value: "c.colliculocale", since: 15, before: 17},
			{name: "locale", value: "c.colllocale", since: 17},
			{name: "rules", value: "c.collicurules", since: 16},
			{name: "deterministic", value: yesNo("c.collisdeterministic")},
			{name: "encoding", value: "CASE WHEN c.collencoding >= 0 THEN pg_encoding_to_char(c.collencoding) END"},
		},
		from: "pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE " + ordinary("n"),
	},
	{
		kind: "'conversion'", name: qualified("n", "c.conname"), schema: "n.nspname", catalog: "pg_conversion", oid: "c.oid",
		owner: "c.conowner",
		properties: []property{
			{name: "from", value: "pg_encoding_to_char(c.conforencoding)"},
			{name: "to", value: "pg_encoding_to_char(c.contoencoding)"},
			{name: "function", value: support("c.conproc")},
			{name: "default", value: yesNo("c.condefault")},
		},
		from: "pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE " + ordinary("n"),
	},
}

// baseOnly is for what only base types choose for themselves.
func baseOnly(value string) string { return "CASE t.typtype WHEN 'b' THEN " + value + " END" }
