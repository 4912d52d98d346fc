package lint

import "strings"

// notNullInSteps is the good way to NOT NULL, for users.age.
var notNullInSteps = []string{
	"ALTER TABLE users ADD CONSTRAINT users_age_not_null CHECK (age IS NOT NULL) NOT VALID;",
	"ALTER TABLE users VALIDATE CONSTRAINT users_age_not_null;",
	"ALTER TABLE users ALTER COLUMN age SET NOT NULL;\nALTER TABLE users DROP CONSTRAINT users_age_not_null;",
}

func columnHazards() []Hazard {
	stopsUsers := []Lock{{"users", AccessExclusive}}
	return []Hazard{
		{
			ID: "add-column-volatile-default", Severity: Error, Title: "every row gets a value of its own",
			Happens: "A default that is computed once is kept in the catalog and costs nothing. One that differs from row to " +
				"row, as gen_random_uuid() and clock_timestamp() do, has the server write the whole table and all its indexes " +
				"again under ACCESS EXCLUSIVE.",
			Locks: stopsUsers, Remedy: "Add the column without a default, set the default for rows to come, and fill the " +
				"others in batches.", Link: manual + "ddl-alter.html#DDL-ALTER-ADDING-A-COLUMN",
			Bad: "ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();",
			Good: []string{`ALTER TABLE users ADD COLUMN token uuid;
ALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();
-- +migrate Batch users by id
UPDATE users SET token = gen_random_uuid() WHERE token IS NULL AND id > :from AND id <= :to;`},
		},
		{
			ID: "add-column-serial", Severity: Error, Title: "a serial column numbers all rows",
			Happens: "serial is an integer with nextval() as default, which differs from row to row: the whole table is " +
				"rewritten under ACCESS EXCLUSIVE.",
			Locks: stopsUsers, Remedy: "A sequence, a plain column, a default, and batches for the rows that are there.",
			Link: manual + "datatype-numeric.html#DATATYPE-SERIAL",
			Bad:  "ALTER TABLE users ADD COLUMN number bigserial;",
			Good: []string{`CREATE SEQUENCE users_number_seq;
ALTER TABLE users ADD COLUMN number bigint;
ALTER TABLE users ALTER COLUMN number SET DEFAULT nextval('users_number_seq');
-- +migrate Batch users by id
UPDATE users SET number = DEFAULT WHERE number IS NULL AND id > :from AND id <= :to;`},
		},
		{
			ID: "add-column-identity", Severity: Error, Title: "an identity column numbers all rows",
			Happens: "Every row that is there gets a number: the whole table is rewritten under ACCESS EXCLUSIVE.",
			Locks:   stopsUsers, Remedy: "A sequence, a plain column, a default, and batches for the rows that are there.",
			Link:  manual + "ddl-identity-columns.html",
			Setup: "CREATE TABLE visits (at timestamptz);",
			Bad:   "ALTER TABLE users ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;",
			Good: []string{"CREATE SEQUENCE users_number_seq;\nALTER TABLE users ADD COLUMN number bigint;\n" +
				"ALTER TABLE users ALTER COLUMN number SET DEFAULT nextval('users_number_seq');"},
		},
		{
			ID: "add-column-generated-stored", Severity: Error, Title: "a stored generated column is computed for all rows",
			Happens: "The server rewrites the whole table under ACCESS EXCLUSIVE to store the value in every row.",
			Locks:   stopsUsers, Remedy: "A plain column with a trigger, filled in batches; or from PostgreSQL 18 on a " +
				"VIRTUAL one.", Link: manual + "ddl-generated-columns.html",
			Bad: "ALTER TABLE users ADD COLUMN address text GENERATED ALWAYS AS (lower(email)) STORED;",
			Good: []string{`ALTER TABLE users ADD COLUMN address text;
CREATE FUNCTION users_address() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.address := lower(NEW.email); RETURN NEW; END $$;
CREATE TRIGGER users_address BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION users_address();
-- +migrate Batch users by id
UPDATE users SET address = lower(email) WHERE id > :from AND id <= :to;`},
		},
		{
			ID: "add-column-constrained-domain", Severity: Error, Title: "the constraint of a domain is checked for all rows",
			Happens: "A column of a domain with a constraint makes the server rewrite every row under ACCESS EXCLUSIVE, " +
				"even though the value is NULL in all of them.",
			Locks: stopsUsers, Remedy: "Use the domain's base type, and a CHECK that is added NOT VALID.", Link: manual +
				"domains.html",
			Setup: "CREATE DOMAIN positive AS integer CHECK (VALUE > 0);",
			Bad:   "ALTER TABLE users ADD COLUMN points positive;",
			Good: []string{"ALTER TABLE users ADD COLUMN points integer;\n" +
				"ALTER TABLE users ADD CONSTRAINT users_points_positive CHECK (points > 0) NOT VALID;",
				"ALTER TABLE users VALIDATE CONSTRAINT users_points_positive;"},
		},
		{
			ID: "add-column-inline-check", Severity: Error, Title: "a CHECK at a new column reads all rows",
			Happens: "The column is NULL or its default in every row, and yet the server reads them all under ACCESS " +
				"EXCLUSIVE to check them.",
			Locks: stopsUsers, Remedy: "Add the column, then the CHECK with NOT VALID, and validate it in another " +
				"transaction.", Link: manual + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
			Bad: "ALTER TABLE users ADD COLUMN points integer CHECK (points >= 0);",
			Good: []string{"ALTER TABLE users ADD COLUMN points integer;\n" +
				"ALTER TABLE users ADD CONSTRAINT users_points_check CHECK (points >= 0) NOT VALID;",
				"ALTER TABLE users VALIDATE CONSTRAINT users_points_check;"},
		},
		{
			ID: "add-column-inline-unique", Severity: Error, Title: "a key at a new column is built at once",
			Happens: "UNIQUE or PRIMARY KEY at the column builds its index under ACCESS EXCLUSIVE.",
			Locks:   stopsUsers, Remedy: "Add the column, build a unique index concurrently, and make the constraint of that.",
			Link: manual + "sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
			Bad:  "ALTER TABLE users ADD COLUMN phone text UNIQUE;",
			Good: []string{"ALTER TABLE users ADD COLUMN phone text;\n" +
				"CREATE UNIQUE INDEX CONCURRENTLY users_phone_key ON users (phone);\n" +
				"ALTER TABLE users ADD CONSTRAINT users_phone_key UNIQUE USING INDEX users_phone_key;"},
		},
		{
			ID: "add-column-not-null-no-default", Severity: Error, Title: "a required column without a value",
			Happens: "The rows that are there have no value for it, and the statement fails. On an empty table it works, and " +
				"then INSERTs of the code that still runs fail.",
			Refused: "23502", Remedy: "A constant default; or allow NULL, fill it, and come to NOT NULL in steps.",
			Link: manual + "ddl-alter.html#DDL-ALTER-ADDING-A-COLUMN",
			Bad:  "ALTER TABLE users ADD COLUMN plan text NOT NULL;",
			Good: []string{"ALTER TABLE users ADD COLUMN plan text NOT NULL DEFAULT 'free';"},
		},
		{
			ID: "add-column-inline-references", Severity: Error,
			Title: "the default of a new foreign key is looked up for all rows",
			Happens: "With a default that is not NULL, both tables are read while the one is locked against everybody and the " +
				"other against writers. (Without a default nothing is read, and it is fine.)",
			Locks:  []Lock{{"orders", AccessExclusive}, {"users", ShareRowExclusive}},
			Remedy: "Add the column, then the foreign key with NOT VALID, and validate it in another transaction.",
			Link:   manual + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
			Bad:    "ALTER TABLE orders ADD COLUMN seller_id bigint DEFAULT 1 REFERENCES users (id);",
			Good:   []string{"ALTER TABLE orders ADD COLUMN seller_id bigint REFERENCES users (id);"},
		},
		{
			ID: "add-column-json", Severity: Warn, Title: "json cannot be compared",
			Happens: "The type json has no equality. SELECT DISTINCT, GROUP BY and UNION over whole rows, which worked " +
				"yesterday, fail from the moment the table has such a column.",
			Locks: stopsUsers, Remedy: "jsonb.", Link: manual + "datatype-json.html",
			Bad:  "ALTER TABLE users ADD COLUMN settings json;",
			Good: []string{"ALTER TABLE users ADD COLUMN settings jsonb;"},
		},
		{
			ID: "wide-table", Severity: Error, Title: "too many columns",
			Happens: "A table has at most 1600 columns, and those that were dropped count for ever.",
			Refused: "54011", Remedy: "Another table, or jsonb.", Link: manual + "limits.html",
			Setup: wideTable(),
			Bad:   "ALTER TABLE wide ADD COLUMN one_more text;",
			Good:  []string{"CREATE TABLE wide_more (id bigint PRIMARY KEY, one_more text);"},
		},
		{
			ID: "set-not-null-scan", Severity: Error, Title: "SET NOT NULL reads all rows",
			Happens: "The server reads the whole table under ACCESS EXCLUSIVE, unless a valid CHECK says, in a conjunct of " +
				"its own, that the column is not NULL.",
			Locks: stopsUsers, Remedy: "Add such a CHECK with NOT VALID, validate it in another transaction, set NOT NULL, " +
				"drop the CHECK.", Link: manual + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
			Bad:  "ALTER TABLE users ALTER COLUMN age SET NOT NULL;",
			Good: notNullInSteps,
		},
		{
			ID: "drop-not-null", Severity: Warn, Title: "code that runs will meet NULL",
			Happens: "Code that was written while the column was NOT NULL need not expect NULL, and fails when the first one " +
				"comes.",
			Locks: stopsUsers, Remedy: "Deploy readers that cope with NULL before the first one can be written; then allow " +
				"it in the file.", Link: manual + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
			Bad: "ALTER TABLE users ALTER COLUMN email DROP NOT NULL;",
			Good: []string{"-- +migrate Allow drop-not-null readers cope with NULL since release 41\n" +
				"ALTER TABLE users ALTER COLUMN email DROP NOT NULL;"},
		},
		{
			ID: "drop-default-of-required-column", Severity: Error, Title: "a required column loses its default",
			Happens: "INSERTs of the code that runs which leave the column out fail from the commit on.",
			Locks:   []Lock{{"orders", AccessExclusive}}, Remedy: "Deploy code that always gives a value first.", Link: manual +
				"ddl-default.html",
			Bad:  "ALTER TABLE orders ALTER COLUMN status DROP DEFAULT;",
			Good: []string{"ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'open';"},
		},
		{
			ID: "identity-always", Severity: Warn, Title: "a column that no longer takes values",
			Happens: "GENERATED ALWAYS refuses every INSERT and UPDATE that gives the column a value, as imports, restores " +
				"and old code do.",
			Locks: []Lock{{"orders", AccessExclusive}}, Remedy: "GENERATED BY DEFAULT.", Link: manual +
				"ddl-identity-columns.html",
			Bad:  "ALTER TABLE orders ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;",
			Good: []string{"ALTER TABLE orders ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY;"},
		},
		{
			ID: "set-generated-expression", Severity: Error, Title: "a generated column is recomputed",
			Versions: "17 and newer", Since: 17,
			Happens: "Another expression for a stored generated column has the server rewrite the whole table under ACCESS " +
				"EXCLUSIVE.",
			Locks: []Lock{{"visits", AccessExclusive}}, Remedy: "A new column, filled in batches.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DESC-SET-EXPRESSION",
			Setup: "CREATE TABLE visits (id bigint PRIMARY KEY, path text, short text GENERATED ALWAYS AS (left(path, 10)) " +
				"STORED);",
			Bad:  "ALTER TABLE visits ALTER COLUMN short SET EXPRESSION AS (left(path, 20));",
			Good: []string{"ALTER TABLE visits ADD COLUMN longer text;"},
		},
		{
			ID: "rename-column", Severity: Error, Title: "a column gets another name",
			Happens: "It is done in no time, and from that moment every statement with the old name fails. No deployment is " +
				"quick enough to change all of them in the same instant.",
			Locks: stopsUsers, Remedy: "A new column that a trigger keeps in step, until no code knows the old one.",
			Link: manual + "ddl-alter.html#DDL-ALTER-RENAMING-COLUMN",
			Bad:  "ALTER TABLE users RENAME COLUMN name TO full_name;",
			Good: []string{"ALTER TABLE users ADD COLUMN full_name varchar(50);"},
		},
		{
			ID: "drop-column", Severity: Error, Title: "a column is dropped",
			Happens: "Statements that still name it fail, and its values are lost. Indexes, keys and foreign keys with the " +
				"column go without a word.",
			Locks: stopsUsers, Remedy: "Deploy code that does not know the column, wait until nothing can go back, and " +
				"allow it in the file.", Link: manual + "ddl-alter.html#DDL-ALTER-REMOVING-A-COLUMN",
			Bad: "ALTER TABLE users DROP COLUMN country;",
			Good: []string{"-- +migrate Allow drop-column nothing reads it since release 41\n" +
				"ALTER TABLE users DROP COLUMN country;"},
		},
	}
}

