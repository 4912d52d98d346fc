package whimbrel_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestWhatPostgreSQLOftenRefusesHasARemedyOfOurs(t *testing.T) {
	const deferred = "CREATE TABLE u (id int PRIMARY KEY); CREATE TABLE o (id int, u int REFERENCES u DEFERRABLE " +
		"INITIALLY DEFERRED);\n" +
		"INSERT INTO u VALUES (1); INSERT INTO o VALUES (1, 1);\n"
	const first = "CREATE TABLE first (); CREATE TABLE f (i int); " +
		"CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE INDEX p_old ON p (id);"
	for name, test := range map[string]struct{ text, state, remedy, cured string }{
		"pending trigger events": {
			deferred + "ALTER TABLE o ADD COLUMN x int;", "55006", "SET CONSTRAINTS ALL IMMEDIATE",
			deferred + "SET CONSTRAINTS ALL IMMEDIATE;\nALTER TABLE o ADD COLUMN x int;",
		},
		"COMMIT in a DO block": {
			"DO $$ BEGIN PERFORM 1; COMMIT; END $$;", "2D000", "Up notransaction",
			"-- +migrate Up notransaction\nDO $$ BEGIN CREATE TABLE d (); COMMIT; END $$;",
		},
		"COMMIT in a procedure": {
			"CREATE PROCEDURE c() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL c();", "2D000", "Up notransaction",
			"-- +migrate Up notransaction\nCREATE PROCEDURE c() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL c();",
		},
		"a concurrent index in a DO block": {
			"DO $$ BEGIN EXECUTE 'CREATE INDEX CONCURRENTLY f_i ON f (i)'; END $$;", "25001", "write it into the file as it is",
			"CREATE INDEX CONCURRENTLY f_i ON f (i);",
		},
		"VACUUM in a DO block that is no transaction of ours": {
			"-- +migrate Up notransaction\nDO $$ BEGIN EXECUTE 'VACUUM'; END $$;", "25001", "write it into the file as it is",
			"VACUUM f;",
		},
		"a concurrent index of a partitioned table": {
			"CREATE INDEX CONCURRENTLY p_id ON p (id);", "0A000", "ON ONLY",
			"CREATE INDEX p_id ON ONLY p (id);",
		},
		"dropping one": {
			"DROP INDEX CONCURRENTLY p_old;", "0A000", "without CONCURRENTLY",
			"DROP INDEX p_old;",
		},
		"dropping the schema of whimbrel's own tables": {
			"DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;", "42P01", "takes away whimbrel's own tables",
			"CREATE TABLE d ();",
		},
		"dropping whimbrel's own table": {"DROP TABLE schema_migrations;", "42P01", "takes away whimbrel's own tables",
			"CREATE TABLE d ();"},
		"dropping it where a step is alone": {
			"-- +migrate Up notransaction\nDROP SCHEMA public CASCADE;", "42P01", "takes away whimbrel's own tables", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(files{"1_first.sql": first, "2_x.sql": test.text}).Up(t.Context(), whimbrel.UpOptions{})
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, test.state, e.SQLState)
			require.Contains(t, e.Remedy, test.remedy)
			require.Equal(t, "1", b.applied(), "nothing is recorded that is not so")
			require.Equal(t, "first", b.text("SELECT 'first'::regclass::text"))
			if test.cured == "" {
				return
			}
			_, err = b.migrator(files{"1_first.sql": first, "2_x.sql": test.cured}).Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err, "what the remedy says works")
			require.Equal(t, "1 2", b.applied())
		})
	}
}

func TestRefusalsThatOnlyLookLikeThoseHaveNoSuchRemedy(t *testing.T) {
	for name, text := range map[string]string{
		"another table that is not there":     "SELECT * FROM archive.migrations;",
		"a table of another name, as our own": "CREATE SCHEMA old; SELECT * FROM old.schema_migrations;",
		"another thing that is not supported": "CREATE TABLE v (a int); CREATE VIEW w AS SELECT a FROM v; ALTER TABLE v " +
			"ALTER COLUMN a TYPE bigint;",
		"a function that is not there":          "SELECT concurrently_indexed();",
		"a column whose name says concurrently": "CREATE TABLE v (\"index concurrently\" nothing);",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(files{"1_x.sql": text}).Up(t.Context(), whimbrel.UpOptions{})
			var e *whimbrel.Error
			require.ErrorAs(t, err, &e)
			require.Empty(t, e.Remedy)
		})
	}
}
