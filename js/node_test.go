package js_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/faults"
	"github.com/whimbrel-db/whimbrel/js"
	"github.com/whimbrel-db/whimbrel/migration"
)

// The local time of both sides; its clocks change in the questions.
const compared = "Europe/Berlin"

// TestScriptsSeeWhatNodesPgShows asks the same questions of the same server in
// Node.js with the package pg, and in a script. It runs itself once more, in
// the time zone of the questions.
func TestScriptsSeeWhatNodesPgShows(t *testing.T) {
	if os.Getenv("TZ") != compared {
		t.Parallel()
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), "TZ="+compared)
		output, err := again.CombinedOutput()
		require.NoError(t, err, "%s", output)
		require.Contains(t, string(output), "--- PASS: "+t.Name())
		return
	}
	b := connect(t)
	folder := nodePackages(t, "pg")
	node, err := faults.Program(t.Context(), "node", "nodejs")
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), node, filepath.Join(folder, "node.js"), b.url)
	command.Stderr = os.Stderr
	output, err := command.Output()
	require.NoError(t, err)
	want := answers(t, strings.Split(strings.TrimSpace(string(output)), "\n"))

	const file = "1_whimbrel.js"
	text, err := os.ReadFile(filepath.Join("testdata", "pg", file))
	require.NoError(t, err)
	script := compile(t, js.Options{}, migration.Migration{
		Kind: migration.Script, Path: "testdata/pg/" + file, Folder: os.DirFS("testdata/pg"), Text: string(text),
	})
	require.NoError(t, script.Run(t.Context(), whimbrel.Up, b.session))
	var lines []string
	for _, line := range b.printed {
		lines = append(lines, strings.TrimPrefix(line, "log: "))
	}
	got := answers(t, lines)
	require.Len(t, got, len(want))
	require.Greater(t, len(want), 90)
	for name, answer := range want {
		t.Run(name, func(t *testing.T) { require.Equal(t, answer, got[name]) })
	}
}

// answers reads lines of [name, answer], and writes the answers so that a
// difference is easily seen.
func answers(t *testing.T, lines []string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, line := range lines {
		var pair [2]any
		require.NoError(t, json.Unmarshal([]byte(line), &pair), line)
		name, _ := pair[0].(string)
		text, err := json.MarshalIndent(pair[1], "", " ")
		require.NoError(t, err)
		all[name] = string(text)
	}
	return all
}

// nodePackages copies a folder of testdata and installs the packages that its
// lock file names. npm keeps what it has fetched once.
func nodePackages(t *testing.T, name string) string {
	t.Helper()
	npm, err := faults.Program(t.Context(), "npm", "npm")
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, os.CopyFS(folder, os.DirFS(filepath.Join("testdata", name))))
	command := exec.CommandContext(t.Context(), npm, "ci", "--prefer-offline", "--no-audit", "--no-fund",
		"--ignore-scripts")
	command.Dir = folder
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return folder
}

func TestTheDeclarationsFitWhatMigrationsDo(t *testing.T) {
	t.Parallel()
	folder := nodePackages(t, "types")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "whimbrel.d.ts"), []byte(js.Declarations), 0o600))
	node, err := faults.Program(t.Context(), "node", "nodejs")
	require.NoError(t, err)
	output, err := exec.CommandContext(t.Context(), node, filepath.Join(folder, "node_modules", "typescript", "bin",
		"tsc"), "--project", folder).CombinedOutput()
	require.NoError(t, err, "%s", output)
}
