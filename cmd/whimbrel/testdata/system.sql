-- +migrate Allow host-access it is what is tried
-- +migrate Allow server-setting it is what is tried
-- +migrate Up
ALTER SYSTEM SET archive_command = 'touch FOLDER/outside/archived';
SELECT pg_reload_conf();
SELECT pg_switch_wal();
-- +migrate Down
ALTER SYSTEM RESET archive_command;
