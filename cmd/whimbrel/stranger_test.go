//go:build linux && !lean

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

// host is a machine as a stranger's migration finds it: a secret in the environment, one in the home folder, a port, a
// socket, a folder that everybody may write.
type host struct {
	*testing.T
	folder  string
	calls   atomic.Int32 // of the port and the socket
	port    int
	name    string // of the process that native code leaves behind
	account *syscall.Credential
}

const canary = "CANARY-4711"

func newHost(t *testing.T) *host {
	h := &host{T: t, folder: openFolder(t), name: fmt.Sprintf("stray-%d", time.Now().UnixNano()%1e8)}
	writeFiles(t, h.folder, map[string]string{"canary": canary, "outside/.here": ""})
	require.NoError(t, os.Chmod(filepath.Join(h.folder, "outside"), 0o777))
	port := h.listen("tcp", "127.0.0.1:0")
	h.port = port.(*net.TCPAddr).Port
	h.listen("unix", filepath.Join(h.folder, ".s.PGSQL.5432"))
	require.NoError(t, os.Chmod(filepath.Join(h.folder, ".s.PGSQL.5432"), 0o777))
	return h
}

// listen counts who calls, and hangs up.
func (h *host) listen(network, address string) net.Addr {
	listener, err := net.Listen(network, address)
	require.NoError(h, err)
	h.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			h.calls.Add(1)
			_ = conn.Close()
		}
	}()
	return listener.Addr()
}

// stranger gives the migrations, aimed at this host.
func (h *host) stranger() map[string]string {
	library := filepath.Join(h.TempDir(), "reach.so")
	quoted := func(name, value string) string { return fmt.Sprintf("-D%s=%q", name, value) }
	program := filepath.Join(h.TempDir(), "stay")
	h.compiled("-static", "-nostdlib", "-fno-stack-protector", "-fno-pie", quoted("NAME", h.name), "-o", program,
		"testdata/stay.c")
	h.compiled("-shared", "-fPIC", quoted("CANARY", canary), quoted("FOLDER", h.folder), quoted("NAME", h.name),
		quoted("PROGRAM", program),
		"-DPORT="+strconv.Itoa(h.port), "-o", library, "testdata/reach.c")
	content, err := os.ReadFile(library)
	require.NoError(h, err)
	fill := strings.NewReplacer("FOLDER", h.folder, "PORT", strconv.Itoa(h.port), "LIBRARY", hex.EncodeToString(content))
	files := map[string]string{"migrations/1_users.sql": "CREATE TABLE users (id int PRIMARY KEY);\n-- +migrate Down\n" +
		"DROP TABLE users;\n"}
	for name, source := range map[string]string{"migrations/2_stranger.sql": "stranger.sql",
		"migrations/3_system.sql": "system.sql"} {
		text, err := os.ReadFile(filepath.Join("testdata", source))
		require.NoError(h, err)
		files[name] = fill.Replace(string(text))
	}
	return files
}

func (h *host) compiled(arguments ...string) {
	output, err := exec.CommandContext(h.Context(), "gcc", append([]string{"-s"}, arguments...)...).CombinedOutput()
	require.NoError(h, err, string(output))
}

// strays are the processes that native code has left and that live.
func (h *host) strays() (found []int) {
	paths, err := filepath.Glob("/proc/[0-9]*/status")
	require.NoError(h, err)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err == nil && strings.HasPrefix(string(text), "Name:\t"+h.name+"\n") && !strings.Contains(string(text),
			"\nState:\tZ") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			require.NoError(h, err)
			found = append(found, pid)
		}
	}
	return found
}

func (h *host) outside() (names []string) {
	entries, err := os.ReadDir(filepath.Join(h.folder, "outside"))
	require.NoError(h, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Without walls all of it is reached: what the test below finds closed was open.
func TestAStrangersMigrationReachesWhatItTriesWithoutWalls(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	open, err := devdb.Start(t.Context(), devdb.Options{Confinement: devdb.Unconfined})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, open.Stop()) })
	conn, err := pgx.Connect(t.Context(), open.URL("postgres"))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	up, _, _ := strings.Cut(h.stranger()["migrations/2_stranger.sql"], "-- +migrate Down")
	_, err = conn.Exec(t.Context(), up, pgx.QueryExecModeSimpleProtocol)
	for _, pid := range h.strays() {
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	for _, what := range []string{
		"program_read", "program_write", "program_child", "file_copy", "file_write", "file_read", "folder", "proc",
		"large_object_read",
		"large_object_write", "native_file", "native_write", "native_program", "native_socket", "native_datagram",
		"native_memory",
	} {
		require.ErrorContains(t, err, what+" ")
	}
	require.EqualValues(t, 3, h.calls.Load(), "the port, and the socket from SQL and from native code")
	require.Subset(t, h.outside(), []string{"program", "copied", "exported", "native"})
}

