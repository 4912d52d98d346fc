-- A stranger's migration. It tries what reaches the machine, leaves nothing in the database, and fails if anything was
-- reached: a command that goes well has kept it.
-- +migrate Allow host-access it is what is tried
-- +migrate Allow opaque-dynamic-ddl it is what is tried
-- +migrate Allow drop-extension nothing uses it
-- +migrate Up
CREATE EXTENSION dblink;
DO $stranger$
DECLARE
	attack text[];
	reached text := '';
	library text := current_setting('data_directory') || '/reach.so';
BEGIN
	CREATE TEMPORARY TABLE loot (line text) ON COMMIT DROP;
	PERFORM lo_from_bytea(4711, decode('LIBRARY', 'hex'));
	PERFORM lo_export(4711, library);
	FOREACH attack SLICE 1 IN ARRAY ARRAY[
		['program_read', $$COPY loot FROM PROGRAM 'echo x'$$],
		['program_write', $$COPY (SELECT 1) TO PROGRAM 'cat > FOLDER/outside/program'$$],
		['program_child', $$COPY loot FROM PROGRAM '(setsid sleep 5 >/dev/null 2>&1 &)'$$],
		['file_copy', $$COPY loot FROM 'FOLDER/canary'$$],
		['file_write', $$COPY (SELECT 1) TO 'FOLDER/outside/copied'$$],
		['file_read', $$SELECT pg_read_file('FOLDER/canary')$$],
		['folder', $$SELECT pg_ls_dir('FOLDER')$$],
		['proc', $$SELECT pg_read_file('/proc/self/stat')$$],
		['large_object_read', $$SELECT lo_import('FOLDER/canary', 4712), lo_unlink(4712)$$],
		['large_object_write', $$SELECT lo_export(4711, 'FOLDER/outside/exported')$$],
		['port', $$SELECT dblink_connect('host=127.0.0.1 port=PORT connect_timeout=3')$$],
		['socket', $$SELECT dblink_connect('host=FOLDER connect_timeout=3')$$],
		['library', format('LOAD %L', library)]
	] LOOP
		BEGIN
			EXECUTE attack[2];
			reached := reached || attack[1] || ' ';
		EXCEPTION WHEN OTHERS THEN -- of what listens, the test knows whether it was called
		END;
	END LOOP;
	PERFORM lo_unlink(4711);
	reached := reached || pg_read_file('report');
	IF reached <> '' THEN
		RAISE EXCEPTION 'reached: %', reached;
	END IF;
END $stranger$;
DROP EXTENSION dblink;
-- +migrate Down
SELECT 1;
