// Package files reads and writes files of a project. They may be somebody else's, as those of a
// pull request are: what is read has a largest size, and nothing is written through a link.
package files

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

const (
	// MostConfig is the size of the largest whimbrel.yaml, .gitignore and the like.
	MostConfig = 1 << 20
	// MostMade is the size of the largest file that whimbrel has made itself: a plan, a
	// schema, a migration.
	MostMade = 256 << 20
)

// ByteOrderMark begins some files; a migration's text is without it.
const ByteOrderMark = "\uFEFF"

// Read reads a file of at most so many bytes, also from a pipe.
func Read(path string, most int64) ([]byte, error) {
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

// ErrIsLink is why something is not written.
var ErrIsLink = errors.New("it is a link, and nothing is written through one")

// Overwrite writes a file of the project, whole or not at all, whether it is there or not.
func Overwrite(path string, text []byte) error {
	mode := fs.FileMode(0o644)
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		return ErrIsLink
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

// WriteNew writes a file that does not exist yet. It never overwrites one.
func WriteNew(path, shown, content string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return CannotWrite(shown, err)
	}
	if _, err := file.WriteString(content); err != nil {
		_ = file.Close()
		return CannotWrite(shown, err)
	}
	if err := file.Close(); err != nil {
		return CannotWrite(shown, err)
	}
	return nil
}

// CannotWrite is the error of a file that could not be written; path is as people write it.
func CannotWrite(path string, err error) error {
	return &whimbrel.Error{
		Code: whimbrel.CodeConfiguration, Path: path, Message: "cannot be written: " + Reason(err).Error(),
		Remedy: "check its folder and your rights", Err: err,
	}
}

// Shown is path as its reader would write it: relative to his folder where
// that is shorter.
func Shown(folder, path string) string {
	relative, err := filepath.Rel(folder, path)
	if err != nil || strings.HasPrefix(relative, filepath.Join("..", "..", "..")) {
		return path
	}
	return relative
}

// Reason is a file system's error without the operation and the path.
func Reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
