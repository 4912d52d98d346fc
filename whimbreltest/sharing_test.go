//go:build unix

package whimbreltest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// tasks are tests of users, which run in test binaries of their own.
var tasks = map[string]func(*testing.T){
	"fail": func(t *testing.T) {
		change(t, New(t, notes(t)), "INSERT INTO notes VALUES ('what the test wrote')")
		t.Error("this is not as it should be")
	},
	// tells what can be seen of the server and of the template, and waits for the end of the input
	"wait": func(t *testing.T) {
		db := New(t, history(40))
		fmt.Println("RESULT", text(t, db, "SELECT extract(epoch FROM pg_postmaster_start_time())"),
			text(t, db, "SELECT extract(epoch FROM min(executed_at)) FROM schema_migrations"))
		_, err := io.Copy(io.Discard, os.Stdin)
		require.NoError(t, err)
	},
}

// waiting is a test binary that waits.
type waiting struct {
	*exec.Cmd
	input          io.Closer
	output         *bufio.Reader
	server, result string // when the one was started and the other made
}

func startWaiting(t *testing.T, command *exec.Cmd) *waiting {
	t.Helper()
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	require.NoError(t, err)
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	return &waiting{Cmd: command, input: input, output: bufio.NewReader(output)}
}

// ready returns when the binary has its database.
func (w *waiting) ready(t *testing.T) {
	t.Helper()
	var seen strings.Builder
	for {
		line, err := w.output.ReadString('\n')
		seen.WriteString(line)
		require.NoError(t, err, seen.String())
		if _, result, found := strings.Cut(line, "RESULT "); found {
			_, err := fmt.Sscan(result, &w.server, &w.result)
			require.NoError(t, err)
			return
		}
	}
}

func (w *waiting) finish(t *testing.T) {
	t.Helper()
	require.NoError(t, w.input.Close())
	rest, err := io.ReadAll(w.output)
	require.NoError(t, err)
	require.NoError(t, w.Wait(), string(rest))
	require.Contains(t, string(rest), "--- PASS")
}

func TestTestBinariesThatStartAtOnceShareServerAndTemplate(t *testing.T) {
	t.Parallel()
	folder := temporaryFolder(t)
	var binaries []*waiting
	for range 4 {
		binaries = append(binaries, startWaiting(t, binary(t, folder, "wait")))
	}
	for _, binary := range binaries {
		binary.ready(t)
		require.Equal(t, binaries[0].server, binary.server)
		require.Equal(t, binaries[0].result, binary.result)
	}
	require.Len(t, servers(folder), 1)
	for _, binary := range binaries {
		binary.finish(t)
	}
}

func TestTheServerStaysForTheNextTestBinary(t *testing.T) {
	t.Parallel()
	folder := temporaryFolder(t)
	first := startWaiting(t, binary(t, folder, "wait"))
	first.ready(t)
	second := startWaiting(t, binary(t, folder, "wait"))
	second.ready(t)
	first.finish(t)
	third := startWaiting(t, binary(t, folder, "wait"))
	third.ready(t)
	require.Equal(t, first.server, third.server)
	require.Equal(t, first.result, third.result)
	second.finish(t)
	third.finish(t)
}

// pidOf reads the process number of a folder's server.
func pidOf(t *testing.T, folder string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "postgres", "*", "data", "postmaster.pid"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	content, err := os.ReadFile(found[0])
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	require.NoError(t, err)
	return pid
}

// runs is false of a zombie, too, whose parent does not wait for it.
func runs(pid int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return syscall.Kill(pid, 0) == nil && !strings.Contains(string(status), "\nState:\tZ")
}

func TestAKilledTestBinaryLeavesNoServerBehind(t *testing.T) {
	t.Parallel()
	folder := temporaryFolder(t)
	binary := startWaiting(t, binary(t, folder, "wait"))
	binary.ready(t)
	server := servers(folder)[0]
	pid := pidOf(t, server)
	require.True(t, runs(pid))
	require.NoError(t, binary.Process.Kill())
	require.Error(t, binary.Wait())
	require.True(t, holds(func() bool { return !runs(pid) }))
	require.True(t, holds(func() bool { return len(servers(folder)) == 0 }))
	require.NoDirExists(t, server)
}

