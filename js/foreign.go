package js

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/dop251/goja"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Scripts that were written for another tool (see migration.ClientOf) are called
// with an object that does what that tool's does, as far as whimbrel has it. The
// files in a folder here are, one behind the other and main.js last, the body of a
// function of whimbrel's own client. It gives that object; finish, if there is one,
// is called when up or down is done.

//go:embed clients/*/*.js
var clientFiles embed.FS

// foreignClients are compiled when the first script for another tool runs.
var foreignClients = sync.OnceValue(func() map[string]*goja.Program {
	names, err := fs.Glob(clientFiles, "clients/*/*.js")
	if err != nil {
		panic(err) // the pattern is fixed
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(strings.Count(a, "/main.js"),
			strings.Count(b, "/main.js"))
	})
	bodies := map[string]string{}
	for _, name := range names {
		text, err := clientFiles.ReadFile(name)
		if err != nil {
			panic(err) // it was listed
		}
		bodies[path.Base(path.Dir(name))] += string(text)
	}
	programs := map[string]*goja.Program{}
	for tool, body := range bodies {
		programs[tool] = goja.MustCompile(programName, "((client) => {\n"+body+"})", true)
	}
	return programs
})

// knownClient refuses a tool whose object whimbrel does not have.
func knownClient(m migration.Migration) error {
	tool := migration.ClientOf(m.Text)
	if tool == "" || foreignClients()[tool] != nil {
		return nil
	}
	var names []string
	for name := range foreignClients() {
		names = append(names, name)
	}
	slices.Sort(names)
	return &whimbrel.Error{Code: whimbrel.CodeMalformed, Path: m.Path,
		Message: fmt.Sprintf("the last line says that the script is for %s, which whimbrel cannot stand in for", tool),
		Remedy:  "it can for " + strings.Join(names, " and ")}
}

// caller is the object that up and down are called with, and what is to be done
// when they are done; nil if nothing is.
func (m *machine) caller() (client goja.Value, finish goja.Callable, err error) {
	own := m.client(false)
	if m.bundle.tool == "" {
		return own, nil, nil
	}
	made, err := m.vm.RunProgram(foreignClients()[m.bundle.tool])
	if err != nil {
		return nil, nil, err
	}
	function, ok := goja.AssertFunction(made)
	if !ok {
		return nil, nil, errors.New("the stand-in for " + m.bundle.tool + " is no function")
	}
	result, err := function(goja.Undefined(), own)
	if err != nil {
		return nil, nil, err
	}
	object := result.ToObject(m.vm)
	finish, _ = goja.AssertFunction(object.Get("finish"))
	return object.Get("client"), finish, nil
}

// lookAsForeign obeys what a script for another tool says in that tool's way.
func (s *script) lookAsForeign(exports *goja.Object) {
	config, ok := exports.Get("config").(*goja.Object)
	if !ok || s.bundle.tool != "knex" {
		return
	}
	if value := config.Get("transaction"); value != nil && value.Export() == false {
		s.transaction = false
	}
}
