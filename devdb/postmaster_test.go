//go:build unix

package devdb

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNothingOutsideOfADataFolderIsReadForItsPostmaster(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	secret, data := filepath.Join(folder, "secret"), filepath.Join(folder, "data")
	require.NoError(t, os.WriteFile(secret, []byte("CANARY\n"), 0o600))
	require.NoError(t, os.Mkdir(data, 0o700))
	_, err := readPostmaster(data)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Symlink(secret, filepath.Join(data, "postmaster.pid")))
	_, err = running(data)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "CANARY")

	require.NoError(t, os.Remove(filepath.Join(data, "postmaster.pid")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(data, "postmaster.pid"), 0o600))
	found, err := readPostmaster(data)
	require.NoError(t, err)
	require.Zero(t, found.pid, "a pipe that nobody writes into is empty")
}
