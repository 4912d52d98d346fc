package devdb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// openProject gives a project that is stopped at the test's end.
func openProject(t *testing.T, folder string) *devdb.Project {
	t.Helper()
	project := devdb.OpenProject(folder, devdb.ProjectOptions{})
	t.Cleanup(func() { require.NoError(t, project.Stop(context.Background())) })
	return project
}

func startProject(t *testing.T, folder string) (*devdb.Project, devdb.Status) {
	t.Helper()
	project := openProject(t, folder)
	status, err := project.Start(t.Context())
	require.NoError(t, err)
	return project, status
}

func TestAProjectServerKeepsItsDataOverStopAndStart(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(reachableFolder(t), ".whimbrel")
	project := openProject(t, folder)
	status, err := project.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, devdb.Status{}, status, "never started")
	require.NoError(t, project.Stop(t.Context()), "there is nothing to stop")

	first, err := project.Start(t.Context())
	require.NoError(t, err)
	require.True(t, first.Running)
	require.False(t, first.Since.IsZero())
	require.FileExists(t, first.LogFile)
	require.Empty(t, first.Note)
	require.True(t, strings.HasPrefix(first.DataDir, filepath.Join(folder, "postgres")))
	require.Len(t, first.Databases, 1)
	require.Equal(t, devdb.AppDatabase, first.Databases[0].Name)
	execute(t, first.URL, "CREATE TABLE kept AS SELECT 'still there' AS word")

	again, err := project.Start(t.Context())
	require.NoError(t, err)
	require.Equal(t, first.PID, again.PID, "a second start does nothing")

	require.NoError(t, project.Stop(t.Context()))
	stopped, err := project.Status(t.Context())
	require.NoError(t, err)
	require.False(t, stopped.Running)
	require.Zero(t, stopped.PID)

	second, err := project.Start(t.Context())
	require.NoError(t, err)
	require.Equal(t, first.URL, second.URL)
	require.Equal(t, "still there", ask(t, second.URL, "SELECT word FROM kept"))
	require.Equal(t, "off on", ask(t, second.URL, "SELECT current_setting('synchronous_commit') || ' ' || "+
		"current_setting('fsync')"))
}

func TestTheURLOfAProjectStartsItsServer(t *testing.T) {
	t.Parallel()
	project := openProject(t, reachableFolder(t))
	app, err := project.URL(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, devdb.AppDatabase, ask(t, app, "SELECT current_database()::text"))
	other, err := project.URL(t.Context(), "postgres")
	require.NoError(t, err)
	require.Equal(t, "postgres", ask(t, other, "SELECT current_database()::text"))
}

func TestCommandsThatStartAProjectAtOnceGetTheSameServer(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	openProject(t, folder)
	const commands = 6
	pids := make([]int, commands)
	var starts sync.WaitGroup
	for i := range commands {
		starts.Go(func() {
			status, err := devdb.OpenProject(folder, devdb.ProjectOptions{}).Start(t.Context())
			if err != nil {
				t.Error(err)
			}
			pids[i] = status.PID
		})
	}
	starts.Wait()
	require.Positive(t, pids[0])
	for _, pid := range pids {
		require.Equal(t, pids[0], pid)
	}
}

func TestResetRemovesEverythingAndKeepsTheURL(t *testing.T) {
	t.Parallel()
	project, before := startProject(t, reachableFolder(t))
	execute(t, before.URL, "CREATE TABLE dropped ()")
	execute(t, before.URL, "CREATE DATABASE other")
	require.NoError(t, project.Reset(t.Context()))
	after, err := project.Status(t.Context())
	require.NoError(t, err)
	require.True(t, after.Running)
	require.Equal(t, before.URL, after.URL)
	require.Equal(t, before.TCPURL, after.TCPURL)
	require.Len(t, after.Databases, 1)
	require.Equal(t, "true", ask(t, after.URL, "SELECT (to_regclass('dropped') IS NULL)::text"))
}

func TestTCPToAProjectNeedsThePassword(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	_, status := startProject(t, folder)
	require.Equal(t, "1", ask(t, status.TCPURL, "SELECT '1'"))
	parsed, err := url.Parse(status.TCPURL)
	require.NoError(t, err)
	password, set := parsed.User.Password()
	require.True(t, set)
	require.GreaterOrEqual(t, len(password), 20)
	require.NotContains(t, status.URL, password)
	info, err := os.Stat(filepath.Join(folder, "postgres", "server.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Equal(t, "scram-sha-256", ask(t, status.URL, "SELECT auth_method FROM pg_hba_file_rules WHERE type = 'host' "+
		"AND address = '127.0.0.1' LIMIT 1"))
}

func TestAProjectServerThatWasKilledIsStartedAgain(t *testing.T) {
	t.Parallel()
	project, before := startProject(t, reachableFolder(t))
	execute(t, before.URL, "SET synchronous_commit = on; CREATE TABLE kept AS SELECT 'still there' AS word")
	killProcess(t, before.PID)
	require.Eventually(t, func() bool {
		status, err := project.Status(context.Background())
		return err == nil && !status.Running
	}, deadline, pause)
	after, err := project.Start(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, before.PID, after.PID)
	require.Equal(t, "still there", ask(t, after.URL, "SELECT word FROM kept"))
}

