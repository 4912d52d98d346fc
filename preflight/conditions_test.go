package preflight_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/preflight"
)

// saturday is in a window of the defaults.
var saturday = time.Date(2026, time.November, 21, 3, 0, 0, 0, time.UTC)

// condition is something that is so on a real server, and what a check says of it.
type condition struct {
	name    string
	check   string
	pending []string // texts of migrations
	// make brings the condition about.
	make func(b *base, o *preflight.Options)
	// fails is set where the check does not pass, unknown where it cannot tell.
	fails, unknown bool
	says           []string // parts of what is shown
}

// nothing is the condition of a fresh database.
func nothing(*base, *preflight.Options) {}

func sql(statements ...string) func(*base, *preflight.Options) {
	return func(b *base, _ *preflight.Options) {
		for _, s := range statements {
			b.exec(s)
		}
	}
}

const users = "CREATE TABLE users (id bigint PRIMARY KEY, name text); INSERT INTO users SELECT i, repeat('x', 200) " +
	"FROM generate_series(1, 500) i;"

var conditions = []condition{
	{"a server that takes writes", "writable", nil, nothing, false, false, []string{"takes writes"}},
	{"a database that is read-only", "writable", nil, func(b *base, _ *preflight.Options) {
		b.exec("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', " +
			"current_database()); END $$")
	}, true, false, []string{"read-only"}},

	{"nobody else", "table_locks", nil, nothing, false, false, []string{"nothing is open"}},
	{"a transaction that was left open", "table_locks", []string{"ALTER TABLE users ADD COLUMN note text;"},
		func(b *base, o *preflight.Options) {
			b.exec(users)
			tx, err := b.connect("report").Begin(b.t.Context())
			require.NoError(b.t, err)
			_, err = tx.Exec(b.t.Context(), "SELECT count(*) FROM users")
			require.NoError(b.t, err)
			o.Settings.MaxTransactionAge = time.Microsecond
		}, true, false, []string{"1 transaction open for more than", "report", "idle in transaction",
			"AccessShareLock on public.users", "SELECT count(*) FROM users"}},
	{"a young transaction that holds a lock", "table_locks", []string{"ALTER TABLE users ADD COLUMN note text;"},
		func(b *base, _ *preflight.Options) {
			b.exec(users)
			tx, err := b.connect("report").Begin(b.t.Context())
			require.NoError(b.t, err)
			_, err = tx.Exec(b.t.Context(), "SELECT count(*) FROM users")
			require.NoError(b.t, err)
		}, false, false, []string{"1 session holds locks on tables of what is pending"}},
	{"a prepared transaction", "table_locks", []string{"ALTER TABLE users ADD COLUMN note text;"},
		func(b *base, o *preflight.Options) {
			b.exec(users)
			gid := fmt.Sprintf("gid_%d", b.conn.PgConn().PID())
			b.exec("BEGIN; UPDATE users SET name = 'y' WHERE id = 1; PREPARE TRANSACTION '" + gid + "'")
			b.t.Cleanup(func() { b.rollBack(gid) })
			o.Settings.MaxTransactionAge = time.Microsecond
		}, true, false, []string{"prepared transaction", "RowExclusiveLock on public.users"}},

	{"small tables", "data_size", nil, sql(users), false, false, []string{"0 tables over 1 GB"}},
	{"a big table that is rewritten", "data_size", []string{"ALTER TABLE users ALTER COLUMN id TYPE numeric;"},
		func(b *base, o *preflight.Options) {
			b.exec(users)
			o.Settings.BigTable, o.Settings.MaxBigTables = 1000, 1
		}, true, false, []string{"1 table over 1,000 bytes, 1 of them touched", "public.users", "heap",
			"migrations/1_example.sql:1", "rewrite"}},
	{"partitions that are big together", "data_size", nil, func(b *base, o *preflight.Options) {
		b.exec(`CREATE TABLE events (at int, payload text) PARTITION BY RANGE (at);
			CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100); CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200);
			INSERT INTO events SELECT i, repeat('x', 900) FROM generate_series(0, 199) i`)
		o.Settings.BigTable, o.Settings.MaxBigTables = 200_000, 1
	}, true, false, []string{"1 table over", "public.events", "2 partitions"}},
	{"no room for a rewrite", "data_size", []string{"ALTER TABLE users ALTER COLUMN id TYPE numeric;"},
		func(b *base, o *preflight.Options) {
			b.exec(users)
			o.Settings.FreeDisk = &preflight.Source{Kind: preflight.Query, Query: "SELECT 10"}
		}, true, false, []string{"10 bytes are free"}},

	{"quiet applications", "dependencies", nil, nothing, false, false, []string{"none with more than 10 active"}},
	{"twelve active connections of one application", "dependencies", nil, func(b *base, _ *preflight.Options) {
		for range 12 {
			conn := b.connect("shop")
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = conn.Exec(b.t.Context(), "SELECT pg_sleep(600)")
			}()
			b.t.Cleanup(func() { <-done }) // the test's context ends first
		}
		b.waitFor("SELECT count(*) = 12 FROM pg_stat_activity WHERE application_name = 'shop' AND state = 'active' AND " +
			"datname = current_database()")
	}, true, false, []string{"more than 10 active connections: shop has 12"}},
	{"a table that is published", "dependencies", []string{"ALTER TABLE users ADD COLUMN note text;"},
		sql(users, "CREATE PUBLICATION everything FOR TABLE users"), true, false,
		[]string{"public.users is published (everything)"}},
	{"a logical slot that nobody reads", "dependencies", nil, func(b *base, _ *preflight.Options) {
		slot := fmt.Sprintf("slot_%d", b.conn.PgConn().PID())
		b.exec("SELECT pg_create_logical_replication_slot('" + slot + "', 'pgoutput')")
		b.t.Cleanup(func() { b.dropSlot(slot) })
	}, false, false, nil},

	{"Saturday night", "maintenance_window", nil, func(_ *base, o *preflight.Options) { o.Now = saturday }, false, false,
		[]string{"the window is open until"}},
	{"Saturday noon", "maintenance_window", nil,
		func(_ *base, o *preflight.Options) { o.Now = saturday.Add(9 * time.Hour) }, true, false,
		[]string{"no window is open", "wait until Sun 02:00"}},
	{"a window over midnight, in another zone", "maintenance_window", nil, func(b *base, o *preflight.Options) {
		window, err := preflight.ParseWindow("Fri 22:00-04:30")
		require.NoError(b.t, err)
		o.Now, o.Settings.Windows, o.Settings.TimeZone = saturday, []preflight.Window{window}, "Europe/Berlin"
	}, false, false, []string{"until Sat 04:30 CET"}},

	{"a superuser", "privileges", []string{"DROP TABLE users;"}, sql(users), false, false, []string{"is a superuser"}},
	{"somebody else's table", "privileges", []string{"ALTER TABLE users ADD COLUMN note text;\n" +
		"UPDATE users SET name = '';"}, func(b *base, o *preflight.Options) {
		b.exec(users)
		o.Connection.User = b.role("GRANT CREATE ON SCHEMA public TO %[1]s; GRANT UPDATE ON users TO %[1]s")
	}, true, false, []string{"lacks 1 right", "ownership of public.users, for migrations/1_example.sql:1"}},
	{"no right to make tables", "privileges", []string{"CREATE TABLE more (id int);"},
		func(b *base, o *preflight.Options) {
			b.exec("REVOKE CREATE ON SCHEMA public FROM public")
			o.Connection.User = b.role("")
		}, true, false, []string{"CREATE of schema public"}},
	{"an owner", "privileges", []string{"ALTER TABLE users ADD COLUMN note text;\nCREATE INDEX ON users (name);"},
		func(b *base, o *preflight.Options) {
			b.exec(users)
			o.Connection.User = b.role("GRANT CREATE ON SCHEMA public TO %[1]s; ALTER TABLE users OWNER TO %[1]s")
		}, false, false, []string{"lacks nothing"}},

	{"files that agree", "history", []string{"SELECT 1;"}, nothing, false, false, []string{"1 pending"}},
	{"a file that was edited", "history", nil, func(b *base, o *preflight.Options) {
		_, err := b.migrator("SELECT 1;").Up(b.t.Context(), whimbrel.UpOptions{})
		require.NoError(b.t, err)
		o.Verify = b.migrator("SELECT 2;").Verify
	}, true, false, []string{"1 difference between history and files"}},

	{"nobody else at the schema", "schema_changes", nil, func(b *base, _ *preflight.Options) {
		_, err := b.migrator("CREATE TABLE users (id int);").Up(b.t.Context(), whimbrel.UpOptions{})
		require.NoError(b.t, err)
	}, false, false, []string{"nobody has changed the schema"}},
	{"a column by hand", "schema_changes", nil, func(b *base, _ *preflight.Options) {
		_, err := b.migrator("CREATE TABLE users (id int);").Up(b.t.Context(), whimbrel.UpOptions{})
		require.NoError(b.t, err)
		b.exec("ALTER TABLE users ADD COLUMN by_hand int")
	}, true, false, []string{"column public.users.by_hand"}},

	{"no known fault", "version_traps", []string{"CREATE INDEX CONCURRENTLY i ON users (name);"}, sql(users), false,
		false, []string{"no known fault"}},

	{"many connections left", "connections", nil, nothing, false, false, []string{"left; a run takes 3"}},
	{"a role with few connections", "connections", nil, func(b *base, o *preflight.Options) {
		o.Connection.User = b.role("ALTER ROLE %[1]s CONNECTION LIMIT 4")
	}, true, false, []string{"3 connections are left", "of 4 that the role may have"}},

	{"few tables", "lock_capacity", []string{"ALTER TABLE users ADD COLUMN note text;"}, sql(users), false, false,
		[]string{"the largest step takes about"}},

	{"a table of many partitions", "lock_capacity", []string{"ALTER TABLE parts ADD COLUMN note text;"},
		func(b *base, _ *preflight.Options) {
			b.exec("CREATE TABLE parts (id int, payload text) PARTITION BY RANGE (id)")
			b.exec(`DO $$ BEGIN FOR i IN 1..350 LOOP
			EXECUTE format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', i, i, i + 1);
			COMMIT; -- and with it the locks
		END LOOP; END $$`)
		}, true, false, []string{"step 1 of migrations/1_example.sql takes about 1051 locks", "out of shared memory",
			"do it partition by partition"}},

	{"valid indexes", "invalid_indexes", nil, sql(users), false, false, []string{"no index is invalid"}},
	{"an index that failed", "invalid_indexes", nil, func(b *base, _ *preflight.Options) {
		b.exec(users + "INSERT INTO users VALUES (1000, 'a'), (1001, 'a')")
		_, err := b.conn.Exec(b.t.Context(), "CREATE UNIQUE INDEX CONCURRENTLY users_name ON users (name)")
		require.Error(b.t, err)
	}, true, false, []string{"1 index is invalid", "users_name"}},

	{"young sequences", "key_exhaustion", nil, sql("CREATE TABLE young (id serial PRIMARY KEY)"), false, false,
		[]string{"has used 80 %"}},
	{"a sequence near the end of an integer", "key_exhaustion", nil, sql("CREATE TABLE old (id serial PRIMARY KEY)",
		"SELECT setval('old_id_seq', 2000000000)"),
		true, false, []string{"old_id_seq", "93.1 %", "integer"}},
	{"a sequence that belongs to nothing", "key_exhaustion", nil, sql("CREATE SEQUENCE apart MAXVALUE 100",
		"SELECT setval('apart', 90)"), true, false, []string{"public.apart is at 90.0 %"}},
	{"a sequence that starts again", "key_exhaustion", nil, sql("CREATE SEQUENCE apart MAXVALUE 100 CYCLE",
		"SELECT setval('apart', 90)"), false, false, nil},
	{"a reference that is narrower than its key", "key_exhaustion", nil,
		sql("CREATE TABLE wide (id bigserial PRIMARY KEY)",
			"CREATE TABLE narrow (wide_id int REFERENCES wide)", "SELECT setval('wide_id_seq', 2000000000)"), true, false,
		[]string{"narrow"}},

	{"young transaction ids", "transaction_id_age", nil, nothing, false, false, []string{"before a wraparound"}},
	{"old transaction ids", "transaction_id_age", nil,
		func(_ *base, o *preflight.Options) { o.Settings.MaxTransactionIDAge = 1 }, true, false,
		[]string{"the end is at 2147483648"}},

	{"forgotten transactions stay", "idle_in_transaction", nil, nothing, true, false, []string{"never ended"}},
	{"forgotten transactions are ended", "idle_in_transaction", nil, func(b *base, _ *preflight.Options) {
		b.exec("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = ''1min''', " +
			"current_database()); END $$")
	}, false, false, []string{"ended after 1 min"}},
}

