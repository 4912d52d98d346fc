//go:build !lean

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/lint"
)

func TestThePageOfHazardsIsMadeOfTheRecords(t *testing.T) {
	t.Parallel()
	page := filepath.Join("..", "..", "docs", "hazards.md")
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(lint.Markdown()), 0o644))
	}
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Equal(t, lint.Markdown(), string(text), "go test ./cmd/whimbrel -run Page -update writes it")
}

func TestAFileIsReplacedAsAWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "1_users.sql")
	require.NoError(t, os.WriteFile(name, []byte("before"), 0o640))
	require.ErrorContains(t, replaceFile(name, "something else", "after"), "edited meanwhile")
	require.NoError(t, replaceFile(name, "before", "after"))
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "after", string(text))
	info, err := os.Stat(name)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	files, err := os.ReadDir(filepath.Dir(name))
	require.NoError(t, err)
	require.Len(t, files, 1)
}
