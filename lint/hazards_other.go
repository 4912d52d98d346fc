package lint

func transactionHazards() []Hazard {
	return []Hazard{
		{
			ID: "scan-while-holding-strong-lock", Severity: Error, Title: "something long runs under somebody else's lock",
			Happens: "A lock is kept until the transaction ends. What reads many rows after it, even of another table, keeps " +
				"the waiting ones waiting.", Locks: []Lock{{"orders", Share}, {"users", AccessExclusive}},
			Remedy: "A migration of its own for what takes long.", Link: manual + "explicit-locking.html#LOCKING-TABLES",
			Setup: "ALTER TABLE orders ADD CONSTRAINT total_set CHECK (total IS NOT NULL) NOT VALID;",
			Bad:   "ALTER TABLE users ADD COLUMN note text;\nCREATE INDEX orders_placed_at_idx ON orders (placed_at);",
			Good: []string{"ALTER TABLE users ADD COLUMN note text;",
				"CREATE INDEX CONCURRENTLY orders_placed_at_idx ON orders (placed_at);"},
		},
		{
			ID: "backfill-in-ddl-transaction", Severity: Error, Title: "rows are changed under a strong lock",
			Happens: "ALTER TABLE locks the table for the moment it needs, and then the UPDATE in the same transaction makes " +
				"that moment as long as itself.", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "A migration of its own for the rows, in batches.", Link: manual + "ddl-alter.html",
			Bad: "ALTER TABLE users ADD COLUMN active boolean;\nUPDATE users SET active = true;",
			Good: []string{"ALTER TABLE users ADD COLUMN active boolean;\n-- +migrate Batch users by id\n" +
				"UPDATE users SET active = true WHERE id > :from AND id <= :to;"},
		},
		{
			ID: "local-setting-ends", Severity: Warn, Title: "a setting ends before the statements that may need it",
			Happens: "SET LOCAL holds to the end of its transaction. Where a file comes to several steps, each is a " +
				"transaction of its own, or none, and those that follow run with another search_path, role or limit.",
			Remedy: "SET without LOCAL holds to the end of the file's direction, and is undone there.", Link: manual +
				"sql-set.html",
			Bad: "SET LOCAL search_path = public;\nUPDATE users SET name = 'x' WHERE id = 1;\n" +
				"CREATE INDEX CONCURRENTLY users_name_idx ON users (name);",
			Good: []string{"SET search_path = public;\nUPDATE users SET name = 'x' WHERE id = 1;\n" +
				"CREATE INDEX CONCURRENTLY users_name_idx ON users (name);"},
		},
		{
			ID: "multi-table-locks-in-one-transaction", Severity: Warn,
			Title: "a transaction waits for a table while it holds another",
			Happens: "While it waits for the second table, everybody waits for the first. With code that uses both in the " +
				"other order it is a deadlock.", Locks: []Lock{{"orders", AccessExclusive}, {"users", AccessExclusive}},
			Remedy: "One table per migration.", Link: manual + "explicit-locking.html#LOCKING-DEADLOCKS",
			Bad:  "ALTER TABLE users ADD COLUMN note text;\nALTER TABLE orders ADD COLUMN note text;",
			Good: []string{"ALTER TABLE users ADD COLUMN note text;", "ALTER TABLE orders ADD COLUMN note text;"},
		},
		{
			ID: "lock-upgrade-in-transaction", Severity: Error, Title: "a weak lock is made a strong one",
			Happens: "The transaction has changed rows and now wants the table for itself. Somebody who waits for one of " +
				"those rows has a lock on the table too: neither can go on, and one of them is killed.", Locks: []Lock{{"users",
				AccessExclusive}},
			Remedy: "ALTER TABLE first, or in a migration of its own.", Link: manual + "explicit-locking.html#LOCKING-DEADLOCKS",
			Bad:  "UPDATE users SET name = 'x' WHERE id = 1;\nALTER TABLE users ADD COLUMN note text;",
			Good: []string{"ALTER TABLE users ADD COLUMN note text;\nUPDATE users SET name = 'x' WHERE id = 1;"},
		},
		{
			ID: "lock-timeout-disabled", Severity: Error, Title: "the limit on waiting is lifted",
			Happens: "A statement that waits for a strong lock makes everybody behind it wait too. lock_timeout bounds that. " +
				"The file sets it to 0, and one long query is enough to stop the table.", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "Leave the setting out: whimbrel backs off and tries again.", Link: manual +
				"runtime-config-client.html#GUC-LOCK-TIMEOUT",
			Bad:  "SET lock_timeout = 0;\nALTER TABLE users ADD COLUMN note text;",
			Good: []string{"ALTER TABLE users ADD COLUMN note text;"},
		},
		{
			ID: "timeout-too-long", Severity: Warn, Title: "the limit on waiting is long",
			Happens: "For as long as the statement waits for its lock, everybody behind it waits too.", Locks: []Lock{{"users",
				AccessExclusive}},
			Remedy: "Leave the setting out: whimbrel backs off after a tenth of a second and tries again.", Link: manual +
				"runtime-config-client.html#GUC-LOCK-TIMEOUT",
			Bad:  "-- +migrate Set lock_timeout = 2min\nALTER TABLE users ADD COLUMN note text;",
			Good: []string{"-- +migrate Set lock_timeout = 1s\nALTER TABLE users ADD COLUMN note text;"},
		},
		{
			ID: "explicit-lock-table", Severity: Warn, Title: "LOCK TABLE",
			Happens: "The table is locked until the transaction ends, whatever else that does.", Locks: []Lock{{"users",
				AccessExclusive}},
			Remedy: "Leave it to the statements to take the locks that they need.", Link: manual + "sql-lock.html",
			Bad:  "LOCK TABLE users IN ACCESS EXCLUSIVE MODE;",
			Good: []string{"LOCK TABLE users IN ROW EXCLUSIVE MODE;"},
		},
		{
			ID: "non-idempotent-rerun", Severity: Warn, Title: "nobody can tell whether it was done",
			Happens: "CALL and DO below notransaction may commit by themselves, so that whimbrel cannot record them in the " +
				"same transaction. After a crash in between they run a second time.",
			Remedy: "A DO that does not commit belongs into a transaction; a CALL must do no harm when it is repeated.",
			Link:   manual + "plpgsql-transactions.html",
			Bad:    "-- +migrate Up notransaction\nDO $$ BEGIN INSERT INTO orders (id) VALUES (0); COMMIT; END $$;",
			Good:   []string{"DO $$ BEGIN INSERT INTO orders (id) VALUES (0); END $$;"},
		},
		{
			ID: "opaque-dynamic-ddl", Severity: Warn, Title: "the text does not tell what runs",
			Happens: "Statements that a function puts together while it runs, or that are in a function which is not in the " +
				"history, cannot be judged by reading.",
			Remedy: "A rehearsal tells what it does; or write the statements down.", Link: manual +
				"plpgsql-statements.html#PLPGSQL-STATEMENTS-EXECUTING-DYN",
			Bad:  "DO $$ DECLARE t text := 'users'; BEGIN EXECUTE format('ALTER TABLE %I ADD COLUMN note text', t); END $$;",
			Good: []string{"DO $$ BEGIN ALTER TABLE users ADD COLUMN note text; END $$;"},
		},
	}
}

