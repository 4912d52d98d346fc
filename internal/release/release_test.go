package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyVersionsOfReleasesAreTaken(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v0.1.0", "v12.0.3", "v1.0.0-rc.1"} {
		require.NoError(t, checkVersion(version))
	}
	for _, version := range []string{"", "0.1.0", "v1", "v1.0", "v01.0.0", "v1.0.0+x", "v1.0.0-",
		"v1.0.0 -X main.commit=0", "latest"} {
		require.ErrorContains(t, checkVersion(version), "v0.1.0", version)
	}
}

func TestArchivesAreNamedAfterTheirContents(t *testing.T) {
	t.Parallel()
	require.Equal(t, "whimbrel_v0.1.0_linux_arm64", whole.archiveName("v0.1.0", platform{"linux", "arm64"}))
	require.Equal(t, "whimbrel-lean_v0.1.0_windows_amd64", lean.archiveName("v0.1.0", platform{"windows", "amd64"}))
}

func TestChecksumsAreThoseOfSha256sum(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a\n"+
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n", sumsOf([]file{{name: "b"},
		{name: "a", text: []byte("a")}}))
}

func TestATreeIsReadWithItsFolders(t *testing.T) {
	t.Parallel()
	files, err := readTree(fstest.MapFS{"man/man1/a.1": {Data: []byte("a")}, "b": {Data: []byte("b")}})
	require.NoError(t, err)
	require.Equal(t, []file{{name: "b", text: []byte("b")}, {name: "man/man1/a.1", text: []byte("a")}}, files)
}

// repository makes a repository with one commit.
func repository(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a"), []byte("a"), 0o644))
	for _, arguments := range [][]string{{"init", "-q"}, {"add", "a"}, {"commit", "-q", "-m", "a"}} {
		command := exec.CommandContext(t.Context(), "git", arguments...)
		command.Dir = folder
		command.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a",
			"GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=2026-11-01T11:00:00+01:00")
		said, err := command.CombinedOutput()
		require.NoError(t, err, string(said))
	}
	return folder
}

func TestAReleaseIsMadeOfACommitWithItsDate(t *testing.T) {
	t.Parallel()
	folder := repository(t)
	from, err := findSource(t.Context(), folder)
	require.NoError(t, err)
	require.Regexp(t, "^[0-9a-f]{40}$", from.commit)
	require.Equal(t, dated, from.date)
	require.Equal(t, "2026-11-01T10:00:00Z", from.dated())
	require.NoError(t, from.check(false))

	require.NoError(t, os.WriteFile(filepath.Join(folder, "b.go"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "a"), []byte("edited"), 0o644))
	from, err = findSource(t.Context(), folder)
	require.NoError(t, err)
	refused := from.check(false)
	require.ErrorContains(t, refused, " M a\n  ?? b.go\n")
	require.ErrorContains(t, refused, "--allow-dirty")
	require.NoError(t, from.check(true))
}

func TestWhereThereIsNoCommitThereIsNoRelease(t *testing.T) {
	t.Parallel()
	_, err := findSource(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "a release is made of a commit")
}

func TestWrongUseBuildsNothing(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "dist")
	for want, args := range map[string][]string{
		"which version?":            {"--out", out},
		"invalid version":           {"--out", out, "--version", "1.0"},
		`unknown argument "v1.0.0"`: {"--out", out, "v1.0.0"},
		"flag provided but not":     {"--out", out, "--vers", "v1.0.0"},
		"flag needs an argument":    {"--version"},
	} {
		require.ErrorContains(t, run(t.Context(), args, io.Discard), want)
	}
	require.NoDirExists(t, out)
}

// What the go tool says is passed on, and a release that was begun has no checksums.
func TestAProgramThatCannotBeBuiltIsNoRelease(t *testing.T) {
	t.Parallel()
	root, out := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(out, checksums), []byte("old"), 0o644))
	r := release{version: "v1.0.0", source: source{root: root, date: time.Unix(0, 0)}, out: out, progress: io.Discard}
	require.ErrorContains(t, r.make(t.Context()), "the manual: go run: exit status 1\ngo: go.mod file not found")
	require.NoFileExists(t, filepath.Join(out, checksums))
}
