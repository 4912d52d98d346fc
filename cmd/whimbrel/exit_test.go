package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/project"
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
		{code(whimbrel.CodeLockTimeout), 1},
		{code(whimbrel.CodeLeaseLost), 1},
		{code(project.CodeUsage), 2},
		{code(whimbrel.CodeConfiguration), 2},
		{code(whimbrel.CodeMalformed), 2},
		{code(whimbrel.CodeEmpty), 2},
		{code(whimbrel.CodeUnsupported), 2},
		{code(whimbrel.CodeUnknownVersion), 2},
		{&migration.Error{Code: "anything"}, 2},
		{errors.Join(&migration.Error{Code: "a"}, &migration.Error{Code: "b"}), 2},
		{&whimbrel.Error{Code: "lexical", Message: "x", Err: &migration.Error{Code: "lexical"}}, 2},
		{code(migration.CodeLexical), 2},
		{malformedError{}, 2},
		{code(whimbrel.CodeOutOfOrder), 3},
		{code(whimbrel.CodeChanged), 3},
		{code(whimbrel.CodeMissingFile), 3},
		{code(whimbrel.CodePartlySquashed), 3},
		{code(whimbrel.CodeUnfinished), 3},
		{code(whimbrel.CodeJournal), 3},
		{code(whimbrel.CodeForeignTable), 3},
		{code(whimbrel.CodeTablesNewer), 3},
		{refusedError{}, 3},
		{code(whimbrel.CodeIrreversible), 3},
		{code(whimbrel.CodeLeaseHeld), 4},
		{fmt.Errorf("around it: %w", code(whimbrel.CodeLeaseHeld)), 4},
		{differenceError{}, 5},
		{code(whimbrel.CodeInterrupted), 130},
		{context.Canceled, 130},
	} {
		require.Equal(t, test.want, exitStatus(test.err), "%v", test.err)
	}
}

// The codes are read from the sources, so that a new one cannot be forgotten in the
// table of exit statuses.
func TestEveryCodeHasOneExitStatus(t *testing.T) {
	t.Parallel()
	rows := map[string]int{}
	for _, row := range exits {
		for _, code := range row.codes {
			rows[string(code)]++
		}
	}
	found := map[string]bool{}
	for folder, some := range map[string]string{
		"../..": "lease_held", "../../migration": "bad_name", "../../adopt": "contradiction", "../../project": "usage",
		".": "refused",
	} {
		codes := append(constants(t, folder, "Code"), constants(t, folder, "code")...)
		require.Contains(t, codes, some)
		for _, code := range codes {
			require.Equal(t, 1, rows[code], "%s must be in the table of exit statuses, once", code)
			found[code] = true
		}
	}
	require.Len(t, rows, len(found), "a code of the table that no source has")
}