func dataHazards() []Hazard {
	return []Hazard{
		{
			ID: "unbatched-data-change", Severity: Error, Title: "any number of rows in one transaction",
			Happens: "Every row that is changed stays locked until the end, dead rows cannot be removed meanwhile, replicas " +
				"fall behind, and whatever interrupts it throws all the work away.",
			Locks: []Lock{{"users", RowExclusive}}, Remedy: "In batches by the table's key.", Link: manual + "mvcc-intro.html",
			Bad: "UPDATE users SET country = 'CH' WHERE country IS NULL;",
			Good: []string{"-- +migrate Batch users by " +
				"id\nUPDATE users SET country = 'CH' WHERE country IS NULL AND id > :from AND id <= :to;"},
		},
		{
			ID: "sequence-restart", Severity: Error, Title: "a sequence starts over",
			Happens: "It gives out numbers that rows have already: INSERTs fail with duplicate keys, or, worse, do not.",
			Remedy:  "setval() to the largest number in use.", Link: manual + "functions-sequence.html",
			Setup: "CREATE SEQUENCE invoice_numbers;",
			Bad:   "ALTER SEQUENCE invoice_numbers RESTART WITH 1;",
			Good:  []string{"SELECT setval('invoice_numbers', greatest(1, (SELECT max(id) FROM orders)));"},
		},
		{
			ID: "sequence-narrowing", Severity: Warn, Title: "a sequence ends earlier",
			Happens: "When it reaches its end, every INSERT that takes a number fails; with CYCLE it gives out numbers a " +
				"second time.", Remedy: "bigint, without CYCLE.", Link: manual + "sql-altersequence.html",
			Setup: "CREATE SEQUENCE invoice_numbers;",
			Bad:   "ALTER SEQUENCE invoice_numbers AS integer;",
			Good:  []string{"ALTER SEQUENCE invoice_numbers CACHE 20;"},
		},
	}
}

