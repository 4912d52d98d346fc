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

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
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
	// Subfolders reads the folders in it as well, and those in them.
	Subfolders bool
	// Below, unless nil, is told of each folder in it that is not read, by its path from
	// there: what is in it may be meant. Names that are left alone are not told of.
	Below func(folder string)
}

// Load reads the migrations of all sources and returns them in the order of
// their versions, which are all different. Repeatable ones come last, by name.
//
// A .sql file must have the name of a migration. A script must only if its name
// begins with a digit, so that modules can lie beside the migrations that use
// them. All other files are left alone, and so are names that begin with "." or
// "_". Links to files are followed. Folders are left alone too, unless
// Source.Subfolders asks for them; of those, links and what begins with "." or
// "_" are left alone all the same, and so is "node_modules".
//
// Files are read concurrently, which every file system of the standard library
// allows.
//
// The error joins an *Error for everything that is wrong (see Problems), in the
// order of sources and file names; then there are no migrations.
func Load(sources ...Source) ([]Migration, error) {
	var migrations []Migration
	var problems []error
	var paths map[Version]string
	for _, source := range sources {
		files, err := source.files()
		if paths == nil {
			paths = make(map[Version]string, len(files))
		}
		if err != nil {
			problems = append(problems, err)
		}
		read, failed := source.loadAll(files)
		good := read[:0]
		for i, file := range files {
			if err := claimVersion(paths, file); err != nil {
				problems = append(problems, err)
			}
			if failed[i] != nil {
				problems = append(problems, failed[i])
				continue
			}
			good = append(good, read[i])
		}
		if migrations == nil {
			migrations = good // one source is the rule, and the values are large
			continue
		}
		migrations = append(migrations, good...)
	}
	problems = append(problems, leftOver(migrations)...)
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
func claimVersion(paths map[Version]string, file candidate) error {
	version, _, _, err := ParseName(path.Base(file.path))
	if err != nil {
		return nil
	}
	version = version.Canonical()
	if other, taken := paths[version]; taken {
		remedy := "give one of them another version, that of the file which no database has run yet"
		if version.Repeatable() {
			remedy = "give one of them another name"
		}
		return &Error{
			Code: CodeDuplicateVersion, Path: file.name,
			Message: fmt.Sprintf("it has the same version as %s", other),
			Remedy:  remedy,
		}
	}
	paths[version] = file.name
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

// candidate is a file that claims by its name to be a migration.
type candidate struct {
	path    string // in the source's FS
	name    string // what messages call it
	regular bool   // as the folder shows it
}

func (s Source) candidate(folder, below string, entry fs.DirEntry) candidate {
	at := entry.Name()
	if folder != "." {
		at = folder + "/" + at
	}
	return candidate{path: at, name: s.name(below + entry.Name()), regular: entry.Type().IsRegular()}
}

// files lists what claims by its name to be a migration, in order.
func (s Source) files() ([]candidate, error) {
	info, err := fs.Stat(s.FS, s.dir())
	if err != nil {
		return nil, s.folderError(err)
	}
	if !info.IsDir() {
		return nil, s.folderError(syscall.ENOTDIR)
	}
	found, err := s.filesIn(s.dir(), "")
	if err != nil {
		return nil, s.folderError(err)
	}
	return found, nil
}

// filesIn lists one folder, and those in it where they count. below is where it is in
// the source's, for messages: empty, or a path that ends with a slash.
func (s Source) filesIn(folder, below string) ([]candidate, error) {
	entries, err := fs.ReadDir(s.FS, folder)
	if err != nil {
		return nil, err
	}
	found := make([]candidate, 0, len(entries))
	for _, entry := range entries {
		switch {
		case s.Subfolders && entry.IsDir():
			if isLeftAlone(entry.Name()) || entry.Name() == "node_modules" {
				continue
			}
			more, err := s.filesIn(path.Join(folder, entry.Name()), below+entry.Name()+"/")
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		case isCandidate(entry.Name()):
			found = append(found, s.candidate(folder, below, entry))
		case entry.IsDir() && s.Below != nil && !isLeftAlone(entry.Name()) && entry.Name() != "node_modules":
			s.Below(below + entry.Name())
		}
	}
	return found, nil
}

func isLeftAlone(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// isCandidate reports whether a name must be that of a migration.
func isCandidate(file string) bool {
	kind, known := kindOf(file)
	return !isLeftAlone(file) && known && (kind == SQL || digits(file) > 0 || Version(file).Repeatable())
}

func (s Source) folderError(err error) *Error {
	name := s.Label
	if name == "" {
		name = s.dir()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Code: CodeNoFolder, Path: name, Message: "no such folder",
			Remedy: "create it, or set Source.Dir to the folder of the migrations", cause: err}
	case errors.Is(err, syscall.ENOTDIR):
		return &Error{Code: CodeNotAFolder, Path: name, Message: "it is a file, not a folder",
			Remedy: "set Source.Dir to the folder of the migrations", cause: err}
	}
	return &Error{Code: CodeUnreadable, Path: name, Message: "the folder cannot be read: " + reason(err),
		Remedy: "check its permissions", cause: err}
}

// loadAll reads files, as many at once as the machine has processors: the time
// that a run with nothing to do takes is mostly this. Where there is an error, there
// is no migration.
func (s Source) loadAll(files []candidate) ([]Migration, []error) {
	migrations, errs := make([]Migration, len(files)), make([]error, len(files))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		workers.Go(func() {
			in := &room{text: make([]byte, 32<<10)}
			for i := int(next.Add(1)) - 1; i < len(files); i = int(next.Add(1)) - 1 {
				migrations[i], errs[i] = s.load(files[i], in)
			}
		})
	}
	workers.Wait()
	return migrations, errs
}

func (s Source) load(file candidate, in *room) (Migration, error) {
	text, problem := s.read(file, in.text)
	if problem != nil {
		return Migration{}, problem
	}
	m, err := parseIn(in, file.name, text)
	if err != nil || m.Kind != Script {
		return m, err
	}
	m.Folder, err = fs.Sub(s.FS, path.Dir(file.path))
	return m, err
}

// read gives a file's text, by way of a buffer. What the folder does not show to be a regular file
// is looked at before it is opened: a pipe or a device could block for ever.
func (s Source) read(file candidate, buffer []byte) (text string, problem *Error) {
	defer func() {
		if problem != nil {
			problem.Path = file.name
		}
	}()
	if !file.regular {
		info, err := fs.Stat(s.FS, file.path)
		switch {
		case err != nil:
			return "", unreadable(err)
		case info.IsDir():
			return "", &Error{Code: CodeFolder, Message: "it is a folder where a file should be",
				Remedy: "rename the folder; migrations are files"}
		case !info.Mode().IsRegular():
			return "", unreadable(errors.New("it is not a regular file"))
		}
	}
	var err error
	if direct, ok := s.FS.(interface {
		readText(name string, buffer []byte) (string, error)
	}); ok {
		text, err = direct.readText(file.path, buffer)
	} else {
		text, err = readText(s.FS, file.path, buffer)
	}
	switch {
	case errors.Is(err, errTooLarge):
		return "", tooLarge()
	case err != nil:
		return "", unreadable(err)
	}
	return text, nil
}

// ReadFile reads a text that belongs to migrations, as a module that a script requires or
// the rows of a test, with LF as line ends. It may have MaxSize bytes, and must be a regular
// file.
func ReadFile(folder fs.FS, name string) (string, error) {
	info, err := fs.Stat(folder, name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		return "", err
	}
	text, err := readText(folder, name, make([]byte, 32<<10))
	if errors.Is(err, errTooLarge) {
		err = fmt.Errorf("it is larger than %d MiB", MaxSize>>20)
	}
	return plaintext.LF(text), err
}

// errTooLarge is a file that is refused by its size, without being read.
var errTooLarge = errors.New("too large")

// readText reads a file of any file system.
func readText(from fs.FS, name string, buffer []byte) (text string, err error) {
	file, err := from.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var size int64
	if info, err := file.Stat(); err == nil {
		size = info.Size()
	}
	return textOf(size, buffer, file.Read)
}

// textOf reads a text of about that size, of which there is one copy in memory then. A
// size that is no more than a guess, as of a file that grows, does no harm.
func textOf(size int64, buffer []byte, read func([]byte) (int, error)) (string, error) {
	if size > MaxSize {
		return "", errTooLarge
	}
	var text strings.Builder
	text.Grow(int(max(size, 0)))
	for {
		n, err := read(buffer)
		text.Write(buffer[:n])
		switch {
		case text.Len() > MaxSize:
			return "", errTooLarge
		case errors.Is(err, io.EOF):
			return text.String(), nil
		case err != nil:
			return "", err
		}
	}
}

func unreadable(err error) *Error {
	if errors.Is(err, ErrLeadsOut) {
		return &Error{Code: CodeUnreadable, Message: ErrLeadsOut.Error(), Remedy: "put the file itself in its place",
			cause: err}
	}
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
