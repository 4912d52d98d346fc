package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/files"
)

// A whimbrel.yaml names commands that are run. One that was found, and not named, may be
// anybody's who can put a file into a folder above: git, for the same reason, believes no
// repository of another user.

// believe refuses a configuration file that another user has, or may write. sudo is the
// user on whose behalf root works, as sudo writes it; "" if there is none.
func believe(path, shown, sudo string) error {
	whose, err := strangers(path, sudo)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed meanwhile, and is not read
		}
		return cannotRead(shown, err)
	}
	if whose == "" {
		return nil
	}
	return &whimbrel.Error{
		Code: whimbrel.CodeConfiguration, Path: shown, Message: whose + ", so nothing of it is run",
		Remedy: "read it, and say that it is meant: give Load its path, " + shown +
			"; or make it yours alone, with chown or chmod",
	}
}

func cannotRead(shown string, err error) error {
	return usage("create one, or give Load no path",
		"the configuration file cannot be read: %s: %v", shown, files.Reason(err))
}

// strangers says who else has a file in hand; "" where nobody has. A link is looked at as
// well as what it leads to: who has the link chooses the file.
func strangers(path, sudo string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	for _, at := range []struct{ path, is string }{
		{path, "it"}, {target, "it"}, {filepath.Dir(path), "its folder"}, {filepath.Dir(target), "its folder"},
	} {
		info, err := os.Lstat(at.path)
		if err == nil && at.is != "it" && info.Mode()&fs.ModeSymlink != 0 {
			info, err = os.Stat(at.path)
		}
		if err != nil {
			return "", err
		}
		if whose := stranger(info, os.Geteuid(), sudo); whose != "" {
			return at.is + " " + whose, nil
		}
	}
	return "", nil
}