func accessHazards() []Hazard {
	return []Hazard{
		{
			ID: "rls-enable-without-policy", Severity: Error, Title: "row security without a policy hides all rows",
			Happens: "Without a policy nothing is allowed: everybody but the owner sees an empty table, without any error.",
			Locks:   []Lock{{"users", AccessExclusive}},
			Remedy:  "Make the policies first.", Link: manual + "ddl-rowsecurity.html",
			Bad:  "ALTER TABLE users ENABLE ROW LEVEL SECURITY;",
			Good: []string{"CREATE POLICY everybody ON users USING (true);\nALTER TABLE users ENABLE ROW LEVEL SECURITY;"},
		},
		{
			ID: "restrictive-policy", Severity: Warn, Title: "a policy takes rows away",
			Happens: "Every restrictive policy must let a row through. Rows that the new one does not are gone for code that " +
				"runs, and it cannot write them.", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "See that no code needs the rows, and allow it in the file.", Link: manual + "sql-createpolicy.html",
			Setup: "CREATE POLICY everybody ON users USING (true);\nALTER TABLE users ENABLE ROW LEVEL SECURITY;",
			Bad:   "CREATE POLICY named ON users AS RESTRICTIVE USING (name IS NOT NULL);",
			Good:  []string{"CREATE POLICY named ON users USING (name IS NOT NULL);"},
		},
		{
			ID: "policy-needs-setting", Severity: Error, Title: "a policy asks for a setting that old code does not set",
			Happens: "current_setting() of a name that the session has not set is an error: every statement on the table " +
				"fails, until the code that sets it is everywhere.", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "Deploy the code that sets it first; with true as a second argument the value is NULL in place of an error.", Link: manual + "functions-admin.html#FUNCTIONS-ADMIN-SET",
			Bad: "CREATE POLICY own ON users USING (id = current_setting('app.user')::bigint);\n" +
				"ALTER TABLE users ENABLE ROW LEVEL SECURITY;",
			Good: []string{"CREATE POLICY own ON users USING (current_setting('app.user', true) IS NULL OR id = " +
				"current_setting('app.user', true)::bigint);\nALTER TABLE users ENABLE ROW LEVEL SECURITY;"},
		},
		{
			ID: "rewrite-rule", Severity: Error, Title: "a rule does something else in place of a statement",
			Happens: "Code that writes the table is told that all went well, and what it wrote is not there. A rule also " +
				"evaluates its expressions more than once.", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "A trigger that says what it refuses; or a view with the rule, for new code.", Link: manual +
				"rules-update.html",
			Bad: "CREATE RULE keep AS ON DELETE TO users DO INSTEAD NOTHING;",
			Good: []string{"CREATE VIEW kept_users AS SELECT id, name FROM users;\n" +
				"CREATE RULE keep AS ON DELETE TO kept_users DO INSTEAD NOTHING;"},
		},
		{
			ID: "trigger-refuses-writes", Severity: Error, Title: "a trigger refuses what running code writes",
			Happens: "The trigger's function raises an error whatever the row is, so that every such statement of the code " +
				"that runs fails.", Locks: []Lock{{"users", ShareRowExclusive}},
			Remedy: "Take the writing code away first, and allow it in the file.", Link: manual + "plpgsql-trigger.html",
			Setup: "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no more'; END $$;\n" +
				"CREATE FUNCTION trim_name() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := trim(NEW.name); RETURN " +
				"NEW; END $$;",
			Bad:  "CREATE TRIGGER closed BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION refuse();",
			Good: []string{"CREATE TRIGGER trimmed BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION trim_name();"},
		},
		{
			ID: "catalog-change", Severity: Error, Title: "the system's catalog is changed by hand",
			Happens: "The server checks nothing, takes no lock that would be right, records no dependency and tells no " +
				"session: rows may become unreadable, or a dump impossible to restore.",
			Remedy: "The command that is made for it, even if it takes longer.", Link: manual + "catalogs-overview.html",
			Bad:  "UPDATE pg_catalog.pg_class SET reltuples = 0 WHERE oid = 'users'::regclass;",
			Good: []string{"ALTER TABLE users ALTER COLUMN name SET STATISTICS 500;"},
		},
		{
			ID: "ends-other-sessions", Severity: Error, Title: "sessions of others are ended",
			Happens: "Whatever the sessions were doing fails, and is lost: the application's, the backup's, another " +
				"migration's.", Remedy: "Let whimbrel back off and try again; end a session by hand, when you have " +
				"seen whose it is.", Link: manual + "functions-admin.html#FUNCTIONS-ADMIN-SIGNAL",
			Bad:  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'nobody';",
			Good: []string{"SELECT pid, query FROM pg_stat_activity WHERE application_name = 'nobody';"},
		},
		{
			ID: "drop-replication-slot", Severity: Error, Title: "a replication slot is dropped",
			Happens: "Anyone who reads from the slot cannot go on where it stood, and must begin with a new copy.",
			Remedy:  "End the subscription or the replica first, by hand.", Link: manual +
				"functions-admin.html#FUNCTIONS-REPLICATION",
			Bad:  "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'nobody';",
			Good: []string{"SELECT slot_name, active FROM pg_replication_slots;"},
		},
		{
			ID: "login-refused", Severity: Error, Title: "a role or database lets nobody in any more",
			Happens: "Sessions that are open go on; the next one that the application opens is refused.",
			Remedy:  "See that nobody logs in as the role any more, and allow it in the file.", Link: manual +
				"sql-alterrole.html",
			Bad:  "DROP ROLE IF EXISTS whimbrel_nobody;",
			Good: []string{"COMMENT ON TABLE users IS 'people';"},
		},
		{
			ID: "session-default-change", Severity: Warn, Title: "sessions to come behave otherwise",
			Happens: "Code that runs gets other names, times, texts or rights with its next connection, while its old " +
				"connections go on as before: the error depends on the connection.",
			Remedy: "Set it in the new code's connections, and for the role when the old code is gone.", Link: manual +
				"sql-alterrole.html",
			Bad:  "ALTER ROLE ALL SET intervalstyle = 'postgres';",
			Good: []string{"SET LOCAL intervalstyle = 'postgres';"},
		},
		{
			ID: "revoke-privilege", Severity: Warn, Title: "a privilege is taken away",
			Happens: "Code that runs as the role fails at its next statement.",
			Remedy:  "See that nobody uses it, and allow it in the file.", Link: manual + "sql-revoke.html",
			Setup: "GRANT SELECT ON users TO PUBLIC;",
			Bad:   "REVOKE SELECT ON users FROM PUBLIC;",
			Good:  []string{"GRANT SELECT ON orders TO PUBLIC;"},
		},
		{
			ID: "owner-change", Severity: Warn, Title: "somebody else becomes the owner",
			Happens: "The old owner loses all that owners may do and that was never granted: code that runs as it fails, and " +
				"so do later migrations.", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "Grant the old owner what it needs in the same transaction.", Link: manual + "sql-altertable.html",
			Bad:  "ALTER TABLE users OWNER TO CURRENT_USER;",
			Good: []string{"GRANT ALL ON users TO CURRENT_USER;"},
		},
		{
			ID: "host-access", Severity: Error, Title: "the migration reaches outside the database",
			Happens: "COPY … PROGRAM, server files, LOAD, untrusted languages, ALTER SYSTEM, dblink and foreign servers act " +
				"on the server's machine, or from it on others, with all that the server's account may do there: they run " +
				"programs, and read and write files that no backup of the database has. On a managed server they are refused. " +
				"Throw-away servers are behind [walls](security.md), so that a rehearsal cannot show what they do.",
			Remedy: "Bring data in with COPY … FROM stdin, or from a client; leave the server's configuration and its " +
				"extensions of this kind to anyone who runs it. Where it is meant, allow it in the file.", Link: manual +
				"sql-copy.html",
			Bad:  "CREATE TABLE files (name text);\nINSERT INTO files SELECT pg_ls_dir('.');",
			Good: []string{"CREATE TABLE files (name text);\nINSERT INTO files (name) VALUES ('base'), ('global');"},
		},
		{
			ID: "unread-mark", Severity: Error, Title: "a comment that looks like the mark of a down migration",
			Happens: "What is below it runs right after the up migration: a table is made and dropped again, and the " +
				"migration " +
				"is recorded as applied. `up` refuses it.",
			Remedy: "Write \"-- +migrate Down\" in its place. If it is a remark, write \"-- +migrate Prose\" in the line " +
				"above it.", Link: "annotations.md#down",
			Bad: "CREATE TABLE towns (id int PRIMARY KEY);\n\n-- down\nDROP TABLE towns;",
			Good: []string{"CREATE TABLE towns (id int PRIMARY KEY);\n\n-- +migrate Prose\n-- down\n" +
				"ALTER TABLE towns ADD COLUMN depth int;"},
		},
		{
			ID: "server-setting", Severity: Warn, Title: "a setting of the whole server",
			Happens: "ALTER SYSTEM concerns every database of the server, cannot be rolled back, and works only from the next " +
				"reload or restart on.", Remedy: "ALTER DATABASE … SET, or the server's configuration.", Link: manual +
				"sql-altersystem.html",
			Bad:  "ALTER SYSTEM SET work_mem = '64MB';",
			Good: []string{"SET work_mem = '64MB';"},
		},
		{
			ID: "publication-without-replica-identity", Severity: Error, Title: "published rows that cannot be found",
			Happens: "A subscriber finds a row by its replica identity, which is the primary key. Without one, every UPDATE " +
				"and DELETE on the publishing side fails.", Locks: []Lock{{"visits", ShareUpdateExclusive}},
			Remedy: "A primary key, or another replica identity, first.", Link: manual +
				"logical-replication-publication.html#LOGICAL-REPLICATION-PUBLICATION-REPLICA-IDENTITY",
			Setup: "CREATE TABLE visits (path text);",
			Bad:   "CREATE PUBLICATION visits FOR TABLE visits;",
			Good:  []string{"ALTER TABLE visits REPLICA IDENTITY FULL;\nCREATE PUBLICATION visits FOR TABLE visits;"},
		},
		{
			ID: "unpublish-table", Severity: Error, Title: "a table is no longer published",
			Happens: "Subscribers get none of its changes any more, without any error: their copy grows old.",
			Locks:   []Lock{{"orders", ShareUpdateExclusive}},
			Remedy:  "Take it out of the subscriptions first, and allow it in the file.", Link: manual +
				"sql-alterpublication.html",
			Setup: "CREATE PUBLICATION everything FOR TABLE users, orders;",
			Bad:   "ALTER PUBLICATION everything DROP TABLE orders;",
			Good:  []string{"ALTER PUBLICATION everything SET TABLE users, orders;"},
		},
		{
			ID: "replica-identity-nothing", Severity: Error, Title: "rows lose their identity",
			Happens: "UPDATE and DELETE of a published table fail when its rows have no replica identity.",
			Locks:   []Lock{{"users", AccessExclusive}},
			Remedy:  "REPLICA IDENTITY DEFAULT, FULL or USING INDEX.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-REPLICA-IDENTITY",
			Bad:  "ALTER TABLE users REPLICA IDENTITY NOTHING;",
			Good: []string{"ALTER TABLE users REPLICA IDENTITY FULL;"},
		},
	}
}

