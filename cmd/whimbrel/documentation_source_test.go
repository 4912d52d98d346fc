package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// constants gives the values of all string constants of a package whose names
// begin with prefix and go on with a capital: what a list in a test could forget.
func constants(t *testing.T, folder, prefix string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	var values []string
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			values = append(values, constantsOf(t, declaration, prefix)...)
		}
	}
	return values
}

func constantsOf(t *testing.T, declaration ast.Decl, prefix string) (values []string) {
	t.Helper()
	group, ok := declaration.(*ast.GenDecl)
	if !ok || group.Tok != token.CONST {
		return nil
	}
	for _, spec := range group.Specs {
		constant := spec.(*ast.ValueSpec)
		name := constant.Names[0].Name
		rest, begins := strings.CutPrefix(name, prefix)
		if !begins || rest == "" || rest[:1] != strings.ToUpper(rest[:1]) || len(constant.Values) != 1 {
			continue
		}
		if literal, ok := constant.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			value, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			values = append(values, value)
		}
	}
	return values
}
