package lint

import "strings"

func tableHazards() []Hazard {
	return []Hazard{
		{
			ID: "drop-table", Severity: Error, Title: "a table is dropped",
			Happens: "Its rows are lost, and code that still uses it fails. The tables that its foreign keys reference, and a " +
				"parent that it is a partition of, are locked against everybody as well.",
			Locks: []Lock{{"orders", AccessExclusive}}, Remedy: "Rename it, wait until nothing has missed it, then drop it " +
				"and allow that in the file.", Link: manual + "sql-droptable.html",
			Bad: "DROP TABLE orders;",
			Good: []string{"-- +migrate Allow drop-table nothing uses it since release 41, and there is a backup\n" +
				"DROP TABLE orders;"},
		},
		{
			ID: "drop-schema", Severity: Error, Title: "a schema is dropped",
			Happens: "With CASCADE, everything in it is lost.", Remedy: "Rename it and wait.", Link: manual +
				"sql-dropschema.html",
			Locks: []Lock{{"old.notes", AccessExclusive}},
			Setup: "CREATE SCHEMA old;\nCREATE TABLE old.notes (id bigint);",
			Bad:   "DROP SCHEMA old CASCADE;",
			Good: []string{"-- +migrate Allow drop-schema nothing uses it\n-- +migrate Allow drop-cascade it is meant\n" +
				"DROP SCHEMA old CASCADE;"},
		},
		{
			ID: "drop-database", Severity: Error, Title: "a database is dropped",
			Happens: "Everything in it is lost.", Remedy: "Not in a migration.", Link: manual + "sql-dropdatabase.html",
			Refused: "3D000",
			Bad:     "DROP DATABASE shop_of_last_year;",
			Good:    []string{"COMMENT ON TABLE users IS 'everybody';"},
		},
		{
			ID: "drop-view", Severity: Error, Title: "a view is dropped",
			Happens: "Code that still reads it fails.", Remedy: "Deploy code that does not know it first. A view that the " +
				"same transaction makes again is fine.", Link: manual + "sql-dropview.html",
			Setup: "CREATE VIEW adults AS SELECT id, name FROM users WHERE age >= 18;",
			Bad:   "DROP VIEW adults;",
			Good:  []string{"DROP VIEW adults;\nCREATE VIEW adults AS SELECT id, name, email FROM users WHERE age >= 18;"},
		},
		{
			ID: "drop-function", Severity: Error, Title: "a function goes or gets another name",
			Happens: "Code that still calls it fails.", Remedy: "Deploy code that does not call it first. A function that the " +
				"same transaction makes again is fine.", Link: manual + "sql-dropfunction.html",
			Setup: "CREATE FUNCTION greeting(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'Hello, ' || $1 $$;",
			Bad:   "DROP FUNCTION greeting(text);",
			Good: []string{"DROP FUNCTION greeting(text);\n" +
				"CREATE FUNCTION greeting(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1 || ', ' || $2 $$;\n" +
				"CREATE FUNCTION greeting(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT greeting('Hello', $1) $$;"},
		},
		{
			ID: "drop-sequence", Severity: Error, Title: "a sequence is dropped",
			Happens: "Code that takes numbers from it fails, and where it stood is lost.",
			Remedy:  "Deploy code that does not know it first.", Link: manual + "sql-dropsequence.html",
			Setup: "CREATE SEQUENCE invoice_numbers;",
			Bad:   "DROP SEQUENCE invoice_numbers;",
			Good:  []string{"-- +migrate Allow drop-sequence nothing takes numbers from it\nDROP SEQUENCE invoice_numbers;"},
		},
		{
			ID: "drop-type", Severity: Error, Title: "a type is dropped",
			Happens: "Code that names it fails. With CASCADE every column of the type is dropped, with its data.",
			Remedy:  "See that nothing is left of the type, and leave CASCADE out.", Link: manual + "sql-droptype.html",
			Setup: "CREATE TYPE mood AS ENUM ('sad', 'glad');",
			Bad:   "DROP TYPE mood;",
			Good:  []string{"-- +migrate Allow drop-type no column has it and no code names it\nDROP TYPE mood;"},
		},
		{
			ID: "drop-extension", Severity: Error, Title: "an extension is dropped",
			Happens: "Its functions, operators and types are gone for the code that runs; with CASCADE the columns of its " +
				"types as well.", Remedy: "See that nothing is left of it, and leave CASCADE out.", Link: manual +
				"sql-dropextension.html",
			Bad:  "DROP EXTENSION plpgsql;",
			Good: []string{"-- +migrate Allow drop-extension nothing uses it\nDROP EXTENSION plpgsql;"},
		},
		{
			ID: "drop-owned", Severity: Error, Title: "everything that a role owns is dropped",
			Happens: "Tables, views, functions, privileges: all that belongs to the role in this database is lost, without a " +
				"list of what that is.", Remedy: "Drop things by name.", Link: manual + "sql-drop-owned.html",
			Setup: "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'intern') THEN CREATE ROLE intern; END " +
				"IF; END $$;",
			Bad:  "DROP OWNED BY intern;",
			Good: []string{"-- +migrate Allow drop-owned the role owns nothing but its privileges\nDROP OWNED BY intern;"},
		},
		{
			ID: "drop-publication", Severity: Error, Title: "a publication is dropped",
			Happens: "Subscribers of it stop with an error, and their replication slots keep WAL until the disk is full.",
			Remedy:  "Drop the subscriptions first.", Link: manual + "sql-droppublication.html",
			Setup: "CREATE PUBLICATION everything FOR TABLE users;",
			Bad:   "DROP PUBLICATION everything;",
			Good:  []string{"-- +migrate Allow drop-publication the subscriptions are gone\nDROP PUBLICATION everything;"},
		},
		{
			ID: "drop-cascade", Severity: Error, Title: "CASCADE drops what nobody named",
			Happens: "Views, foreign keys and columns of other tables go along, and the statement does not say which.",
			Locks:   []Lock{{"orders", AccessExclusive}, {"lines", AccessExclusive}},
			Remedy:  "Drop by name what is meant to go, without CASCADE.", Link: manual + "ddl-depend.html",
			Setup: "CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint REFERENCES orders (id));",
			Bad:   "-- +migrate Allow drop-table it is meant\nDROP TABLE orders CASCADE;",
			Good: []string{"-- +migrate Allow drop-foreign-key it is meant\n" +
				"ALTER TABLE lines DROP CONSTRAINT lines_order_id_fkey;",
				"-- +migrate Allow drop-table it is meant\nDROP TABLE orders;"},
		},
		{
			ID: "rename-table", Severity: Error, Title: "a table or view gets another name",
			Happens: "Every statement with the old name fails from the commit on.", Locks: []Lock{{"orders", AccessExclusive}},
			Remedy: "Make a view of the old name in the same transaction, and drop it when no code knows it.", Link: manual +
				"ddl-alter.html#DDL-ALTER-RENAMING-TABLE",
			Bad:  "ALTER TABLE orders RENAME TO purchases;",
			Good: []string{"ALTER TABLE orders RENAME TO purchases;\nCREATE VIEW orders AS SELECT * FROM purchases;"},
		},
		{
			ID: "move-table-to-schema", Severity: Error, Title: "a table moves to another schema",
			Happens: "Statements that look for it in the old schema fail from the commit on.", Locks: []Lock{{"orders",
				AccessExclusive}},
			Remedy: "Make a view in the old schema in the same transaction.", Link: manual + "sql-altertable.html",
			Setup: "CREATE SCHEMA sales;",
			Bad:   "ALTER TABLE orders SET SCHEMA sales;",
			Good:  []string{"ALTER TABLE orders SET SCHEMA sales;\nCREATE VIEW public.orders AS SELECT * FROM sales.orders;"},
		},
		{
			ID: "rename-schema", Severity: Error, Title: "a schema gets another name",
			Happens: "Statements and search_paths with the old name fail from the commit on; no view helps.",
			Remedy:  "A new schema with views of the tables.", Link: manual + "sql-alterschema.html",
			Setup: "CREATE SCHEMA old;\nCREATE TABLE old.notes (id bigint);",
			Bad:   "ALTER SCHEMA old RENAME TO archive;",
			Good:  []string{"CREATE SCHEMA archive;\nCREATE VIEW archive.notes AS SELECT * FROM old.notes;"},
		},
		{
			ID: "rename-type", Severity: Error, Title: "a type gets another name",
			Happens: "Casts, declarations and drivers that look the type up by its old name fail from the commit on.",
			Remedy:  "A new type beside the old one; or deploy code that knows both names.", Link: manual + "sql-altertype.html",
			Setup: "CREATE TYPE mood AS ENUM ('sad', 'glad');",
			Bad:   "ALTER TYPE mood RENAME TO temper;",
			Good:  []string{"CREATE TYPE temper AS ENUM ('sad', 'glad');"},
		},
		{
			ID: "rename-enum-value", Severity: Error, Title: "an enum's value gets another name",
			Happens: "Code that still writes the old value, or compares with it, fails.",
			Remedy:  "Add the new value, change the rows in batches, and let the old one be.", Link: manual +
				"sql-altertype.html",
			Setup: "CREATE TYPE mood AS ENUM ('sad', 'glad');",
			Bad:   "ALTER TYPE mood RENAME VALUE 'glad' TO 'happy';",
			Good:  []string{"ALTER TYPE mood ADD VALUE 'happy';"},
		},
		{
			ID: "enum-value-used-in-transaction", Severity: Error, Title: "a new enum value is used before it is committed",
			Happens: "The server refuses to use a value in the transaction that adds it.", Refused: "55P04",
			Remedy: "Two migrations.", Link: manual + "sql-altertype.html",
			Setup: "CREATE TYPE mood AS ENUM ('sad', 'glad');\nCREATE TABLE moods (id bigint PRIMARY KEY, mood mood);",
			Bad:   "ALTER TYPE mood ADD VALUE 'calm';\nINSERT INTO moods VALUES (0, 'calm');",
			Good:  []string{"ALTER TYPE mood ADD VALUE 'calm';", "INSERT INTO moods VALUES (0, 'calm');"},
		},
		{
			ID: "truncate", Severity: Error, Title: "a table is emptied",
			Happens: "All rows are lost, under ACCESS EXCLUSIVE, and readers with an older snapshot see an empty table.",
			Locks:   []Lock{{"orders", AccessExclusive}},
			Remedy:  "DELETE in batches; or allow it in the file.", Link: manual + "sql-truncate.html",
			Bad:  "TRUNCATE orders;",
			Good: []string{"-- +migrate Batch orders by id\nDELETE FROM orders WHERE id > :from AND id <= :to;"},
		},
		{
			ID: "truncate-cascade", Severity: Error, Title: "tables that nobody named are emptied",
			Happens: "TRUNCATE … CASCADE empties every table that references this one, and those that reference them.",
			Locks:   []Lock{{"orders", AccessExclusive}, {"lines", AccessExclusive}},
			Remedy:  "Name all tables, without CASCADE.", Link: manual + "sql-truncate.html",
			Setup: "CREATE TABLE lines (id bigint PRIMARY KEY, order_id bigint REFERENCES orders (id));",
			Bad:   "-- +migrate Allow truncate it is meant\nTRUNCATE orders CASCADE;",
			Good:  []string{"-- +migrate Allow truncate it is meant\nTRUNCATE orders, lines;"},
		},
		{
			ID: "set-logged-unlogged", Severity: Error, Title: "LOGGED and UNLOGGED rewrite the table",
			Happens: "The table and all its indexes are copied under ACCESS EXCLUSIVE. An UNLOGGED table is empty after a " +
				"crash and on every replica.", Locks: []Lock{{"orders", AccessExclusive}},
			Remedy: "A new table, filled in batches, that takes the old one's place.", Link: manual + "sql-altertable.html",
			Bad:  "ALTER TABLE orders SET UNLOGGED;",
			Good: []string{"CREATE UNLOGGED TABLE orders_cache (LIKE orders INCLUDING ALL);"},
		},
		{
			ID: "set-tablespace", Severity: Error, Title: "a table is copied to another tablespace",
			Happens: "All its files are copied under ACCESS EXCLUSIVE. Indexes stay where they are.", Locks: []Lock{{"orders",
				AccessExclusive}},
			Remedy: "A new table there, filled in batches; for indexes, REINDEX (TABLESPACE …, CONCURRENTLY).", Link: manual +
				"sql-altertable.html",
			Bad:  "ALTER TABLE orders SET TABLESPACE pg_default;",
			Good: []string{"REINDEX (TABLESPACE pg_default) TABLE CONCURRENTLY orders;"},
		},
		{
			ID: "set-access-method", Severity: Error, Title: "a table is rewritten in another format",
			Versions: "15 and newer", Since: 15,
			Happens: "Another access method copies the table and its indexes under ACCESS EXCLUSIVE.", Locks: []Lock{{"orders",
				AccessExclusive}},
			Remedy: "A new table, filled in batches, that takes the old one's place.", Link: manual + "sql-altertable.html",
			Bad:  "ALTER TABLE orders SET ACCESS METHOD heap;",
			Good: []string{"CREATE TABLE orders_next (LIKE orders INCLUDING ALL);"},
		},
		{
			ID: "creates-what-exists", Severity: Error, Title: "the table is there already",
			Happens: "The statement fails, and the migration with it.", Refused: "42P07", Remedy: "Another name.",
			Link: manual + "sql-createtable.html",
			Bad:  "CREATE TABLE users (id bigint PRIMARY KEY);",
			Good: []string{"CREATE TABLE people (id bigint PRIMARY KEY);"},
		},
		{
			ID: "uses-object-before-creation", Severity: Error, Title: "a table is used before it is made",
			Happens: "The statement that makes it is further down: the migration fails.", Refused: "42P01",
			Remedy: "The other order.", Link: manual + "sql-createtable.html",
			Bad:  "ALTER TABLE carts ADD COLUMN note text;\nCREATE TABLE carts (id bigint PRIMARY KEY);",
			Good: []string{"CREATE TABLE carts (id bigint PRIMARY KEY);\nALTER TABLE carts ADD COLUMN note text;"},
		},
	}
}

