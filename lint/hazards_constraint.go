package lint

func constraintHazards() []Hazard {
	stopsUsers := []Lock{{"users", AccessExclusive}}
	return []Hazard{
		{
			ID: "add-check-without-not-valid", Severity: Error, Title: "a CHECK reads all rows",
			Happens: "The server reads the whole table under ACCESS EXCLUSIVE to see whether all rows are as they should be.",
			Locks:   stopsUsers, Remedy: "NOT VALID, which binds new rows at once, and VALIDATE CONSTRAINT in another " +
				"transaction, beside the traffic.", Link: manual + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
			Bad: "ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age >= 0);",
			Good: []string{"ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age >= 0) NOT VALID;",
				"ALTER TABLE users VALIDATE CONSTRAINT users_age_check;"},
		},
		{
			ID: "add-fk-without-not-valid", Severity: Error, Title: "a foreign key looks up all rows",
			Happens: "Writers of both tables wait while every row is looked up in the other table.",
			Locks:   []Lock{{"orders", ShareRowExclusive}, {"users", ShareRowExclusive}},
			Remedy:  "NOT VALID, and VALIDATE CONSTRAINT in another transaction.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-NOTES",
			Bad: "ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id);",
			Good: []string{"ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) " +
				"NOT VALID;", "ALTER TABLE orders VALIDATE CONSTRAINT orders_user_id_fkey;"},
		},
		{
			ID: "fk-not-valid-on-partitioned", Severity: Error, Title: "NOT VALID on a partitioned table",
			Versions: "before 18", Until: 17,
			Happens: "Before version 18 the server refuses a foreign key of a partitioned table that is NOT VALID.",
			Refused: "42809", Remedy: "A foreign key for each partition, each NOT VALID and validated; then one for the " +
				"parent, which finds them.", Link: manual + "sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
			Setup: "ALTER TABLE events ADD COLUMN user_id bigint;",
			Bad: "ALTER TABLE events ADD CONSTRAINT events_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) NOT " +
				"VALID;",
			Good: []string{"ALTER TABLE events_2025 ADD CONSTRAINT events_user_id_fkey FOREIGN KEY (user_id) REFERENCES " +
				"users (id) NOT VALID;", "ALTER TABLE events_2025 VALIDATE CONSTRAINT events_user_id_fkey;"},
		},
		{
			ID: "not-valid-then-validate-same-transaction", Severity: Error, Title: "NOT VALID and VALIDATE in one transaction",
			Happens: "The strong lock of ADD CONSTRAINT is kept until the transaction ends, and so through the reading of all " +
				"rows: nothing is gained.",
			Locks: stopsUsers, Remedy: "VALIDATE CONSTRAINT in a migration of its own, or below a mark with notransaction.",
			Link: manual + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
			Bad: "ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age >= 0) NOT VALID;\n" +
				"ALTER TABLE users VALIDATE CONSTRAINT users_age_check;",
			Good: []string{"-- +migrate Up " +
				"notransaction\nALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age >= 0) NOT VALID;\n" +
				"ALTER TABLE users VALIDATE CONSTRAINT users_age_check;"},
		},
		{
			ID: "add-unique-without-using-index", Severity: Error, Title: "a unique constraint builds its index at once",
			Happens: "The index is built under ACCESS EXCLUSIVE.", Locks: stopsUsers,
			Remedy: "Build a unique index concurrently and make the constraint of it.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
			Bad: "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);",
			Good: []string{"CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);\n" +
				"ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_key;"},
		},
		{
			ID: "add-pk-without-using-index", Severity: Error, Title: "a primary key builds its index at once",
			Happens: "The index is built under ACCESS EXCLUSIVE; where a column allows NULL, all rows are read once more.",
			Locks:   []Lock{{"visits", AccessExclusive}},
			Remedy:  "Build a unique index concurrently and make the primary key of it.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
			Setup: "CREATE TABLE visits (id bigint NOT NULL, path text);",
			Bad:   "ALTER TABLE visits ADD PRIMARY KEY (id);",
			Good: []string{"CREATE UNIQUE INDEX CONCURRENTLY visits_pkey ON visits (id);\n" +
				"ALTER TABLE visits ADD CONSTRAINT visits_pkey PRIMARY KEY USING INDEX visits_pkey;"},
		},
		{
			ID: "add-pk-using-index-nullable", Severity: Error, Title: "a primary key of a column that allows NULL",
			Happens: "The index is there, but the column becomes NOT NULL with it: all rows are read under ACCESS EXCLUSIVE.",
			Locks:   []Lock{{"visits", AccessExclusive}},
			Remedy:  "Come to NOT NULL in steps first.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
			Setup: "CREATE TABLE visits (id bigint, path text);\nCREATE UNIQUE INDEX visits_id ON visits (id);",
			Bad:   "ALTER TABLE visits ADD CONSTRAINT visits_pkey PRIMARY KEY USING INDEX visits_id;",
			Good: []string{"ALTER TABLE visits ADD CONSTRAINT visits_id_set CHECK (id IS NOT NULL) NOT VALID;",
				"ALTER TABLE visits VALIDATE CONSTRAINT visits_id_set;",
				"ALTER TABLE visits ALTER COLUMN id SET NOT NULL;\n" +
					"ALTER TABLE visits ADD CONSTRAINT visits_pkey PRIMARY KEY USING INDEX visits_id;"},
		},
		{
			ID: "constraint-using-invalid-index", Severity: Error, Title: "a constraint of an invalid index",
			Happens: "An index that is invalid, because its concurrent build was aborted or parts of it are missing, cannot " +
				"back a constraint: the server refuses.",
			Refused: "55000", Remedy: "REINDEX INDEX CONCURRENTLY first.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
			Setup: "CREATE UNIQUE INDEX orders_user_once ON orders (user_id);\n" +
				"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_user_once'::regclass;",
			Bad: "ALTER TABLE orders ADD CONSTRAINT orders_user_once UNIQUE USING INDEX orders_user_once;",
			Good: []string{"REINDEX INDEX CONCURRENTLY orders_user_once;\n" +
				"ALTER TABLE orders ADD CONSTRAINT orders_user_once UNIQUE USING INDEX orders_user_once;"},
		},
		{
			ID: "add-exclusion-constraint", Severity: Error, Title: "an exclusion constraint builds its index at once",
			Happens: "The index is built, and every row compared with the others, under ACCESS EXCLUSIVE. There is no " +
				"concurrent way and no NOT VALID.", Locks: stopsUsers,
			Remedy: "A new table with the constraint, filled in batches, that takes the old one's place.", Link: manual +
				"ddl-constraints.html#DDL-CONSTRAINTS-EXCLUSION",
			Bad:  "ALTER TABLE users ADD CONSTRAINT one_each EXCLUDE USING btree (email WITH =);",
			Good: []string{"CREATE TABLE bookings (id bigint PRIMARY KEY, at tsrange, EXCLUDE USING gist (at WITH &&));"},
		},
		{
			ID: "alter-domain-add-constraint", Severity: Error, Title: "a domain's new constraint reads every table that has it",
			Happens: "All tables with a column of the domain are locked against writes at once, and all their rows are read.",
			Locks:   []Lock{{"visits", Share}},
			Remedy:  "NOT VALID, which locks no table; and checks of the tables for what must be proven.", Link: manual +
				"sql-alterdomain.html",
			Setup: "CREATE DOMAIN url AS text;\nCREATE TABLE visits (id bigint PRIMARY KEY, path url);",
			Bad:   "ALTER DOMAIN url ADD CONSTRAINT url_set CHECK (VALUE <> '');",
			Good:  []string{"ALTER DOMAIN url ADD CONSTRAINT url_set CHECK (VALUE <> '') NOT VALID;"},
		},
		{
			ID: "alter-domain-set-not-null", Severity: Error, Title: "a domain's NOT NULL reads every table that has it",
			Happens: "All tables with a column of the domain are locked against writes at once, and all their rows are read.",
			Locks:   []Lock{{"visits", Share}},
			Remedy:  "NOT NULL of the tables' columns, in steps.", Link: manual + "sql-alterdomain.html",
			Setup: "CREATE DOMAIN url AS text;\nCREATE TABLE visits (id bigint PRIMARY KEY, path url);",
			Bad:   "ALTER DOMAIN url SET NOT NULL;",
			Good: []string{"ALTER TABLE visits ADD CONSTRAINT visits_path_set CHECK (path IS NOT NULL) NOT VALID;",
				"ALTER TABLE visits VALIDATE CONSTRAINT visits_path_set;"},
		},
		{
			ID: "alter-domain-validate", Severity: Error, Title: "validating a domain's constraint stops writes",
			Happens: "Other than that of a table, the constraint of a domain is validated under a SHARE lock on every table " +
				"that has it.", Locks: []Lock{{"visits", Share}},
			Remedy: "Checks of the tables instead of the domain's.", Link: manual + "sql-alterdomain.html",
			Setup: "CREATE DOMAIN url AS text;\nCREATE TABLE visits (id bigint PRIMARY KEY, path url);\n" +
				"ALTER DOMAIN url ADD CONSTRAINT url_set CHECK (VALUE <> '') NOT VALID;",
			Bad: "ALTER DOMAIN url VALIDATE CONSTRAINT url_set;",
			Good: []string{"ALTER TABLE visits ADD CONSTRAINT visits_path_set CHECK (path <> '') NOT VALID;",
				"ALTER TABLE visits VALIDATE CONSTRAINT visits_path_set;"},
		},
		{
			ID: "drop-foreign-key", Severity: Warn, Title: "dropping a foreign key locks two tables",
			Happens: "ACCESS EXCLUSIVE on the referenced table as well, which the statement does not name and which is often " +
				"the busiest one; and the two locks are taken one after the other.",
			Locks:  []Lock{{"lines", AccessExclusive}, {"orders", AccessExclusive}},
			Remedy: "In a migration of its own, which whimbrel sends again until both locks are free; allow it in the file.",
			Link:   manual + "sql-altertable.html", Setup: "CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint " +
				"CONSTRAINT lines_order_id_fkey REFERENCES orders (id));",
			Bad: "ALTER TABLE lines DROP CONSTRAINT lines_order_id_fkey;",
			Good: []string{"-- +migrate Allow drop-foreign-key both tables are quiet at night\n" +
				"ALTER TABLE lines DROP CONSTRAINT lines_order_id_fkey;"},
		},
		{
			ID: "drop-unique-or-primary-key", Severity: Error, Title: "a key goes on which code relies",
			Happens: "INSERT … ON CONFLICT with these columns fails from the commit on. Without a primary key, a published " +
				"table refuses UPDATE and DELETE. And duplicates may come that keep the key from ever being made again.",
			Locks: stopsUsers, Remedy: "Build the key that takes its place first.", Link: manual +
				"sql-insert.html#SQL-ON-CONFLICT",
			Setup: "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);",
			Bad:   "ALTER TABLE users DROP CONSTRAINT users_email_key;",
			Good: []string{"CREATE UNIQUE INDEX CONCURRENTLY users_email_again ON users (email) INCLUDE (name);",
				"ALTER TABLE users DROP CONSTRAINT users_email_key;"},
		},
		{
			ID: "fk-type-mismatch", Severity: Warn, Title: "a foreign key between different types",
			Happens: "One side can hold values that the other cannot: an integer that references a bigint ends at two " +
				"thousand million, and comparing different types may keep an index from being used.",
			Locks:  []Lock{{"orders", ShareRowExclusive}, {"visits", ShareRowExclusive}},
			Remedy: "The same type on both sides.", Link: manual + "ddl-constraints.html#DDL-CONSTRAINTS-FK",
			Setup: "CREATE TABLE visits (id bigint PRIMARY KEY, order_id integer);",
			Bad: "ALTER TABLE visits ADD CONSTRAINT visits_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders (id) NOT " +
				"VALID;",
			Good: []string{"ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users " +
				"(id) NOT VALID;"},
		},
		{
			ID: "multiple-foreign-keys-in-one-migration", Severity: Warn, Title: "foreign keys lock many tables at once",
			Happens: "Each foreign key locks two tables against writes until the transaction ends. Several in one transaction " +
				"lock them all, one after the other, and meet code that takes them in another order.",
			Locks:  []Lock{{"orders", ShareRowExclusive}, {"users", ShareRowExclusive}, {"visits", ShareRowExclusive}},
			Remedy: "One migration for each.", Link: manual + "explicit-locking.html#LOCKING-DEADLOCKS",
			Setup: "CREATE TABLE visits (id bigint PRIMARY KEY, user_id bigint, order_id bigint);",
			Bad: "ALTER TABLE visits ADD FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;\n" +
				"ALTER TABLE visits ADD FOREIGN KEY (order_id) REFERENCES orders (id) NOT VALID;",
			Good: []string{"ALTER TABLE visits ADD FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;",
				"ALTER TABLE visits ADD FOREIGN KEY (order_id) REFERENCES orders (id) NOT VALID;"},
		},
		{
			ID: "disable-trigger", Severity: Error, Title: "a trigger is off for everybody",
			Happens: "What the trigger does is missing in all rows that others write meanwhile. ALL takes foreign keys along: " +
				"their triggers are off too, and so they are under session_replication_role = replica.",
			Locks: []Lock{{"users", ShareRowExclusive}}, Remedy: "A trigger that asks a setting of your own, which the " +
				"migration sets: WHEN (current_setting('app.migrating', true) IS NULL).", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DESC-DISABLE-ENABLE-TRIGGER",
			Bad:  "ALTER TABLE users DISABLE TRIGGER USER;",
			Good: []string{"SET LOCAL app.migrating = 'yes';\nUPDATE users SET name = 'x' WHERE id = 1;"},
		},
		{
			ID: "not-enforced-constraint", Severity: Warn, Title: "a constraint that nobody checks", Versions: "18 and newer",
			Since:   18,
			Happens: "NOT ENFORCED writes the constraint down and checks nothing. Anyone who reads the schema believes in it.",
			Locks:   stopsUsers, Remedy: "NOT VALID, which binds new rows.", Link: manual + "sql-createtable.html",
			Bad:  "ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age >= 0) NOT ENFORCED;",
			Good: []string{"ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age >= 0) NOT VALID;"},
		},
	}
}
