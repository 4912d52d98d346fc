package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// TestScripts runs the terminal sessions in testdata/script. Each has a
// database of its own in DATABASE_URL.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup:               setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sql":       sqlCommand,
			"untouched": untouchedCommand,
			"status":    statusCommand,
			"long":      longCommand,
			"bytes":     bytesCommand,
			"unset":     unsetCommand,
			"json":      jsonCommand,
			"hidden":    hiddenCommand,
		},
	})
}

func setupScript(env *testscript.Env) error {
	url, drop, err := server.FreshDatabase(context.Background())
	if err != nil {
		return err
	}
	env.Defer(drop)
	env.Setenv("DATABASE_URL", url)
	parsed, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	overTCP, err := pgx.ParseConfig(server.TCPURL(parsed.Database))
	if err != nil {
		return err
	}
	env.Setenv("DATABASE", overTCP.Database)
	env.Setenv("TCP_HOST", overTCP.Host)
	env.Setenv("TCP_PASSWORD", overTCP.Password)
	env.Setenv("TCP_PORT", strconv.Itoa(int(overTCP.Port)))
	env.Setenv("TCP", fmt.Sprintf("%s:%d/%s", overTCP.Host, overTCP.Port, overTCP.Database))
	env.Setenv("TCP_URL", server.TCPURL(overTCP.Database))
	env.Setenv("COPY_URL", server.TCPURL(overTCP.Database+"_copy"))
	env.Setenv("TZ", "UTC")
	path, err := pathOf(strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"), env.Getenv("PATH"))
	if err != nil {
		return err
	}
	env.Setenv("PATH", path)
	// A command built with the race detector would sleep for a second at its end.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	env.Defer(func() { stopDevelopment(filepath.Join(env.WorkDir, ".whimbrel")) })
	// The commands must not look for a whimbrel.yaml above the script.
	env.Setenv("HOME", env.WorkDir)
	return nil
}

// parsing are the commands that need the parser.
var parsing = regexp.MustCompile(`whimbrel (plan|lint|ci)\b`)

// pathOf is the PATH of a script. Where the race detector is on, a command that needs
// the parser takes ten seconds to start: scripts with such commands get one as users
// have it. The code behind them is looked at for races by tests of packages.
func pathOf(script, path string) (string, error) {
	if script == "lean" {
		folder, err := leanCommand()
		return folder + string(filepath.ListSeparator) + path, err
	}
	text, err := os.ReadFile(filepath.Join("testdata", "script", script+".txtar"))
	if err != nil || !raceDetector || !parsing.Match(text) {
		return path, err
	}
	folder, err := plainCommand()
	return folder + string(filepath.ListSeparator) + path, err
}

// plainCommand gives a folder with the command as users have it, without the race
// detector. It is built once.
var plainCommand = sync.OnceValues(func() (string, error) { return builtCommand("plain", "") })

// leanCommand gives one with the lean command.
var leanCommand = sync.OnceValues(func() (string, error) { return builtCommand("lean", leanTags) })

// leanTags is the build tag of the lean command.
const leanTags = "lean"

func builtCommand(name, tags string) (string, error) {
	folder := filepath.Join(builtFolder, name)
	text, err := exec.Command("go", "build", "-buildvcs=false", "-tags", tags, "-o", filepath.Join(folder, "whimbrel"),
		".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the command: %w: %s", err, text)
	}
	return folder, nil
}

// stopDevelopment ends a development server that a script may have left.
func stopDevelopment(folder string) {
	if _, err := os.Stat(folder); err == nil {
		_ = devdb.OpenProject(folder, devdb.ProjectOptions{}).Stop(context.Background())
	}
}

func connect(ts *testscript.TestScript) *pgx.Conn {
	conn, err := pgx.Connect(context.Background(), ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	return conn
}

// sqlCommand runs a query and compares: sql 'SELECT …' [EXPECTED].
func sqlCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: sql QUERY [EXPECTED]")
	}
	conn := connect(ts)
	defer func() { ts.Check(conn.Close(context.Background())) }()
	if len(args) == 1 {
		_, err := conn.Exec(context.Background(), args[0], pgx.QueryExecModeSimpleProtocol)
		ts.Check(err)
		return
	}
	rows, err := conn.Query(context.Background(), args[0], pgx.QueryExecModeSimpleProtocol)
	ts.Check(err)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var cells []string
		for _, cell := range row.RawValues() {
			cells = append(cells, string(cell))
		}
		return strings.Join(cells, " "), nil
	})
	ts.Check(err)
	if got := strings.Join(found, ", "); got != args[1] {
		ts.Fatalf("%s gives %q and not %q", args[0], got, args[1])
	}
}

// untouchedCommand checks that the database is as it was created.
func untouchedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: untouched")
	}
	sqlCommand(ts, false, []string{`SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'`, "0"})
}

// statusCommand runs a command and checks its exit status: status 2 whimbrel up.
// Its output is there for stdout and stderr.
func statusCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d and not %d", got, want)
	}
}

// longCommand writes a migration of so many lines with a mistake in one of
// them: long FILE LINES MISTAKE.
func longCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: long FILE LINES MISTAKE")
	}
	lines, err := strconv.Atoi(args[1])
	ts.Check(err)
	mistake, err := strconv.Atoi(args[2])
	ts.Check(err)
	var b strings.Builder
	for n := 1; n <= lines; n++ {
		if n == mistake {
			b.WriteString("SELECT id, citty FROM users;\n")
		} else {
			fmt.Fprintf(&b, "CREATE TABLE line_%d (id int);\n", n)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o644))
}

// bytesCommand writes a file from a Go string: bytes FILE 'SELECT 1;\x00'.
func bytesCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: bytes FILE TEXT")
	}
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// unsetCommand removes variables: unset NAME….
func unsetCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: unset NAME…")
	}
	for _, name := range args {
		ts.Setenv(name, "")
	}
}

// TestEveryCommandHasHelpWithExamples keeps the help complete.
func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	t.Parallel()
	root := newRoot(newApp(process(), nil))
	pending := root.Commands()
	require.NotEmpty(t, pending)
	for len(pending) > 0 {
		command := pending[0]
		pending = append(pending[1:], command.Commands()...)
		require.NotEmpty(t, command.Short, command.CommandPath())
		require.NotEmpty(t, command.Example, command.CommandPath())
		require.Regexp(t, `^  (whimbrel|export)`, command.Example, command.CommandPath())
	}
}

// hiddenCommand checks that a word is in no output of the last command.
func hiddenCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hidden WORD")
	}
	for _, name := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(name), args[0]) {
			ts.Fatalf("%s shows %s", name, args[0])
		}
	}
}

// jsonCommand checks that every line of the last command's stdout is JSON.
func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: json")
	}
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("no JSON: %q", line)
		}
	}
}
