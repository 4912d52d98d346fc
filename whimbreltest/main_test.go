//go:build unix

package whimbreltest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// taskVariable makes the test binary play another one: the test of a user.
const taskVariable = "WHIMBRELTEST_TASK"

// deadline is how long a condition may take that normally holds within moments.
const deadline = time.Minute

// The tests keep to themselves: they share servers with nobody else, and these
// end soon.
func TestMain(m *testing.M) {
	everybody = brief("")
	if task, found := tasks[os.Getenv(taskVariable)]; found {
		perform(task)
	}
	place := ""
	if freeMemory(memoryFolder) >= enoughMemory {
		place = memoryFolder
	}
	folder, err := temporary(place)
	if err == nil {
		err = os.Setenv(folderVariable, folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	left := func() []string { return append(servers(folder), servers(filepath.Join(folder, "*"))...) }
	if !holds(func() bool { return len(left()) == 0 }) {
		fmt.Fprintln(os.Stderr, "servers are left:", left())
		code = 1
	}
	if err := os.RemoveAll(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// brief is a sharing whose servers end soon.
func brief(folder string) sharing {
	return sharing{folder: folder, idle: time.Second, kept: 2 * time.Second}
}

// temporary creates a folder that the account which runs root's server can
// enter, unlike that of testing.T.
func temporary(place string) (string, error) {
	folder, err := os.MkdirTemp(place, "test")
	if err != nil {
		return "", err
	}
	return folder, open755(folder)
}

// temporaryFolder is where a test has servers of its own. TestMain waits for
// their end, and removes the folder.
func temporaryFolder(t testing.TB) string {
	t.Helper()
	folder, err := temporary(os.Getenv(folderVariable))
	require.NoError(t, err)
	return folder
}

// servers lists the folders of servers, those that are about to end included.
func servers(folder string) []string {
	found, err := filepath.Glob(filepath.Join(folder, "*", "*", "watch"))
	if err != nil {
		panic(err)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

// holds waits for a condition.
func holds(condition func() bool) bool {
	for limit := time.Now().Add(deadline); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return false
}

// perform runs a user's test as go test does, and ends the process.
func perform(task func(*testing.T)) {
	everything := func(string, string) (bool, error) { return true, nil }
	testing.Main(everything, []testing.InternalTest{{Name: "TestOfAUser", F: task}}, nil, nil)
}

// binary prepares the test binary as another one, that runs one of the tasks.
func binary(t testing.TB, folder, task string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), self, "-test.v")
	command.Env = append(os.Environ(), taskVariable+"="+task, folderVariable+"="+folder)
	return command
}

// files are migrations by file name.
func files(namesAndTexts ...string) fstest.MapFS {
	folder := fstest.MapFS{}
	for i := 0; i < len(namesAndTexts); i += 2 {
		folder[namesAndTexts[i]] = &fstest.MapFile{Data: []byte(namesAndTexts[i+1])}
	}
	return folder
}

// notes are migrations that no other test has: the table bears its name.
func notes(t testing.TB) fstest.MapFS {
	t.Helper()
	return files("1_notes.sql", "CREATE TABLE notes (text text NOT NULL); -- for "+t.Name())
}

// history is a history of so many migrations of the usual kinds.
func history(count int) fstest.MapFS {
	folder := fstest.MapFS{}
	for i := range count {
		table := i / 4
		text := [...]string{
			"CREATE TABLE t%[1]d (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, made timestamptz " +
				"NOT NULL DEFAULT now());\n-- +migrate Down\nDROP TABLE t%[1]d;\n",
			"ALTER TABLE t%[1]d ADD COLUMN state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'old'));\n" +
				"-- +migrate Down\nALTER TABLE t%[1]d DROP COLUMN state;\n",
			"CREATE INDEX ON t%[1]d (name, made);\n-- +migrate Down\nDROP INDEX t%[1]d_name_made_idx;\n",
			"INSERT INTO t%[1]d (name) SELECT 'name ' || n FROM generate_series(1, 20) n;\n-- +migrate Down\n" +
				"DELETE FROM t%[1]d;\n",
		}[i%4]
		folder[fmt.Sprintf("%04d_step.sql", i+1)] = &fstest.MapFile{Data: fmt.Appendf(nil, text, table)}
	}
	return folder
}

// text runs a query for one value.
func text(t testing.TB, db *Database, query string) string {
	t.Helper()
	var value string
	require.NoError(t, db.QueryRow(t.Context(), "SELECT ("+query+")::text").Scan(&value))
	return value
}

func change(t testing.TB, db *Database, sql string) {
	t.Helper()
	_, err := db.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// connect connects to a database by its URL.
func connect(t testing.TB, url string) (*pgx.Conn, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

// rehearsal is a test whose failure is not ours. Its log is kept.
type rehearsal struct {
	testing.TB
	mutex  sync.Mutex
	log    strings.Builder
	failed bool
	last   []func()
}

// rehearse runs a test to its end.
func rehearse(t testing.TB, test func(testing.TB)) *rehearsal {
	t.Helper()
	r := &rehearsal{TB: t}
	inside := func(work func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			work()
		}()
		<-done
	}
	inside(func() { test(r) })
	for len(r.last) > 0 {
		next := r.last[len(r.last)-1]
		r.last = r.last[:len(r.last)-1]
		inside(next)
	}
	return r
}

func (r *rehearsal) Helper() {}

func (r *rehearsal) Logf(format string, arguments ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	fmt.Fprintf(&r.log, format+"\n", arguments...)
}

func (r *rehearsal) Errorf(format string, arguments ...any) {
	r.Logf(format, arguments...)
	r.failed = true
}

func (r *rehearsal) Fatalf(format string, arguments ...any) {
	r.Errorf(format, arguments...)
	runtime.Goexit()
}

func (r *rehearsal) Fail()               { r.failed = true }
func (r *rehearsal) Failed() bool        { return r.failed }
func (r *rehearsal) Cleanup(work func()) { r.last = append(r.last, work) }
func (r *rehearsal) text() string        { return r.log.String() }
