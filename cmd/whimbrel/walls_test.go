//go:build linux && !lean

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// openFolder is a folder that every account can enter.
func openFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "walls")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(folder, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	return folder
}

// A script in front of the server, as some distributions have it, needs a shell, and what may run a shell is no cage.
func TestWhereThereAreNoWallsCIRefusesAndOthersSaySo(t *testing.T) {
	t.Parallel()
	found, err := devdb.Find(t.Context(), devdb.FindOptions{Offline: true})
	require.NoError(t, err)
	folder := openFolder(t)
	wrapper := func(name string) string { return "#!/bin/sh\nexec '" + filepath.Join(found.Dir, name) + "' \"$@\"\n" }
	writeFiles(t, folder, map[string]string{
		"bin/postgres": wrapper("postgres"), "bin/initdb": wrapper("initdb"),
		"migrations/1_users.sql": "CREATE TABLE users (id int PRIMARY KEY);\n-- +migrate Down\nDROP TABLE users;\n",
	})
	whimbrel := func(arguments ...string) (status int, output, complaint string) {
		return runIn(t, folder, []string{"WHIMBREL_PG_BIN=" + filepath.Join(folder, "bin")}, arguments...)
	}
	status, output, complaint := whimbrel("ci", "--no-test")
	require.Equal(t, exitWrongUse, status, output)
	require.Contains(t, complaint, "nothing would keep the migrations that are judged from this machine")
	require.Contains(t, complaint, "--unsandboxed")

	status, output, complaint = whimbrel("ci", "--no-test", "--unsandboxed")
	require.Equal(t, exitDone, status, complaint)
	require.Contains(t, output, "✓ lint")
	require.Equal(t, 1, strings.Count(complaint, "no walls around the server"), complaint)

	status, output, _ = whimbrel("lint", "--json")
	require.Equal(t, exitDone, status)
	require.Contains(t, output, `"walls":{"files":false,"tcp":false,"signals":false,"sockets":false,"missing":"`)
}

// runIn runs the command with an environment of its own.
func runIn(t *testing.T, folder string, variables []string,
	arguments ...string) (status int, output, complaint string) {
	t.Helper()
	command := exec.CommandContext(context.WithoutCancel(t.Context()), "whimbrel", arguments...)
	command.Dir, command.Env = folder, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder}, variables...)
	var out, err strings.Builder
	command.Stdout, command.Stderr = &out, &err
	if failed := command.Run(); failed != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, failed, &exit)
	}
	return command.ProcessState.ExitCode(), out.String(), err.String()
}