// wideTable makes a table with as many columns as a table can have.
func wideTable() string {
	return `CREATE TABLE wide (` + columnsUpTo(maxColumns) + `);`
}

func columnsUpTo(n int) string {
	var all strings.Builder
	all.WriteString("c1 boolean")
	for i := 2; i <= n; i++ {
		all.WriteString(", c" + number(i) + " boolean")
	}
	return all.String()
}

func typeHazards() []Hazard {
	stopsUsers := []Lock{{"users", AccessExclusive}}
	return []Hazard{
		{
			ID: "alter-column-type-rewrite", Severity: Error, Title: "another type rewrites the table",
			Happens: "Unless the values lie on disk in the same way for both types, the server writes the whole table and all " +
				"its indexes under ACCESS EXCLUSIVE.",
			Locks: stopsUsers, Remedy: "A new column of the new type, kept in step by a trigger and filled in batches, " +
				"until the code reads that.", Link: manual + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DATA-TYPE",
			Bad:  "ALTER TABLE users ALTER COLUMN age TYPE bigint;",
			Good: []string{"ALTER TABLE users ALTER COLUMN name TYPE varchar(90);"},
		},
		{
			ID: "alter-column-type-recheck", Severity: Error, Title: "another type reads the table again",
			Happens: "The values stay as they are, but a CHECK on the column is checked again, or an index with an " +
				"expression, a condition or another collation is built again, under ACCESS EXCLUSIVE.",
			Locks: stopsUsers, Remedy: "Drop the CHECK, change the type, add the CHECK again with NOT VALID, and validate " +
				"it in another transaction.", Link: manual + "sql-altertable.html#SQL-ALTERTABLE-NOTES",
			Setup: "ALTER TABLE users ADD CONSTRAINT users_name_long CHECK (length(name) > 0);",
			Bad:   "ALTER TABLE users ALTER COLUMN name TYPE varchar(90);",
			Good: []string{"ALTER TABLE users DROP CONSTRAINT users_name_long;\n" +
				"ALTER TABLE users ALTER COLUMN name TYPE varchar(90);\n" +
				"ALTER TABLE users ADD CONSTRAINT users_name_long CHECK (length(name) > 0) NOT VALID;",
				"ALTER TABLE users VALIDATE CONSTRAINT users_name_long;"},
		},
		{
			ID: "alter-column-type-dependents", Severity: Error, Title: "a view reads the column",
			Happens: "The server refuses to change the type of a column that a view or rule reads.",
			Refused: "0A000", Remedy: "Drop the view, change the type, and make the view again in one transaction.",
			Link:  manual + "sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DATA-TYPE",
			Setup: "CREATE VIEW names AS SELECT id, name FROM users;",
			Bad:   "ALTER TABLE users ALTER COLUMN name TYPE text;",
			Good: []string{"-- +migrate Allow drop-view it is made again\nDROP VIEW names;\n" +
				"ALTER TABLE users ALTER COLUMN name TYPE text;\nCREATE VIEW names AS SELECT id, name FROM users;"},
		},
		{
			ID: "alter-column-narrowing", Severity: Error, Title: "values may not fit into the new type",
			Happens: "A value that does not fit makes the statement fail after it has held its lock for a long time, or is " +
				"cut without a word, as digits behind the point are.",
			Locks: stopsUsers, Remedy: "Look for such values first, and keep new ones out with a CHECK.", Link: manual +
				"sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DATA-TYPE",
			Bad:  "ALTER TABLE users ALTER COLUMN age TYPE smallint;",
			Good: []string{"ALTER TABLE users ADD CONSTRAINT users_age_small CHECK (age < 200) NOT VALID;"},
		},
	}
}
