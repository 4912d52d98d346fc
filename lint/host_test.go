package lint_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
)

func TestWhatReachesTheServersMachineIsFoundHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"COPY users FROM PROGRAM 'curl example.com';",
		"COPY (SELECT 1) TO PROGRAM 'sh';",
		"COPY users FROM '/etc/passwd';",
		"COPY users TO '/tmp/users' WITH (FORMAT csv);",
		"SELECT pg_read_file('/etc/passwd');",
		"SELECT pg_catalog.pg_read_binary_file('x', 0, 10, true);",
		"INSERT INTO users (id, name) SELECT 1, f FROM pg_ls_dir('/') AS f;",
		"CREATE VIEW logs AS SELECT * FROM pg_ls_logdir();",
		"ALTER TABLE users ADD COLUMN size bigint DEFAULT (pg_stat_file('postgresql.conf')).size;",
		"SELECT lo_import('/etc/passwd');",
		"SELECT lo_export(4711, '/tmp/x');",
		"LOAD '/tmp/x.so';",
		"alter system set archive_command = 'sh /tmp/x';",
		"ALTER SYSTEM RESET ALL;",
		"CREATE EXTENSION IF NOT EXISTS dblink;",
		"CREATE EXTENSION \"postgres_fdw\" SCHEMA public CASCADE;",
		"CREATE EXTENSION file_fdw;",
		"CREATE EXTENSION plpython3u;",
		"CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'x');",
		"CREATE FUNCTION f() RETURNS int LANGUAGE C AS 'x.so', 'f';",
		"CREATE FUNCTION f() RETURNS int AS $$ import os $$ LANGUAGE 'plpython3u';",
		"DO LANGUAGE plperlu $$ system('id') $$;",
		"DO $$ BEGIN EXECUTE 'COPY users FROM PROGRAM ''id'''; END $$;",
		"DO $$ BEGIN IF false THEN PERFORM pg_read_file('x'); END IF; END $$;",
		"DO $$ BEGIN EXECUTE format('COPY %I FROM PROGRAM %L', 'users', 'id'); END $$;",
		"CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN COPY users FROM PROGRAM 'id'; END $$;",
		"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT pg_read_file(''x'')';",
		"SELECT * FROM dblink('dbname=x', 'SELECT 1') AS t (a int);",
		"SELECT extensions.dblink_exec('dbname=x', 'DROP TABLE t');",
		"WITH f AS (SELECT pg_read_file('x') AS t) INSERT INTO users (id, name) SELECT 1, t FROM f;",
		"GRANT pg_execute_server_program TO PUBLIC;",
		"IMPORT FOREIGN SCHEMA public FROM SERVER elsewhere INTO public;",
	} {
		require.Contains(t, ids(check(t, lint.Options{}, []string{lint.ExampleSchema}, []string{sql})), "host-access", sql)
	}
}

func TestWhatStaysInTheDatabaseDoesNotReachTheMachine(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"COPY users (id, name) FROM stdin;\n1\tx\n\\.\n",
		"COMMENT ON TABLE users IS 'COPY users FROM PROGRAM ''id''';",
		"INSERT INTO users (id, name) VALUES (1, 'pg_read_file(''/etc/passwd'')');",
		"-- LOAD '/tmp/x.so'\nSELECT 1;",
		"CREATE EXTENSION IF NOT EXISTS pg_trgm;",
		"CREATE EXTENSION hstore;",
		"CREATE EXTENSION pgcrypto;",
		"CREATE TABLE dblink (id int);",
		"CREATE TABLE program (copy text, load text, pg_ls_dir text);",
		"SELECT lo_create(4711);",
		"SELECT lo_from_bytea(0, 'x');",
		"SELECT pg_reload_conf();",
		"CREATE FUNCTION app_read_file(name text) RETURNS text LANGUAGE sql AS 'SELECT name';",
		"CREATE FUNCTION plus(a int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN a + 1; END $$;",
		"DO $$ BEGIN RAISE NOTICE 'COPY t TO PROGRAM'; END $$;",
		"CREATE SCHEMA files;\nCREATE FUNCTION files.lo_import(name text) RETURNS text LANGUAGE sql AS 'SELECT name';\n" +
			"SELECT files.lo_import('x');",
		"SET work_mem = '8MB';",
		"ALTER DATABASE postgres SET work_mem = '8MB';",
		"GRANT pg_read_all_data TO CURRENT_USER;",
		"REVOKE pg_read_server_files FROM CURRENT_USER;",
		"DROP EXTENSION IF EXISTS dblink;",
		"SELECT pg_size_pretty(pg_relation_size('users'));",
		"SELECT current_setting('data_directory'), pg_current_logfile();",
		"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
	} {
		require.False(t, slices.Contains(ids(check(t, lint.Options{}, []string{lint.ExampleSchema}, []string{sql})),
			"host-access"), strings.TrimSpace(sql))
	}
}
