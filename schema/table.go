package schema

// relations are tables, views, materialized views and foreign tables.
var relations = []reading{{
	kind: relationKind("c"), name: qualified("n", "c.relname"), schema: "n.nspname",
	catalog: "pg_class", oid: "c.oid", owner: "c.relowner", acl: "c.relacl", aclType: "r",
	properties: []property{
		{name: "persistence", value: tablesOnly(choice("c.relpersistence", "p", "permanent", "u", "unlogged"))},
		{name: "access method", value: "(SELECT quote_ident(amname) FROM pg_am WHERE oid = c.relam)"},
		{name: "tablespace", value: tablespace("c")},
		{name: "of type", value: "nullif(c.reloftype, 0)::regtype::text"},
		{name: "inherits", value: `CASE WHEN NOT c.relispartition THEN (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)
			FROM pg_inherits WHERE inhrelid = c.oid) END`},
		{name: "partition key", value: "CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END"},
		{name: "partition of", value: "CASE WHEN c.relispartition THEN (SELECT inhparent::regclass::text FROM pg_inherits " +
			"WHERE inhrelid = c.oid) END"},
		{name: "partition bound", value: "pg_get_expr(c.relpartbound, c.oid)"},
		{name: "detach pending", value: "(SELECT " + yes("bool_or(inhdetachpending)") +
			" FROM pg_inherits WHERE inhrelid = c.oid)", since: 14},
		{name: "row security", value: tablesOnly("CASE WHEN c.relrowsecurity THEN 'enabled' ELSE 'disabled' END || CASE " +
			"WHEN c.relforcerowsecurity THEN ', forced' ELSE '' END")},
		{name: "replica identity",
			value: tablesOnly(`CASE c.relreplident WHEN 'd' THEN 'default' WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' ELSE
			'index ' || coalesce((SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = c.oid AND indisreplident), 'that is gone') END`)},
		{name: "clustered on", value: "(SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = c.oid AND " +
			"indisclustered)"},
		{name: "option", value: options("c.reloptions")},
		{name: "toast option", value: options("(SELECT reloptions FROM pg_class WHERE oid = c.reltoastrelid)")},
		{name: "definition", value: "CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END"},
		{name: "populated", value: "CASE c.relkind WHEN 'm' THEN " + yesNo("c.relispopulated") + " END"},
		{name: "server", value: "quote_ident(s.srvname)"},
		{name: "server option", value: options("f.ftoptions")},
		neededExtensions("pg_class", "c.oid"),
	},
	from: `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_foreign_table f ON f.ftrelid = c.oid LEFT JOIN pg_foreign_server s ON s.oid = f.ftserver
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ` + ordinary("n"),
}}

// tablesOnly is for what views and foreign tables do not have.
func tablesOnly(value string) string {
	return "CASE WHEN c.relkind IN ('r', 'p') THEN " + value + " END"
}

func tablespace(c string) string {
	return "(SELECT quote_ident(spcname) FROM pg_tablespace WHERE oid = " + c + ".reltablespace)"
}

// columns are also those of views and the attributes of composite types.
var columns = []reading{{
	kind: "CASE c.relkind WHEN 'c' THEN 'attribute' ELSE 'column' END",
	name: qualified("n", "c.relname") + " || '.' || quote_ident(a.attname)", schema: "n.nspname",
	parents: []string{reference(relationKind("c"), qualified("n", "c.relname"))},
	catalog: "pg_class", oid: "c.oid", column: "a.attnum", members: []address{{"pg_class", "c.oid"},
		{"pg_type", "nullif(c.reltype, 0)"}},
	owner: "c.relowner", hidesOwner: true, acl: "a.attacl", aclType: columnACL,
	properties: []property{
		{name: positionProperty, value: "row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum)::text"},
		{name: "type", value: "format_type(a.atttypid, a.atttypmod)"},
		{name: "not null", value: "CASE WHEN c.relkind IN ('r', 'p', 'f') THEN " + yesNo("a.attnotnull") + " END"},
		{name: "default", value: "CASE a.attgenerated WHEN '' THEN pg_get_expr(d.adbin, d.adrelid) END"},
		{name: "generated", value: "CASE a.attgenerated WHEN '' THEN NULL WHEN 's' THEN 'stored ' ELSE 'virtual ' END || " +
			"pg_get_expr(d.adbin, d.adrelid)"},
		{name: "identity", value: choice("a.attidentity", "a", "always", "d", "by default")},
		{name: "collation", value: "CASE WHEN a.attcollation <> t.typcollation THEN nullif(a.attcollation, " +
			"0)::regcollation::text END"},
		{name: "storage", value: "CASE WHEN a.attstorage <> t.typstorage AND c.relkind IN ('r', 'p', 'f', 'm') THEN " +
			choice("a.attstorage", "p", "plain", "m", "main", "x", "extended", "e", "external") + " END"},
		{name: "compression", value: choice("a.attcompression", "p", "pglz", "l", "lz4"), since: 14},
		{name: "statistics target", value: "CASE WHEN a.attstattarget >= 0 THEN a.attstattarget::text END"},
		{name: "inherited", value: "CASE WHEN a.attinhcount > 0 THEN CASE WHEN a.attislocal THEN 'and local, ' ELSE '' END " +
			"|| 'from ' || a.attinhcount END"},
		{name: "option", value: options("a.attoptions")},
		{name: "server option", value: options("a.attfdwoptions")},
	},
	from: `pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND a.attnum > 0 AND NOT a.attisdropped AND ` + ordinary("n"),
}}