// withDefault gives the examples' events a default partition.
const withDefault = "CREATE TABLE events_rest PARTITION OF events DEFAULT;"

func partitionHazards() []Hazard {
	return []Hazard{
		{
			ID: "attach-partition-scan", Severity: Error, Title: "all rows of a new partition are read",
			Happens: "To see whether its rows belong there, the server reads the whole table under ACCESS EXCLUSIVE, unless a " +
				"valid CHECK says that they do.", Locks: []Lock{{"events", ShareUpdateExclusive}, {"events_2026", AccessExclusive}},
			Remedy: "Add a CHECK of the bounds with NOT VALID, validate it, attach, and drop it.", Link: manual +
				"ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
			Setup: "CREATE TABLE events_2026 (id bigint NOT NULL, at timestamptz NOT NULL, payload text);",
			Bad:   "ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
			Good: []string{"ALTER TABLE events_2026 ADD CONSTRAINT bounds CHECK (at >= '2026-01-01' AND at < '2027-01-01') " +
				"NOT VALID;", "ALTER TABLE events_2026 VALIDATE CONSTRAINT bounds;",
				"ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');\n" +
					"ALTER TABLE events_2026 DROP CONSTRAINT bounds;"},
		},
		{
			ID: "attach-partition-scans-default", Severity: Error, Title: "attaching reads the default partition",
			Happens: "Rows of the new partition might lie in the default one: the server reads all of that under ACCESS " +
				"EXCLUSIVE.", Locks: []Lock{{"events", ShareUpdateExclusive}, {"events_rest", AccessExclusive}},
			Remedy: "A valid CHECK on the default partition that excludes the bounds; better, no default partition.",
			Link:   manual + "ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
			Setup:  withDefault,
			Bad: "CREATE TABLE events_2026 (id bigint NOT NULL, at timestamptz NOT NULL, payload text);\n" +
				"ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
			Good: []string{"ALTER TABLE events_rest ADD CONSTRAINT not_2026 CHECK (NOT (at >= '2026-01-01' AND at < " +
				"'2027-01-01')) NOT VALID;", "ALTER TABLE events_rest VALIDATE CONSTRAINT not_2026;",
				"CREATE TABLE events_2026 (id bigint NOT NULL, at timestamptz NOT NULL, payload text);\n" +
					"ALTER TABLE events ATTACH PARTITION events_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"},
		},
		{
			ID: "create-partition-of-scans-default", Severity: Error, Title: "a new partition reads the default one",
			Happens: "Rows of the new partition might lie in the default one: the server reads all of that, while parent and " +
				"default partition are locked against everybody.", Locks: []Lock{{"events", AccessExclusive},
				{"events_rest", AccessExclusive}},
			Remedy: "A valid CHECK on the default partition that excludes the bounds; better, no default partition.",
			Link:   manual + "sql-createtable.html#SQL-CREATETABLE-PARTITION",
			Setup:  withDefault,
			Bad:    "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
			Good: []string{"ALTER TABLE events_rest ADD CONSTRAINT not_2026 CHECK (NOT (at >= '2026-01-01' AND at < " +
				"'2027-01-01')) NOT VALID;", "ALTER TABLE events_rest VALIDATE CONSTRAINT not_2026;",
				"CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');"},
		},
		{
			ID: "detach-partition-not-concurrent", Severity: Error, Title: "detaching a partition stops the parent",
			Happens: "DETACH PARTITION takes ACCESS EXCLUSIVE on the parent, and so waits for every query on any partition " +
				"while everybody else waits behind it.", Locks: []Lock{{"events", AccessExclusive},
				{"events_2025", AccessExclusive}},
			Remedy: "DETACH PARTITION … CONCURRENTLY, from PostgreSQL 14 on.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DETACH-PARTITION",
			Bad:  "ALTER TABLE events DETACH PARTITION events_2025;",
			Good: []string{"ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY;"}, GoodSince: 14,
		},
		{
			ID: "detach-concurrently-with-default", Severity: Error,
			Title: "a default partition forbids detaching concurrently", Since: 14,
			Happens: "The server refuses.", Refused: "55000",
			Remedy: "Detach with a short lock_timeout; better, no default partition.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DETACH-PARTITION",
			Setup: withDefault,
			Bad:   "ALTER TABLE events DETACH PARTITION events_2025 CONCURRENTLY;",
			Good: []string{"-- +migrate Allow detach-partition-not-concurrent there is a default partition\n" +
				"ALTER TABLE events DETACH PARTITION events_2025;"},
		},
		{
			ID: "alter-on-partitioned-parent", Severity: Warn, Title: "a command locks very many partitions",
			Happens: "Every partition is locked in the same mode as the parent, one after the other. The shared table of " +
				"locks may overflow, and each busy partition is one more to wait for.",
			Locks: []Lock{{"days", AccessExclusive}}, Remedy: "Raise max_locks_per_transaction, and do it when it is quiet.",
			Link:  manual + "runtime-config-locks.html#GUC-MAX-LOCKS-PER-TRANSACTION",
			Setup: manyPartitions(70),
			Bad:   "ALTER TABLE days ADD COLUMN note text;",
			Good:  []string{"ALTER TABLE events ADD COLUMN note text;"},
		},
	}
}

// manyPartitions makes a table with many partitions.
func manyPartitions(n int) string {
	var all strings.Builder
	all.WriteString("CREATE TABLE days (day integer NOT NULL) PARTITION BY LIST (day);")
	for i := range n {
		all.WriteString("\nCREATE TABLE days_" + number(i) + " PARTITION OF days FOR VALUES IN (" + number(i) + ");")
	}
	return all.String()
}