func TestATestBinaryThatIsKilledWhileItStartsTheServerLeavesNoneBehind(t *testing.T) {
	t.Parallel()
	folder := temporaryFolder(t)
	binary := startWaiting(t, binary(t, folder, "wait"))
	require.True(t, holds(func() bool { return len(servers(folder)) == 1 })) // the server is still to come
	server := servers(folder)[0]
	require.NoError(t, binary.Process.Kill())
	require.Error(t, binary.Wait())
	switch pipe, err := hold(filepath.Join(server, "watch")); {
	case err == nil:
		require.NoError(t, pipe.Close())
	case !os.IsNotExist(err): // it was killed before it had employed a caretaker: the next one clears up
		brief(folder).database(t, notes(t), nil)
	}
	require.True(t, holds(func() bool { _, err := os.Stat(server); return os.IsNotExist(err) }))
}

func TestAServerThatHasCrashedIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := brief(temporaryFolder(t))
	before := s.database(t, notes(t), nil)
	change(t, before, "INSERT INTO notes VALUES ('committed')")
	folder := servers(s.folder)[0]
	pid := pidOf(t, folder)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.True(t, holds(func() bool { return !runs(pid) }))
	require.Equal(t, "0", text(t, s.database(t, notes(t), nil), "SELECT count(*) FROM notes"))
	require.Equal(t, []string{folder}, servers(s.folder))
	conn, err := connect(t, before.URL)
	require.NoError(t, err)
	var left string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT text FROM notes").Scan(&left))
	require.Equal(t, "committed", left)
}

func TestAServerWithoutCaretakerIsEnded(t *testing.T) {
	t.Parallel()
	s := brief(temporaryFolder(t))
	home, err := s.home(0)
	require.NoError(t, err)
	orphan := filepath.Join(home, "orphan")
	require.NoError(t, os.Mkdir(orphan, 0o755))
	require.NoError(t, open755(orphan))
	require.NoError(t, syscall.Mkfifo(filepath.Join(orphan, "watch"), 0o600)) // and nobody reads
	require.NoError(t, os.Link(filepath.Join(orphan, "watch"), filepath.Join(orphan, "door")))
	_, err = devdb.OpenProject(orphan, devdb.ProjectOptions{}).Start(t.Context())
	require.NoError(t, err)
	pid := pidOf(t, orphan)
	s.database(t, notes(t), nil)
	require.False(t, runs(pid))
	require.NoDirExists(t, orphan)
}

func TestAFolderThatOthersCanWriteToIsRefused(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(temporaryFolder(t), "open")
	require.NoError(t, os.Mkdir(folder, 0o777))
	require.NoError(t, os.Chmod(folder, 0o777))
	require.ErrorContains(t, privateFolder(folder), "is not a folder of ours alone")
	link := folder + ".link"
	require.NoError(t, os.Symlink(t.TempDir(), link))
	require.ErrorContains(t, privateFolder(link), "is not a folder of ours alone")
	fresh := folder + ".fresh"
	require.NoError(t, privateFolder(fresh))
	require.NoError(t, privateFolder(fresh))
}

// Root's test binary runs as another user, everybody else's as it is.
func TestAnUnprivilegedUserNeedsNothingElse(t *testing.T) {
	t.Parallel()
	folder := temporaryFolder(t)
	command := binary(t, folder, "wait")
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		require.NoError(t, err)
		uid, err := strconv.Atoi(nobody.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(nobody.Gid)
		require.NoError(t, err)
		require.NoError(t, os.Chown(folder, uid, gid))
		content, err := os.ReadFile(command.Path)
		require.NoError(t, err)
		command.Path, command.Dir = filepath.Join(folder, "test"), folder // ours is in a closed folder
		require.NoError(t, os.WriteFile(command.Path, content, 0o755))
		command.Env = append(command.Env, "HOME="+folder, "WHIMBREL_CACHE="+folder)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	binary := startWaiting(t, command)
	binary.ready(t)
	binary.finish(t)
}
