//go:build unix

package whimbreltest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// folderVariable is the environment variable that names the folder for servers.
const folderVariable = "WHIMBRELTEST_DIR"

// enoughMemory is how much room a memory file system must have before a server is put there.
const enoughMemory = 1 << 30

// home is the folder of the servers that this user's tests share. Tests that
// want other binaries have other servers, and the number at its name's beginning
// changes with the caretaker's rules.
func (s sharing) home(major int) (string, error) {
	base, err := s.base()
	if err != nil {
		return "", err
	}
	if base, err = filepath.EvalSymlinks(base); err != nil { // as the server is told
		return "", err
	}
	path := filepath.Join(base, fmt.Sprintf("1-%d-%.4x", major, sha256.Sum256([]byte(os.Getenv("WHIMBREL_PG_BIN")))))
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, open755(path)
}

func (s sharing) base() (string, error) {
	named := s.folder
	if named == "" {
		named = os.Getenv(folderVariable)
	}
	if named != "" {
		named, err := filepath.Abs(named)
		if err != nil {
			return "", err
		}
		return named, os.MkdirAll(named, 0o755)
	}
	var places []string
	if freeMemory(memoryFolder) >= enoughMemory {
		places = append(places, memoryFolder)
	}
	// The folder for temporary files has a long path on some systems, too long
	// for a socket in it, or is one that the account of root's server cannot enter.
	places = append(places, "/tmp", os.TempDir())
	var failures []error
	for _, place := range places {
		path := filepath.Join(place, fmt.Sprintf("whimbreltest-%d", os.Getuid()))
		err := privateFolder(path)
		if err == nil {
			return path, nil
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("%w; name a folder with %s", errors.Join(failures...), folderVariable)
}

// privateFolder creates a folder, in a place that all users share, into which
// only we can write. One that somebody else has put there first is refused.
func privateFolder(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(status.Uid) != os.Getuid() || info.Mode()&0o022 != 0 {
		return fmt.Errorf("%s is not a folder of ours alone", path)
	}
	if os.Getuid() == 0 {
		return open755(path)
	}
	return nil
}

// open755 lets others enter, whatever the umask: the account that runs root's server must.
func open755(path string) error { return os.Chmod(path, 0o755) }