// adviceHazards are off unless the configuration turns them on: they are true of
// nearly every statement of their kind, or only under conditions that a file does
// not tell.
func adviceHazards() []Hazard {
	return []Hazard{
		{
			ID: "cached-plan-break", Severity: Off, Title: "prepared SELECT * breaks",
			Happens: "A prepared statement with SELECT * or RETURNING * fails once in every session after a column came or " +
				"went, with \"cached plan must not change result type\".", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "Name the columns; or a driver that prepares again.", Link: manual + "sql-prepare.html",
			Bad:  "ALTER TABLE users ADD COLUMN note text;",
			Good: []string{"CREATE TABLE notes (user_id bigint PRIMARY KEY REFERENCES users (id), note text);"},
		},
		{
			ID: "alter-column-type-cached-plan", Severity: Off, Title: "prepared statements break with another type",
			Happens: "Every prepared statement that gives out the column fails once in every session, even where the type " +
				"only became longer.", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "A driver that prepares again.", Link: manual + "sql-prepare.html",
			Bad:  "ALTER TABLE users ALTER COLUMN name TYPE varchar(90);",
			Good: []string{"ALTER TABLE users ADD COLUMN long_name text;"},
		},
		{
			ID: "unique-index-data-dependent", Severity: Off, Title: "duplicates abort the build of a unique index",
			Happens: "If two rows have the same values, the build fails at its end, and leaves an invalid index.",
			Locks:   []Lock{{"users", ShareUpdateExclusive}},
			Remedy:  "Count the duplicates first.", Link: manual + "sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
			Bad:  "CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON users (email);",
			Good: []string{"CREATE INDEX CONCURRENTLY users_email_idx ON users (email);"},
		},
		{
			ID: "fk-missing-index", Severity: Off, Title: "a foreign key without an index",
			Happens: "Each DELETE of a referenced row, and each change of its key, reads all of the referencing table.",
			Locks:   []Lock{{"orders", ShareRowExclusive}, {"users", ShareRowExclusive}},
			Remedy:  "An index on the referencing columns, built concurrently, first.", Link: manual +
				"ddl-constraints.html#DDL-CONSTRAINTS-FK",
			Bad: "ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;",
			Good: []string{"CREATE INDEX CONCURRENTLY orders_user_id_idx ON orders (user_id);\n" +
				"ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;"},
		},
	}
}

