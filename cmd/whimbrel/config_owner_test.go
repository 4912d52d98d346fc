//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/whimbrel-db/whimbrel/internal/files"
)

// withoutProject are commands that read no whimbrel.yaml.
var withoutProject = []string{"config", "config schema", "version", "manual", "dev", "alert"}

// A whimbrel.yaml that anybody may write ends every command before a line of it is
// followed, wherever above the working folder it was found; named, it is used.
func TestAStrangersConfigurationIsNotRunByAnyCommand(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	proof := filepath.Join(work, "proof")
	writeFiles(t, work, map[string]string{
		"whimbrel.yaml": "checks: {free_disk: {kind: command, command: [touch, \"" + proof + "\"]}}\nmigrations: [db]\n" +
			"environments: {here: {url: \"postgres://127.0.0.1:1/none\"}}\ndefault_environment: here\n",
		"db/1_a.sql": "CREATE TABLE a ();\n", "below/further/.keep": "",
	})
	require.NoError(t, os.Chmod(filepath.Join(work, "whimbrel.yaml"), 0o666))
	before := listed(t, work)
	for _, folder := range []string{work, filepath.Join(work, "below", "further")} {
		for _, command := range commandsOf(newRoot(newApp(environment{}, nil))) {
			if slices.Contains(withoutProject, command) || command == "init" && folder != work {
				continue // init looks for the file of this very folder
			}
			var out, errs lockedBuffer
			env := environment{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, folder: folder,
				lookup: variables{}.lookup}
			args := slices.Concat(strings.Fields(command), usefulArguments[command])
			args = append(args, map[string][]string{"export": {"--to", "goose"}, "squash": {"--to", "1"}}[command]...)
			status := run(t.Context(), args, env)
			require.Equal(t, exitWrongUse, status, "%s: %s%s", command, out.String(), errs.String())
			require.Contains(t, errs.String(), "may be written by every user (mode 0666), so nothing of it is run", command)
			require.Contains(t, errs.String(), "--config "+files.Shown(folder, filepath.Join(work, "whimbrel.yaml")), command)
		}
	}
	require.Equal(t, before, listed(t, work))

	var out, errs lockedBuffer
	env := environment{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, folder: work, lookup: variables{}.lookup}
	require.Equal(t, exitFailed, run(t.Context(), []string{"status", "--config", "whimbrel.yaml"}, env),
		"nobody listens there")
	require.Contains(t, errs.String(), "127.0.0.1")
}

// listed are the files of a folder, whatever their depth.
func listed(t *testing.T, folder string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	return names
}
