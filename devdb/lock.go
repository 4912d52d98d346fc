package devdb

import (
	"context"
	"fmt"
	"os"
	"time"
)

// lock is a lock that is shared by all processes of this machine, on a file. It ends with the process that holds it,
// however that ends.
type lock struct{ file *os.File }

// tryLock takes the lock if nobody holds it, and gives nil otherwise. The file is created when it is missing.
func tryLock(path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	locked, err := lockFile(file)
	if err != nil || !locked {
		_ = file.Close()
		return nil, err
	}
	held := &lock{file}
	if !held.current() { // anyone who held it before has removed the file
		held.release()
		return nil, nil
	}
	return held, nil
}

// waitLock takes the lock, and waits for it as long as ctx allows.
func waitLock(ctx context.Context, path string) (*lock, error) {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		held, err := tryLock(path)
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if held != nil {
			return held, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another process that holds %s: %w", path, ctx.Err())
		case <-poll.C:
		}
	}
}

// current says whether the locked file is still the one that others will find under its name.
func (l *lock) current() bool {
	ours, err := l.file.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(l.file.Name())
	return err == nil && os.SameFile(ours, theirs)
}

func (l *lock) release() { _ = l.file.Close() }

// remove gives the lock up for ever: the file goes too.
func (l *lock) remove() {
	err := os.Remove(l.file.Name())
	_ = l.file.Close()
	if err != nil { // Windows does not remove open files
		_ = os.Remove(l.file.Name())
	}
}
