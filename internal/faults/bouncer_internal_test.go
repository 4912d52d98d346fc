//go:build linux

package faults

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMissingPgBouncerIsToldWithThePackageToInstall(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	elsewhere := filepath.Join(t.TempDir(), "pgbouncer")
	_, err := findBouncer(elsewhere)
	require.ErrorContains(t, err, "install the package pgbouncer")

	require.NoError(t, os.WriteFile(elsewhere, nil, 0o700))
	found, err := findBouncer(elsewhere)
	require.NoError(t, err)
	require.Equal(t, elsewhere, found)

	inPath := filepath.Join(folder, "pgbouncer")
	require.NoError(t, os.WriteFile(inPath, nil, 0o700))
	found, err = findBouncer(elsewhere)
	require.NoError(t, err)
	require.Equal(t, inPath, found)
}
