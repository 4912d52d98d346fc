package devdb

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// unpackLimit is more than any server needs: an archive that unpacks to more is not one.
const unpackLimit = 1 << 30

// archiveRoot is the folder in the package's archive under which the server lies.
const archiveRoot = "package/native/"

func unpackFile(archive, folder string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return unpack(file, folder, unpackLimit)
}

// unpack writes the server in a package's archive into a new folder, readable by every account whatever the umask.
// Nothing is written outside of the folder: os.Root refuses it, links included. An archive of more than limit bytes is
// refused.
func unpack(archive io.Reader, folder string, limit int64) (err error) {
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	uncompressed, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	entries := tar.NewReader(uncompressed)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		name, inside := strings.CutPrefix(entry.Name, archiveRoot)
		if !inside || entry.Typeflag != tar.TypeReg {
			continue
		}
		if limit -= entry.Size; limit < 0 {
			return errors.New("the archive is larger than a server can be")
		}
		if err := unpackEntry(root, name, entries, entry.FileInfo().Mode()); err != nil {
			return err
		}
	}
	return errors.Join(link(root), root.Chmod(".", 0o755))
}

func unpackEntry(root *os.Root, name string, content io.Reader, mode fs.FileMode) (err error) {
	if !filepath.IsLocal(name) || name != path.Clean(name) {
		return fmt.Errorf("the archive holds the path %q, which leads out of its folder", name)
	}
	if err := makeParents(root, name); err != nil {
		return err
	}
	permissions := fs.FileMode(0o644)
	if mode&0o100 != 0 {
		permissions = 0o755
	}
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, permissions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := io.Copy(file, content); err != nil {
		return err
	}
	return file.Chmod(permissions)
}

// makeParents creates the folders above a name.
func makeParents(root *os.Root, name string) error {
	for i, character := range name {
		if character != '/' {
			continue
		}
		err := root.Mkdir(name[:i], 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err := errors.Join(err, root.Chmod(name[:i], 0o755)); err != nil {
			return err
		}
	}
	return nil
}

// link creates the symbolic links of the server's libraries. npm's archives cannot hold links, so the package lists
// them in a file.
func link(root *os.Root) error {
	content, err := root.ReadFile("pg-symlinks.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct {
		Source string `json:"source"` // the file
		Target string `json:"target"` // the link to be created
	}
	if err := json.Unmarshal(content, &links); err != nil {
		return fmt.Errorf("reading the list of links: %w", err)
	}
	for _, link := range links {
		file, isIn := strings.CutPrefix(link.Source, "native/")
		name, nameIn := strings.CutPrefix(link.Target, "native/")
		if !isIn || !nameIn || !filepath.IsLocal(file) || !filepath.IsLocal(name) {
			return fmt.Errorf("the link from %q to %q leads out of the archive's folder", link.Target, link.Source)
		}
		to, err := filepath.Rel(filepath.Dir(name), file)
		if err != nil {
			return err
		}
		if err := root.Symlink(to, name); err != nil {
			return err
		}
	}
	return nil
}
