package project

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Sandbox say what throw-away databases have before the first migration.
type Sandbox struct {
	Prepare    prepareFiles `yaml:"prepare"`
	Roles      objectNames  `yaml:"roles"`
	Extensions objectNames  `yaml:"extensions"`
	Superuser  bool         `yaml:"superuser"`
}

// prepareFiles are paths of files of SQL.
type prepareFiles []string

// ReadYAML implements yamlpos.Unmarshaler.
func (p *prepareFiles) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	*p = texts(r, n, "write the path of a file of SQL, or a list of paths")
}

// objectNames are names as the catalog has them, without quotes.
type objectNames []string

// ReadYAML implements yamlpos.Unmarshaler.
func (o *objectNames) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	*o = texts(r, n, "write a name, or a list of names")
}

// texts reads one text or a list of them.
func texts(r *yamlpos.Reader, n yamlpos.Node, remedy string) (all []string) {
	r.OneOrEach(n, func(n yamlpos.Node) {
		text, ok := r.Resolve(n).(*ast.StringNode)
		if !ok || text.Value == "" {
			r.Wrong(n, remedy, "a text is expected here")
			return
		}
		all = append(all, text.Value)
	})
	return all
}

// Furnishing reads what the file says of throw-away databases.
func (p *Project) Furnishing() (devdb.Furnishing, error) {
	file := p.File
	f := devdb.Furnishing{Roles: file.Sandbox.Roles, Extensions: file.Sandbox.Extensions}
	for i, name := range file.Sandbox.Prepare {
		text, err := file.readPrepare(name)
		if err != nil {
			at := file.at("sandbox", "prepare", strconv.Itoa(i))
			if at == nil {
				at = file.at("sandbox", "prepare")
			}
			return f, file.wrong(at, "name a file of SQL in the project, by its path from "+Name,
				"sandbox.prepare: %s: %v", name, files.Reason(err))
		}
		path := filepath.ToSlash(p.options.beside(file, name))
		f.Prepare = append(f.Prepare, devdb.File{Path: path, Text: text})
	}
	return f, nil
}

// errOutside is why a file is not read.
var errOutside = errors.New("it is outside of the project")

// readPrepare reads a file of SQL of the project, whose links lead nowhere else.
func (c File) readPrepare(name string) (string, error) {
	root := c.root()
	inside, err := filepath.Rel(root, filepath.Join(c.Place, name))
	if filepath.IsAbs(name) || err != nil || !filepath.IsLocal(inside) {
		return "", errOutside
	}
	file, err := migration.Folder(root).Open(filepath.ToSlash(inside))
	if errors.Is(err, migration.ErrLeadsOut) {
		return "", errOutside
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // nothing was written to it
	text, err := io.ReadAll(io.LimitReader(file, migration.MaxSize+1))
	if err == nil && len(text) > migration.MaxSize {
		err = fmt.Errorf("it is larger than %d MiB", migration.MaxSize>>20)
	}
	return plaintext.LF(strings.TrimPrefix(string(text), files.ByteOrderMark)), err
}

// root is the folder of the project: of the repository in which whimbrel.yaml is, or else
// its own.
func (c File) root() string {
	for folder := c.Place; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, ".git")); err == nil {
			return folder
		}
		if folder == filepath.Dir(folder) {
			return c.Place
		}
	}
}
