package whimbrel_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

// version0 are the tables as whimbrel made them before they had a version.
const version0 = `
CREATE TABLE schema_migrations (id serial PRIMARY KEY, version varchar(255) NOT NULL UNIQUE, name varchar(255) NOT NULL,
	executed_at timestamptz NOT NULL DEFAULT now(), execution_time_ms integer, checksum varchar(64), rollback_sql text,
	batch_number integer, kind varchar(16));
CREATE INDEX schema_migrations_batch_number ON schema_migrations (batch_number);
CREATE TABLE migration_lock (id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1), is_locked boolean NOT NULL DEFAULT false,
	locked_at timestamptz, locked_by varchar(255), token bigint NOT NULL DEFAULT 0, expires_at timestamptz, backend_pid integer,
	backend_start timestamptz, host varchar(255), os_user varchar(255), tool_version varchar(255));
CREATE TABLE schema_migrations_journal (version varchar(255) NOT NULL, direction varchar(4) NOT NULL, step integer NOT NULL,
	statement_hash varchar(64) NOT NULL, state varchar(8) NOT NULL CHECK (state IN ('started', 'done')), cursor text,
	rows_done bigint NOT NULL DEFAULT 0, rows_total bigint, started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	finished_at timestamptz, token bigint NOT NULL, PRIMARY KEY (version, direction, step));
CREATE TABLE schema_migrations_log (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
	action varchar(16) NOT NULL, outcome varchar(8) NOT NULL, version varchar(255), name varchar(255), batch_number integer,
	duration_ms double precision, checksum varchar(64), error text, sqlstate varchar(5), run_by varchar(255),
	role text NOT NULL DEFAULT session_user, host varchar(255), tool_version varchar(255), token bigint, retries integer,
	gave_way_ms double precision, lock_wait_ms double precision, lease_wait_ms double precision, steps jsonb);
CREATE TABLE a ();
INSERT INTO schema_migrations (version, name, batch_number) VALUES ('1', 'a', 1);
INSERT INTO schema_migrations_log (action, outcome, version, name, token, gave_way_ms)
	VALUES ('up', 'done', '1', 'a', 1, 40);
INSERT INTO migration_lock (id, token) VALUES (1, 7);
`

// versions is what the lease's row says of the tables.
const versions = "SELECT schema_version || ' ' || schema_tool_version FROM migration_lock"

func TestTablesOfAnOlderVersionAreUpgradedByTheFirstRunThatDoesAnything(t *testing.T) {
	for name, older := range map[string]string{
		"as they were last": "",
		"with an older log": "ALTER TABLE schema_migrations_log DROP steps, DROP lock_wait_ms, DROP lease_wait_ms, DROP " +
			"retries, DROP gave_way_ms",
		"with no lease row": "DELETE FROM migration_lock; UPDATE schema_migrations_log SET token = 7",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.exec(version0 + older)
			f := files{"1_a.sql": "CREATE TABLE a ()"}
			as := func(c *whimbrel.Config) { c.ToolVersion = "1.2.3" }
			m := b.migrator(f, as)
			status, err := m.Status(t.Context())
			require.NoError(t, err, "they can be read as they are")
			require.Len(t, status.Applied, 1)
			require.Nil(t, status.Newer)
			entries, err := m.History(t.Context(), whimbrel.HistoryOptions{})
			require.NoError(t, err)
			require.Len(t, entries, 1)
			_, err = m.Up(t.Context(), whimbrel.UpOptions{})
			require.NoError(t, err)
			require.NotContains(t, b.heard(), "tables_upgraded", "with nothing to do, nothing is written")

			f["2_b.sql"] = "CREATE TABLE b ();\n-- +migrate Down\nDROP TABLE b"
			for range 2 {
				_, err = b.migrator(f, as).Up(t.Context(), whimbrel.UpOptions{})
				require.NoError(t, err)
			}
			upgraded, count := whimbrel.TablesUpgraded{}, 0
			for _, r := range b.events {
				if e, ok := r.Event.(whimbrel.TablesUpgraded); ok {
					upgraded, count = e, count+1
				}
			}
			require.Equal(t, 1, count)
			require.Equal(t, whimbrel.TablesUpgraded{Table: "public.schema_migrations", From: 0, To: 2}, upgraded)
			require.Equal(t, "2 1.2.3", b.text(versions))
			require.Equal(t, "8", b.text("SELECT token FROM migration_lock"))
			require.Equal(t, "up 1 a,upgrade tables from version 0 to 2,up 2 b",
				b.text("SELECT string_agg(concat_ws(' ', action, version, name), ',' ORDER BY id) FROM schema_migrations_log"))
			require.NotContains(t, b.heard(), "tables_adopted")
			if name == "as they were last" {
				require.Equal(t, "40", b.text("SELECT backoff_ms FROM schema_migrations_log WHERE version = '1'"), "renamed")
			}
		})
	}
}

