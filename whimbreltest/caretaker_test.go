//go:build unix

package whimbreltest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// In place of sleep and rm stand programs that note how they were called, and
// do what a test says, as somebody who comes at that very moment.
func TestTheCaretakerWaitsForWhoComesAndLongerForKeptDatabases(t *testing.T) {
	come := func(word string) string {
		return `if [ ! -e "$NOTES.once" ]; then : > "$NOTES.once"; echo ` + word + ` > "$WATCH"; fi` + "\n"
	}
	tests := map[string]struct {
		words      string // of the first visitor
		sleep, rmf string // what happens meanwhile
		slept      string
	}{
		"nobody more":                         {"in\n", "", "", "7"},
		"a kept database":                     {"in\nkept\nin\n", "", "", "900"},
		"a visitor during the wait":           {"in\n", come("in"), "", "7 7"},
		"a kept database during the wait":     {"in\n", come("kept"), "", "7 900"},
		"a visitor as the door is shut":       {"in\n", "", come("in"), "7"},
		"a kept database as the door is shut": {"in\n", "", come("kept"), "7 900"},
		"somebody who was killed at once":     {"", "", "", "7"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			programs, folder := t.TempDir(), filepath.Join(t.TempDir(), "server")
			require.NoError(t, os.Mkdir(folder, 0o755))
			notes := filepath.Join(programs, "notes")
			program := func(name, text string) {
				require.NoError(t, os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+text), 0o755))
			}
			program("sleep", `printf '%s ' "$1" >> "$NOTES"`+"\n"+test.sleep)
			program("rm", `case $2 in */door)`+"\n"+test.rmf+":;; esac\nPATH=${PATH#*:} exec rm \"$@\"\n")
			t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
			t.Setenv("NOTES", notes)
			t.Setenv("WATCH", filepath.Join(folder, "watch"))

			pipe, err := sharing{idle: 7 * time.Second, kept: 900 * time.Second}.employ(folder)
			require.NoError(t, err)
			_, err = pipe.WriteString(test.words)
			require.NoError(t, err)
			require.NoError(t, pipe.Close())
			require.True(t, holds(func() bool { _, err := os.Stat(folder); return os.IsNotExist(err) }))
			slept, err := os.ReadFile(notes)
			require.NoError(t, err)
			require.Equal(t, test.slept, strings.TrimSpace(string(slept)))
		})
	}
}

func TestAVisitorDoesNotWaitForACaretakerWhoSleeps(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "watch")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	reader, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, syscall.Close(reader)) }()
	pipe, err := hold(path)
	require.NoError(t, err)
	v := &visitor{pipe: pipe}
	defer v.leave()
	for range 100_000 { // more than any pipe holds
		v.say("in")
	}
	content := make([]byte, 6)
	_, err = syscall.Read(reader, content)
	require.NoError(t, err)
	require.Equal(t, "in\nin\n", string(content))
}
