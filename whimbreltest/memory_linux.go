package whimbreltest

import "golang.org/x/sys/unix"

// memoryFolder is where distributions mount a memory file system for everybody.
const memoryFolder = "/dev/shm"

// freeMemory says how many bytes are free on a memory file system; none when the folder is something else.
func freeMemory(path string) int64 {
	var status unix.Statfs_t
	if err := unix.Statfs(path, &status); err != nil || status.Type != unix.TMPFS_MAGIC {
		return 0
	}
	return int64(status.Bavail) * status.Bsize
}
