package format

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// folder is a folder of migrations that is being read.
type folder struct {
	fsys  fs.FS
	label string
	files []string // those in the folder itself, without hidden ones, sorted
	dirs  []string
}

// open lists a folder.
func open(source migration.Source) (folder, error) {
	f := folder{label: source.Label}
	var err error
	if f.fsys, err = fs.Sub(source.FS, path.Clean("./"+source.Dir)); err != nil {
		return f, err
	}
	entries, err := fs.ReadDir(f.fsys, ".")
	if err != nil {
		_, problem := migration.Load(source) // which has the words for it
		return f, errors.Join(problem, unless(problem, err))
	}
	for _, entry := range entries {
		switch {
		case strings.HasPrefix(entry.Name(), "."):
		case entry.IsDir():
			f.dirs = append(f.dirs, entry.Name())
		default:
			f.files = append(f.files, entry.Name())
		}
	}
	return f, nil
}

// unless gives other where there is no problem.
func unless(problem, other error) error {
	if problem != nil {
		return nil
	}
	return other
}

// path is what messages call a file.
func (f folder) path(name string) string {
	if f.label == "" || f.label == "." {
		return name
	}
	return strings.TrimRight(f.label, "/") + "/" + name
}

const byteOrderMark = "\uFEFF"

// read gives a file's text, without a byte-order mark and with LF as line ends.
func (f folder) read(name string) (string, error) {
	text, err := f.raw(name)
	return plaintext.LF(text), err
}

// raw does as read does, with the line ends that the file has.
func (f folder) raw(name string) (string, error) {
	wrong := func(message, remedy string) error {
		return &migration.Error{Code: migration.CodeUnreadable, Path: f.path(name), Message: message, Remedy: remedy}
	}
	info, err := fs.Stat(f.fsys, name)
	switch {
	case err != nil:
		return "", wrong("cannot be read: "+reason(err), "check that the file is there and its permissions")
	case !info.Mode().IsRegular():
		return "", wrong("it is not a regular file", "put a file in its place")
	case info.Size() > migration.MaxSize:
		return "", &migration.Error{Code: migration.CodeTooLarge, Path: f.path(name),
			Message: fmt.Sprintf("the file is larger than %d MiB", migration.MaxSize>>20),
			Remedy:  "cut it into several migrations, or load mass data with psql or COPY from outside"}
	}
	opened, err := f.fsys.Open(name)
	if err != nil {
		return "", wrong("cannot be read: "+reason(err), "check its permissions")
	}
	defer func() { _ = opened.Close() }()
	text, err := io.ReadAll(io.LimitReader(opened, migration.MaxSize))
	if err != nil {
		return "", wrong("cannot be read: "+reason(err), "check its permissions")
	}
	return strings.TrimPrefix(string(text), byteOrderMark), nil
}

// reason is an error without the path, which the message shows anyway.
func reason(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}

// matching are the files of which a pattern matches the name, with what it
// captured.
func (f folder) matching(pattern *regexp.Regexp) (found []match) {
	for _, name := range f.files {
		if parts := pattern.FindStringSubmatch(name); parts != nil {
			found = append(found, match{name, parts})
		}
	}
	return found
}

type match struct {
	file  string
	parts []string // what the pattern captured; the first is the whole name
}

// wholeFiles are the files of a pattern that hold both directions: halves of pairs, in which
// a mark is a heading, are golang-migrate's.
func (f folder) wholeFiles(pattern *regexp.Regexp) []match {
	return slices.DeleteFunc(f.matching(pattern), func(m match) bool { return pairFile().MatchString(m.file) })
}

// all reports whether there are files of a pattern, and all of them have the
// mark in one of their lines.
func (f folder) all(pattern, mark *regexp.Regexp) bool {
	files := f.wholeFiles(pattern)
	for _, m := range files {
		text, err := f.read(m.file)
		if err != nil || !mark.MatchString(text) {
			return false
		}
	}
	return len(files) > 0
}