func TestEachConditionIsSeenOnARealServer(t *testing.T) {
	t.Parallel()
	for _, c := range conditions {
		t.Run(c.check+": "+c.name, func(t *testing.T) {
			t.Parallel()
			b := newBase(t)
			o := b.options(c.check)
			if c.pending != nil {
				o = b.options(c.check, c.pending...)
			}
			c.make(b, &o)
			result := b.run(o)
			shown := strings.Join(append([]string{result.Message, result.Remedy}, result.Unseen...), "\n")
			if result.Details != nil {
				shown += "\n" + strings.Join(result.Details.Lines(), "\n")
			}
			require.Equal(t, !c.fails, result.Passed, shown)
			require.Equal(t, c.unknown, result.Unknown, shown)
			for _, part := range c.says {
				require.Contains(t, shown, part)
			}
			_, blocking := preflight.Description(c.check)
			require.Equal(t, blocking, result.Blocking)
		})
	}
}

// Every check is made true and made false by some condition; what is judged by
// functions of values alone is in judge_test.go.
func TestEveryCheckHasAConditionEitherWay(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]bool{"backup_status": true, "version_traps": true}
	for _, name := range preflight.Names() {
		if elsewhere[name] {
			continue
		}
		either := map[bool]bool{}
		for _, c := range conditions {
			if c.check == name {
				either[c.fails] = true
			}
		}
		require.Len(t, either, 2, name)
	}
}

