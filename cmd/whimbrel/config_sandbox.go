package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/lineends"
	"github.com/whimbrel-db/whimbrel/migration"
)

// sandboxSettings say what throw-away databases have before the first migration.
type sandboxSettings struct {
	Prepare    prepareFiles `yaml:"prepare"`
	Roles      objectNames  `yaml:"roles"`
	Extensions objectNames  `yaml:"extensions"`
	Superuser  bool         `yaml:"superuser"`
}

// prepareFiles are paths of files of SQL.
type prepareFiles []string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (p *prepareFiles) UnmarshalYAML(node ast.Node) (err error) {
	*p, err = texts(node, "write the path of a file of SQL, or a list of paths")
	return err
}

// objectNames are names as the catalog has them, without quotes.
type objectNames []string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (o *objectNames) UnmarshalYAML(node ast.Node) (err error) {
	*o, err = texts(node, "write a name, or a list of names")
	return err
}

// texts reads one text or a list of them.
func texts(node ast.Node, remedy string) (all []string, err error) {
	nodes := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		nodes = list.Values
	}
	for _, n := range nodes {
		text, ok := n.(*ast.StringNode)
		if !ok || text.Value == "" {
			return nil, &yaml.SyntaxError{Message: remedy, Token: n.GetToken()}
		}
		all = append(all, text.Value)
	}
	return all, nil
}

// sandbox reads what the file says of throw-away databases.
func (a *app) sandbox(file config) (devdb.Furnishing, error) {
	f := devdb.Furnishing{Roles: file.Sandbox.Roles, Extensions: file.Sandbox.Extensions, Missing: a.missingRole}
	for i, name := range file.Sandbox.Prepare {
		text, err := file.readPrepare(name)
		if err != nil {
			at := file.token("sandbox", "prepare", strconv.Itoa(i))
			if at == nil {
				at = file.token("sandbox", "prepare")
			}
			return f, file.wrong(at, "name a file of SQL in the project, by its path from "+configName,
				"sandbox.prepare: %s: %v", name, reasonOf(err))
		}
		path := filepath.ToSlash(shownPath(a.folder, filepath.Join(file.place, name)))
		f.Prepare = append(f.Prepare, devdb.File{Path: path, Text: text})
	}
	a.furnishing, a.needsSuperuser = f, file.Sandbox.Superuser
	return f, nil
}

// errOutside is why a file is not read.
var errOutside = errors.New("it is outside of the project")

// readPrepare reads a file of SQL of the project, whose links lead nowhere else.
func (c config) readPrepare(name string) (string, error) {
	root := c.root()
	inside, err := filepath.Rel(root, filepath.Join(c.place, name))
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
	return lineends.LF(strings.TrimPrefix(string(text), byteOrderMark)), err
}

// root is the folder of the project: of the repository in which whimbrel.yaml is, or else
// its own.
func (c config) root() string {
	for folder := c.place; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, ".git")); err == nil {
			return folder
		}
		if folder == filepath.Dir(folder) {
			return c.place
		}
	}
}

// missingRole notes a role that a migration names and nothing creates.
func (a *app) missingRole(m devdb.MissingRole) {
	a.wallsMutex.Lock() // servers may be furnished at once
	defer a.wallsMutex.Unlock()
	a.remark(fmt.Sprintf("%s: %s:%d:%d: %s", devdb.MissingRoleCheck, m.Path, m.Line, m.Column, m))
}
