package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// server is the one PostgreSQL of this test binary.
var server *devdb.Server

// builtFolder is where builtCommand puts commands.
var builtFolder string

func TestMain(m *testing.M) {
	testscript.Main(withServer{m}, map[string]func(){"whimbrel": main})
}

// withServer runs the tests between the start and the end of a server. The
// commands, which are this same binary under another name, never come here.
type withServer struct{ m *testing.M }

// Run implements testscript.TestingM.
func (w withServer) Run() int {
	time.Local = time.UTC // so that renderings are the same everywhere
	var err error
	server, err = devdb.Start(context.Background(), devdb.Options{TCP: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests need a PostgreSQL server:", err)
		return 1
	}
	if builtFolder, err = os.MkdirTemp("", "whimbrel-built-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(builtFolder) }()
	code := w.m.Run()
	if err := server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the server did not stop:", err)
		return 1
	}
	return code
}

func writeFiles(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	}
}