// The archiver belongs to the server, so what it goes through is one test, and the
// server is its own: the others' reports tell of the archiver, too.
func TestArchivingThatFailsAndThenWorksAgain(t *testing.T) {
	t.Parallel()
	archiving, err := devdb.Start(t.Context(), devdb.Options{
		Confinement: devdb.Unconfined, // an archiver runs programs
		Settings: map[string]string{"archive_mode": "on", "archive_command": "false", "wal_level": "replica",
			"max_wal_senders": "4"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, archiving.Stop()) })
	b := newBaseOn(t, archiving)
	o := b.options("backup_status")
	archive := func(command, until string) preflight.Result {
		b.exec("ALTER SYSTEM SET archive_command = '" + command + "'")
		b.exec("SELECT pg_reload_conf()")
		b.exec("CREATE TABLE IF NOT EXISTS written (id int); INSERT INTO written VALUES (1)")
		b.exec("SELECT pg_switch_wal()")
		b.waitFor(until)
		o.Now = time.Now()
		return b.run(o)
	}
	failed := archive("false", "SELECT failed_count > 0 FROM pg_stat_archiver")
	require.False(t, failed.Passed)
	require.Contains(t, failed.Message, "archiving fails")

	works := archive("true", "SELECT last_archived_time > coalesce(last_failed_time, '-infinity') FROM pg_stat_archiver")
	require.True(t, works.Passed, works.Message)
	require.Contains(t, works.Message, "whether there is a base backup to it, it does not know")

	o.Now = time.Now().Add(25 * time.Hour)
	old := b.run(o)
	require.False(t, old.Passed)
	require.Contains(t, old.Message, "at most 24 h is allowed")
}

