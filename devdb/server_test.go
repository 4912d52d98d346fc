package devdb_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

func TestAServerAnswersQueriesAndIsGoneAfterStop(t *testing.T) {
	t.Parallel()
	server, err := devdb.Start(t.Context(), devdb.Options{})
	require.NoError(t, err)
	pid := server.PID()
	require.Positive(t, pid)
	require.Contains(t, ask(t, server.URL("postgres"), "SHOW server_version"), server.Version().Version)
	open, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer func() { _ = open.Close(context.Background()) }()

	require.NoError(t, server.Stop(), "although a session is open")
	require.NoError(t, server.Stop(), "a second stop does nothing")

	require.Zero(t, server.PID())
	require.False(t, devdb.Exists(pid), "it was waited for")
	require.NoDirExists(t, filepath.Dir(server.DataDir()))
	require.NoFileExists(t, filepath.Dir(server.DataDir())+".lock")
	require.ErrorContains(t, server.Restart(t.Context(), false), "it was stopped")
}

func TestSettings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options devdb.Options
		want    map[string]string
	}{
		{"fast unless told otherwise", devdb.Options{}, map[string]string{"fsync": "off", "wal_level": "minimal",
			"max_wal_senders": "0", "max_connections": "200", "autovacuum": "off", "TimeZone": "UTC",
			"server_encoding": "UTF8"}},
		{"the caller's win", devdb.Options{Settings: map[string]string{"autovacuum": "on", "search_path": `"it's", public`}},
			map[string]string{"fsync": "off", "autovacuum": "on", "search_path": `"it's", public`}},
		{"replicas when wanted", devdb.Options{Settings: map[string]string{"wal_level": "logical"}},
			map[string]string{"wal_level": "logical", "max_wal_senders": "10"}},
		{"durable", devdb.Options{Durable: true}, map[string]string{"fsync": "on", "synchronous_commit": "on",
			"full_page_writes": "on", "autovacuum": "on", "wal_level": "replica"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, test.options)
			for setting, want := range test.want {
				require.Equal(t, want, ask(t, server.URL("postgres"), "SHOW "+setting), setting)
			}
		})
	}
}

