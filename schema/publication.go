package schema

// replication is what logical replication publishes and subscribes to. A publication's properties that only PostgreSQL
// 19 has are read from its row as JSON, which does not fail where there is no such column.
var replication = []reading{
	{
		kind: "'publication'", name: "quote_ident(p.pubname)", catalog: "pg_publication", oid: "p.oid", owner: "p.pubowner",
		properties: []property{
			{name: "all tables", value: yesNo("p.puballtables")},
			{name: "all sequences", value: yes("(to_jsonb(p) ->> 'puballsequences')::boolean"), since: 19},
			{name: "publishes", value: `concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
				CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END)`},
			{name: "via root", value: yesNo("p.pubviaroot")},
			{name: "generated columns", value: choice("p.pubgencols", "n", "none", "s", "stored"), since: 18},
		},
		from: "pg_publication p WHERE true",
	},
	{
		kind: "'publication table'", name: "r.prrelid::regclass::text || ' in ' || quote_ident(p.pubname)",
		schema: "n.nspname",
		parents: []string{reference("'publication'", "quote_ident(p.pubname)"), reference(relationKind("c"),
			"c.oid::regclass::text")},
		properties: []property{
			{name: "state", value: "'published'", before: 19},
			{name: "state", value: "CASE WHEN (to_jsonb(r) ->> 'prexcept')::boolean THEN 'excepted' ELSE 'published' END",
				since: 19},
			{name: "rows", value: "pg_get_expr(r.prqual, r.prrelid)", since: 15},
			{name: "columns", value: `(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
				WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::int2[]))`, since: 15},
		},
		from: `pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE true`,
	},
	{
		since: 15, kind: "'publication schema'", name: "quote_ident(n.nspname) || ' in ' || quote_ident(p.pubname)",
		schema: "n.nspname",
		parents: []string{reference("'publication'", "quote_ident(p.pubname)"),
			reference("'schema'", "quote_ident(n.nspname)")},
		from: "pg_publication_namespace r JOIN pg_publication p ON p.oid = r.pnpubid JOIN pg_namespace n ON n.oid = " +
			"r.pnnspid WHERE true",
	},
	subscriptions(0, 14),
	subscriptions(14, 0),
}

// subscriptions has only what everybody may read of pg_subscription: not its connection string, and in PostgreSQL 13
// not even the number under which there might be a comment.
func subscriptions(since, before int) reading {
	r := reading{
		since: since, before: before, kind: "'subscription'", name: "quote_ident(s.subname)", owner: "s.subowner",
		properties: []property{
			{name: "enabled", value: yesNo("s.subenabled")},
			{name: "publications", value: list("one", "unnest(s.subpublications) one")},
			{name: "slot", value: "quote_ident(s.subslotname)"},
			{name: "synchronous commit", value: "s.subsynccommit", since: 14},
			{name: "binary", value: yesNo("s.subbinary"), since: 14},
			{name: "streaming", value: yesNo("s.substream"), since: 14, before: 16},
			{name: "streaming", value: choice("s.substream", "f", "off", "t", "on", "p", "parallel"), since: 16},
			{name: "two phase", value: yesNo("s.subtwophasestate <> 'd'"), since: 15},
			{name: "disable on error", value: yesNo("s.subdisableonerr"), since: 15},
			{name: "password required", value: yesNo("s.subpasswordrequired"), since: 16},
			{name: "run as owner", value: yesNo("s.subrunasowner"), since: 16},
			{name: "origin", value: "s.suborigin", since: 16},
			{name: "failover", value: yesNo("s.subfailover"), since: 17},
		},
		from: "pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = current_database()",
	}
	if since >= 14 {
		r.catalog, r.oid = "pg_subscription", "s.oid"
	}
	return r
}