func TestALeftoverProcessNumberOfAnotherProgramIsNotTakenForTheServer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		content string
	}{
		{"our own number", fmt.Sprintf("%d\n/somewhere\n1700000000\n5432\n", os.Getpid())},
		{"our parent's", fmt.Sprintf("%d\n", os.Getppid())},
		{"nobody's", "4194000\n"},
		{"an empty file", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			project, status := startProject(t, reachableFolder(t))
			require.NoError(t, project.Stop(t.Context()))
			socket, err := url.Parse(status.URL)
			require.NoError(t, err)
			lock := filepath.Join(socket.Query().Get("host"), ".s.PGSQL."+socket.Query().Get("port")+".lock")
			require.NoError(t, os.MkdirAll(filepath.Dir(lock), 0o700))
			for _, path := range []string{filepath.Join(status.DataDir, "postmaster.pid"), lock} {
				require.NoError(t, os.WriteFile(path, []byte(test.content), 0o644))
			}
			stopped, err := project.Status(t.Context())
			require.NoError(t, err)
			require.False(t, stopped.Running)
			started, err := project.Start(t.Context())
			require.NoError(t, err)
			require.True(t, started.Running)
		})
	}
}

func TestAFileThatNamesNoProcessIsReportedWithTheWayOut(t *testing.T) {
	t.Parallel()
	project, status := startProject(t, reachableFolder(t))
	require.NoError(t, project.Stop(t.Context()))
	path := filepath.Join(status.DataDir, "postmaster.pid")
	require.NoError(t, os.WriteFile(path, []byte("what?\n"), 0o644))
	_, err := project.Start(t.Context())
	require.ErrorContains(t, err, path)
	require.ErrorContains(t, err, "not the number of a process")
	require.NoError(t, os.Remove(path))
}

func TestAPortThatWasTakenMeanwhileIsReplaced(t *testing.T) {
	t.Parallel()
	project, before := startProject(t, reachableFolder(t))
	require.NoError(t, project.Stop(t.Context()))
	parsed, err := url.Parse(before.TCPURL)
	require.NoError(t, err)
	thief, err := net.Listen("tcp", parsed.Host)
	require.NoError(t, err)
	defer func() { _ = thief.Close() }()
	after, err := project.Start(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, before.TCPURL, after.TCPURL)
	require.Equal(t, "1", ask(t, after.TCPURL, "SELECT '1'"))
}

func TestAProjectServerOfAnotherVersionMustBeStoppedFirst(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	startProject(t, folder)
	_, err := devdb.OpenProject(folder, devdb.ProjectOptions{Major: 99}).Start(t.Context())
	require.ErrorContains(t, err, "stop it first")
}

func TestAMovedProjectFindsItsData(t *testing.T) {
	t.Parallel()
	root := reachableFolder(t)
	old, current := filepath.Join(root, "old"), filepath.Join(root, "new")
	project, status := startProject(t, old)
	execute(t, status.URL, "SET synchronous_commit = on; CREATE TABLE kept AS SELECT 'still there' AS word")
	require.NoError(t, project.Stop(t.Context()))
	require.NoError(t, os.Rename(old, current))
	_, moved := startProject(t, current)
	require.Contains(t, moved.DataDir, current)
	require.Equal(t, "still there", ask(t, moved.URL, "SELECT word FROM kept"))
}

func TestAFolderWithALongPathGetsItsSocketElsewhere(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(reachableFolder(t), strings.Repeat("long", 30))
	_, status := startProject(t, folder)
	require.Contains(t, status.DataDir, folder)
	require.Equal(t, "1", ask(t, status.URL, "SELECT '1'"))
}

func TestAProjectWhoseStateWasLostCanBeStoppedAndStarted(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	project, before := startProject(t, folder)
	execute(t, before.URL, "CREATE TABLE kept AS SELECT 'still there' AS word")
	require.NoError(t, os.Remove(filepath.Join(folder, "postgres", "server.json")))
	_, err := project.Start(t.Context())
	require.ErrorContains(t, err, "stop it first")
	require.NoError(t, project.Stop(t.Context()))
	after, err := project.Start(t.Context())
	require.NoError(t, err)
	require.Equal(t, "still there", ask(t, after.TCPURL, "SELECT word FROM kept"), "with the new password")
}

func TestAStateThatCannotBeReadIsReportedWithTheWayOut(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "postgres"), 0o755))
	path := filepath.Join(folder, "postgres", "server.json")
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err := devdb.OpenProject(folder, devdb.ProjectOptions{}).Status(t.Context())
	require.ErrorContains(t, err, path)
	var syntax *json.SyntaxError
	require.ErrorAs(t, err, &syntax)
}

func TestAClosedProjectFolderMovesRootsDataToTheCache(t *testing.T) {
	t.Setenv("WHIMBREL_CACHE", reachableFolder(t))
	closed := t.TempDir() // no other account can enter it
	project, status := startProject(t, closed)
	require.Equal(t, "1", ask(t, status.URL, "SELECT '1'"))
	if os.Getuid() != 0 {
		require.Empty(t, status.Note)
		require.Contains(t, status.DataDir, closed)
		return
	}
	require.Contains(t, status.Note, "cannot enter "+closed)
	require.Contains(t, status.DataDir, os.Getenv("WHIMBREL_CACHE"))
	require.NoError(t, project.Reset(t.Context()))
}
