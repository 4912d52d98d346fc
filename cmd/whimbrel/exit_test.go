package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

func TestExitStatusOfErrors(t *testing.T) {
	t.Parallel()
	code := func(c whimbrel.Code) error { return &whimbrel.Error{Code: c, Message: "x"} }
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{code("a code of the future"), 1},
		{code(whimbrel.CodeStatement), 1},
		{code(whimbrel.CodeConnection), 1},
		{code(whimbrel.CodeOutOfOrder), 1},
		{code(whimbrel.CodeMissingFile), 1},
		{code(whimbrel.CodeChanged), 1},
		{code(whimbrel.CodeForeignTable), 1},
		{code(whimbrel.CodeUnfinished), 1},
		{code(codeUsage), 2},
		{code(whimbrel.CodeConfiguration), 2},
		{code(whimbrel.CodeMalformed), 2},
		{code(whimbrel.CodeEmpty), 2},
		{code(whimbrel.CodeUnsupported), 2},
		{code(whimbrel.CodeUnknownVersion), 2},
		{code(whimbrel.CodeJournal), 2},
		{&migration.Error{Code: "anything"}, 2},
		{errors.Join(&migration.Error{Code: "a"}, &migration.Error{Code: "b"}), 2},
		{&whimbrel.Error{Code: "lexical", Message: "x", Err: &migration.Error{Code: "lexical"}}, 2},
		{code(whimbrel.CodeNoWayBack), 3},
		{code(whimbrel.CodeLeaseHeld), 4},
		{fmt.Errorf("around it: %w", code(whimbrel.CodeLeaseHeld)), 4},
		{differenceError{}, 5},
		{code(whimbrel.CodeInterrupted), 130},
		{context.Canceled, 130},
	} {
		require.Equal(t, test.want, exitStatus(test.err), "%v", test.err)
	}
}

// The engine's codes are read from its source, so that a new one cannot be
// forgotten in the table of exit statuses.
func TestEveryCodeOfTheEngineHasAnExitStatus(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../error.go", nil, 0)
	require.NoError(t, err)
	found := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		times := 0
		for _, row := range exits {
			for _, code := range row.codes {
				if string(code) == value {
					times++
				}
			}
		}
		require.Equal(t, 1, times, "%s must stand in the table of exit statuses, once", value)
		found++
		return true
	})
	require.Positive(t, found)
}
