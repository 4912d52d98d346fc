package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// speaking are the packages whose errors reach users of the library and of the program.
var speaking = []string{".", "adopt", "drift", "forecast", "migration", "pipeline", "project", "squash", "trial"}

var (
	flagOrCommand = regexp.MustCompile("(^|[ (])--[a-z][a-z-]+\\b|`whimbrel [a-z]")
	ofTheLibrary  = regexp.MustCompile(
		`\b(Migrator|Config|Options|DownOptions|Source|Variables)[.[][A-Z%]|the goal [A-Z]|package (adopt|squash)\b`)
)

func TestTheLibraryNamesNoFlagAndTheProgramNoField(t *testing.T) {
	t.Parallel()
	unused := map[string]bool{}
	for _, entry := range inCommandLine {
		unused[entry[0]] = true
	}
	for text, where := range textsOf(t, speaking) {
		require.NotRegexp(t, flagOrCommand, text, where)
		said := commandLine(text)
		require.NotRegexp(t, ofTheLibrary, said, "%s: inCommandLine lacks what it names", where)
		for i, pattern := range namedByLibrary() {
			if pattern.MatchString(text) {
				delete(unused, inCommandLine[i][0])
			}
		}
	}
	require.Empty(t, unused, "inCommandLine has what no remedy names")
}

func TestRemediesNameFlags(t *testing.T) {
	t.Parallel()
	for library, program := range map[string]string{
		"": "",
		"wait for it to end, raise Config.LockWait, or look with Migrator.Lock": "wait for it to end, raise --lock-wait, " +
			"or look with `whimbrel lock`",
		"record this one alone with the goal BaselineOnly(20240101)": "record this one alone with `whimbrel baseline " +
			"--only 20240101`",
		"give it in Variables[REGION]": "give it with --set REGION=…, or below variables: in whimbrel.yaml, where ${…} " +
			"must " +
			"be set in the environment",
		"compare the history alone, with Migrator.Verify": "compare the history alone with --history-only",
		"Config is what a table of yours may be called":   "Config is what a table of yours may be called",
	} {
		require.Equal(t, program, commandLine(library))
	}
}

// textsOf gives the texts in packages, each with where it is. Parts that are joined are one
// text, with … for what is no literal.
func textsOf(t *testing.T, packages []string) map[string]string {
	t.Helper()
	texts, files := map[string]string{}, token.NewFileSet()
	for _, folder := range packages {
		sources, err := filepath.Glob(filepath.Join("..", "..", folder, "*.go"))
		require.NoError(t, err)
		for _, source := range sources {
			if strings.HasSuffix(source, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(files, source, nil, 0)
			require.NoError(t, err)
			ast.Inspect(file, func(n ast.Node) bool {
				expression, ok := n.(ast.Expr)
				if !ok {
					return true
				}
				text, literal := joined(expression)
				if literal && strings.Contains(text, " ") { // one word is no remedy: an argument of a program
					texts[text] = files.Position(n.Pos()).String()
				}
				return !literal
			})
		}
	}
	require.NotEmpty(t, texts)
	return texts
}

// joined gives the text of an expression, if some of it is literal.
func joined(e ast.Expr) (text string, literal bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, one := joined(e.X)
		right, other := joined(e.Y)
		return left + right, e.Op == token.ADD && (one || other)
	}
	return "…", false
}