// Tables of an older whimbrel become those of this one, down to the last column.
func TestUpgradedTablesHaveTheColumnsOfNewOnes(t *testing.T) {
	b := setup(t)
	fresh := setupBeside(b)
	b.exec(version0)
	f := files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE b (id int);\n" +
		"CREATE INDEX CONCURRENTLY b_id ON b (id);\nSET work_mem = '5MB';\nINSERT INTO b VALUES (1);",
		"R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1"}
	columns := func(b *bundle) string {
		_, err := b.migrator(f).Up(t.Context(), whimbrel.UpOptions{})
		require.NoError(t, err)
		return b.text("SELECT string_agg(concat_ws(' ', table_name, column_name, data_type, character_maximum_length, " +
			"is_nullable, column_default), E'\\n' ORDER BY table_name, column_name) " +
			"FROM information_schema.columns WHERE table_name ~ '^(schema_migrations|migration_lock)'")
	}
	require.Equal(t, columns(fresh), columns(b))
}

func TestManyRunnersUpgradeOnceAndApplyOnce(t *testing.T) {
	b := setup(t)
	b.exec(version0)
	f := files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE b ()", "3_c.sql": "CREATE TABLE c ()"}
	var all sync.WaitGroup
	failed := make([]error, 20)
	for i := range failed {
		m := b.migrator(f)
		all.Go(func() { _, failed[i] = m.Up(context.Background(), whimbrel.UpOptions{}) })
	}
	all.Wait()
	for _, err := range failed {
		require.NoError(t, err)
	}
	require.Equal(t, "1 2 3", b.applied())
	require.Equal(t, "1", b.text("SELECT count(*) FROM schema_migrations_log WHERE action = 'upgrade'"))
}

func TestTablesAreNotUpgradedUnderARunnerThatHoldsThem(t *testing.T) {
	b := setup(t)
	b.exec(version0 + "UPDATE migration_lock SET is_locked = true, locked_by = 'an older one', locked_at = now(), " +
		"expires_at = now() + interval '1 hour', tool_version = '0.9'")
	f := files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE b ()"}
	_, err := b.migrator(f, func(c *whimbrel.Config) { c.LockWait = whimbrel.NoWait }).Up(t.Context(),
		whimbrel.UpOptions{})
	require.Contains(t, fails(t, err, whimbrel.CodeLeaseHeld).Message, "an older one")
	require.Equal(t, "0", b.text("SELECT count(*) FROM pg_attribute WHERE attname = 'schema_version'"))

	waiting := make(chan struct{})
	var once sync.Once
	result := make(chan error, 1)
	m := b.migrator(f, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if _, ok := r.Event.(whimbrel.LeaseWaiting); ok {
				once.Do(func() { close(waiting) })
			}
		}
	})
	go func() { _, err := m.Up(context.Background(), whimbrel.UpOptions{}); result <- err }()
	<-waiting
	b.exec("UPDATE migration_lock SET is_locked = false") // as the older one gives it back
	require.NoError(t, <-result)
	require.Equal(t, "1 2", b.applied())
	require.Equal(t, "2", b.text("SELECT schema_version FROM migration_lock"))
}