func TestAServerThatDoesNotComeUpShowsItsLog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		settings map[string]string
		want     string
	}{
		{"an unknown setting", map[string]string{"no_such_setting": "1"},
			`unrecognized configuration parameter "no_such_setting"`},
		{"a bad value", map[string]string{"shared_buffers": "lots"}, `invalid value for parameter "shared_buffers"`},
		{"a setting that is not a name", map[string]string{"a = b\nc": "1"}, "is not the name of a server setting"},
		{"a value of two lines", map[string]string{"search_path": "a\nfsync = on"}, "more than one line"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := devdb.Start(t.Context(), devdb.Options{Settings: test.settings})
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestACancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := devdb.Start(ctx, devdb.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestRestartKeepsDataAndURL(t *testing.T) {
	t.Parallel()
	for _, immediately := range []bool{false, true} {
		t.Run("immediately "+strconv.FormatBool(immediately), func(t *testing.T) {
			t.Parallel()
			server := startServer(t, devdb.Options{TCP: true})
			url, pid := server.URL("postgres"), server.PID()
			execute(t, url, "CREATE TABLE kept AS SELECT 'still there' AS word")
			require.NoError(t, server.Restart(t.Context(), immediately))
			require.Equal(t, url, server.URL("postgres"))
			require.NotEqual(t, pid, server.PID())
			require.Equal(t, "still there", ask(t, url, "SELECT word FROM kept"))
		})
	}
}

func TestAKilledServerCanBeRestarted(t *testing.T) {
	t.Parallel()
	server := startServer(t, devdb.Options{})
	session, err := pgx.Connect(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	defer func() { _ = session.Close(context.Background()) }()
	execute(t, server.URL("postgres"), "CREATE TABLE kept AS SELECT 'still there' AS word")
	killProcess(t, server.PID())
	require.NoError(t, server.Restart(t.Context(), false))
	require.Equal(t, "still there", ask(t, server.URL("postgres"), "SELECT word FROM kept"))
}

func TestAServerOutlivesTheThreadThatAskedForIt(t *testing.T) {
	t.Parallel()
	var server *devdb.Server
	var err error
	var starts sync.WaitGroup
	starts.Go(func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with the goroutine
		server, err = devdb.Start(t.Context(), devdb.Options{})
	})
	starts.Wait()
	require.NoError(t, err)
	pid := server.PID()
	require.Equal(t, "1", ask(t, server.URL("postgres"), "SELECT '1'"))
	require.Equal(t, pid, server.PID())
	require.NoError(t, server.Stop())
}

func TestTCPNeedsThePassword(t *testing.T) {
	t.Parallel()
	server := startServer(t, devdb.Options{TCP: true})
	require.Equal(t, strconv.Itoa(server.Port()), ask(t, server.TCPURL("postgres"), "SELECT inet_server_port()::text"))
	withoutPassword := "postgres://postgres@" + net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port())) +
		"/postgres?sslmode=disable&passfile=/dev/null"
	_, err := pgx.Connect(t.Context(), withoutPassword)
	require.ErrorContains(t, err, "password authentication failed")

	onlySocket := startServer(t, devdb.Options{})
	require.Empty(t, ask(t, onlySocket.URL("postgres"), "SHOW listen_addresses"))
}

func TestSessionsOnTheSocketAreOnlyForUs(t *testing.T) {
	t.Parallel()
	server := startServer(t, devdb.Options{})
	info, err := os.Stat(server.SocketDir())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.FileExists(t, server.LogFile())
}

func TestFreshDatabasesAreCreatedAtOnceAndDropped(t *testing.T) {
	t.Parallel()
	server := startServer(t, devdb.Options{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			url, drop, err := server.FreshDatabase(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer drop()
			connection, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = connection.Close(context.Background()) }()
			if _, err := connection.Exec(t.Context(), "CREATE TABLE own ()"); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	require.Equal(t, "0", ask(t, server.URL("postgres"), "SELECT count(*)::text FROM pg_database WHERE datname LIKE "+
		"'fresh%'"))
}

func TestADatabaseIsClonedFromATemplate(t *testing.T) {
	t.Parallel()
	server := startServer(t, devdb.Options{})
	const odd = `a "strange" name/?`
	require.NoError(t, server.CreateDatabase(t.Context(), "source", ""))
	execute(t, server.URL("source"), "CREATE TABLE copied AS SELECT 'from the template' AS word")
	require.NoError(t, server.CreateDatabase(t.Context(), odd, "source"))
	require.Equal(t, "from the template", ask(t, server.URL(odd), "SELECT word FROM copied"))
	require.ErrorContains(t, server.CreateDatabase(t.Context(), odd, ""), "already exists")
	require.NoError(t, server.DropDatabase(t.Context(), odd))
	require.NoError(t, server.DropDatabase(t.Context(), odd), "it is gone already")
}

func TestTheTemplateIsMadeOnceByAllThatStartAtOnce(t *testing.T) {
	t.Setenv("WHIMBREL_CACHE", reachableFolder(t))
	var made atomic.Int32
	progress := func(message string) {
		if strings.Contains(message, "template") {
			made.Add(1)
		}
	}
	var starts sync.WaitGroup
	for range 3 {
		starts.Go(func() {
			server, err := devdb.Start(t.Context(), devdb.Options{Progress: progress})
			if err != nil {
				t.Error(err)
				return
			}
			if err := server.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	starts.Wait()
	startServer(t, devdb.Options{Progress: progress})
	require.EqualValues(t, 1, made.Load())
}

func TestWhatAnInterruptedTemplateLeavesIsReplaced(t *testing.T) {
	cache := reachableFolder(t)
	t.Setenv("WHIMBREL_CACHE", cache)
	startServer(t, devdb.Options{})
	made, err := filepath.Glob(filepath.Join(cache, "templates", "*", "data"))
	require.NoError(t, err)
	require.Len(t, made, 1)
	template := filepath.Dir(made[0])
	require.NoError(t, os.Rename(template, template+".new"))
	require.NoError(t, os.Remove(filepath.Join(template+".new", "data", "PG_VERSION")))
	startServer(t, devdb.Options{})
	require.FileExists(t, filepath.Join(template, "data", "PG_VERSION"))
}

func BenchmarkStartFromTemplate(b *testing.B) {
	startServer(b, devdb.Options{}) // makes the template
	for b.Loop() {
		server, err := devdb.Start(b.Context(), devdb.Options{})
		require.NoError(b, err)
		b.StopTimer()
		require.NoError(b, server.Stop())
		b.StartTimer()
	}
}

func BenchmarkStartWithoutTemplate(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		b.Setenv("WHIMBREL_CACHE", reachableFolder(b))
		b.StartTimer()
		server, err := devdb.Start(b.Context(), devdb.Options{})
		require.NoError(b, err)
		b.StopTimer()
		require.NoError(b, server.Stop())
		b.StartTimer()
	}
}

func BenchmarkCloneDatabase(b *testing.B) {
	server := startServer(b, devdb.Options{})
	require.NoError(b, server.CreateDatabase(b.Context(), "source", ""))
	execute(b, server.URL("source"), "DO $$ BEGIN FOR i IN 1..50 LOOP EXECUTE format('CREATE TABLE t%s (id bigint "+
		"PRIMARY KEY, word text)', i); END LOOP; END $$")
	for b.Loop() {
		require.NoError(b, server.CreateDatabase(b.Context(), "clone", "source"))
		b.StopTimer()
		require.NoError(b, server.DropDatabase(b.Context(), "clone"))
		b.StartTimer()
	}
}