// program writes an executable that prints a text, as a tool for backups would.
func program(t *testing.T, prints string, status int) []string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "output"), []byte(prints), 0o600))
	name := filepath.Join(folder, "tool")
	require.NoError(t, os.WriteFile(name, []byte(fmt.Sprintf("#!/bin/sh\ncat %s/output\nexit %d\n", folder, status)),
		0o700))
	return []string{name}
}

// What the tools print, with the fields that their documentation names.
const (
	pgBackRestElsewhere = `[{"archive":[{"database":{"id":1,"repo-key":1},"id":"15-1","max":"000000010000000000000004","min":"000000010000000000000002"}],
		"backup":[{"archive":{"start":"000000010000000000000002","stop":"000000010000000000000003"},"backrest":{"format":5,"version":"2.50"},
			"database":{"id":1,"repo-key":1},"error":false,"info":{"delta":24199213,"repository":{"delta":3159776,"size":3159776},"size":24199213},
			"label":"20261123-100000F","lsn":{"start":"0/2000028","stop":"0/3000050"},"prior":null,"reference":null,"timestamp":{"start":1795428000,"stop":1795428600},"type":"full"}],
		"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":6569239123849665679,"version":"15"}],"name":"main",
		"repo":[{"cipher":"none","key":1,"status":{"code":0,"message":"ok"}}],"status":{"code":0,"lock":{"backup":{"held":false}},"message":"ok"}}]`
	pgBackRestEmpty = `[{"backup":[],"cipher":"none","db":[{"id":1,"repo-key":1,"system-id":6569239123849665679,"version":"15"}],"name":"main",
		"repo":[{"cipher":"none","key":1,"status":{"code":2,"message":"no valid backups"}}],"status":{"code":2,"lock":{"backup":{"held":false}},"message":"no valid backups"}}]`
	walgElsewhere = `[{"backup_name":"base_000000010000000000000002","time":"2026-11-23T10:00:00Z","wal_file_name":"000000010000000000000002","storage_name":"default",
		"start_time":"2026-11-23T09:58:00Z","finish_time":"2026-11-23T09:59:00Z","date_fmt":"%Y-%m-%dT%H:%M:%S.%fZ","hostname":"db1","data_dir":"/var/lib/postgresql/15/main",
		"pg_version":150008,"start_lsn":33554472,"finish_lsn":50331728,"is_permanent":false,"system_identifier":6569239123849665679,"uncompressed_size":24199213,"compressed_size":3159776}]`
	barmanDiagnosis = `{"global":{"config":{}},"servers":{"main":{"config":{"disabled":false},"status":{},"wals":{},"backups":{
		"20261123T075000":{"backup_label":null,"backup_name":null,"begin_time":"2026-11-23 07:50:00+00:00","begin_time_iso":"2026-11-23T07:50:00+00:00","end_time":"Mon Nov 23 08:00:00 2026",
			"end_time_iso":"2026-11-23T08:00:00+00:00","status":"DONE","systemid":null},
		"20261123T110000":{"status":"FAILED","error":"the copy failed","end_time":null,"systemid":null}}}}}`
)

