//go:build unix

package migration

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"syscall"
)

// readText reads a file without an os.File, which would be registered with the
// runtime's poller, to no avail, and given a finaliser: more than half of what opening
// and closing one takes.
func (f diskFolder) readText(name string, buffer []byte) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if strings.Contains(name, "/") { // a folder on the way may be a link
		return readText(slowly{f}, name, buffer)
	}
	file, err := again(func() (int, error) {
		return syscall.Open(f.path+"/"+name, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
	})
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) { // it is a link
		return readText(slowly{f}, name, buffer)
	}
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer func() { _ = syscall.Close(file) }() // nothing was written to it
	var info syscall.Stat_t
	_ = syscall.Fstat(file, &info) // without a size it takes a little longer
	return textOf(info.Size, buffer, func(into []byte) (int, error) {
		n, err := again(func() (int, error) { return syscall.Read(file, into) })
		switch {
		case err != nil:
			return 0, &fs.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	})
}

// slowly is a folder whose files are read by way of Open.
type slowly struct{ fs.FS }

// again makes a system call until no signal comes in between.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
