package devdb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// scratch is the folder of one throw-away server. Beside it lies a lock file that its owner holds for as long as it
// lives: a folder whose lock is free belongs to a dead process, and anyone who finds it sweeps it away.
type scratch struct {
	path string
	lock *lock
}

// enoughMemory is how much room a memory file system must have before a server is put there.
const enoughMemory = 512 << 20

// newScratch creates a folder, after sweeping away what dead processes have left behind.
func newScratch(ctx context.Context, binaries Binaries, account account, inMemory bool) (*scratch, error) {
	var places []string
	if inMemory && freeMemory(memoryFolder) >= enoughMemory {
		places = append(places, memoryFolder)
	}
	places = append(places, os.TempDir(), rootTemporary)
	var failures []error
	for _, place := range places {
		base := filepath.Join(place, privateName())
		err := privateFolder(base)
		switch {
		case err != nil:
		case !account.canReach(base):
			err = fmt.Errorf("the account %s cannot enter %s", account.name, base)
		default:
			sweep(ctx, binaries, base)
			var made *scratch
			if made, err = claim(base); err == nil {
				return made, nil
			}
		}
		failures = append(failures, err)
	}
	return nil, fmt.Errorf("no place for a throw-away server: %w; set TMPDIR to a folder that can be written",
		errors.Join(failures...))
}

// claim creates the folder after its lock, so that a sweeper never sees it without.
func claim(base string) (*scratch, error) {
	for range 100 {
		path := filepath.Join(base, strings.ToLower(rand.Text()[:8]))
		held, err := tryLock(path + ".lock")
		if err != nil {
			return nil, err
		}
		if held == nil {
			continue
		}
		if err := os.Mkdir(path, 0o755); err != nil {
			held.remove()
			if errors.Is(err, os.ErrExist) {
				continue
			}
			return nil, err
		}
		return &scratch{path, held}, os.Chmod(path, 0o755)
	}
	return nil, fmt.Errorf("no free name in %s", base)
}

// remove deletes the folder with everything in it.
func (s *scratch) remove() error {
	err := os.RemoveAll(s.path)
	s.lock.remove()
	return err
}

// sweep removes the folders of dead processes, and ends their servers in case that one is still busy dying. It is a
// courtesy: what cannot be removed now is left to the next sweep.
func sweep(ctx context.Context, binaries Binaries, base string) {
	locks, err := filepath.Glob(filepath.Join(base, "*.lock"))
	if err != nil {
		return
	}
	for _, path := range locks {
		held, err := tryLock(path)
		if err != nil || held == nil {
			continue
		}
		left := &scratch{strings.TrimSuffix(path, ".lock"), held}
		if err := endLeftover(ctx, binaries, filepath.Join(left.path, "data")); err != nil {
			held.release()
			continue
		}
		_ = left.remove()
	}
}

func endLeftover(ctx context.Context, binaries Binaries, data string) error {
	found, err := running(data)
	if err != nil || found.pid == 0 {
		return nil // an unreadable file is from a server that never came up
	}
	return stopProcess(ctx, binaries, found.pid, immediate, func() bool { return !serves(found, data) })
}
