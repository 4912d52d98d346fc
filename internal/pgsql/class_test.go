package pgsql

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestLeadingKeywordsGiveClassAndCommand(t *testing.T) {
	t.Parallel()
	for class, commands := range map[Class]map[string]string{
		TransactionControl: {
			"BEGIN":                              "BEGIN",
			"begin work":                         "BEGIN",
			"BEGIN ISOLATION LEVEL SERIALIZABLE": "BEGIN",
			"START TRANSACTION READ ONLY":        "START TRANSACTION",
			"COMMIT":                             "COMMIT",
			"COMMIT AND CHAIN":                   "COMMIT",
			"END":                                "END",
			"ROLLBACK":                           "ROLLBACK",
			"ROLLBACK TO SAVEPOINT a":            "ROLLBACK TO",
			"ABORT":                              "ABORT",
			"SAVEPOINT a":                        "SAVEPOINT",
			"RELEASE SAVEPOINT a":                "RELEASE",
			"PREPARE TRANSACTION 'a'":            "PREPARE TRANSACTION",
			"COMMIT PREPARED 'a'":                "COMMIT PREPARED",
			"ROLLBACK PREPARED 'a'":              "ROLLBACK PREPARED",
			"SET TRANSACTION READ ONLY":          "SET TRANSACTION",
			"SET LOCAL TRANSACTION READ ONLY":    "SET LOCAL TRANSACTION",
			"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": "SET SESSION CHARACTERISTICS",
		},
		Alone: {
			"CREATE INDEX CONCURRENTLY i ON t (a)":              "CREATE INDEX CONCURRENTLY",
			"create unique index concurrently i on t (a)":       "CREATE UNIQUE INDEX CONCURRENTLY",
			"CREATE /* a */ INDEX -- b\n CONCURRENTLY ON t (a)": "CREATE INDEX CONCURRENTLY",
			"DROP INDEX CONCURRENTLY IF EXISTS i":               "DROP INDEX CONCURRENTLY",
			"REINDEX TABLE CONCURRENTLY t":                      "REINDEX TABLE CONCURRENTLY",
			"REINDEX (CONCURRENTLY, VERBOSE) INDEX i":           "REINDEX INDEX CONCURRENTLY",
			"REINDEX (CONCURRENTLY true) TABLE t":               "REINDEX TABLE CONCURRENTLY",
			"REINDEX (VERBOSE) TABLE CONCURRENTLY t":            "REINDEX TABLE CONCURRENTLY",
			"REINDEX DATABASE d":                                "REINDEX DATABASE",
			"REINDEX SYSTEM d":                                  "REINDEX SYSTEM",
			"REINDEX SCHEMA s":                                  "REINDEX SCHEMA",
			"REINDEX (VERBOSE) SCHEMA CONCURRENTLY s":           "REINDEX SCHEMA CONCURRENTLY",
			"VACUUM":                  "VACUUM",
			"VACUUM (ANALYZE) t":      "VACUUM",
			"CLUSTER":                 "CLUSTER",
			"CLUSTER VERBOSE":         "CLUSTER",
			"CLUSTER (VERBOSE)":       "CLUSTER",
			"CLUSTER -- all\n":        "CLUSTER",
			"REPACK":                  "REPACK",
			"REPACK (VERBOSE)":        "REPACK",
			"REPACK USING INDEX":      "REPACK",
			"REPACK (CONCURRENTLY) t": "REPACK",
			"REPACK (CONCURRENTLY on) t USING INDEX i":      "REPACK",
			"REPACK (ANALYZE) t":                            "REPACK",
			"CREATE DATABASE d":                             "CREATE DATABASE",
			"DROP DATABASE d":                               "DROP DATABASE",
			"ALTER DATABASE d SET TABLESPACE s":             "ALTER DATABASE",
			"CREATE TABLESPACE s LOCATION '/x'":             "CREATE TABLESPACE",
			"DROP TABLESPACE s":                             "DROP TABLESPACE",
			"ALTER SYSTEM SET a = 1":                        "ALTER SYSTEM",
			"ALTER TABLE t DETACH PARTITION p CONCURRENTLY": "ALTER TABLE",
			"ALTER TABLE IF EXISTS ONLY s.t * DETACH PARTITION s.p CONCURRENTLY": "ALTER TABLE",
			`ALTER TABLE "a b"."c" DETACH /**/ PARTITION p concurrently`:         "ALTER TABLE",
			"CREATE SUBSCRIPTION s CONNECTION 'a' PUBLICATION p": "CREATE " +
				"SUBSCRIPTION",
			"CREATE SUBSCRIPTION s CONNECTION 'a' PUBLICATION p WITH (enabled = false, create_slot = true)": "CREATE " +
				"SUBSCRIPTION",
			"DROP SUBSCRIPTION IF EXISTS s": "DROP SUBSCRIPTION",
			"ALTER SUBSCRIPTION s REFRESH PUBLICATION": "ALTER " +
				"SUBSCRIPTION",
			"ALTER SUBSCRIPTION s REFRESH PUBLICATION WITH (copy_data = false)": "ALTER " +
				"SUBSCRIPTION",
			"ALTER SUBSCRIPTION s REFRESH SEQUENCES": "ALTER " +
				"SUBSCRIPTION",
			"ALTER SUBSCRIPTION s SET PUBLICATION p": "ALTER " +
				"SUBSCRIPTION",
			"ALTER SUBSCRIPTION s ADD PUBLICATION p WITH (refresh)": "ALTER " +
				"SUBSCRIPTION",
			"ALTER SUBSCRIPTION s DROP PUBLICATION p WITH (refresh = 'on')": "ALTER " +
				"SUBSCRIPTION",
			"ALTER SUBSCRIPTION s SET (failover = false)": "ALTER " +
				"SUBSCRIPTION",
			"ALTER SUBSCRIPTION s SET (slot_name = 'a', two_phase = false)": "ALTER " +
				"SUBSCRIPTION",
			"DISCARD ALL": "DISCARD ALL",
		},
		Definition: {
			"CREATE TABLE t ()":                                             "CREATE TABLE",
			"CREATE TABLE IF NOT EXISTS t ()":                               "CREATE TABLE",
			"CREATE TEMP TABLE t ()":                                        "CREATE TEMP TABLE",
			"CREATE UNLOGGED TABLE t ()":                                    "CREATE UNLOGGED TABLE",
			"CREATE TABLE t AS SELECT 1":                                    "CREATE TABLE",
			"CREATE INDEX i ON t (a)":                                       "CREATE INDEX",
			`CREATE INDEX "concurrently" ON t (a)`:                          "CREATE INDEX",
			"CREATE UNIQUE INDEX i ON t (a)":                                "CREATE UNIQUE INDEX",
			"CREATE OR REPLACE FUNCTION f() RETURNS int":                    "CREATE OR REPLACE FUNCTION",
			"CREATE PROCEDURE p()":                                          "CREATE PROCEDURE",
			"CREATE MATERIALIZED VIEW v AS SELECT 1":                        "CREATE MATERIALIZED VIEW",
			"CREATE OR REPLACE TEMP RECURSIVE VIEW v":                       "CREATE OR REPLACE TEMP RECURSIVE VIEW",
			"CREATE CONSTRAINT TRIGGER t":                                   "CREATE CONSTRAINT TRIGGER",
			"CREATE EVENT TRIGGER t":                                        "CREATE EVENT TRIGGER",
			"CREATE FOREIGN DATA WRAPPER w":                                 "CREATE FOREIGN DATA WRAPPER",
			"CREATE FOREIGN TABLE t ()":                                     "CREATE FOREIGN TABLE",
			"CREATE USER MAPPING FOR u":                                     "CREATE USER MAPPING",
			"CREATE USER u":                                                 "CREATE USER",
			"CREATE OPERATOR CLASS c":                                       "CREATE OPERATOR CLASS",
			"CREATE OPERATOR === ()":                                        "CREATE OPERATOR",
			"CREATE TEXT SEARCH CONFIGURATION c":                            "CREATE TEXT SEARCH CONFIGURATION",
			"CREATE EXTENSION IF NOT EXISTS pgcrypto":                       "CREATE EXTENSION",
			"CREATE SOMETHING NEW":                                          "CREATE",
			"ALTER TABLE t ADD COLUMN a int":                                "ALTER TABLE",
			"ALTER TABLE t DETACH PARTITION p":                              "ALTER TABLE",
			"ALTER TABLE t DETACH PARTITION p FINALIZE":                     "ALTER TABLE",
			"ALTER TABLE t DROP COLUMN concurrently":                        "ALTER TABLE",
			"ALTER TYPE e ADD VALUE 'a'":                                    "ALTER TYPE",
			"ALTER DATABASE d SET work_mem = 1":                             "ALTER DATABASE",
			"ALTER DATABASE d OWNER TO o":                                   "ALTER DATABASE",
			"ALTER TABLESPACE s RENAME TO r":                                "ALTER TABLESPACE",
			"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO u":             "ALTER DEFAULT PRIVILEGES",
			"ALTER SUBSCRIPTION s ENABLE":                                   "ALTER SUBSCRIPTION",
			"ALTER SUBSCRIPTION s SET (slot_name = 'a')":                    "ALTER SUBSCRIPTION",
			"ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)": "ALTER SUBSCRIPTION",
			"ALTER SUBSCRIPTION s ADD PUBLICATION p, q WITH (copy_data = true, refresh off)": "ALTER " +
				"SUBSCRIPTION",
			"CREATE SUBSCRIPTION s CONNECTION 'a' PUBLICATION p WITH (connect = false)": "CREATE " +
				"SUBSCRIPTION",
			"CREATE SUBSCRIPTION s CONNECTION 'a' PUBLICATION p WITH (slot_name = NONE, create_slot = 'false')": "CREATE " +
				"SUBSCRIPTION",
			"DROP TABLE t":                                 "DROP TABLE",
			"DROP INDEX i":                                 "DROP INDEX",
			"DROP OWNED BY u":                              "DROP OWNED",
			"COMMENT ON TABLE t IS 'x'":                    "COMMENT",
			"GRANT ALL ON t TO u":                          "GRANT",
			"REVOKE ALL ON t FROM u":                       "REVOKE",
			"SECURITY LABEL ON TABLE t IS 'x'":             "SECURITY LABEL",
			"REINDEX TABLE t":                              "REINDEX TABLE",
			"REINDEX (CONCURRENTLY false) TABLE t":         "REINDEX TABLE",
			"REINDEX (VERBOSE, CONCURRENTLY off) INDEX i":  "REINDEX INDEX",
			"REFRESH MATERIALIZED VIEW v":                  "REFRESH MATERIALIZED VIEW",
			"REFRESH MATERIALIZED VIEW CONCURRENTLY v":     "REFRESH MATERIALIZED VIEW CONCURRENTLY",
			"IMPORT FOREIGN SCHEMA s FROM SERVER x INTO y": "IMPORT FOREIGN SCHEMA",
			"REASSIGN OWNED BY a TO b":                     "REASSIGN OWNED",
			"SELECT a, (b) INTO TEMP t FROM u":             "SELECT",
			"SELECT a IS DISTINCT FROM b INTO t":           "SELECT",
			"WITH x AS (SELECT 1) SELECT * INTO t FROM x":  "WITH",
		},
		Change: {
			"INSERT INTO t VALUES (1)":                           "INSERT",
			"UPDATE t SET a = 1":                                 "UPDATE",
			"DELETE FROM t":                                      "DELETE",
			"MERGE INTO t USING u ON true":                       "MERGE",
			"TRUNCATE TABLE t":                                   "TRUNCATE",
			"COPY t (a, b) FROM '/file'":                         "COPY",
			"COPY t FROM PROGRAM 'x'":                            "COPY",
			`COPY "to".to FROM '/file'`:                          "COPY",
			"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x": "WITH",
			"WITH RECURSIVE x (a) AS (SELECT 1), y AS (SELECT 2) UPDATE t SET a = 1":                                   "WITH",
			"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x":                                                    "WITH",
			"WITH x AS NOT MATERIALIZED (UPDATE t SET a = 1 RETURNING *) TABLE x":                                      "WITH",
			"WITH x AS (SELECT 1), y AS (INSERT INTO t TABLE x RETURNING 1) SELECT 1":                                  "WITH",
			"WITH x AS (SELECT 1) SEARCH DEPTH FIRST BY a SET b MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE": "WITH",
		},
		Query: {
			"SELECT 1":                                "SELECT",
			"SELECT (SELECT 1) AS a":                  "SELECT",
			"SELECT f((1), a.into)":                   "SELECT",
			`SELECT 'INTO', "into" -- INTO`:           "SELECT",
			"VALUES (1)":                              "VALUES",
			"TABLE t":                                 "TABLE",
			"SHOW ALL":                                "SHOW",
			"EXPLAIN DELETE FROM t":                   "EXPLAIN",
			"FETCH 1 FROM c":                          "FETCH",
			"COPY t TO STDOUT":                        "COPY",
			"COPY (SELECT a FROM t) TO '/file'":       "COPY",
			"COPY t (a) TO '/from' WITH (FORMAT csv)": "COPY",
			"(SELECT 1) UNION (SELECT 2)":             "SELECT",
			"((VALUES (1)))":                          "VALUES",
			"(1":                                      "",
			"(x":                                      "",
			"WITH x AS (SELECT 1) SELECT 1":           "WITH",
			"WITH x AS (SELECT 1) VALUES (1)":         "WITH",
			"WITH update AS (SELECT 1), delete (a) AS (SELECT 2) SELECT * FROM update": "WITH",
			"WITH RECURSIVE insert AS (SELECT 1) TABLE insert":                         "WITH",
			"WITH x AS (SELECT 1) SELECT * FROM t FOR UPDATE":                          "WITH",
			"WITH x AS (SELECT f(update) FROM t FOR UPDATE) SELECT 1":                  "WITH",
			"WITH": "WITH",
		},
		Setting: {
			"SET a = 1":         "SET",
			"SET LOCAL a TO b":  "SET LOCAL",
			"SET SESSION a = b": "SET SESSION",
			"SET transaction_isolation = 'serializable'": "SET",
			"SET ROLE r":                   "SET ROLE",
			"SET SESSION AUTHORIZATION r":  "SET SESSION AUTHORIZATION",
			"SET CONSTRAINTS ALL DEFERRED": "SET CONSTRAINTS",
			"RESET ALL":                    "RESET",
			"DISCARD TEMP":                 "DISCARD",
		},
		Other: {
			"DO $$BEGIN END$$":                       "DO",
			"CALL p()":                               "CALL",
			"LOCK TABLE t":                           "LOCK",
			"ANALYZE t":                              "ANALYZE",
			"LISTEN a":                               "LISTEN",
			"NOTIFY a":                               "NOTIFY",
			"PREPARE a AS SELECT 1":                  "PREPARE",
			"PREPARE transaction AS SELECT 1":        "PREPARE",
			"PREPARE transaction (int) AS SELECT 1":  "PREPARE",
			"EXECUTE a":                              "EXECUTE",
			"DEALLOCATE a":                           "DEALLOCATE",
			"DECLARE c CURSOR FOR SELECT 1":          "DECLARE",
			"CLOSE c":                                "CLOSE",
			"CHECKPOINT":                             "CHECKPOINT",
			"LOAD 'x'":                               "LOAD",
			"CLUSTER t":                              "CLUSTER",
			"CLUSTER (VERBOSE) t USING i":            "CLUSTER",
			"REPACK t":                               "REPACK",
			"REPACK (CONCURRENTLY false, VERBOSE) t": "REPACK",
			"WAIT FOR LSN '0/0'":                     "WAIT",
			"Frobnicate t":                           "FROBNICATE",
			"a_word_longer_than_any_keyword x":       "A_WORD_LONGER_THAN_ANY_KEYWORD",
			`"select" 1`:                             "",
			"1":                                      "",
			"'SELECT'":                               "",
		},
	} {
		for text, command := range commands {
			statements, err := Split(text, Options{})
			require.NoError(t, err, text)
			require.Len(t, statements, 1, text)
			require.Equal(t, class, statements[0].Class, text)
			require.Equal(t, command, statements[0].Command, text)
		}
	}
}

