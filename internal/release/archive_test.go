package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	dated    = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	released = []file{
		{name: "whimbrel", text: []byte("\x7fELF"), executable: true},
		{name: "man/man1/whimbrel-up.1", text: []byte(".TH up\n")},
		{name: "LICENSE", text: []byte("free\n")},
		{name: "CHANGELOG.md", text: []byte("# new\n")},
		{name: "README.md", text: []byte("# whimbrel\n")},
		{name: "completions/whimbrel.bash", text: []byte("complete\n")},
		{name: "completions/whimbrel.ps1", text: []byte("Register\n")},
	}
)

// entry is what an archive says of a file, for comparison.
type entry struct {
	name, text string
	mode       int64
}

func readTarGz(t *testing.T, text []byte) (entries []entry) {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(text))
	require.NoError(t, err)
	require.True(t, plain.ModTime.IsZero())
	r := tar.NewReader(plain)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		require.NoError(t, err)
		require.True(t, header.ModTime.Equal(dated), header.Name)
		require.Zero(t, header.Uid+header.Gid, header.Name)
		require.Equal(t, []string{"root", "root"}, []string{header.Uname, header.Gname}, header.Name)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		entries = append(entries, entry{header.Name, string(content), header.Mode})
	}
}

func TestATarHoldsAllFilesInOrderAndTheirFolders(t *testing.T) {
	t.Parallel()
	text, err := tarGz(below("w_v1", released), dated)
	require.NoError(t, err)
	require.Equal(t, []entry{
		{"w_v1/", "", 0o755}, {"w_v1/completions/", "", 0o755}, {"w_v1/man/", "", 0o755}, {"w_v1/man/man1/", "", 0o755},
		{"w_v1/CHANGELOG.md", "# new\n", 0o644}, {"w_v1/LICENSE", "free\n", 0o644}, {"w_v1/README.md", "# whimbrel\n", 0o644},
		{"w_v1/completions/whimbrel.bash", "complete\n", 0o644}, {"w_v1/completions/whimbrel.ps1", "Register\n", 0o644},
		{"w_v1/man/man1/whimbrel-up.1", ".TH up\n", 0o644}, {"w_v1/whimbrel", "\x7fELF", 0o755},
	}, readTarGz(t, text))
	require.Equal(t, "whimbrel", released[0].name, "what is packed stays as it is")
}

func TestAZipHoldsAllFiles(t *testing.T) {
	t.Parallel()
	text, err := zipped(below("w_v1", released), dated)
	require.NoError(t, err)
	r, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	require.NoError(t, err)
	require.Len(t, r.File, len(released))
	require.Equal(t, "w_v1/CHANGELOG.md", r.File[0].Name)
	last := r.File[len(r.File)-1]
	require.Equal(t, "w_v1/whimbrel", last.Name)
	require.True(t, last.Modified.Equal(dated))
	require.EqualValues(t, 0o755, last.Mode().Perm())
	content, err := last.Open()
	require.NoError(t, err)
	program, err := io.ReadAll(content)
	require.NoError(t, err)
	require.Equal(t, "\x7fELF", string(program))
}

func TestTheSameFilesGiveTheSameBytesInWhateverOrder(t *testing.T) {
	t.Parallel()
	var reversed []file
	for i := len(released) - 1; i >= 0; i-- {
		reversed = append(reversed, released[i])
	}
	elsewhere := dated.In(time.FixedZone("elsewhere", 3600))
	for name, write := range map[string]func([]file, time.Time) ([]byte, error){
		"tar": tarGz,
		"zip": zipped,
		"deb": func(files []file, date time.Time) ([]byte, error) {
			return debianPackage(files, "v1.0.0", "amd64", date)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, err := write(released, dated)
			require.NoError(t, err)
			other, err := write(reversed, elsewhere)
			require.NoError(t, err)
			require.Equal(t, one, other)
			later, err := write(released, dated.Add(time.Hour))
			require.NoError(t, err)
			require.NotEqual(t, one, later)
		})
	}
}
