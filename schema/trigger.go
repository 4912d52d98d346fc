package schema

// triggers are those of tables and views, and those of events. Triggers that the server made to enforce
// foreign keys belong to the constraint; the copies that partitions have are told.
var triggers = []reading{
	{
		kind: "'trigger'", name: triggerName("g"), schema: "n.nspname",
		parents: []string{
			reference(relationKind("c"), "c.oid::regclass::text"),
			reference("'trigger'", "CASE WHEN p.oid IS NOT NULL THEN "+triggerName("p")+" END"),
		},
		catalog: "pg_trigger", oid: "g.oid", members: []address{{"pg_class", "c.oid"}},
		properties: []property{
			{name: "definition", value: "pg_get_triggerdef(g.oid)"},
			{name: "state", value: enabled("g.tgenabled")},
			{name: "part of", value: "CASE WHEN p.oid IS NOT NULL THEN " + triggerName("p") + " END"},
			neededExtensions("pg_trigger", "g.oid"),
		},
		from: `pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_trigger p ON p.oid = g.tgparentid
			WHERE (NOT g.tgisinternal OR p.oid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_constraint con WHERE con.oid = g.tgconstraint AND con.contype = 'f')) AND ` + ordinary("n"),
	},
	{
		kind: "'event trigger'", name: "quote_ident(g.evtname)", catalog: "pg_event_trigger", oid: "g.oid",
		owner: "g.evtowner",
		properties: []property{
			{name: "event", value: "g.evtevent::text"},
			{name: "tags", value: list("tag", "unnest(g.evttags) tag")},
			{name: "function", value: routine("g.evtfoid")},
			{name: "state", value: enabled("g.evtenabled")},
		},
		from: "pg_event_trigger g WHERE true",
	},
}

func triggerName(g string) string {
	return "quote_ident(" + g + ".tgname) || ' on ' || " + g + ".tgrelid::regclass::text"
}

// policies are row security policies; see https://www.postgresql.org/docs/current/sql-createpolicy.html
var policies = []reading{{
	kind: "'policy'", name: "quote_ident(p.polname) || ' on ' || c.oid::regclass::text", schema: "n.nspname",
	parents: []string{reference(relationKind("c"), "c.oid::regclass::text")},
	catalog: "pg_policy", oid: "p.oid", members: []address{{"pg_class", "c.oid"}},
	properties: []property{
		{name: "mode", value: "CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END"},
		{name: "command", value: choice("p.polcmd", "r", "select", "a", "insert", "w", "update", "d", "delete", "*", "all")},
		{name: "roles", value: list("CASE one WHEN 0 THEN 'PUBLIC' ELSE "+roleOr("one")+" END", "unnest(p.polroles) one")},
		{name: "using", value: "pg_get_expr(p.polqual, p.polrelid)"},
		{name: "check", value: "pg_get_expr(p.polwithcheck, p.polrelid)"},
	},
	from: "pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE " +
		ordinary("n"),
}}
