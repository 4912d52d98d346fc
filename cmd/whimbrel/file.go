package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/whimbrel-db/whimbrel"
)

// Files of a project may be somebody else's, as those of a pull request are: what is
// read has a largest size, and nothing is written through a link.

const (
	// mostConfig is the size of the largest whimbrel.yaml, .gitignore and the like.
	mostConfig = 1 << 20
	// mostMade is the size of the largest file that whimbrel has made itself: a plan, a
	// schema, a migration.
	mostMade = 256 << 20
)

// byteOrderMark begins some files; a migration's text is without it.
const byteOrderMark = "\uFEFF"

// readFile reads a file of at most so many bytes, also from a pipe.
func readFile(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written to it
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it is larger than %d MiB", most>>20)
	}
	return text, err
}

// errIsLink is why something is not written.
var errIsLink = errors.New("it is a link, and nothing is written through one")

// overwrite writes a file of the project, whole or not at all, whether it is there or not.
func overwrite(path string, text []byte) error {
	mode := fs.FileMode(0o644)
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		return errIsLink
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(fresh.Name()) }()
	_, err = fresh.Write(text)
	if err == nil {
		err = fresh.Chmod(mode)
	}
	if closed := fresh.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(fresh.Name(), path)
}

// writeReport writes a report, free of secrets, where the caller wants it. A pipe or a
// device is written to, as is what /dev/stdout leads to; a link that somebody has put
// there is not followed.
func (a *app) writeReport(name, text string) error {
	path := a.absolute(name)
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 && !strings.HasPrefix(filepath.Clean(path), "/dev/") {
		return errIsLink
	}
	return os.WriteFile(path, []byte(a.redactor.Clean(text)), 0o644)
}

// writeNew writes a file that does not exist yet. It never overwrites one.
func writeNew(path, shown, content string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return cannotWrite(shown, err)
	}
	if _, err := file.WriteString(content); err != nil {
		_ = file.Close()
		return cannotWrite(shown, err)
	}
	if err := file.Close(); err != nil {
		return cannotWrite(shown, err)
	}
	return nil
}

func cannotWrite(path string, err error) error {
	return &whimbrel.Error{
		Code: whimbrel.CodeConfiguration, Path: path, Message: "cannot be written: " + reasonOf(err).Error(),
		Remedy: "check its folder and your rights", Err: err,
	}
}
