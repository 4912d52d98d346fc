//go:build linux

package faults_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/faults"
)

// lonely starts a server for one test.
func lonely(t *testing.T, settings map[string]string) *devdb.Server {
	t.Helper()
	return started(t, devdb.Options{Settings: settings})
}

func started(t *testing.T, options devdb.Options) *devdb.Server {
	t.Helper()
	own, err := devdb.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	return own
}

var one = files{"1_users.sql": "CREATE TABLE users (id int)"}

// role makes a role that can log in over TCP with a password, and gives its URL.
func (b *bundle) role(password, options string) string {
	b.Helper()
	b.exec(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s' %s", b.name, password, options))
	b.Cleanup(func() { b.exec("DROP OWNED BY " + b.name + "; DROP ROLE " + b.name) })
	address := net.JoinHostPort("127.0.0.1", fmt.Sprint(b.server.Port()))
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", b.name, password, address, b.name)
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t)
	url := b.role("right", "")
	e := fails(t, b.up(one, through(strings.Replace(url, ":right@", ":s3cr3t@", 1))), whimbrel.CodeConnection)
	require.Contains(t, e.Message, "password authentication failed")
	require.Contains(t, e.Remedy, "check user and password")
	require.NotContains(t, fmt.Sprintf("%+v %v", e, e.Err), "s3cr3t")
}

func TestNoSuchDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := fails(t, b.up(one, through(server.URL("nowhere"))), whimbrel.CodeConnection)
	require.Contains(t, e.Message, `database "nowhere" does not exist`)
	require.Contains(t, e.Remedy, "create the database")
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	e := fails(t, b.up(one, through("postgres://me:s3cr3t@"+address+"/db?sslmode=disable")), whimbrel.CodeConnection)
	require.Contains(t, e.Message, "refused")
	require.Contains(t, e.Message, address, "where it was looked for")
	require.Contains(t, e.Remedy, "check that the server runs")
	require.NotContains(t, e.Error(), "s3cr3t")
}

func TestTheServerGoesAwayInTheMiddleAndStaysAway(t *testing.T) {
	t.Parallel()
	own := lonely(t, nil)
	b := setupOn(t, own)
	f := diary("")
	striking, struck := strikeAt(moment{event: 5}, func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	err := b.up(f, striking, lease(4*time.Second))
	struck()
	var e *whimbrel.Error
	require.ErrorAs(t, err, &e)
	require.Contains(t, []whimbrel.Code{whimbrel.CodeConnection, whimbrel.CodeLeaseLost}, e.Code)
	require.Regexp(t, "connect|refused|no such file", e.Message, "the user must read that the server cannot be reached")
	require.Contains(t, e.Remedy, "run the same command again")
	require.Contains(t, b.heard(), "connection_lost")
}

func TestARoleThatMayNotCreateTables(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	url := b.role("right", "")
	e := fails(t, b.up(one, through(url)), whimbrel.CodePermission)
	require.Contains(t, e.Message, "permission denied for schema public")
	require.Contains(t, e.Remedy, "grant the role that right")
	require.Equal(t, "NULL", b.text("SELECT to_regclass('schema_migrations')"))

	require.NoError(t, b.up(one), "as the owner")
	m := b.migrator(one, through(url))
	_, err := m.Status(t.Context())
	e = fails(t, err, whimbrel.CodePermission)
	require.Contains(t, e.Message, "permission denied for table ")
	b.exec("GRANT SELECT ON schema_migrations, schema_migrations_journal, migration_lock TO " + b.name)
	_, err = m.Status(t.Context())
	require.NoError(t, err, "reading is enough to look")
	require.NoError(t, b.up(one, through(url)), "and to have nothing to do")
}

func TestARoleThatMayOnlyRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec("ALTER DATABASE " + b.name + " SET default_transaction_read_only = on")
	e := fails(t, b.up(one), whimbrel.CodeReadOnly)
	require.Contains(t, e.Message, "read-only transaction")
	require.Contains(t, e.Remedy, "default_transaction_read_only")

	_, err := b.migrator(one).Status(t.Context())
	require.NoError(t, err)
}

