//go:build unix

package migration

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// readText reads a file without an os.File, which would be registered with the
// runtime's poller, in vain, and given a finaliser: more than half of what opening
// and closing one takes.
func (f diskFolder) readText(name string, buffer []byte) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	file, err := again(func() (int, error) { return syscall.Open(f.path+"/"+name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
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

// again makes a system call until no signal comes in between.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
