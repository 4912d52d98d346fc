package schema

// foreign is what data of other servers is reached by.
var foreign = []reading{
	{
		kind: "'foreign-data wrapper'", name: "quote_ident(w.fdwname)", catalog: "pg_foreign_data_wrapper", oid: "w.oid",
		owner: "w.fdwowner", acl: "w.fdwacl", aclType: "F",
		properties: []property{
			{name: "handler", value: support("w.fdwhandler")},
			{name: "validator", value: support("w.fdwvalidator")},
			{name: "option", value: options("w.fdwoptions")},
		},
		from: "pg_foreign_data_wrapper w WHERE true",
	},
	{
		kind: "'foreign server'", name: "quote_ident(s.srvname)", catalog: "pg_foreign_server", oid: "s.oid",
		owner: "s.srvowner", acl: "s.srvacl", aclType: "S",
		properties: []property{
			{name: "wrapper", value: "quote_ident(w.fdwname)"},
			{name: "type", value: "s.srvtype"},
			{name: "version", value: "s.srvversion"},
			{name: "option", value: options("s.srvoptions")},
		},
		from: "pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE true",
	},
	{
		// the view shows the options only to those who may see them; of any but the user's name it is told only that it is
		// set
		kind: "'user mapping'", name: "CASE u.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END || ' on ' || " +
			"quote_ident(u.srvname)",
		parents: []string{reference("'foreign server'", "quote_ident(u.srvname)")},
		properties: []property{{name: "option",
			value: `(SELECT json_object_agg(option_name, CASE option_name WHEN 'user' THEN option_value ELSE '(set, not shown)' END)
			FROM pg_options_to_table(u.umoptions))`}},
		from: "pg_user_mappings u WHERE true",
	},
}
