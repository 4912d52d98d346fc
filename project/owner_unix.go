//go:build unix

package project

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"syscall"
)

// stranger says why a file or folder is not in the hands of this user alone, of root, or
// of the one who called sudo; "" where it is. In a sticky folder, as /tmp, nobody puts
// another file in the place of one that isn't theirs. A group is somebody's choice.
func stranger(info fs.FileInfo, self int, sudo string) string {
	const others = 0o002
	stat, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return ""
	}
	owner := strconv.FormatUint(uint64(stat.Uid), 10)
	switch {
	case stat.Uid != 0 && owner != strconv.Itoa(self) && (self != 0 || owner != sudo):
		if found, err := user.LookupId(owner); err == nil {
			owner = found.Username
		}
		return "belongs to another user (" + owner + ")"
	case info.Mode()&fs.ModeSymlink != 0: // its mode means nothing
		return ""
	case info.Mode()&others != 0 && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0):
		return fmt.Sprintf("may be written by every user (mode %04o)", info.Mode().Perm())
	}
	return ""
}
