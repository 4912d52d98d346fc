package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/dial"
)

// TestTheProgramNeedsNothingOfTheMachine runs it in a root folder that has nothing but
// the program and a project, as an account without a name, without any variable but the
// address.
func TestTheProgramNeedsNothingOfTheMachine(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-tags", leanTags, "-o", filepath.Join(root, "whimbrel"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	text, err := build.CombinedOutput()
	require.NoError(t, err, string(text))
	require.NoError(t, os.Mkdir(filepath.Join(root, "migrations"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "migrations", "1_a.sql"), []byte("CREATE TABLE a ();\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "whimbrel.yaml"),
		[]byte("checks:\n  time_zone: Europe/Berlin\n  windows: ['Mon-Sun 00:00-24:00']\n"), 0o644))
	for _, folder := range []string{filepath.Dir(root), root, filepath.Join(root, "migrations")} {
		require.NoError(t, os.Chmod(folder, 0o755)) // #nosec G302 -- another account reads it
	}
	database := freshOverTCP(t)

	run := func(address string, arguments ...string) (string, error) {
		command := exec.Command("/whimbrel", arguments...)
		command.Path, command.Err = "/whimbrel", nil
		command.Env, command.Dir = []string{"DATABASE_URL=" + address}, "/"
		command.SysProcAttr = alone(root)
		out, err := command.CombinedOutput()
		return string(out), err
	}
	for _, arguments := range [][]string{{"version"}, {"status"}, {"up"}, {"verify", "--history-only"}, {"history"},
		{"lock"}, {"check", "--only", "maintenance_window"}} {
		out, err := run(database, arguments...)
		require.NoError(t, err, "%v: %s", arguments, out)
		if arguments[0] == "history" {
			require.Contains(t, out, "uid 4711@")
		}
	}
}

// alone is what makes a process one in another root folder, as an account without a
// name; where only root may do so, in a namespace of accounts.
func alone(root string) *syscall.SysProcAttr {
	const nameless = 4711
	if os.Getuid() == 0 {
		return &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nameless, Gid: nameless,
			NoSetGroups: false}}
	}
	return &syscall.SysProcAttr{
		Chroot: root, Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: nameless, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: nameless, HostID: os.Getgid(), Size: 1}},
	}
}

// freshOverTCP makes a database, and gives its address over TCP.
func freshOverTCP(t *testing.T) string {
	t.Helper()
	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	parsed, err := dial.Parse(url)
	require.NoError(t, err)
	return server.TCPURL(parsed.Database)
}
