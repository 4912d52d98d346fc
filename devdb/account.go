package devdb

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// account is who runs the server. The zero value is anyone who runs this program. Root needs another one, because
// initdb and postgres refuse to be run by it; see https://www.postgresql.org/docs/current/postgres-user.html.
type account struct {
	name     string
	uid, gid int
}

// accounts lists who may run the server, best first. The account must exist, because initdb looks its name up.
func accounts() ([]account, error) {
	if os.Getuid() != 0 {
		return []account{{}}, nil
	}
	var list []account
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(found.Uid)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.Atoi(found.Gid)
		if err != nil {
			continue
		}
		list = append(list, account{name: name, uid: uid, gid: gid})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("PostgreSQL cannot be run by root, and there is neither an account postgres nor an account " +
			"nobody; run this as a normal user, or add one: useradd --system postgres")
	}
	return list, nil
}

// changesOwner says whether files must be given to the account before it can use them.
func (a account) changesOwner() bool { return a.uid != 0 }

// own gives a file or folder to the account.
func (a account) own(path string) error {
	if !a.changesOwner() {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// makeFolder creates a folder that only the account can enter (and root, who can always).
func (a account) makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return err
	}
	return a.own(path)
}

// makeFolderIn is makeFolder for a path inside root, which no link leads out of: root gives folders to the account
// before it fills them, and the account could put a link there meanwhile.
func (a account) makeFolderIn(root *os.Root, path string) error {
	if err := root.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := root.Chmod(path, 0o700); err != nil || !a.changesOwner() {
		return err
	}
	return root.Lchown(path, a.uid, a.gid)
}

// canReach says whether the account can enter every folder on the way to path, path included.
func (a account) canReach(path string) bool {
	if !a.changesOwner() {
		return true
	}
	for {
		info, err := os.Stat(path)
		if err != nil || !mayEnter(info, a) {
			return false
		}
		parent := filepath.Dir(path)
		if parent == path {
			return true
		}
		path = parent
	}
}

func (a account) describe() string {
	if a.name == "" {
		return ""
	}
	return " as " + a.name
}

// passedOn are the variables of ours that the server and its tools get to see: where programs and libraries are, and
// what Windows cannot do without. Everything else is either a secret or makes them behave differently from machine to
// machine.
var passedOn = []string{
	"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH",
	"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP",
}

// environment is what the server and its tools get to see.
func environment() []string {
	var list []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(passedOn, strings.ToUpper(name)) {
			list = append(list, entry)
		}
	}
	return append(list, "LC_ALL=C", "TZ=UTC")
}

// rootDir is a working directory that every account can enter.
func rootDir() string {
	if runtime.GOOS == "windows" {
		return os.TempDir()
	}
	return "/"
}
