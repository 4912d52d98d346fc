package devdb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// helperVariable makes the test binary play another program, one that a test then kills.
const helperVariable = "DEVDB_TEST_HELPER"

// deadline is how long a condition may take that normally holds within milliseconds, and pause is how often it is
// looked at.
const (
	deadline = 30 * time.Second
	pause    = 2 * time.Millisecond
)

func TestMain(m *testing.M) {
	if task := os.Getenv(helperVariable); task != "" {
		if err := help(task, os.Getenv("DEVDB_TEST_FOLDER")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// help does a helper's task, tells about it in one line, and waits until its standard input ends.
func help(task, folder string) error {
	ctx := context.Background()
	switch task {
	case "server":
		server, err := devdb.Start(ctx, devdb.Options{})
		if err != nil {
			return err
		}
		fmt.Println(server.PID(), server.DataDir())
		_, err = io.Copy(io.Discard, os.Stdin)
		return errors.Join(err, server.Stop())
	case "project":
		status, err := devdb.OpenProject(folder, devdb.ProjectOptions{}).Start(ctx)
		if err != nil {
			return err
		}
		fmt.Println(status.PID, status.DataDir)
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	default:
		return fmt.Errorf("unknown task %q", task)
	}
}

// helper is the test binary as another process, with the server that it has started.
type helper struct {
	*exec.Cmd
	input io.Closer
	pid   int
	data  string
}

func startHelper(t *testing.T, command *exec.Cmd, task string, environment ...string) *helper {
	t.Helper()
	command.Env = append(append(os.Environ(), helperVariable+"="+task), environment...)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	require.NoError(t, err)
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	h := &helper{Cmd: command, input: input}
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err, "the helper has not told what it started")
	_, err = fmt.Sscan(strings.TrimSpace(line), &h.pid, &h.data)
	require.NoError(t, err)
	return h
}

// finish lets the helper come to its end.
func (h *helper) finish() error { return errors.Join(h.input.Close(), h.Wait()) }

// reachableFolder is a folder for temporary files which the account that runs a server for root can enter; the one of
// testing.T is closed.
func reachableFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp(devdb.TestsInMemory(), "devdb")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(folder, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	return folder
}

func startServer(t testing.TB, options devdb.Options) *devdb.Server {
	t.Helper()
	server, err := devdb.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

// ask runs a query that gives one text.
func ask(t testing.TB, url, query string) string {
	t.Helper()
	connection, err := pgx.Connect(context.Background(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, connection.Close(context.Background())) }()
	var answer string
	require.NoError(t, connection.QueryRow(context.Background(), query).Scan(&answer))
	return answer
}

func execute(t testing.TB, url, sql string) {
	t.Helper()
	connection, err := pgx.Connect(context.Background(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, connection.Close(context.Background())) }()
	_, err = connection.Exec(context.Background(), sql)
	require.NoError(t, err)
}

func killProcess(t *testing.T, pid int) {
	t.Helper()
	process, err := os.FindProcess(pid)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
}