// tmpfs mounts a small file system that the server's account can write to.
func tmpfs(t *testing.T, options string) (folder string) {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "full")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	err = syscall.Mount("tmpfs", folder, "tmpfs", 0, options)
	unmount := func() error { return syscall.Unmount(folder, syscall.MNT_DETACH) }
	if errors.Is(err, syscall.EPERM) { // not root
		err = exec.Command("sudo", "-n", "mount", "-t", "tmpfs", "-o", options, "tmpfs", folder).Run()
		unmount = func() error { return exec.Command("sudo", "-n", "umount", "-l", folder).Run() }
	}
	require.NoError(t, err, "a small file system cannot be mounted: run the tests as root, or let sudo mount without a "+
		"password")
	t.Cleanup(func() { require.NoError(t, unmount()) })
	return folder
}

func TestAFullDisk(t *testing.T) {
	t.Parallel()
	own := started(t, devdb.Options{Confinement: devdb.Unconfined}) // a tablespace is a folder of the machine
	b := setupOn(t, own)
	info, err := os.Stat(own.DataDir())
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	folder := tmpfs(t, fmt.Sprintf("size=4m,mode=700,uid=%d,gid=%d", owner.Uid, owner.Gid))
	b.exec("CREATE TABLESPACE small LOCATION '" + folder + "'")
	f := files{
		"1_small.sql": "CREATE TABLE small (id int) TABLESPACE small",
		"2_large.sql": "CREATE TABLE large (note text) TABLESPACE small;\n" +
			"INSERT INTO large SELECT repeat('x', 1000) FROM generate_series(1, 10000)",
	}
	e := fails(t, b.up(f), whimbrel.CodeStatement)
	require.Equal(t, "53100", e.SQLState)
	require.Contains(t, e.Message, "No space left on device")
	require.Contains(t, e.Remedy, "free space on the server's disk")
	require.Equal(t, "migrations/2_large.sql", e.Path)
	require.Equal(t, 2, e.Line)
	require.Equal(t, "1", b.applied())
	require.Equal(t, "NULL", b.text("SELECT to_regclass('large')"))
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))

	require.NoError(t, syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_REMOUNT, "size=64m"), "make room")
	require.NoError(t, b.up(f), "the same command again")
	require.Equal(t, "1 2", b.applied())
}

func TestAMigrationThatSetsAnOddSearchPath(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"''", "pg_temp", "nowhere", "pg_catalog", `"$user"`, "odd"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.exec("CREATE SCHEMA odd; CREATE TABLE odd.schema_migrations (trap int); CREATE TABLE odd.migration_lock (trap int)")
			require.NoError(t, b.up(files{
				"1_odd.sql":   "SET search_path = " + path + "; CREATE TABLE public.a ();",
				"2_plain.sql": "CREATE TABLE b ();",
				"3_alone.sql": "SET search_path = " + path + ";\nCREATE TABLE public.c (id int);\n" +
					"CREATE INDEX CONCURRENTLY c_id ON public.c (id);",
				"4_plain.sql": "CREATE TABLE d ();",
			}))
			require.Equal(t, "1 2 3 4", b.text("SELECT string_agg(version, ' ' ORDER BY id) FROM public.schema_migrations"))
			require.Equal(t, "4", b.text("SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b', 'c', 'd') AND "+
				"relnamespace = 'public'::regnamespace"))
		})
	}
}

func TestARoleWithoutAnySchemaInItsSearchPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec("ALTER DATABASE " + b.name + " SET search_path = nowhere")
	e := fails(t, b.up(one), whimbrel.CodeConfiguration)
	require.Contains(t, e.Message, "search_path names none that exists")
	require.Contains(t, e.Remedy, "Config.Table: public.schema_migrations")
	require.NoError(t, b.up(files{"1_users.sql": "CREATE TABLE public.users (id int)"},
		func(c *whimbrel.Config) { c.Table = "public.schema_migrations" }))
}

func TestAMigrationThatSetsARole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_ = b.role("right", "")
	b.exec("GRANT CREATE ON SCHEMA public TO " + b.name)
	require.NoError(t, b.up(files{
		"1_role.sql":    "SET ROLE " + b.name + "; CREATE TABLE a ();",
		"2_plain.sql":   "CREATE TABLE b ();",
		"3_session.sql": "SET SESSION AUTHORIZATION " + b.name + "; CREATE TABLE c ();",
		"4_alone.sql": "SET ROLE " + b.name + ";\nCREATE TABLE d (id int);\nRESET ROLE;\n" +
			"CREATE INDEX CONCURRENTLY d_id ON d (id);\nSET ROLE " + b.name + ";\nCREATE TABLE e ();",
		"5_plain.sql": "CREATE TABLE f ();",
	}))
	require.Equal(t, "1 2 3 4 5", b.applied())
	mine := "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relowner = '" +
		b.name + "'::regrole"
	require.Equal(t, "a c d e", b.text(mine), "what they set holds for them, and for nobody else")
}

func TestTwoCheckoutsWithDifferentFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	common := "CREATE TABLE users (id int)"
	left := files{"1_users.sql": common, "2_left.sql": "CREATE TABLE left_table ()"}
	right := files{"1_users.sql": common, "3_right.sql": "CREATE TABLE right_table ()"}
	require.NoError(t, b.up(left))
	e := fails(t, b.up(right), whimbrel.CodeMissingFile)
	require.Contains(t, e.Message, "2 (left) is applied, but has no file")
	require.Contains(t, e.Remedy, "use the checkout that has it")
	require.Equal(t, "NULL", b.text("SELECT to_regclass('right_table')"))

	both := files{"1_users.sql": common, "2_left.sql": left["2_left.sql"], "3_right.sql": right["3_right.sql"]}
	require.NoError(t, b.up(both))
	changed := files{"1_users.sql": common + ";\nALTER TABLE users ADD note text", "2_left.sql": left["2_left.sql"],
		"3_right.sql": right["3_right.sql"], "4_new.sql": "CREATE TABLE new ()"}
	e = fails(t, b.up(changed), whimbrel.CodeChanged)
	require.Equal(t, "migrations/1_users.sql", e.Path)
	require.Contains(t, e.Message, "changed after it was applied")
	require.Contains(t, e.Remedy, "write a new migration")
	require.Equal(t, "NULL", b.text("SELECT to_regclass('new')"))
}

func TestTwoCheckoutsWithDifferentFilesAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open := b.gate()
	left := files{"1_left.sql": "-- +migrate Set lock_timeout = 0\nCREATE TABLE left_table (); SELECT count(*) FROM gate;"}
	right := files{"2_right.sql": "CREATE TABLE right_table ()"}
	first := b.succeed(left)
	b.eventually(working)
	second := b.succeed(right) // planned while the history was empty
	b.until("it waits", func() bool { _, found := last[whimbrel.LeaseWaiting](b); return found })
	open()
	require.NoError(t, <-first)
	e := fails(t, <-second, whimbrel.CodeMissingFile)
	require.Contains(t, e.Message, "1 (left) is applied")
	require.Equal(t, "1", b.applied())
	require.Equal(t, "NULL", b.text("SELECT to_regclass('right_table')"))
	require.Equal(t, "false", b.text("SELECT is_locked FROM migration_lock"))
}

// Go asks the kernel for the time and not the C library, so it is the server
// whose clock is moved by libfaketime, and this machine that is wrong in its eyes.
func TestTheClockOfThisMachineAnHourWrong(t *testing.T) {
	library, err := faults.File(t.Context(), "/usr/lib/*/faketime/libfaketime.so.1", "libfaketime")
	require.NoError(t, err)
	for name, offset := range map[string]string{"behind": "+3600", "ahead": "-3600"} {
		t.Run(name, func(t *testing.T) {
			own, err := devdb.Start(t.Context(), devdb.Options{Environment: map[string]string{ // the runners have the true time
				"LD_PRELOAD": library, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1",
			}})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, own.Stop()) })
			b := setupOn(t, own)
			wrong := b.text(fmt.Sprintf("SELECT abs(extract(epoch FROM clock_timestamp()) - %d) BETWEEN 3000 AND 4200",
				time.Now().Unix()))
			require.Equal(t, "true", wrong, "the server has the true time")
			clockTrials(b)
		})
	}
}

func clockTrials(b *bundle) {
	b.Helper()
	open := b.gate()
	f := diary("-- +migrate Set lock_timeout = 0\nSELECT count(*) FROM gate;")
	folder := f.write(b)
	r := b.start(folder, childLease+"=5s")
	b.eventually(working)
	first := b.text("SELECT expires_at FROM migration_lock")
	b.eventually("SELECT expires_at > '" + first + "'::timestamptz FROM migration_lock") // it is renewed
	e := fails(b, b.up(f, impatient), whimbrel.CodeLeaseHeld)
	require.Contains(b, e.Message, "alive", "a clock that is wrong makes nobody take the lease of a runner that lives")
	r.kill()
	open()
	require.NoError(b, b.up(f))
	b.neverBeside()
	if taken, _ := last[whimbrel.LeaseTaken](b); taken.TakenFrom != nil {
		require.Equal(b, "gone", taken.TakenFrom.State, "its session has ended long before its lease")
	}
}