func TestCommandsAreSharedStrings(t *testing.T) {
	t.Parallel()
	statements, err := Split("create table a (); Create Table b ()", Options{})
	require.NoError(t, err)
	require.Same(t, unsafe.StringData(statements[0].Command), unsafe.StringData(statements[1].Command))
}
func TestStandardConformingStringsFollowTheText(t *testing.T) {
	t.Parallel()
	// With escapes, the probe is one statement, without them two.
	const probe = `; SELECT 'a\'; b'`
	for name, c := range map[string]struct {
		text    string
		escapes bool
	}{
		"on is the default":     {"SELECT 1", false},
		"SET = off":             {"SET standard_conforming_strings = off", true},
		"SET TO off":            {"set Standard_Conforming_Strings to OFF", true},
		"SET without blanks":    {"SET standard_conforming_strings='off'", true},
		"SET SESSION":           {"SET SESSION standard_conforming_strings = false", true},
		"SET LOCAL":             {"SET LOCAL standard_conforming_strings TO 0", true},
		"a quoted name":         {`SET "standard_conforming_strings" = no`, true},
		"an abbreviated value":  {"SET standard_conforming_strings = f", true},
		"no value of a boolean": {"SET standard_conforming_strings = o", false},
		"an empty value":        {"SET standard_conforming_strings = ''", false},
		"on after off": {"SET standard_conforming_strings = off; SET standard_conforming_strings = on",
			false},
		"DEFAULT after off": {"SET standard_conforming_strings = off; SET standard_conforming_strings TO DEFAULT",
			false},
		"RESET after off":              {"SET standard_conforming_strings = off; RESET standard_conforming_strings", false},
		"RESET ALL after off":          {"SET standard_conforming_strings = off; RESET ALL", false},
		"DISCARD ALL after off":        {"SET standard_conforming_strings = off; DISCARD ALL", false},
		"RESET of another after off":   {"SET standard_conforming_strings = off; RESET work_mem", true},
		"another setting":              {"SET backslash_quote = off", false},
		"a statement that stops short": {"SET standard_conforming_strings", false},
		"set_config":                   {"SELECT set_config('standard_conforming_strings', 'off', false)", true},
		"pg_catalog.set_config":        {"SELECT pg_catalog.set_config('standard_conforming_strings','off',false)", true},
		"set_config of another":        {"SELECT set_config('work_mem', 'off', false)", false},
		"set_config of an expression":  {"SELECT set_config('standard_conforming_strings', f('off'), false)", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, err := Split(c.text, Options{})
			require.NoError(t, err)
			if !c.escapes {
				_, err = Split(c.text+probe, Options{})
				require.Error(t, err, "the quote behind b opens a string")
				return
			}
			statements, err := Split(c.text+probe, Options{})
			require.NoError(t, err)
			require.Len(t, statements, len(before)+1)
			require.Equal(t, `SELECT 'a\'; b'`, statements[len(before)].Text)
		})
	}
}

func TestEscapesAreOffOnlyForPlainStrings(t *testing.T) {
	t.Parallel()
	statements, err := Split(`SET standard_conforming_strings = off; SELECT N'\''; SELECT X'\'; SELECT E'\''`, Options{})
	require.NoError(t, err)
	require.Len(t, statements, 4)
}
