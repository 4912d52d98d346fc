package js

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
	"github.com/evanw/esbuild/pkg/api"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// bundleMark begins the text of a bundle that Source returned, which is
// JavaScript whatever the migration's file was.
const bundleMark = "// This is a bundle that whimbrel made of a migration and what it needed of its neighbours."

// bundle is a script with its neighbours as one program.
type bundle struct {
	path    string // of the migration, for a reader
	name    string // of its file in the folder
	source  string // what can be kept: see whimbrel.Script
	tool    string // that it was written for; "" for whimbrel
	program *goja.Program
	sources map[string]string // texts by the names that the program's stacks give
}

// bundleOf reads a script and its neighbours.
func bundleOf(m migration.Migration) (*bundle, error) {
	n := &neighbours{migration: m, name: path.Base(filepath.ToSlash(m.Path)), read: map[string]string{}}
	bundled := strings.HasPrefix(m.Text, bundleMark)
	if bundled {
		n.name = programName + ".js" // the ending of the file no longer says what it is
	}
	result := api.Build(api.BuildOptions{
		EntryPoints:       []string{n.name},
		Bundle:            true,
		Format:            api.FormatCommonJS,
		Platform:          api.PlatformNeutral,
		Target:            api.ES2017, // what lies beyond it, goja knows only in part
		Supported:         map[string]bool{"bigint": true},
		Sourcemap:         api.SourceMapInline,
		SourcesContent:    api.SourcesContentInclude,
		Charset:           api.CharsetASCII, // or else columns, which are bytes to goja, would be wrong
		LogLevel:          api.LogLevelSilent,
		LogOverride:       map[string]api.LogLevel{"commonjs-variable-in-esm": api.LogLevelError},
		TsconfigRaw:       "{}",
		Banner:            map[string]string{"js": bundleMark},
		Plugins:           []api.Plugin{n.plugin()},
		LegalComments:     api.LegalCommentsInline,
		IgnoreAnnotations: true,
	})
	if len(result.Errors) > 0 {
		return nil, n.malformed(result.Errors[0])
	}
	code, encoded, err := cutSourceMap(string(result.OutputFiles[0].Contents))
	if err != nil {
		return nil, fmt.Errorf("bundling %s: %w", m.Path, err)
	}
	maps, err := readSourceMap(encoded, bundled)
	if err != nil {
		return nil, fmt.Errorf("bundling %s: %w", m.Path, err)
	}
	b := &bundle{path: m.Path, name: n.name, source: m.Text, tool: migration.ClientOf(m.Text), sources: maps.texts()}
	if len(n.read) > 1 {
		b.source = code + maps.comment()
		if b.tool != "" {
			b.source = migration.WithClient(b.source, b.tool)
		}
	}
	b.program, err = compile(programName, code+maps.forGoja().comment())
	if err != nil {
		return nil, b.refused(err)
	}
	return b, nil
}

// compile makes a function of a module, as Node.js does.
func compile(name, code string) (*goja.Program, error) {
	// It begins on the first line of the code, so that lines stay what they are;
	// that line holds nothing but the banner.
	parsed, err := parser.ParseFile(nil, name, "(function (exports, require, module, __filename, __dirname) {"+code+"})",
		0,
		parser.WithSourceMapLoader(func(string) ([]byte, error) { return nil, nil }))
	if err != nil {
		return nil, err
	}
	markThrown(parsed)
	return goja.CompileAST(parsed, false)
}

// refused tells what goja found wrong that esbuild let pass, as a regular
// expression that is none.
func (b *bundle) refused(err error) *whimbrel.Error {
	e := whimbrel.Error{Code: whimbrel.CodeMalformed, Message: err.Error(), Err: err}
	var list parser.ErrorList
	var one *goja.CompilerSyntaxError
	var at file.Position
	switch {
	case errors.As(err, &list) && len(list) > 0:
		e.Message, at = list[0].Message, list[0].Position
	case errors.As(err, &one) && one.File != nil:
		e.Message, at = one.Message, one.File.Position(one.Offset)
	}
	return b.locate(e, []frame{{file: fileName(at.Filename), line: at.Line, column: at.Column}})
}

// malformed tells what esbuild found wrong.
func (n *neighbours) malformed(found api.Message) *whimbrel.Error {
	e := &whimbrel.Error{Code: whimbrel.CodeMalformed, Path: n.migration.Path, Message: found.Text}
	if remedy, ok := found.Detail.(string); ok {
		e.Remedy = remedy
	}
	if remedy, ok := found.Detail.(missingModule); ok {
		e.Code, e.Remedy = whimbrel.CodeScript, string(remedy)
	}
	if found.ID == "commonjs-variable-in-esm" {
		e.Message = "the file exports both in the way of CommonJS and in that of ES modules: " + found.Text
		e.Remedy = "use either module.exports or export, not both in one file"
	}
	if strings.HasPrefix(found.Text, "Top-level await") {
		e.Message, e.Remedy = "await works in functions only, not at the top level of a migration", "move it into up or down"
	}
	if at := found.Location; at != nil {
		e.Path = n.pathOf(strings.TrimPrefix(at.File, namespace+":"))
		e.Line = at.Line
		column := min(max(at.Column, 0), len(at.LineText))
		e.Column = utf8.RuneCountInString(at.LineText[:column]) + 1
		e.Statement = excerpt(at.LineText, e.Column)
	}
	return e
}

// pathOf names a file of the migration's folder for a reader.
func (n *neighbours) pathOf(name string) string { return beside(n.migration.Path, name) }

// beside names a neighbour as the migration itself is named.
func beside(migrationPath, name string) string {
	if base := path.Base(filepath.ToSlash(migrationPath)); strings.HasSuffix(migrationPath, base) {
		return strings.TrimSuffix(migrationPath, base) + name
	}
	return name
}

// programName is what goja calls the code that belongs to no file, as what
// esbuild adds. No file is called so.
const programName = "whimbrel"
