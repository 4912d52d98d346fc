//go:build unix

package devdb

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// hasSockets says whether servers here are reached through a Unix socket; see also socketLimit.
const hasSockets = true

// socketLimit is the longest path of a socket, which the kernel keeps in a small array.
const socketLimit = len(syscall.RawSockaddrUnix{}.Path) - 1

// signal asks the server to stop. A process that has already gone is not an error.
func signal(_ Binaries, pid int, mode shutdown) error {
	number := map[shutdown]syscall.Signal{fast: syscall.SIGINT, immediate: syscall.SIGQUIT, kill: syscall.SIGKILL}[mode]
	err := syscall.Kill(pid, number)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// mayEnter says whether the account can enter a folder.
func mayEnter(info os.FileInfo, a account) bool {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	switch {
	case int(status.Uid) == a.uid:
		return info.Mode()&0o100 != 0
	case int(status.Gid) == a.gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

// isOurs says whether the file belongs to us and nobody else can write to it.
func isOurs(info os.FileInfo) bool {
	status, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(status.Uid) == os.Getuid() && info.Mode()&0o022 == 0
}

// lockFile locks an open file without waiting, and says whether it could. The lock ends with the file, and thus with
// the process.
func lockFile(file *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, fmt.Errorf("locking %s: %w", file.Name(), err)
		}
	}
}

// exists says whether there is a process with that number, dead ones that nobody waited for included.
func exists(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
