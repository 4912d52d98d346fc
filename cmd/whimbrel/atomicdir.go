package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// beside does some work, and puts files into a folder when it has succeeded: all of
// them, or none where it is refused. In the folder may be nothing, or what an earlier
// try has put there; it need not be there. Until then the files lie in a hidden folder
// on the same file system.
func (a *app) beside(work func() error, dir string, written []format.Written) error {
	if len(written) == 0 {
		return work()
	}
	if err := a.vacantBut(dir, written); err != nil {
		return err
	}
	above := filepath.Dir(a.absolute(dir))
	for !isFolder(above) && above != filepath.Dir(above) {
		above = filepath.Dir(above)
	}
	hidden, err := os.MkdirTemp(above, ".whimbrel-")
	if err != nil {
		return files.CannotWrite(dir, err)
	}
	defer func() { _ = os.RemoveAll(hidden) }()
	s := stage{app: a, dir: dir, parts: filepath.Join(hidden, "files"), files: written}
	if err := s.write(); err != nil {
		return err
	}
	if err := work(); err != nil {
		return err
	}
	return s.publish()
}

// stage is a folder of files on the way to its place.
type stage struct {
	app   *app
	dir   string // as it was given
	parts string // where the files lie
	files []format.Written
}

func (s stage) write() error {
	if err := os.Mkdir(s.parts, 0o755); err != nil {
		return files.CannotWrite(s.dir, err)
	}
	for _, file := range s.files {
		if err := files.WriteNew(filepath.Join(s.parts, file.Name), filepath.Join(s.dir, file.Name), file.Text); err != nil {
			return err
		}
	}
	return nil
}

// publish puts the files in their place. A folder that is there already stays the
// same, with its rights; then they are moved into it one by one.
func (s stage) publish() error {
	final := s.app.absolute(s.dir)
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return files.CannotWrite(s.dir, err)
	}
	if !isFolder(final) {
		if err := os.Rename(s.parts, final); err != nil {
			return files.CannotWrite(s.dir, err)
		}
		return nil
	}
	if err := s.app.vacantBut(s.dir, s.files); err != nil {
		return err
	}
	for _, file := range s.files {
		if err := os.Rename(filepath.Join(s.parts, file.Name), filepath.Join(final, file.Name)); err != nil {
			return files.CannotWrite(filepath.Join(s.dir, file.Name), err)
		}
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// vacant refuses a folder in which there is something.
func (a *app) vacant(dir string) error { return a.vacantBut(dir, nil) }

// vacantBut refuses a folder in which there is something else than these files.
func (a *app) vacantBut(dir string, written []format.Written) error {
	entries, err := os.ReadDir(a.absolute(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return files.CannotWrite(dir, err)
	}
	for _, entry := range entries {
		same := slices.ContainsFunc(written, func(f format.Written) bool {
			if f.Name != entry.Name() {
				return false
			}
			text, err := files.Read(filepath.Join(a.absolute(dir), f.Name), files.MostMade)
			return err == nil && plaintext.LF(string(text)) == plaintext.LF(f.Text)
		})
		if !same && !strings.HasPrefix(entry.Name(), ".") {
			return usage("name one that is empty or does not exist", "there is something in %s already: %s", dir, entry.Name())
		}
	}
	return nil
}