func TestSourcesOfBackupsAreAskedInTheirOrder(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	now := time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)
	ago := func(hours int) time.Time { return now.Add(-time.Duration(hours) * time.Hour) }
	pgbackrest := func(hours int) preflight.Source {
		return preflight.Source{Kind: preflight.PgBackRest, Stanza: "main",
			Command: program(t, fmt.Sprintf(`[{"name":"main","status":{"code":0,"message":"ok"},
			"db":[{"id":1,"repo-key":1,"version":"15"}],"backup":[{"label":"20261123-000000F","error":false,"database":{"id":1,"repo-key":1},"timestamp":{"start":1,"stop":%d}}]}]`, ago(hours).Unix()), 0)}
	}
	label := filepath.Join(t.TempDir(), "backup_label")
	require.NoError(t, os.WriteFile(label, []byte("START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n"+
		"START TIME: 2026-11-23 09:00:00 UTC\nLABEL: nightly\n"), 0o600))
	manifest := filepath.Join(t.TempDir(), "backup_manifest")
	require.NoError(t, os.WriteFile(manifest,
		[]byte(`{"PostgreSQL-Backup-Manifest-Version": 1, "Files": [{"Path":"backup_label","Size":1,"Last-Modified":"2026-11-23 08:00:00 GMT"}]}`), 0o600))
	for name, c := range map[string]struct {
		sources []preflight.Source
		passed  bool
		unknown bool
		says    string
	}{
		"a young backup of pgBackRest": {[]preflight.Source{pgbackrest(3)}, true, false,
			"3 h old, as pgbackrest says"},
		"an old backup of pgBackRest": {[]preflight.Source{pgbackrest(30)}, false, false, "30 h old"},
		"the first that can tell decides": {[]preflight.Source{{Kind: preflight.PgBackRest,
			Command: []string{"/nowhere/pgbackrest"}}, pgbackrest(1)}, true, false, "1 h old"},
		"a program that fails": {[]preflight.Source{{Kind: preflight.PgBackRest, Command: program(t, "", 3)}},
			false, true, "nobody could tell"},
		"output that is none": {[]preflight.Source{{Kind: preflight.PgBackRest, Command: program(t, "what?",
			0)}}, false, true, "nobody could tell"},
		"WAL-G": {[]preflight.Source{{Kind: preflight.WALG,
			Command: program(
				t, `[{"backup_name":"base_0001","time":"2026-11-23T01:00:00Z","finish_time":"2026-11-23T02:00:00Z"}]`, 0)}}, true,
			false, "10 h old, as wal_g says"},
		"pgBackRest of another cluster": {[]preflight.Source{{Kind: preflight.PgBackRest,
			Command: program(t, pgBackRestElsewhere, 0)}}, false, true, "nobody could tell"},
		"pgBackRest without a backup": {[]preflight.Source{{Kind: preflight.PgBackRest,
			Command: program(t, pgBackRestEmpty, 0)}}, false, false, "pgbackrest knows of no backup"},
		"WAL-G of another cluster": {[]preflight.Source{{Kind: preflight.WALG, Command: program(t, walgElsewhere,
			0)}}, false, true, "nobody could tell"},
		"WAL-G without a time": {[]preflight.Source{{Kind: preflight.WALG,
			Command: program(t, `[{"backup_name":"base_0001"}]`, 0)}}, false, true, "nobody could tell"},
		"Barman's diagnosis": {[]preflight.Source{{Kind: preflight.Barman,
			Command: program(t, barmanDiagnosis, 0)}}, true, false, "4 h old, as barman says"},
		"WAL-G without a backup": {[]preflight.Source{{Kind: preflight.WALG, Command: program(t, "", 0)}}, false,
			false, "wal_g knows of no backup"},
		"Barman": {[]preflight.Source{{Kind: preflight.Barman, Stanza: "main",
			Command: program(
				t, fmt.Sprintf(`{"main":[{"backup_id":"20261123T000000","status":"DONE","end_time_timestamp":"%d"}]}`,
					ago(2).Unix()), 0)}}, true, false, "2 h old, as barman says"},
		"Barman whose backup is incomplete": {[]preflight.Source{{Kind: preflight.Barman, Stanza: "main",
			Command: program(
				t, fmt.Sprintf(`{"main":[{"backup_id":"20261123T000000","status":"WAITING_FOR_WALS","end_time_timestamp":"%d"}]}`,
					ago(2).Unix()), 0)}}, false, false, "barman knows of no backup"},
		"a label": {[]preflight.Source{{Kind: preflight.Label, Path: label}}, true, false,
			"3 h old, as label says"},
		"a label that is not there": {[]preflight.Source{{Kind: preflight.Label, Path: label + "x"}}, false, true,
			"nobody could tell"},
		"a manifest": {[]preflight.Source{{Kind: preflight.Manifest, Path: manifest}}, true, false,
			"4 h old, as manifest says"},
		"a query": {[]preflight.Source{{Kind: preflight.Query,
			Query: "SELECT '2026-11-23 11:00 UTC'::timestamptz"}}, true, false, "1 h old, as query says"},
		"a query without a row": {[]preflight.Source{{Kind: preflight.Query, Query: "SELECT now() WHERE false"}},
			false, false, "query knows of no backup"},
		"a query that is wrong": {[]preflight.Source{{Kind: preflight.Query,
			Query: "SELECT nothing_of_the_kind"}}, false, true, "nobody could tell"},
		"a query that writes": {[]preflight.Source{{Kind: preflight.Query,
			Query: "CREATE TABLE written (id int)"}}, false, true, "nobody could tell"},
		"a command": {[]preflight.Source{{Kind: preflight.Command,
			Command: program(t, fmt.Sprint(ago(5).Unix()), 0)}}, true, false, "5 h old, as command says"},
		"a command that prints no time": {[]preflight.Source{{Kind: preflight.Command, Command: program(t, "soon", 0)}},
			false, true, "nobody could tell"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := b.options("backup_status")
			o.Now, o.Settings.Backups = now, c.sources
			result := b.run(o)
			require.Equal(t, c.passed, result.Passed, result)
			require.Equal(t, c.unknown, result.Unknown, result)
			require.Contains(t, result.Message, c.says)
		})
	}
}

