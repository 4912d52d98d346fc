package whimbreltest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// recipe is what a database is to be made of.
type recipe struct {
	folder    string
	upTo      migration.Version
	functions []whimbrel.Function
	scripts   whimbrel.Runtime
	table     string
	variables map[string]string
	// subfolders is set where the folders in folder count as well.
	subfolders bool
	major      int
	prepare    []string // paths of files
	furnishing devdb.Furnishing

	migrations []migration.Migration
	modules    string // a digest of what scripts may import
}

func newRecipe(files fs.FS, options []Option) (recipe, error) {
	r := recipe{table: whimbrel.DefaultTable}
	for _, option := range options {
		option(&r)
	}
	if files != nil {
		var err error
		if r.migrations, err = migration.Load(migration.Source{FS: files, Dir: r.folder, Label: r.folder,
			Subfolders: r.subfolders}); err != nil {
			return r, err
		}
	}
	for _, path := range r.prepare {
		if files == nil {
			return r, errors.New("whimbreltest.Prepare needs a file system that has the files")
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return r, fmt.Errorf("reading what whimbreltest.Prepare names: %w", err)
		}
		r.furnishing.Prepare = append(r.furnishing.Prepare, devdb.File{Path: path, Text: plaintext.LF(string(text))})
	}
	if len(r.migrations)+len(r.functions) == 0 {
		return r, errors.New("there are no migrations in the file system; name their folder with whimbreltest.Dir, as in " +
			"whimbreltest.Dir(\"migrations\")")
	}
	if r.upTo != "" {
		if err := r.cut(); err != nil {
			return r, err
		}
	}
	return r, r.readModules(files)
}

// cut leaves out what is newer than the last version wanted.
func (r *recipe) cut() error {
	here := func(version migration.Version) bool { return version.Equal(r.upTo) }
	if !slices.ContainsFunc(r.migrations, func(m migration.Migration) bool { return here(m.Version) }) &&
		!slices.ContainsFunc(r.functions, func(f whimbrel.Function) bool { return here(f.Version) }) {
		return fmt.Errorf("no migration of version %s, which whimbreltest.UpTo names", r.upTo)
	}
	newer := func(version migration.Version) bool { return version.Compare(r.upTo) > 0 }
	r.migrations = slices.DeleteFunc(r.migrations, func(m migration.Migration) bool { return newer(m.Version) })
	r.functions = slices.DeleteFunc(slices.Clone(r.functions), func(f whimbrel.Function) bool { return newer(f.Version) })
	return nil
}

// readModules digests everything in the folder where there is a script among
// the migrations: it may import any file there, and its checksum does not tell.
func (r *recipe) readModules(files fs.FS) error {
	if !slices.ContainsFunc(r.migrations, func(m migration.Migration) bool { return m.Kind == migration.Script }) {
		return nil
	}
	root := r.folder
	if root == "" {
		root = "."
	}
	digest := sha256.New()
	err := fs.WalkDir(files, root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		write(digest, path, plaintext.LF(string(content)))
		return err
	})
	if err != nil {
		return fmt.Errorf("reading what the migrations in JavaScript may import: %w", err)
	}
	r.modules = fmt.Sprintf("%x", digest.Sum(nil))
	return nil
}

// key names the template: two recipes have the same exactly if they give the
// same database on the same server. It is 80 bits in hexadecimal digits.
func (r recipe) key(serverVersion, role string) (string, error) {
	digest := sha256.New()
	write(digest, "1", serverVersion, role, r.table, r.modules)
	for _, m := range r.migrations {
		write(digest, "file", string(m.Version), m.Name, string(m.Kind), m.Checksum)
	}
	for _, name := range slices.Sorted(maps.Keys(r.variables)) {
		write(digest, "variable", name, r.variables[name])
	}
	for _, file := range r.furnishing.Prepare {
		write(digest, "prepare", file.Path, file.Text)
	}
	for _, name := range r.furnishing.Roles {
		write(digest, "role", name)
	}
	for _, name := range r.furnishing.Extensions {
		write(digest, "extension", name)
	}
	for _, f := range r.functions {
		write(digest, "function", string(f.Version), f.Name)
	}
	if len(r.functions) > 0 {
		build, err := thisBuild()
		if err != nil {
			return "", fmt.Errorf("telling this test binary from others: %w", err)
		}
		write(digest, build)
	}
	return fmt.Sprintf("%.10x", digest.Sum(nil)), nil
}

// write adds texts to a digest so that no two lists of texts look the same.
func write(digest hash.Hash, texts ...string) {
	for _, text := range texts {
		fmt.Fprintf(digest, "%d:%s\n", len(text), text)
	}
}

// thisBuild tells this test binary from all others. Reading it as a whole would
// take longer than to make the database.
func thisBuild() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprint(path, info.Size(), info.ModTime().UnixNano()), nil
}
