//go:build linux

package devdb_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// family lists a server's processes: the main one and its children.
func family(t *testing.T, pid int) []int {
	t.Helper()
	found := []int{pid}
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, path := range entries {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		number, rest, _ := strings.Cut(string(content), " ")
		after := strings.Fields(rest[strings.LastIndex(rest, ")")+1:])
		if after[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(number)
			require.NoError(t, err)
			found = append(found, child)
		}
	}
	return found
}

// runs says whether a process is there and was not merely left unburied by its new parent.
func runs(pid int) bool {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := string(content[strings.LastIndexByte(string(content), ')')+2:])
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

func TestAServerDiesWithItsKilledParentAndIsSweptAway(t *testing.T) {
	t.Parallel()
	parent := startHelper(t, exec.Command(os.Args[0]), "server")
	processes := family(t, parent.pid)
	require.Greater(t, len(processes), 1, "the server has children")

	require.NoError(t, parent.Process.Signal(syscall.SIGKILL))
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool { return !slices.ContainsFunc(processes, runs) }, deadline, pause,
		"processes %v of the server on %s must be gone", processes, parent.data)

	startServer(t, devdb.Options{})
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Dir(parent.data))
		return os.IsNotExist(err)
	}, deadline, pause, "another test's start may be the one that sweeps")
}

func TestAHelperThatStopsItsServerLeavesNothing(t *testing.T) {
	t.Parallel()
	parent := startHelper(t, exec.Command(os.Args[0]), "server")
	processes := family(t, parent.pid)
	require.NoError(t, parent.finish())
	require.False(t, slices.ContainsFunc(processes, runs))
	require.NoDirExists(t, filepath.Dir(parent.data))
}

func TestAProjectServerOutlivesTheCommandThatStartedIt(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	for _, end := range []struct {
		name string
		end  func(*helper) error
	}{
		{"that ends", (*helper).finish},
		{"that is killed", func(h *helper) error { _ = h.Process.Kill(); _ = h.Wait(); return nil }},
	} {
		command := startHelper(t, exec.Command(os.Args[0]), "project", "DEVDB_TEST_FOLDER="+folder)
		require.NoError(t, end.end(command), end.name)
		project := devdb.OpenProject(folder, devdb.ProjectOptions{})
		status, err := project.Status(t.Context())
		require.NoError(t, err)
		require.True(t, status.Running, end.name)
		require.Equal(t, command.pid, status.PID)
		require.Equal(t, "1", ask(t, status.URL, "SELECT '1'"))
		processes := family(t, status.PID)
		require.NoError(t, project.Stop(t.Context()))
		require.Eventually(t, func() bool { return !slices.ContainsFunc(processes, runs) }, deadline, pause)
	}
}

// TestANormalUserNeedsNoOtherAccount runs, for root, the same test binary as an account without privileges; for a
// normal user all other tests say the same.
func TestANormalUserNeedsNoOtherAccount(t *testing.T) {
	t.Parallel()
	folder := reachableFolder(t)
	program := filepath.Join(folder, "helper")
	content, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, content, 0o755))
	command := exec.Command(program)
	command.Dir = "/"
	environment := []string{"HOME=" + folder, "WHIMBREL_CACHE=" + filepath.Join(folder, "cache")}
	require.NoError(t, os.Mkdir(filepath.Join(folder, "cache"), 0o755))
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		require.NoError(t, err)
		uid, err := strconv.Atoi(nobody.Uid)
		require.NoError(t, err)
		require.NoError(t, os.Chown(filepath.Join(folder, "cache"), uid, uid))
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	parent := startHelper(t, command, "server", environment...)
	info, err := os.Stat(fmt.Sprintf("/proc/%d", parent.pid))
	require.NoError(t, err)
	require.NotZero(t, info.Sys().(*syscall.Stat_t).Uid, "no server runs as root")
	require.NoError(t, parent.finish())
}