func TestARoleWithFewRightsSaysWhatItCouldNotSee(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	b.exec(users)
	busy := b.connect("shop")
	_, err := busy.Exec(t.Context(), "SELECT 1")
	require.NoError(t, err)
	few, watcher := b.role("GRANT SELECT ON users TO %[1]s"), b.role("GRANT pg_monitor TO %[1]s")
	for _, check := range []string{"table_locks", "dependencies"} {
		o := b.options(check, "ALTER TABLE users ADD COLUMN note text;")
		o.Verify = nil
		o.Connection.User = few
		result := b.run(o)
		require.True(t, result.Unknown, check)
		require.False(t, result.Passed)
		require.NotEmpty(t, result.Unseen)
		require.Contains(t, result.Remedy, "pg_read_all_stats")
		o.Connection.User = watcher
		result = b.run(o)
		require.True(t, result.Passed, result.Message)
	}
	// Not a single check fails for want of a right, with pg_monitor alone.
	o := b.options("", "ALTER TABLE users ADD COLUMN note text;")
	o.Only, o.Verify = nil, nil
	o.Connection.User = watcher
	report, err := preflight.Run(t.Context(), o)
	require.NoError(t, err)
	for _, result := range report.Results {
		require.NotContains(t, result.Message, "could not be looked at", result.Name)
	}
}

