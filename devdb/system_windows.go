package devdb

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/windows"
)

// hasSockets says whether servers here are reached through a Unix socket; see also socketLimit.
const hasSockets = false

// socketLimit is the longest path of a socket, where there are any.
const socketLimit = 107

// signal asks the server to stop. PostgreSQL has signals of its own on Windows, which pg_ctl sends. A process that has
// already gone is not an error.
func signal(binaries Binaries, pid int, mode shutdown) error {
	if !exists(pid) {
		return nil
	}
	if mode == kill {
		process, err := os.FindProcess(pid)
		if err != nil {
			return err
		}
		return process.Kill()
	}
	name := map[shutdown]string{fast: "INT", immediate: "QUIT"}[mode]
	output, err := exec.Command(filepath.Join(binaries.Dir, "pg_ctl.exe"), "kill", name,
		strconv.Itoa(pid)).CombinedOutput()
	if err != nil && exists(pid) {
		return fmt.Errorf("%w%s", err, quoted(string(output)))
	}
	return nil
}

// mayEnter is about changing the account, which is not done on Windows.
func mayEnter(os.FileInfo, account) bool { return true }

// isOurs: the folders for temporary files and caches are each user's own on Windows.
func isOurs(os.FileInfo) bool { return true }

// lockFile locks an open file without waiting, and says whether it could. The lock ends with the file, and thus with
// the process.
func lockFile(file *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(file.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|
		windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION):
		return false, nil
	default:
		return false, fmt.Errorf("locking %s: %w", file.Name(), err)
	}
}

// exists says whether there is a process with that number.
func exists(pid int) bool {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return errors.Is(err, windows.ERROR_ACCESS_DENIED)
	}
	defer func() { _ = windows.CloseHandle(process) }()
	var code uint32
	const stillActive = 259
	return windows.GetExitCodeProcess(process, &code) == nil && code == stillActive
}

// processArguments gives the program of a process. Its other arguments are not to be had, so that a server of another
// data folder under the same number is taken for ours: that is the safe side.
func processArguments(pid int) []string {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return nil
	}
	defer func() { _ = windows.CloseHandle(process) }()
	path := make([]uint16, windows.MAX_LONG_PATH)
	size := uint32(len(path))
	if err := windows.QueryFullProcessImageName(process, 0, &path[0], &size); err != nil {
		return nil
	}
	return []string{windows.UTF16ToString(path[:size])}
}
