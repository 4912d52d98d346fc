package migration

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// MaxSize is the size of the largest file, in bytes, that Load reads.
const MaxSize = 64 << 20

// Source is a folder of migrations.
type Source struct {
	FS fs.FS
	// Dir is the path of the folder in FS; empty for FS itself.
	Dir string
	// Label is what messages show in front of the file's name, as "migrations".
	Label string
}

// Load reads the migrations of all sources and returns them in the order of
// their versions, which are all different.
//
// A .sql file must have the name of a migration. A script must only if its name
// begins with a digit, so that modules can lie beside the migrations that use
// them. All other files are left alone, and so are folders and names that begin
// with "." or "_". Links are followed.
//
// Files are read concurrently, which every file system of the standard library
// allows.
//
// The error joins an *Error for everything that is wrong (see Problems), in the
// order of sources and file names; then there are no migrations.
func Load(sources ...Source) ([]Migration, error) {
	var migrations []Migration
	var problems []error
	paths := map[Version]string{}
	for _, source := range sources {
		files, err := source.files()
		if err != nil {
			problems = append(problems, err)
		}
		for i, read := range source.loadAll(files) {
			if err := claimVersion(paths, files[i], source.name(files[i])); err != nil {
				problems = append(problems, err)
			}
			if read.err != nil {
				problems = append(problems, read.err)
				continue
			}
			migrations = append(migrations, read.migration)
		}
	}
	if len(problems) > 0 {
		return nil, join(problems)
	}
	slices.SortFunc(migrations, func(a, b Migration) int { return a.Version.Compare(b.Version) })
	return migrations, nil
}

// join flattens joined errors, so that the result is one list.
func join(problems []error) error {
	var all []error
	for _, problem := range Problems(errors.Join(problems...)) {
		all = append(all, problem)
	}
	return errors.Join(all...)
}

// claimVersion refuses a second file of one version. Names that have none are
// refused elsewhere.
func claimVersion(paths map[Version]string, file, name string) error {
	version, _, _, err := ParseName(file)
	if err != nil {
		return nil
	}
	if other, taken := paths[version.Canonical()]; taken {
		return &Error{
			Code: CodeDuplicateVersion, Path: name,
			Message: fmt.Sprintf("it has the same version as %s", other),
			Remedy:  "give one of them another version, that of the file which no database has run yet",
		}
	}
	paths[version.Canonical()] = name
	return nil
}

func (s Source) dir() string { return path.Clean("./" + s.Dir) }

// name is what messages call a file.
func (s Source) name(file string) string {
	if s.Label == "" || s.Label == "." {
		return file
	}
	return strings.TrimRight(s.Label, "/") + "/" + file
}

// files lists the names of what claims to be a migration, in order.
func (s Source) files() ([]string, error) {
	info, err := fs.Stat(s.FS, s.dir())
	if err != nil {
		return nil, s.folderError(err)
	}
	if !info.IsDir() {
		return nil, s.folderError(syscall.ENOTDIR)
	}
	entries, err := fs.ReadDir(s.FS, s.dir())
	if err != nil {
		return nil, s.folderError(err)
	}
	var files []string
	for _, entry := range entries {
		if isCandidate(entry.Name()) {
			files = append(files, entry.Name())
		}
	}
	return files, nil
}

// isCandidate reports whether a name must be that of a migration.
func isCandidate(file string) bool {
	if strings.HasPrefix(file, ".") || strings.HasPrefix(file, "_") {
		return false
	}
	kind, known := kindOf(file)
	return known && (kind == SQL || digits(file) > 0)
}

func (s Source) folderError(err error) *Error {
	name := s.Label
	if name == "" {
		name = s.dir()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Code: CodeNoFolder, Path: name, Message: "there is no such folder",
			Remedy: "create it with \"whimbrel init\", or name the folder of the migrations with --dir", cause: err}
	case errors.Is(err, syscall.ENOTDIR):
		return &Error{Code: CodeNotAFolder, Path: name, Message: "it is a file, not a folder",
			Remedy: "name the folder of the migrations with --dir", cause: err}
	}
	return &Error{Code: CodeUnreadable, Path: name, Message: "the folder cannot be read: " + reason(err),
		Remedy: "check its permissions", cause: err}
}

// loaded is what became of one file.
type loaded struct {
	migration Migration
	err       error
}

// loadAll reads files, as many at once as the machine has processors: the time
// that a run with nothing to do takes is mostly this.
func (s Source) loadAll(files []string) []loaded {
	results := make([]loaded, len(files))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				results[i].migration, results[i].err = s.load(files[i])
			}
		})
	}
	workers.Wait()
	return results
}

// load reads one file.
func (s Source) load(file string) (Migration, error) {
	text, problem := s.read(path.Join(s.dir(), file))
	if problem != nil {
		problem.Path = s.name(file)
		return Migration{}, problem
	}
	m, err := Parse(s.name(file), text)
	if err != nil || m.Kind != Script {
		return m, err
	}
	m.Folder, err = fs.Sub(s.FS, s.dir())
	return m, err
}

func (s Source) read(file string) (string, *Error) {
	info, err := fs.Stat(s.FS, file)
	switch {
	case err != nil:
		return "", unreadable(err)
	case info.IsDir():
		return "", &Error{Code: CodeFolder, Message: "it is a folder where a file should be",
			Remedy: "rename the folder; migrations are files right in the folder of the migrations"}
	case !info.Mode().IsRegular():
		// Reading a pipe or a device could block for ever.
		return "", unreadable(errors.New("it is not a regular file"))
	case info.Size() > MaxSize:
		return "", tooLarge()
	}
	opened, err := s.FS.Open(file)
	if err != nil {
		return "", unreadable(err)
	}
	text, err := readAll(opened, int(info.Size()))
	err = errors.Join(err, opened.Close())
	switch {
	case err != nil:
		return "", unreadable(err)
	case len(text) > MaxSize:
		return "", tooLarge()
	}
	return string(text), nil
}

// readAll reads a file of about the given size, and at most one byte more than
// is allowed, which shows a file that grew meanwhile.
func readAll(file io.Reader, size int) ([]byte, error) {
	text := make([]byte, 0, size+1)
	for len(text) <= MaxSize {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := file.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err == io.EOF {
			return text, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return text, nil
}

func unreadable(err error) *Error {
	return &Error{Code: CodeUnreadable, Message: "cannot be read: " + reason(err),
		Remedy: "check that the file is there and its permissions", cause: err}
}

func tooLarge() *Error {
	return &Error{Code: CodeTooLarge, Message: fmt.Sprintf("the file is larger than %d MiB", MaxSize>>20),
		Remedy: "cut it into several migrations, or load mass data with psql or COPY from outside"}
}

// reason is an error without the path, which the message shows anyway.
func reason(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}