// Anyone who may read nothing is told so: what passes all the same needs no right, or
// says beside it what was not seen.
func TestARoleWithNothingIsToldWhatItCannotSee(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	b.exec(users)
	b.exec("CREATE SEQUENCE hidden")
	_, err := b.migrator("SELECT 1;").Up(t.Context(), whimbrel.UpOptions{})
	require.NoError(t, err)
	nobody := b.role("")
	o := b.options("", "SELECT 1;", "ALTER TABLE users ADD COLUMN note text;")
	o.Only, o.Now, o.Connection.User = nil, saturday, nobody
	denied := whimbrel.Error{Code: whimbrel.CodePermission, Message: "permission denied for table schema_migrations",
		Remedy: "grant it"}
	o.Plan, o.Unplanned, o.Verify = whimbrel.Plan{}, &denied, func(context.Context) (whimbrel.Verification,
		error) {
		return whimbrel.Verification{}, &denied
	}
	report, err := preflight.Run(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, report.Results, len(preflight.Names()))
	for _, check := range []string{"table_locks", "dependencies", "backup_status", "history", "schema_changes",
		"version_traps", "lock_capacity", "key_exhaustion"} {
		result, _ := report.Result(check)
		require.True(t, result.Unknown, "%s: %s", check, result.Message)
		require.NotEmpty(t, result.Remedy, "%s: %s", check, result.Message)
	}
	privileges, _ := report.Result("privileges")
	require.False(t, privileges.Passed)
	require.Contains(t, strings.Join(privileges.Details.Lines(), "\n"), "of public.schema_migrations, for whimbrel itself")
	require.Contains(t, report.Text(preflight.Style{}, false),
		"not seen: what is pending: permission denied for table schema_migrations")
}

