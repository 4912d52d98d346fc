//go:build unix

package migration

import (
	"bytes"
	"errors"
	"io/fs"
	"syscall"
)

// readInto reads a file without an os.File, which would be registered with the
// runtime's poller, in vain, and given a finaliser: more than half of what opening
// and closing one takes.
func (f diskFolder) readInto(buffer *bytes.Buffer, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	file, err := again(func() (int, error) { return syscall.Open(f.path+"/"+name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
	if err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer func() { _ = syscall.Close(file) }() // nothing was written to it
	var info syscall.Stat_t
	if err := syscall.Fstat(file, &info); err == nil && info.Size > MaxSize {
		return errTooLarge
	}
	for buffer.Len() <= MaxSize {
		buffer.Grow(4096)
		room := buffer.AvailableBuffer()
		n, err := again(func() (int, error) { return syscall.Read(file, room[:cap(room)]) })
		if err != nil {
			return &fs.PathError{Op: "read", Path: name, Err: err}
		}
		if n == 0 {
			return nil
		}
		buffer.Write(room[:n])
	}
	return nil
}

// again makes a system call until no signal comes in between.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
