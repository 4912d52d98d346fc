package main

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
)

func TestTheProgramMigratesWithThePoolThatItHas(t *testing.T) {
	server, err := devdb.Start(t.Context(), devdb.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	program := filepath.Join(t.TempDir(), "embed")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	run := func(url string) string {
		command := exec.CommandContext(t.Context(), program)
		command.Env = append(os.Environ(), "DATABASE_URL="+url)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}

	url, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	require.Regexp(t, `^20250101090000 create_orders …
20250101090000 create_orders done in \d+ms
20250102090000 fill_status …
(\d+ of about \d+ keys\n)+20250102090000 fill_status done in \d+ms
$`, run(url))
	require.Empty(t, run(url), "nothing is pending")

	held, drop, err := server.FreshDatabase(t.Context())
	require.NoError(t, err)
	t.Cleanup(drop)
	release := hold(t, held)
	require.Regexp(t, "^another instance is migrating: .*lease", run(held))
	require.NoError(t, release())
}

// hold has another runner at work on a database until release is called.
func hold(t *testing.T, url string) (release func() error) {
	t.Helper()
	working, finish, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	m, err := whimbrel.New(whimbrel.Config{
		Target: whimbrel.Target{DatabaseURL: url},
		Project: whimbrel.Project{Functions: []whimbrel.Function{{
			Version: "1", Name: "slow", Up: func(context.Context, pgx.Tx) error {
				close(working)
				<-finish
				return nil
			},
		}}},
	})
	require.NoError(t, err)
	go func() {
		_, err := m.Up(context.WithoutCancel(t.Context()), whimbrel.UpOptions{})
		ended <- err
	}()
	<-working
	return func() error { close(finish); return <-ended }
}

// What an example of embedding shows first is how little it takes.
func TestTheProgramIsShort(t *testing.T) {
	t.Parallel()
	places := token.NewFileSet()
	file, err := parser.ParseFile(places, "main.go", nil, 0)
	require.NoError(t, err)
	for _, d := range file.Decls {
		if f, is := d.(*ast.FuncDecl); is && f.Name.Name == "main" {
			require.LessOrEqual(t, places.Position(f.Body.Rbrace).Line-places.Position(f.Body.Lbrace).Line-1, 15)
			return
		}
	}
	t.Fatal("no main")
}