// positionProperty is a column's place among those that are there, from 1.
// Diff knows that the ones behind a new or missing column only move up.
const positionProperty = "position"

// constraints are those of tables and of domains. What a foreign key on a partitioned table needs for itself is left
// out.
var constraints = []reading{{
	kind: "'constraint'", name: constraintName("con"), schema: "coalesce(n.nspname, tn.nspname)",
	parents: []string{
		reference(relationKind("c"), qualified("n", "c.relname")),
		reference("'domain'", qualified("tn", "t.typname")),
		reference("'trigger'", "CASE con.contype WHEN 't' THEN "+constraintName("con")+" END"),
		reference("'constraint'", "CASE WHEN p.oid IS NOT NULL THEN "+constraintName("p")+" END"),
	},
	catalog: "pg_constraint", oid: "con.oid", members: []address{{"pg_class", "con.conrelid"},
		{"pg_type", "con.contypid"}},
	properties: []property{
		{name: "definition", value: "regexp_replace(pg_get_constraintdef(con.oid), '( DEFERRABLE)?( INITIALLY DEFERRED)?( " +
			"NOT ENFORCED| NOT VALID)*$', '')"},
		{name: "validity", value: yesValid, before: 18},
		{name: "validity", value: "CASE WHEN NOT con.conenforced THEN 'not enforced' ELSE " + yesValid + " END", since: 18},
		{name: "deferrable", value: "CASE WHEN con.condeferred THEN 'initially deferred' WHEN con.condeferrable THEN 'yes' " +
			"ELSE 'no' END"},
		{name: "inherited", value: "CASE WHEN con.coninhcount > 0 THEN CASE WHEN con.conislocal THEN 'and local, ' ELSE '' " +
			"END || 'from ' || con.coninhcount END"},
		{name: "part of", value: "CASE WHEN p.oid IS NOT NULL THEN " + constraintName("p") + " END"},
		// ALTER TABLE … DISABLE TRIGGER ALL also stops the triggers that enforce foreign keys
		{name: "triggers", value: `(SELECT string_agg(state, ', ' ORDER BY state COLLATE "C") FROM (SELECT g.tgfoid::regproc::text || ' ' || ` + enabled("g.tgenabled") + ` AS state
			FROM pg_trigger g WHERE con.contype = 'f' AND g.tgconstraint = con.oid AND g.tgenabled <> 'O') states)`},
	},
	from: `pg_constraint con LEFT JOIN pg_class c ON c.oid = con.conrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN pg_type t ON t.oid = con.contypid LEFT JOIN pg_namespace tn ON tn.oid = t.typnamespace
		LEFT JOIN pg_constraint p ON p.oid = con.conparentid
		WHERE (` + ordinary("n") + ` OR ` + ordinary("tn") + `) AND coalesce(p.conrelid <> con.conrelid, true)`,
}}

const yesValid = "CASE WHEN con.convalidated THEN 'valid' ELSE 'not valid' END"

// constraintName is the name with the table or the domain.
func constraintName(con string) string {
	return "quote_ident(" + con + ".conname) || ' on ' || coalesce(nullif(" + con +
		".conrelid, 0)::regclass::text, nullif(" + con + ".contypid, 0)::regtype::text)"
}

