package lint_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// fix rewrites one migration that is on ExampleSchema.
func fix(t *testing.T, text string) lint.Fixed {
	t.Helper()
	return fixOn(t, lint.ExampleSchema, text)
}

// fixOn rewrites one migration that is on a schema.
func fixOn(t *testing.T, schema, text string) lint.Fixed {
	t.Helper()
	linter, err := lint.New(lint.Options{Judge: func(m migration.Migration) bool { return m.Version == "002" }})
	require.NoError(t, err)
	fixed, err := linter.Fix(parse(t, schema, text))
	require.NoError(t, err)
	require.Len(t, fixed, 1)
	return fixed[0]
}

func TestMechanicalRewritesLeaveNothingToFind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"an index is built concurrently": {
			"-- why\nCREATE INDEX i ON users (country); -- here\n",
			"-- why\nCREATE INDEX CONCURRENTLY i ON users (country); -- here\n",
		},
		"an index is dropped concurrently": {"DROP INDEX orders_status_idx;\n",
			"DROP INDEX CONCURRENTLY orders_status_idx;\n"},
		"a check is validated afterwards": {
			"-- +migrate Up\nALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17);\n-- +migrate Down\n" +
				"ALTER TABLE users DROP CONSTRAINT adult;\n",
			"-- +migrate Up notransaction\nALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17) NOT VALID;\n" +
				"ALTER TABLE users VALIDATE CONSTRAINT adult;\n-- +migrate Down\nALTER TABLE users DROP CONSTRAINT adult;\n",
		},
		"NOT NULL comes in steps": {
			"ALTER TABLE users ALTER COLUMN age SET NOT NULL;\n",
			"-- +migrate Up notransaction\nALTER TABLE users ADD CONSTRAINT users_age_given CHECK (age IS NOT NULL) NOT " +
				"VALID;\nALTER TABLE users VALIDATE CONSTRAINT users_age_given;\n" +
				"ALTER TABLE users ALTER COLUMN age SET NOT NULL;\nALTER TABLE users DROP CONSTRAINT users_age_given;\n",
		},
		"a unique constraint gets its index first": {
			"ALTER TABLE users ADD CONSTRAINT one UNIQUE (email);\n",
			"CREATE UNIQUE INDEX CONCURRENTLY one ON users (email);\n" +
				"ALTER TABLE users ADD CONSTRAINT one UNIQUE USING INDEX one;\n",
		},
		"a volatile default is filled in batches": {
			"ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();\n",
			"ALTER TABLE users ADD COLUMN token uuid;\nALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();\n" +
				"-- +migrate Batch users by id\nUPDATE users SET token = DEFAULT WHERE token IS NULL AND id > :from AND id <= " +
				":to;\n",
		},
		"an UPDATE runs in batches": {
			"UPDATE users SET age = 1 WHERE age IS NULL OR age < 0;\n",
			"-- +migrate Batch users by id\nUPDATE users SET age = 1 WHERE id > :from AND id <= :to AND ( age IS NULL OR age " +
				"< 0);\n",
		},
		"two statements, one after the other": {
			"CREATE INDEX i ON users (country);\nCREATE INDEX k ON users (age);\n",
			"CREATE INDEX CONCURRENTLY i ON users (country);\nCREATE INDEX CONCURRENTLY k ON users (age);\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixed := fix(t, c.before)
			require.Equal(t, c.after, fixed.After)
			require.Empty(t, fixed.Left)
			require.Contains(t, fixed.Diff(), "+++ b/migrations/002_example.sql")
		})
	}
}

func TestWhatIsNotMechanicalIsLeft(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a dropped column": "ALTER TABLE users DROP COLUMN age;",
		"several commands at once": "ALTER TABLE users ADD COLUMN a text, ADD CONSTRAINT adult CHECK (age " +
			"> 17);",
		"what shares a setting with its neighbour": "SET LOCAL search_path = public;\n" +
			"ALTER TABLE users ADD CONSTRAINT adult CHECK (age > 17);",
		"a statement within a block": "DO $$ BEGIN CREATE INDEX i ON users (country); END $$;",
		"what the file allows": "-- +migrate Allow create-index-not-concurrent the table is small\n" +
			"CREATE INDEX i ON users (country);",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixed := fix(t, text)
			require.False(t, fixed.Changed(), fixed.After)
			require.Empty(t, fixed.Diff())
		})
	}
}

