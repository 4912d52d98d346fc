package devdb_test

import (
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// connect is a session of the superuser.
func connect(t *testing.T, server *devdb.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func TestWhatRunsInAServerReachesNothingOfTheMachine(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	canary := filepath.Join(folder, "canary")
	require.NoError(t, os.WriteFile(canary, []byte("CANARY"), 0o666))
	require.NoError(t, os.Chmod(canary, 0o666))
	require.NoError(t, os.Chmod(folder, 0o777))
	server := startServer(t, devdb.Options{})
	require.Equal(t, devdb.Walls{Files: true, TCP: true, Signals: true, Sockets: true}, server.Walls(),
		"this machine's kernel has all of them")
	conn := connect(t, server)
	_, err := conn.Exec(t.Context(), "SELECT lo_from_bytea(4711, 'x')")
	require.NoError(t, err)
	for name, sql := range map[string]string{
		"a program that is read from":  "CREATE TABLE IF NOT EXISTS loot (line text); COPY loot FROM PROGRAM 'echo'",
		"a program that is written to": "COPY (SELECT 1) TO PROGRAM 'cat > " + folder + "/written'",
		"a file that is read":          "SELECT pg_read_file('" + canary + "')",
		"a file that is copied from":   "CREATE TABLE IF NOT EXISTS loot (line text); COPY loot FROM '" + canary + "'",
		"a file that is copied to":     "COPY (SELECT 1) TO '" + folder + "/written'",
		"a file that is overwritten":   "COPY (SELECT 1) TO '" + canary + "'",
		"a large object from a file":   "SELECT lo_import('" + canary + "')",
		"a large object to a file":     "SELECT lo_export(4711, '" + folder + "/written')",
		"the accounts of the machine":  "SELECT pg_read_file('/etc/passwd')",
		"its own environment":          "SELECT pg_read_file('/proc/self/environ')",
		"our environment":              fmt.Sprintf("SELECT pg_read_file('/proc/%d/environ')", os.Getpid()),
		"folders":                      "SELECT pg_ls_dir('" + folder + "')",
		"a tablespace":                 "CREATE TABLESPACE outside LOCATION '" + folder + "'",
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "could not", name)
		require.NotContains(t, err.Error(), "does not exist", name)
		require.NotContains(t, err.Error(), "CANARY", name)
	}
	content, err := os.ReadFile(canary)
	require.NoError(t, err)
	require.Equal(t, "CANARY", string(content))
	require.NoFileExists(t, filepath.Join(folder, "written"))
}

func TestAServerConnectsToNothing(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	conn := connect(t, startServer(t, devdb.Options{}))
	_, err = conn.Exec(t.Context(), "CREATE EXTENSION dblink")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), fmt.Sprintf("SELECT dblink_connect('host=127.0.0.1 port=%d')",
		listener.Addr().(*net.TCPAddr).Port))
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Detail, "Permission denied")
}

func TestAServerThatListensIsReachedAndReachesNothing(t *testing.T) {
	t.Parallel()
	server := startServer(t, devdb.Options{TCP: true})
	require.Equal(t, "1", ask(t, server.TCPURL("postgres"), "SELECT '1'"))
	_, err := connect(t, server).Exec(t.Context(), "COPY (SELECT 1) TO PROGRAM 'true'")
	require.Error(t, err)
	require.NoError(t, server.Restart(t.Context(), true))
	_, err = connect(t, server).Exec(t.Context(), "COPY (SELECT 1) TO PROGRAM 'true'")
	require.Error(t, err, "after a restart, too")
}

func TestAServerSeesNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("WHIMBREL_TEST_TOKEN", "CANARY")
	server := startServer(t, devdb.Options{Confinement: devdb.Unconfined})
	require.False(t, server.Walls().Any())
	require.NotContains(t, ask(t, server.URL("postgres"), "SELECT encode(pg_read_binary_file('/proc/self/environ'), "+
		"'escape')"), "CANARY")
}

// A library that a migration writes into the data folder can be loaded, since the kernel does not ask for what is
// mapped. What it starts must end.
const forks = `#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void begin(void) {
	if (fork() != 0) return;
	setsid();
	if (fork() != 0) _exit(0);
	FILE *f = fopen("outlives", "w");
	if (f) { fprintf(f, "%d", getpid()); fclose(f); }
	for (;;) sleep(1);
}
`

func TestNothingThatNativeCodeStartedOutlivesItsServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	source, library := filepath.Join(folder, "forks.c"), filepath.Join(folder, "forks.so")
	require.NoError(t, os.WriteFile(source, []byte(forks), 0o600))
	output, err := exec.Command("gcc", "-shared", "-fPIC", "-o", library, source).CombinedOutput()
	require.NoError(t, err, string(output))
	content, err := os.ReadFile(library)
	require.NoError(t, err)
	server := startServer(t, devdb.Options{})
	other := startServer(t, devdb.Options{})
	conn := connect(t, server)
	inside := filepath.Join(server.DataDir(), "forks.so")
	_, err = conn.Exec(t.Context(), "SELECT lo_from_bytea(4711, '\\x"+hex.EncodeToString(content)+"')")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT lo_export(4711, '"+inside+"')")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "LOAD '"+inside+"'")
	require.ErrorContains(t, err, "incompatible library", "it was loaded, and ran, before PostgreSQL looked at it")
	var child int
	require.Eventually(t, func() bool {
		text := ask(t, server.URL("postgres"), "SELECT coalesce(pg_read_file('outlives', 0, 100, true), '')")
		_, err := fmt.Sscan(strings.TrimSpace(text), &child)
		return err == nil
	}, deadline, pause)
	require.True(t, runs(child))

	require.NoError(t, server.Stop())
	require.False(t, runs(child), "process %d of the stopped server", child)
	require.Equal(t, "1", ask(t, other.URL("postgres"), "SELECT '1'"), "other servers are not touched")
}

// In a process of its own, since the other tests have servers, too.
func TestOrphansAreTakenInOnlyWhileThereAreServersBehindWalls(t *testing.T) {
	t.Parallel()
	const alone = "DEVDB_TEST_ALONE"
	if os.Getenv(alone) == "" {
		command := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		command.Env = append(os.Environ(), alone+"=yes")
		output, err := command.CombinedOutput()
		require.NoError(t, err, string(output))
		return
	}
	takesIn := func() bool {
		var value int32
		require.NoError(t, unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&value)), 0, 0, 0))
		return value != 0
	}
	require.False(t, takesIn())
	first, second := startServer(t, devdb.Options{}), startServer(t, devdb.Options{})
	require.True(t, takesIn())
	require.NoError(t, first.Stop())
	require.True(t, takesIn(), "there is another one")
	require.NoError(t, second.Stop())
	require.False(t, takesIn())
}

// What Landlock leaves open: a socket that has a path, and datagrams.
func TestAServerConnectsToNoSocketThatHasAPath(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	require.NoError(t, os.Chmod(folder, 0o777))
	listener, err := net.Listen("unix", filepath.Join(folder, ".s.PGSQL.5432"))
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	require.NoError(t, os.Chmod(filepath.Join(folder, ".s.PGSQL.5432"), 0o777))
	conn := connect(t, startServer(t, devdb.Options{}))
	_, err = conn.Exec(t.Context(), "CREATE EXTENSION dblink")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "SELECT dblink_connect('host="+folder+"')")
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Detail, "Permission denied")
}