// observedHazards are what a rehearsal sees and no rule foresaw.
func observedHazards() []Hazard {
	return []Hazard{
		{
			ID: "observed-rewrite", Severity: Error, Title: "the table was rewritten", Observed: true,
			Happens: "When the statement was run, the files of a table were replaced: all rows were copied while nobody could " +
				"read or write them.", Locks: []Lock{{"users", AccessExclusive}},
			Remedy: "See what the statement does, and take the steps that its own hazard names.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-NOTES",
			Bad:  "DO $$ BEGIN EXECUTE replace('ALTER TABLE people ALTER COLUMN age TYPE bigint', 'people', 'users'); END $$;",
			Good: []string{"ALTER TABLE users ADD COLUMN age_new bigint;"},
		},
		{
			ID: "observed-scan", Severity: Error, Title: "all rows were read under a strong lock", Observed: true,
			Happens: "When the statement was run, it read every row of a table that it held locked against others.",
			Locks:   []Lock{{"users", AccessExclusive}},
			Remedy:  "See what the statement does, and take the steps that its own hazard names.", Link: manual +
				"explicit-locking.html#LOCKING-TABLES",
			Bad:  "DO $$ BEGIN EXECUTE replace('ALTER TABLE people ADD CHECK (age > 0)', 'people', 'users'); END $$;",
			Good: []string{"ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age > 0) NOT VALID;"},
		},
		{
			ID: "not-rehearsed", Severity: Warn, Title: "a part was not rehearsed", Observed: true,
			Happens: "The rehearsal did not come to the statement, or did not run all that it may do elsewhere: a loop found " +
				"nothing to go through, a branch was not taken, a table stayed empty, the server lacked an extension, or " +
				"something failed before. What was not run was not judged, so the statement is unknown.",
			Remedy: "Do what the finding says would settle it; read the statement yourself; or lint it on the schema of a " +
				"database that has what is missing here (`whimbrel lint --pending`).", Link: manual +
				"plpgsql-control-structures.html",
			Setup: "CREATE FUNCTION users_retire() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  IF NEW.age > 150 THEN\n" +
				"    EXECUTE 'DROP TABLE orders';\n  END IF;\n  RETURN NEW;\nEND $$;\n" +
				"CREATE TRIGGER users_retire BEFORE UPDATE OF age ON users FOR EACH ROW EXECUTE FUNCTION users_retire();",
			Bad:  "UPDATE users SET age = age + 1 WHERE id = 3;",
			Good: []string{"UPDATE users SET name = 'Ada' WHERE id = 3;"},
		},
		{
			ID: "statement-fails", Severity: Error, Title: "the server refuses the statement", Refused: "42703",
			Happens: "When the statement was run on the schema that the migrations before it make, the server refused.",
			Remedy:  "Correct the statement, or what comes before it, by what the server says.", Link: manual +
				"errcodes-appendix.html",
			Bad:  "ALTER TABLE users ALTER COLUMN nickname SET DEFAULT 'x';",
			Good: []string{"ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x';"},
		},
	}
}