// batchSchema is a schema in which more happens than statements say.
const batchSchema = `CREATE TABLE people (id bigint PRIMARY KEY, a integer, b text, at timestamptz);
CREATE TABLE notes (id bigint PRIMARY KEY, person bigint REFERENCES people ON DELETE CASCADE, a integer);
CREATE TABLE places (id bigint PRIMARY KEY, place integer UNIQUE DEFERRABLE, a integer, EXCLUDE USING btree (a WITH =));
CREATE TABLE late (id bigint PRIMARY KEY, person bigint REFERENCES people DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE parent (id bigint PRIMARY KEY, a integer);
CREATE TABLE child (extra text) INHERITS (parent);
CREATE TABLE stamped (id bigint PRIMARY KEY, a integer, at timestamptz);
CREATE TABLE told (id bigint PRIMARY KEY, a integer);
CREATE TABLE ruled (id bigint PRIMARY KEY, a integer);
CREATE VIEW names AS SELECT id, a FROM people;
CREATE FUNCTION most() RETURNS integer LANGUAGE sql STABLE AS 'SELECT max(a) FROM people';
CREATE FUNCTION twice(n integer) RETURNS integer LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN n * 2; END $$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'UPDATE' THEN NEW.at := now(); END IF; RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO notes (a) VALUES (1); RETURN NULL; END $$;
CREATE TRIGGER tell AFTER DELETE ON told EXECUTE FUNCTION tell();
CREATE TRIGGER tell_row AFTER UPDATE OF a ON told FOR EACH ROW EXECUTE FUNCTION tell();
CREATE RULE also AS ON UPDATE TO ruled DO ALSO INSERT INTO notes (a) VALUES (1);`

func TestWhatWouldComeOutDifferentlyInPartsIsLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, why string }{
		"a view shows the table": {"UPDATE people SET a = (SELECT sum(a) FROM names);",
			"it reads the rows that it changes"},
		"an heir is part of the table": {"UPDATE parent SET a = (SELECT sum(a) FROM child);",
			"it reads the rows that it changes"},
		"a function reads the table": {"UPDATE people SET a = most();",
			"most() may see what other batches have changed"},
		"nobody knows what a function does": {"UPDATE people SET a = unknown(a);", "unknown() may see"},
		"unique numbers move": {"UPDATE places SET place = place + 1;",
			"a row may need a value of places_place_key"},
		"values that exclude each other move": {"UPDATE places SET a = a + 1;",
			"that another row has until its batch comes"},
		"a foreign key deletes what is read": {"DELETE FROM people WHERE a < (SELECT count(*) FROM notes);",
			"it reads the rows that it changes"},
		"a copy reads what it fills": {"INSERT INTO notes (id, a) SELECT id, a FROM people WHERE a > (SELECT " +
			"count(*) FROM notes);", "it reads the rows that it changes"},
		"a copy of a single row":      {"INSERT INTO notes (id, a) SELECT 1, stddev(a) FROM people;", ""},
		"a trigger for the statement": {"DELETE FROM told;", `the trigger tell runs once for a statement`},
		"a trigger fills what is read": {"UPDATE told SET a = notes.a FROM notes WHERE notes.id = told.id;",
			"the trigger tell_row may change what it reads"},
		"a rule for the statement": {"UPDATE ruled SET a = 1;", "the rule also runs once for a statement"},
		"a trigger would fire for a new column": {"ALTER TABLE stamped ADD COLUMN x uuid DEFAULT gen_random_uuid();",
			"the trigger stamp would fire"},
		"a foreign key waits for the end": {"INSERT INTO late VALUES (1, 7);\nUPDATE stamped SET a = 1;\n" +
			"INSERT INTO people VALUES (7);", "a constraint of the changed rows is checked at the end"},
		"one that the file makes": {"ALTER TABLE told ADD CHECK (id > 0);\n" +
			"ALTER TABLE notes ADD FOREIGN KEY (a) REFERENCES parent DEFERRABLE INITIALLY DEFERRED NOT VALID;\n" +
			"INSERT INTO notes (id, a) VALUES (1, 1);\nINSERT INTO parent VALUES (1);", "checked at the end"},
		"rows stay locked": {"SELECT FROM people WHERE id = 1 FOR UPDATE;\n" +
			"ALTER TABLE told ADD CHECK (id > 0);", "line 1 (SELECT) is for a single one"},
		"an exclusion constraint is rebuilt": {"REINDEX TABLE places;", "cannot be rebuilt concurrently"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixed := fixOn(t, batchSchema, c.text)
			require.False(t, fixed.Changed(), fixed.After)
			if c.why != "" {
				require.NotEmpty(t, fixed.Left)
				require.Contains(t, fixed.Left[0].NotFixed, c.why)
			}
		})
	}
}

// What only looks as if it could see itself runs in batches.
func TestChangesOfRowsThatAreApartRunInBatches(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a trigger that sets its row's time": "UPDATE stamped SET a = people.a FROM people WHERE people.id = stamped.id;",
		"a trigger for another column":       "ALTER TABLE told ADD COLUMN x uuid DEFAULT gen_random_uuid();",
		"a trigger for another event":        "UPDATE told SET a = 1;",
		"a function of its arguments":        "UPDATE people SET a = twice(a), at = now();",
		"another table":                      "UPDATE notes SET a = (SELECT max(a) FROM names) WHERE a IS NULL;",
		"a foreign key takes rows along":     "DELETE FROM people WHERE a > 3;",
		"a copy":                             "INSERT INTO parent (id, a) SELECT id, twice(a) FROM people;",
		"one statement of deferred rows":     "UPDATE late SET person = NULL;",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fixed := fixOn(t, batchSchema, text)
			require.Contains(t, fixed.After, "-- +migrate Batch", "%+v", fixed.Left)
		})
	}
}
