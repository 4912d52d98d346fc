package whimbrel_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

func whimbrelVersion(text string) migration.Version { return migration.Version(text) }

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// homeGrown is the table and the lock of a home-grown runner, as teams have it.
const homeGrown = `
CREATE TABLE schema_migrations (
	id SERIAL PRIMARY KEY,
	version VARCHAR(255) UNIQUE NOT NULL,
	name VARCHAR(255) NOT NULL,
	executed_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
	execution_time_ms INTEGER,
	checksum VARCHAR(64),
	rollback_sql TEXT,
	batch_number INTEGER
);
CREATE INDEX idx_migrations_version ON schema_migrations (version);
CREATE INDEX idx_migrations_batch ON schema_migrations (batch_number);
CREATE TABLE migration_lock (id INTEGER PRIMARY KEY DEFAULT 1, is_locked BOOLEAN DEFAULT FALSE, locked_at TIMESTAMP WITH TIME ZONE, locked_by VARCHAR(255));
INSERT INTO migration_lock (id, is_locked) VALUES (1, FALSE);
`

func TestAHomeGrownHistoryIsAdoptedWithItsRows(t *testing.T) {
	b := setup(t)
	sql := "CREATE TABLE users (id int);\r\n-- +migrate Down\r\nDROP TABLE users;"
	b.exec(homeGrown)
	b.exec("CREATE TABLE users (id int); CREATE TABLE prefs (id int);" +
		"INSERT INTO schema_migrations (version, name, execution_time_ms, checksum, rollback_sql, batch_number) VALUES " +
		"('20240115120000', 'add_users', 12, '" + sum(sql) + "', 'DROP TABLE users;', 1)," +
		"('20240116120000', 'add_prefs', 7, '" + sum("20240116120000_add_prefs.js") + "', 'async down(client) {}', 2)," +
		"('20240117120000', 'no_checksum', NULL, NULL, NULL, NULL)")
	f := files{
		"20240115120000_add_users.sql":   sql,
		"20240116120000_add_prefs.js":    "module.exports = { async up(client) {}, async down(client) {} }",
		"20240117120000_no_checksum.sql": "SELECT 1",
		"20240118120000_orders.sql":      "CREATE TABLE orders (id int);\n-- +migrate Down\nDROP TABLE orders;",
	}
	before, err := b.migrator(f).Status(t.Context())
	require.NoError(t, err, "before adoption, for a role that only reads")
	require.Len(t, before.Applied, 3)
	require.Len(t, before.Pending, 1)

	result, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Len(t, result.Done, 1)
	require.Equal(t, 3, result.Batch)
	require.Contains(t, b.heard(), "tables_adopted")
	require.Equal(t, "20240115120000 20240116120000 20240117120000 20240118120000", b.applied())
	require.Equal(t, "12", b.text("SELECT execution_time_ms FROM schema_migrations WHERE id = 1"))
	require.Equal(t, "adopt 3 rows", b.text("SELECT action || ' ' || name FROM schema_migrations_log ORDER BY id LIMIT 1"))
	verification, err := b.migrator(f).Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, verification.Differences)

	_, err = b.migrator(files{}).Down(t.Context(), whimbrel.DownOptions{})
	require.NoError(t, err)
	require.Equal(t, "NULL", b.text("SELECT to_regclass('orders')"))
}

