package migration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Folder is a folder of this machine as a file system, of which Load reads the files with
// less ado than of os.DirFS: a thousand small ones in about three quarters of the time.
// The folder may be reached by a link; a link in it is followed as long as it stays
// inside, since what is in a folder may be somebody else's, and the rest of the
// machine is not. It may be used concurrently.
func Folder(path string) fs.FS { return diskFolder{path} }

// ErrLeadsOut is what a Folder gives for a link whose target lies outside it.
var ErrLeadsOut = errors.New("it is a link that leads out of its folder")

type diskFolder struct{ path string }

// Open implements fs.FS.
func (f diskFolder) Open(name string) (fs.File, error) {
	return within(f, name, func(folder fs.FS, name string) (fs.File, error) { return folder.Open(name) })
}

// ReadDir implements fs.ReadDirFS.
func (f diskFolder) ReadDir(name string) ([]fs.DirEntry, error) { return within(f, name, fs.ReadDir) }

// ReadFile implements fs.ReadFileFS.
func (f diskFolder) ReadFile(name string) ([]byte, error) { return within(f, name, fs.ReadFile) }

// Stat implements fs.StatFS.
func (f diskFolder) Stat(name string) (fs.FileInfo, error) { return within(f, name, fs.Stat) }

// within does something with a file of the folder. The folder is opened each time: it may
// be another one by then.
func within[T any](f diskFolder, name string, do func(fs.FS, string) (T, error)) (T, error) {
	var none T
	root, err := os.OpenRoot(f.path)
	if err != nil {
		if info, found := os.Stat(f.path); found == nil && !info.IsDir() { // for which os.Root has no value
			err = &fs.PathError{Op: "open", Path: f.path, Err: syscall.ENOTDIR}
		}
		return none, err
	}
	defer func() { _ = root.Close() }() // nothing was written to it
	value, err := do(root.FS(), name)
	if !escapes(err) {
		return value, err
	}
	target, err := f.resolve(name)
	if err != nil {
		return none, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if value, err = do(root.FS(), target); escapes(err) { // it was changed meanwhile
		return none, &fs.PathError{Op: "open", Path: name, Err: ErrLeadsOut}
	}
	return value, err
}

// escapes reports whether os.Root refused a path. It has no value for that error, and it
// refuses every absolute link, also one that leads back inside.
func escapes(err error) bool {
	var refused *fs.PathError
	return errors.As(err, &refused) && refused.Err.Error() == "path escapes from parent"
}

// resolve gives the path in the folder to which the links of a name lead.
func (f diskFolder) resolve(name string) (string, error) {
	base, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return "", ErrLeadsOut
	}
	target, err := filepath.EvalSymlinks(filepath.Join(f.path, filepath.FromSlash(name)))
	if err != nil {
		return "", ErrLeadsOut // whether there is anything is nobody's business
	}
	if base, err = filepath.Abs(base); err == nil {
		target, err = filepath.Abs(target)
	}
	if err == nil {
		target, err = filepath.Rel(base, target)
	}
	if err != nil || target == ".." || strings.HasPrefix(target, ".."+string(filepath.Separator)) {
		return "", ErrLeadsOut
	}
	return filepath.ToSlash(target), nil
}
