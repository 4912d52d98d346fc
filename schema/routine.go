package schema

// routines are functions, procedures and aggregates, and what is made of functions: casts and transforms.
var routines = []reading{
	{
		kind: choice("p.prokind", "f", "function", "w", "function", "p", "procedure", "a", "aggregate"),
		name: "p.oid::regprocedure::text", schema: "n.nspname",
		parents: []string{madeFor("pg_proc", "p.oid")},
		catalog: "pg_proc", oid: "p.oid", owner: "p.proowner", acl: "p.proacl", aclType: "f",
		properties: append([]property{
			{name: "arguments", value: "pg_get_function_arguments(p.oid)"},
			{name: "returns", value: "pg_get_function_result(p.oid)"},
			{name: "window", value: yes("p.prokind = 'w'")},
			{name: "language", value: "(SELECT quote_ident(lanname) FROM pg_language WHERE oid = p.prolang)"},
			{name: "volatility", value: choice("p.provolatile", "i", "immutable", "s", "stable", "v", "volatile")},
			{name: "parallel", value: choice("p.proparallel", "s", "safe", "r", "restricted", "u", "unsafe")},
			{name: "strict", value: yesNo("p.proisstrict")},
			{name: "security", value: "CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END"},
			{name: "leakproof", value: yesNo("p.proleakproof")},
			{name: "cost", value: "p.procost::text"},
			{name: "rows", value: "nullif(p.prorows, 0)::text"},
			{name: "support function", value: support("p.prosupport")},
			{name: "setting", value: options("p.proconfig")},
			{name: "transforms", value: list("one::regtype::text", "unnest(p.protrftypes) one")},
			{name: "body", value: "CASE WHEN p.prokind <> 'a' THEN p.prosrc END", before: 14},
			{name: "body", value: "CASE WHEN p.prokind <> 'a' THEN coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) END",
				since: 14},
			{name: "library", value: "p.probin"},
			neededExtensions("pg_proc", "p.oid"),
		}, aggregate...),
		from: "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid WHERE " + ordinary("n"),
	},
	{
		kind: "'cast'", name: "'(' || format_type(c.castsource, NULL) || ' AS ' || format_type(c.casttarget, NULL) || ')'",
		parents: []string{madeFor("pg_cast", "c.oid")},
		catalog: "pg_cast", oid: "c.oid",
		properties: []property{
			{name: "context", value: choice("c.castcontext", "e", "explicit", "a", "assignment", "i", "implicit")},
			{name: "method", value: "CASE c.castmethod WHEN 'f' THEN 'function ' || " + routine("c.castfunc") +
				" WHEN 'i' THEN 'in and out' ELSE 'binary' END"},
		},
		from: "pg_cast c WHERE c.oid >= " + firstNormalObject,
	},
	{
		kind: "'transform'", name: "'for ' || format_type(t.trftype, NULL) || ' language ' || quote_ident(l.lanname)",
		catalog: "pg_transform", oid: "t.oid",
		properties: []property{
			{name: "from sql", value: routine("t.trffromsql")},
			{name: "to sql", value: routine("t.trftosql")},
		},
		from: "pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE true",
	},
}

// aggregate is what only an aggregate has; see https://www.postgresql.org/docs/current/catalog-pg-aggregate.html
var aggregate = []property{
	{name: "aggregate kind", value: choice("g.aggkind", "n", "normal", "o", "ordered-set", "h", "hypothetical-set")},
	{name: "direct arguments", value: "nullif(g.aggnumdirectargs, 0)::text"},
	{name: "transition function", value: support("g.aggtransfn")},
	{name: "state type", value: typeName("g.aggtranstype")},
	{name: "state space", value: "nullif(g.aggtransspace, 0)::text"},
	{name: "final function", value: support("g.aggfinalfn")},
	{name: "final function takes extra arguments", value: yes("g.aggfinalextra")},
	{name: "final function modifies", value: choice("g.aggfinalmodify", "r", "read only", "s", "shareable", "w",
		"read write")},
	{name: "combine function", value: support("g.aggcombinefn")},
	{name: "serialization function", value: support("g.aggserialfn")},
	{name: "deserialization function", value: support("g.aggdeserialfn")},
	{name: "initial value", value: "quote_literal(g.agginitval)"},
	{name: "moving transition function", value: support("g.aggmtransfn")},
	{name: "moving inverse function", value: support("g.aggminvtransfn")},
	{name: "moving state type", value: typeName("g.aggmtranstype")},
	{name: "moving state space", value: "nullif(g.aggmtransspace, 0)::text"},
	{name: "moving final function", value: support("g.aggmfinalfn")},
	{name: "moving final function takes extra arguments", value: yes("g.aggmfinalextra")},
	{name: "moving final function modifies", value: choice("g.aggmfinalmodify", "r", "read only", "s", "shareable", "w",
		"read write")},
	{name: "moving initial value", value: "quote_literal(g.aggminitval)"},
	{name: "sort operator", value: "nullif(g.aggsortop, 0)::regoperator::text"},
}
