package whimbrel_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

// A test binary that is started with this environment is a runner of its own,
// which can be killed and paused. It prints the kind of each event as it happens.
const (
	childEnvironment  = "WHIMBREL_TEST_CHILD" // the folder of migrations
	childURL          = "WHIMBREL_TEST_URL"
	childLeaseSeconds = "WHIMBREL_TEST_LEASE"
)

func runChild(folder string) int {
	migrations, err := migration.Load(migration.Source{FS: os.DirFS(folder), Label: "migrations"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	config := whimbrel.Config{Target: whimbrel.Target{DatabaseURL: os.Getenv(childURL)},
		Project: whimbrel.Project{Migrations: migrations}}
	if text := os.Getenv(childLeaseSeconds); text != "" {
		if config.LeaseDuration, err = time.ParseDuration(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	config.Listener = func(r whimbrel.Record) {
		version := ""
		if m, ok := r.Event.(whimbrel.MigrationStarted); ok {
			version = " " + string(m.Migration.Version)
		}
		fmt.Println(r.Event.Kind() + version)
	}
	m, err := whimbrel.New(config)
	if err == nil {
		_, err = m.Up(context.Background(), whimbrel.UpOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// write puts the files into a folder of the test.
func (f files) write(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range f {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	return folder
}

// runner prepares a process that runs Up on the test's database.
func (b *bundle) runner(folder string, environment ...string) (*exec.Cmd, *strings.Builder) {
	b.Helper()
	self, err := os.Executable()
	require.NoError(b, err)
	cmd := exec.CommandContext(b.Context(), self)
	cmd.Env = append(os.Environ(), append(environment, childEnvironment+"="+folder, childURL+"="+b.url)...)
	errors := &strings.Builder{}
	cmd.Stderr = errors
	return cmd, errors
}
