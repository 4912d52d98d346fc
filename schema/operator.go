package schema

// operators are operators and what makes index access methods use them.
var operators = []reading{
	{
		kind: "'operator'", name: "o.oid::regoperator::text", schema: "n.nspname", catalog: "pg_operator", oid: "o.oid",
		owner: "o.oprowner",
		properties: []property{
			{name: "function", value: routine("o.oprcode")},
			{name: "result", value: typeName("o.oprresult")},
			{name: "commutator", value: "nullif(o.oprcom, 0)::regoperator::text"},
			{name: "negator", value: "nullif(o.oprnegate, 0)::regoperator::text"},
			{name: "hashes", value: yesNo("o.oprcanhash")},
			{name: "merges", value: yesNo("o.oprcanmerge")},
			{name: "restriction estimator", value: support("o.oprrest")},
			{name: "join estimator", value: support("o.oprjoin")},
		},
		from: "pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE " + ordinary("n"),
	},
	{
		kind: "'operator family'", name: familyName, schema: "n.nspname", catalog: "pg_opfamily", oid: "f.oid",
		owner: "f.opfowner",
		properties: []property{
			{name: "operator", value: `(SELECT json_object_agg(o.amopstrategy || ' (' || format_type(o.amoplefttype, NULL) || ',' || format_type(o.amoprighttype, NULL) || ')' ||
				CASE o.amoppurpose WHEN 'o' THEN ' for order by' ELSE '' END, o.amopopr::regoperator::text || coalesce(' sorted by ' || ` + qualified("sn", "s.opfname") + `, ''))
				FROM pg_amop o LEFT JOIN pg_opfamily s ON s.oid = o.amopsortfamily LEFT JOIN pg_namespace sn ON sn.oid = s.opfnamespace WHERE o.amopfamily = f.oid)`},
			{name: "function", value: `(SELECT json_object_agg(p.amprocnum || ' (' || format_type(p.amproclefttype, NULL) || ',' || format_type(p.amprocrighttype, NULL) || ')',
				p.amproc::regprocedure::text) FROM pg_amproc p WHERE p.amprocfamily = f.oid)`},
		},
		from: "pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am m ON m.oid = f.opfmethod WHERE " +
			ordinary("n"),
	},
	{
		kind: "'operator class'", name: qualified("cn", "k.opcname") + " || ' using ' || quote_ident(m.amname)",
		schema:  "cn.nspname",
		catalog: "pg_opclass", oid: "k.oid", owner: "k.opcowner",
		properties: []property{
			{name: "type", value: typeName("k.opcintype")},
			{name: "default", value: yesNo("k.opcdefault")},
			{name: "storage", value: typeName("k.opckeytype")},
			{name: "family", value: familyName},
		},
		from: `pg_opclass k JOIN pg_namespace cn ON cn.oid = k.opcnamespace JOIN pg_opfamily f ON f.oid = k.opcfamily
			JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am m ON m.oid = k.opcmethod WHERE ` + ordinary("cn"),
	},
}

var familyName = qualified("n", "f.opfname") + " || ' using ' || quote_ident(m.amname)"

// textSearch is what full text search is configured with; see
// https://www.postgresql.org/docs/current/textsearch-configuration.html
var textSearch = []reading{
	{
		kind: "'text search parser'", name: qualified("n", "p.prsname"), schema: "n.nspname", catalog: "pg_ts_parser",
		oid: "p.oid",
		properties: []property{
			{name: "start function", value: support("p.prsstart")},
			{name: "token function", value: support("p.prstoken")},
			{name: "end function", value: support("p.prsend")},
			{name: "headline function", value: support("p.prsheadline")},
			{name: "token types function", value: support("p.prslextype")},
		},
		from: "pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE " + ordinary("n"),
	},
	{
		kind: "'text search template'", name: qualified("n", "t.tmplname"), schema: "n.nspname", catalog: "pg_ts_template",
		oid: "t.oid",
		properties: []property{
			{name: "init function", value: support("t.tmplinit")},
			{name: "lexize function", value: support("t.tmpllexize")},
		},
		from: "pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE " + ordinary("n"),
	},
	{
		kind: "'text search dictionary'", name: qualified("n", "d.dictname"), schema: "n.nspname", catalog: "pg_ts_dict",
		oid: "d.oid", owner: "d.dictowner",
		properties: []property{
			{name: "template", value: qualified("tn", "t.tmplname")},
			{name: "options", value: "d.dictinitoption"},
		},
		from: `pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate
			JOIN pg_namespace tn ON tn.oid = t.tmplnamespace WHERE ` + ordinary("n"),
	},
	{
		kind: "'text search configuration'", name: qualified("n", "c.cfgname"), schema: "n.nspname", catalog: "pg_ts_config",
		oid: "c.oid", owner: "c.cfgowner",
		properties: []property{
			{name: "parser", value: qualified("pn", "p.prsname")},
			{name: "mapping for", value: `(SELECT json_object_agg(alias, dictionaries) FROM (
				SELECT k.alias, string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS dictionaries
				FROM pg_ts_config_map m JOIN ts_token_type(c.cfgparser) k ON k.tokid = m.maptokentype WHERE m.mapcfg = c.oid GROUP BY k.alias) mappings)`},
		},
		from: `pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser
			JOIN pg_namespace pn ON pn.oid = p.prsnamespace WHERE ` + ordinary("n"),
	},
}