func TestTablesOfANewerVersionAreNotWrittenTo(t *testing.T) {
	type command func(ctx context.Context, m *whimbrel.Migrator) error
	commands := map[string]command{
		"up": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Up(ctx, whimbrel.UpOptions{})
			return err
		},
		"down": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Down(ctx, whimbrel.DownOptions{})
			return err
		},
		"redo": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Redo(ctx, whimbrel.RedoOptions{})
			return err
		},
		"to": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.To(ctx, "1", whimbrel.ToOptions{})
			return err
		},
		"plan": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.Plan(ctx, whimbrel.Latest())
			return err
		},
		"accept": func(ctx context.Context, m *whimbrel.Migrator) error { _, err := m.Accept(ctx, "1"); return err },
		"unlock": func(ctx context.Context, m *whimbrel.Migrator) error { return m.ReleaseLock(ctx, 1) },
		"history": func(ctx context.Context, m *whimbrel.Migrator) error {
			_, err := m.History(ctx, whimbrel.HistoryOptions{})
			return err
		},
	}
	for name, change := range map[string]string{
		"that look the same": "SELECT 1",
		"that look different": "ALTER TABLE schema_migrations_journal RENAME COLUMN cursor TO place; ALTER TABLE " +
			"schema_migrations RENAME COLUMN kind TO sort",
		"of which one is gone": "DROP TABLE schema_migrations_log",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			_, err := b.migrator(files{"1_a.sql": "CREATE TABLE a ();\n-- +migrate Down\nDROP TABLE a"}).Up(t.Context(),
				whimbrel.UpOptions{})
			require.NoError(t, err)
			b.exec("UPDATE migration_lock SET schema_version = 9, schema_tool_version = '9.1.0';" + change)
			before := b.text("SELECT md5(string_agg(l::text, '')) FROM (SELECT l::text FROM migration_lock l UNION ALL SELECT " +
				"s::text FROM schema_migrations s) l")
			m := b.migrator(files{"1_a.sql": "CREATE TABLE a (); -- edited", "2_b.sql": "CREATE TABLE b ()"})
			for name, run := range commands {
				e := fails(t, run(t.Context(), m), whimbrel.CodeTablesNewer)
				require.Contains(t, e.Message, "of version 9, made by whimbrel 9.1.0", name)
				require.Contains(t, e.Remedy, "use whimbrel 9.1.0 or newer", name)
			}
			require.Equal(t, before, b.text("SELECT md5(string_agg(l::text, '')) FROM (SELECT l::text FROM migration_lock l "+
				"UNION ALL SELECT s::text FROM schema_migrations s) l"))

			status, err := m.Status(t.Context())
			verified, again := m.Verify(t.Context())
			if name == "that look different" { // so much that it cannot be read at all
				_ = fails(t, err, whimbrel.CodeTablesNewer)
				_ = fails(t, again, whimbrel.CodeTablesNewer)
				return
			}
			require.NoError(t, err)
			require.Equal(t, whimbrel.CodeTablesNewer, status.Newer.Code)
			require.Len(t, status.Applied, 1)
			require.NoError(t, again)
			require.Equal(t, "tables_newer", verified.Differences[0].Kind)
			holder, err := m.Lock(t.Context())
			require.NoError(t, err)
			require.Nil(t, holder)
		})
	}
}

func TestARunnerThatWaitedWhileTheTablesWereUpgradedDoesNotWriteToThem(t *testing.T) {
	b := setup(t)
	_, err := b.migrator(files{"1_a.sql": "CREATE TABLE a ()"}).Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	b.exec("UPDATE migration_lock SET is_locked = true, token = token + 1, locked_by = 'a newer one', locked_at = " +
		"now(), expires_at = now() + interval '1 hour', backend_pid = NULL")
	waiting := make(chan struct{})
	var once sync.Once
	result := make(chan error, 1)
	m := b.migrator(files{"1_a.sql": "CREATE TABLE a ()", "2_b.sql": "CREATE TABLE b ()"}, func(c *whimbrel.Config) {
		c.Listener = func(r whimbrel.Record) {
			if _, ok := r.Event.(whimbrel.LeaseWaiting); ok {
				once.Do(func() { close(waiting) })
			}
		}
	})
	go func() { _, err := m.Up(context.Background(), whimbrel.UpOptions{}); result <- err }()
	<-waiting
	b.exec("UPDATE migration_lock SET schema_version = 9, schema_tool_version = '9.1.0', is_locked = false")
	select {
	case err := <-result:
		_ = fails(t, err, whimbrel.CodeTablesNewer)
	case <-time.After(time.Minute):
		require.Fail(t, "it waits for a lease that it never gets")
	}
	require.Equal(t, "1", b.applied())
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
}