func TestWithoutAPlanWhatIsNotAboutItIsCheckedAllTheSame(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	o := b.options("")
	o.Only, o.Now = nil, saturday
	o.Unplanned = &whimbrel.Error{Code: whimbrel.CodeChanged, Message: "1_example.sql was edited", Remedy: "take it back"}
	report, err := preflight.Run(t.Context(), o)
	require.NoError(t, err)
	for check, unknown := range map[string]bool{"version_traps": true, "lock_capacity": true, "writable": false,
		"maintenance_window": false, "data_size": false, "privileges": false} {
		result, _ := report.Result(check)
		require.Equal(t, unknown, result.Unknown, "%s: %s", check, result.Message)
		require.Equal(t, !unknown, result.Passed, "%s: %s", check, result.Message)
	}
	traps, _ := report.Result("version_traps")
	require.Equal(t, "take it back", traps.Remedy)
}

// A lean program has no parser: what needs one is unknown there, which is no pass, and
// stops no run unless that is wanted.
func TestWithoutAParserWhatStatementsTouchIsUnknownAndStopsNothing(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	b.exec(users)
	for _, check := range []string{"privileges", "lock_capacity"} {
		o := b.options(check, "UPDATE users SET name = '';")
		o.Touches, o.Connection.User = nil, b.role("GRANT ALL ON SCHEMA public TO %[1]s")
		result := b.run(o)
		require.True(t, result.Unknown && !result.Passed && !result.Blocking, "%s: %s", check, result.Message)
		require.Contains(t, result.Message, "what the pending statements touch is not known")
		require.Contains(t, result.Remedy, "lint.Touches")
		require.Contains(t, result.Unseen[0], "nothing is given that reads SQL")
		o.Block = []string{check}
		require.True(t, b.run(o).Blocking, check)
	}
}

func TestThatNoCheckIsLeftIsAnError(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	o := b.options("writable")
	o.Skip = []string{"writable"}
	_, err := preflight.Run(t.Context(), o)
	require.ErrorContains(t, err, "no check is left")
	o.Skip = []string{preflight.Everything}
	report, err := preflight.Run(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, report.Results)
}

func TestAChecksPasswordIsNowhere(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	o := b.options("writable")
	o.Connection.Host, o.Connection.Port, o.Connection.Password = "127.0.0.1", 1, "sesame-open"
	o.Connection.Fallbacks = nil
	_, err := preflight.Run(t.Context(), o)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "sesame-open")
	var own *whimbrel.Error
	require.ErrorAs(t, err, &own)
	require.Equal(t, whimbrel.CodeConnection, own.Code)
}

// role makes a role that may log in, and does with it what the statements say, in
// which %[1]s is its name.
func (b *base) role(statements string) string {
	b.t.Helper()
	name := fmt.Sprintf("role_%d_%d", b.conn.PgConn().PID(), time.Now().UnixNano())
	b.exec("CREATE ROLE " + name + " LOGIN")
	b.t.Cleanup(func() {
		b.aside("REASSIGN OWNED BY "+name+" TO CURRENT_USER", "DROP OWNED BY "+name, "DROP ROLE "+name)
	})
	if statements != "" {
		b.exec(fmt.Sprintf(statements, name))
	}
	return name
}

func (b *base) rollBack(gid string)  { b.aside("ROLLBACK PREPARED '" + gid + "'") }
func (b *base) dropSlot(slot string) { b.aside("SELECT pg_drop_replication_slot('" + slot + "')") }

// aside tidies up over a connection of its own, when the test's context is over.
func (b *base) aside(statements ...string) {
	ctx, cancel := cleanup()
	defer cancel()
	conn, err := pgx.Connect(ctx, b.url)
	require.NoError(b.t, err)
	defer func() { _ = conn.Close(ctx) }()
	for _, s := range statements {
		_, err := conn.Exec(ctx, s, pgx.QueryExecModeSimpleProtocol)
		require.NoError(b.t, err, s)
	}
}

// waitFor asks until a query gives true.
func (b *base) waitFor(query string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		var is bool
		err := b.conn.QueryRow(b.t.Context(), query).Scan(&is)
		return err == nil && is
	}, time.Minute, 10*time.Millisecond, query)
}
