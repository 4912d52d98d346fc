package devdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// cacheFolder is where fetched binaries and prepared data folders are kept, by all processes of this user. Root's is in
// a place which the account that runs the server can enter, because root's home is usually closed to it.
func cacheFolder() (string, error) {
	if folder := os.Getenv(cacheVariable); folder != "" {
		folder, err := filepath.Abs(folder)
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return "", fmt.Errorf("creating the cache folder that %s names: %w", cacheVariable, err)
		}
		return folder, nil
	}
	var places []string
	if os.Getuid() == 0 {
		places = append(places, "/var/cache/whimbrel", "/var/tmp/whimbrel-0")
	} else if folder, err := os.UserCacheDir(); err == nil {
		if err := os.MkdirAll(folder, 0o700); err == nil {
			places = append(places, filepath.Join(folder, "whimbrel"))
		}
	}
	places = append(places, filepath.Join(os.TempDir(), privateName()+"-cache"))
	var failures []error
	for _, place := range places {
		err := privateFolder(place)
		if err == nil {
			return place, nil
		}
		failures = append(failures, err)
	}
	return "", fmt.Errorf("no place for the cache: %w; set %s to a folder", errors.Join(failures...),
		cacheVariable)
}

// privateName is a name for a folder of ours in a place that all users share.
func privateName() string {
	if runtime.GOOS == "windows" {
		return "whimbrel"
	}
	return fmt.Sprintf("whimbrel-%d", os.Getuid())
}

// privateFolder creates a folder into which only we write; root's can be entered by everybody, since the server runs
// under another account. A folder that another user has put there first is refused.
func privateFolder(path string) error {
	mode := os.FileMode(0o700)
	if os.Getuid() == 0 {
		mode = 0o755
	}
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", path)
	case !isOurs(info):
		return fmt.Errorf("%s belongs to another user, or others can write to it", path)
	}
	return os.Chmod(path, mode)
}

// makeShared creates folders, one in the other, that every account can enter whatever the umask. What protects them is
// the folder at their root.
func makeShared(root string, names ...string) (string, error) {
	path := root
	for _, name := range names {
		path = filepath.Join(path, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			if errors.Is(err, os.ErrExist) {
				continue
			}
			return "", fmt.Errorf("%w; set %s to a folder that can be written", err, cacheVariable)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			return "", err
		}
	}
	return path, nil
}