func enabled(state string) string {
	return choice(state, "O", "enabled", "D", "disabled", "R", "enabled on replicas", "A", "always enabled")
}

var indexes = []reading{{
	kind: "'index'", name: qualified("n", "c.relname"), schema: "n.nspname",
	parents: []string{
		reference(relationKind("tc"), "i.indrelid::regclass::text"),
		reference("'constraint'", "CASE WHEN con.oid IS NOT NULL THEN "+constraintName("con")+" END"),
		reference("'index'", "h.inhparent::regclass::text"),
	},
	catalog: "pg_class", oid: "c.oid", members: []address{{"pg_class", "tc.oid"}},
	properties: []property{
		{name: "definition", value: "pg_get_indexdef(c.oid)"},
		{name: "validity", value: "CASE WHEN i.indisvalid THEN 'valid' ELSE 'not valid' END"},
		{name: "ready", value: yesNo("i.indisready AND i.indislive")},
		{name: "part of", value: "h.inhparent::regclass::text"},
		{name: "tablespace", value: tablespace("c")},
		{name: "statistics target of column", value: `CASE WHEN i.indexprs IS NOT NULL THEN
			(SELECT json_object_agg(a.attnum, a.attstattarget::text) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0) END`},
		neededExtensions("pg_class", "c.oid"),
	},
	from: `pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class tc ON tc.oid = i.indrelid
		LEFT JOIN pg_inherits h ON h.inhrelid = c.oid
		LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x')
		WHERE ` + ordinary("n"),
}}

// sequences are told without the value that they have reached, which is data.
var sequences = []reading{{
	kind: "'sequence'", name: qualified("n", "c.relname"), schema: "n.nspname",
	parents: []string{reference("'column'", "owned.by")},
	catalog: "pg_class", oid: "c.oid", members: []address{{"pg_class", "owned.refobjid"}}, owner: "c.relowner",
	acl: "c.relacl", aclType: "s",
	properties: []property{
		{name: "type", value: "format_type(s.seqtypid, NULL)"},
		{name: "start", value: "s.seqstart::text"},
		{name: "increment", value: "s.seqincrement::text"},
		{name: "minimum", value: "s.seqmin::text"},
		{name: "maximum", value: "s.seqmax::text"},
		{name: "cache", value: "s.seqcache::text"},
		{name: "cycle", value: yesNo("s.seqcycle")},
		{name: "owned by", value: "owned.by"},
		{name: "persistence", value: choice("c.relpersistence", "p", "permanent", "u", "unlogged")},
	},
	from: `pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		LEFT JOIN LATERAL (SELECT d.refobjid, d.refobjid::regclass::text || '.' || quote_ident(a.attname) AS by
			FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
			WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) owned ON true
		WHERE ` + ordinary("n"),
}}

var statistics = []reading{{
	kind: "'statistics object'", name: qualified("n", "x.stxname"), schema: "n.nspname",
	parents: []string{reference(relationKind("c"), "c.oid::regclass::text")},
	catalog: "pg_statistic_ext", oid: "x.oid", owner: "x.stxowner",
	properties: []property{
		{name: "definition", value: "pg_get_statisticsobjdef(x.oid)"},
		{name: "statistics target", value: "CASE WHEN x.stxstattarget >= 0 THEN x.stxstattarget::text END"},
	},
	from: "pg_statistic_ext x JOIN pg_namespace n ON n.oid = x.stxnamespace JOIN pg_class c ON c.oid = x.stxrelid WHERE " + ordinary("n"),
}}

// rules are told but for the one that makes a view a view.
var rules = []reading{{
	kind: "'rule'", name: "quote_ident(r.rulename) || ' on ' || c.oid::regclass::text", schema: "n.nspname",
	parents: []string{reference(relationKind("c"), "c.oid::regclass::text")},
	catalog: "pg_rewrite", oid: "r.oid", members: []address{{"pg_class", "c.oid"}},
	properties: []property{
		{name: "definition", value: "pg_get_ruledef(r.oid)"},
		{name: "state", value: enabled("r.ev_enabled")},
	},
	from: "pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE " +
		"r.rulename <> '_RETURN' AND " + ordinary("n"),
}}