func TestATableOfAnotherToolIsRecognised(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ sql, owner string }{
		"golang-migrate": {"CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); INSERT " +
			"INTO schema_migrations VALUES (3, false)", "golang-migrate"},
		"Rails": {"CREATE TABLE schema_migrations (version varchar PRIMARY KEY); CREATE TABLE " +
			"ar_internal_metadata (key varchar)", "Rails"},
		"dbmate":  {"CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)", "dbmate or Rails"},
		"Ecto":    {"CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp)", "Ecto"},
		"unknown": {"CREATE TABLE schema_migrations (a int, b text)", "another tool"},
		"a view":  {"CREATE VIEW schema_migrations AS SELECT 1 AS version", "something that is not a table"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec(test.sql)
			_, err := b.migrator(simple).Up(t.Context(), whimbrel.UpOptions{})
			e := fails(t, err, whimbrel.CodeForeignTable)
			require.Contains(t, e.Message, "belongs to "+test.owner+":")
			require.Contains(t, e.Remedy, "Config.Table")
			require.Equal(t, "NULL", b.text("SELECT to_regclass('migration_lock')"), "nothing was created")
			_, err = b.migrator(simple, func(c *whimbrel.Config) { c.Table = "whimbrel_migrations" }).Up(t.Context(),
				whimbrel.UpOptions{})
			require.NoError(t, err, "the way out works")
		})
	}
}

func TestAHomeGrownLockIsRespectedForItsThirtySeconds(t *testing.T) {
	b := setup(t)
	b.exec(homeGrown + "UPDATE migration_lock SET is_locked = true, locked_at = now(), locked_by = 'old runner'")
	noWait := func(c *whimbrel.Config) { c.LockWait = whimbrel.NoWait }
	_, err := b.migrator(simple, noWait).Up(t.Context(), whimbrel.UpOptions{})
	e := fails(t, err, whimbrel.CodeLeaseHeld)
	require.Contains(t, e.Message, "old runner")
	b.exec("UPDATE migration_lock SET locked_at = now() - interval '31 seconds'")
	_, err = b.migrator(simple, noWait).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
}

func TestAHistoryInAnotherSchemaKeepsItsCompanionsThere(t *testing.T) {
	b := setup(t)
	b.exec(`CREATE SCHEMA "Odd one"`)
	m := b.migrator(simple, func(c *whimbrel.Config) { c.Table = "Odd one.My history" })
	_, err := m.Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "My history,My history_journal,My history_lock,My history_log",
		b.text(`SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = '"Odd one"'::regnamespace AND relkind = 'r'`))
	_, err = m.Down(t.Context(), whimbrel.DownOptions{Steps: 2})
	require.NoError(t, err)
	entries, err := m.History(t.Context(), whimbrel.HistoryOptions{Limit: 3})
	require.NoError(t, err)
	require.Len(t, entries, 3)
	require.Equal(t, "down", entries[0].Action)
}

func TestTheHistoryIsFoundInTheSchemaThatSearchPathShows(t *testing.T) {
	b := setup(t)
	b.exec("CREATE SCHEMA app; ALTER DATABASE " + b.conn.Config().Database + " SET search_path = app, public")
	_, err := b.migrator(simple).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	require.Equal(t, "app.schema_migrations", b.text("SELECT relnamespace::regnamespace || '.' || relname FROM pg_class "+
		"WHERE relname = 'schema_migrations'"))
	require.Equal(t, "app", b.text("SELECT relnamespace::regnamespace FROM pg_class WHERE relname = 'users'"))
}

func TestWhatHasANameOfOursAndIsNoTableIsRefused(t *testing.T) {
	for name, sql := range map[string]string{
		"schema_migrations_log is not a table":     "CREATE SEQUENCE schema_migrations_log",
		"migration_lock is not a table":            "CREATE TABLE a (b int); CREATE INDEX migration_lock ON a (b)",
		"schema_migrations_journal is not a table": "CREATE TYPE schema_migrations_journal AS (a int)",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec(sql)
			before := b.text("SELECT count(*) FROM pg_class")
			m := b.migrator(files{"1_a.sql": "CREATE TABLE a ()"})
			_, err := m.Up(t.Context(), whimbrel.UpOptions{})
			require.Contains(t, fails(t, err, whimbrel.CodeForeignTable).Message, "public."+name)
			_, err = m.Status(t.Context())
			require.Contains(t, fails(t, err, whimbrel.CodeForeignTable).Message, "public."+name)
			require.Equal(t, before, b.text("SELECT count(*) FROM pg_class"))
		})
	}
}