func TestAStrangersMigrationReachesNothing(t *testing.T) {
	t.Parallel()
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(nobody.Gid)
	require.NoError(t, err)
	runners := map[string]*syscall.Credential{"the account of the tests": nil}
	if os.Getuid() == 0 {
		runners = map[string]*syscall.Credential{"as root": nil, "as a user": {Uid: uint32(uid), Gid: uint32(gid),
			NoSetGroups: true}}
	}
	for name, account := range runners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.account = account
			h.judged()
		})
	}
}

// judged runs each command that runs what it judges.
func (h *host) judged() {
	project := filepath.Join(h.folder, "project")
	writeFiles(h.T, h.folder, map[string]string{"innocent/migrations/1_users.sql": "CREATE TABLE users (id int);\n"})
	writeFiles(h.T, project, h.stranger())
	h.place()
	fresh, done := h.database(), h.database()
	h.runs("innocent", "lint")
	before := h.cache()
	h.runs("project", "up", "--steps", "1", "--database-url", fresh)
	h.runs("project", "up", "--steps", "1", "--database-url", done)
	h.runs("project", "baseline", "3", "--with-older", "--database-url", done)
	for _, arguments := range [][]string{
		{"lint"}, {"test"}, {"ci"},
		{"verify", "--database-url", done}, {"squash", "--to", "3", "--dry-run"}, {"plan", "--rehearse", "--database-url",
			fresh},
	} {
		h.runs("project", arguments...)
		require.Empty(h, h.strays(), arguments)
		require.Equal(h, []string{".here"}, h.outside(), arguments)
		require.Zero(h, h.calls.Load(), arguments)
	}
	require.Equal(h, before, h.cache(), "the cache, byte by byte")
}

// place puts the command, the project and the cache where the account has them.
func (h *host) place() {
	program, err := os.Executable()
	if raceDetector {
		var folder string
		folder, err = plainCommand()
		program = filepath.Join(folder, "whimbrel")
	}
	require.NoError(h, err)
	content, err := os.ReadFile(program)
	require.NoError(h, err)
	require.NoError(h, os.WriteFile(filepath.Join(h.folder, "whimbrel"), content, 0o755))
	for _, name := range []string{"home", "cache"} {
		path := filepath.Join(h.folder, name)
		require.NoError(h, os.Mkdir(path, 0o755))
		if h.account != nil {
			require.NoError(h, os.Chown(path, int(h.account.Uid), int(h.account.Gid)))
		}
	}
}

func (h *host) database() string {
	url, drop, err := server.FreshDatabase(h.Context())
	require.NoError(h, err)
	h.Cleanup(drop)
	config, err := pgx.ParseConfig(url)
	require.NoError(h, err)
	return server.TCPURL(config.Database)
}

// runs runs a command, which must go well: the stranger's migration fails where it reaches something.
func (h *host) runs(folder string, arguments ...string) {
	command := exec.Command(filepath.Join(h.folder, "whimbrel"), arguments...)
	command.Dir = filepath.Join(h.folder, folder)
	command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(h.folder, "home"), "WHIMBREL_CACHE=" + filepath.Join(h.folder,
			"cache"),
		"TOKEN=" + canary,
	}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: h.account}
	output, err := command.CombinedOutput()
	require.NoError(h, err, "%v\n%s", arguments, output)
	require.NotContains(h, string(output), canary, arguments)
	require.NotContains(h, string(output), "walls", arguments)
}

// cache sums up all that is kept.
func (h *host) cache() string {
	sum := sha256.New()
	err := filepath.WalkDir(filepath.Join(h.folder, "cache"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		_, _ = fmt.Fprintf(sum, "%q %x\n", path, sha256.Sum256(content))
		return err
	})
	require.NoError(h, err)
	return hex.EncodeToString(sum.Sum(nil))
}
