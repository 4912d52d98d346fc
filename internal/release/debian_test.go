package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionsAreOrderedAsDebianOrdersThem(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"v0.1.0": "0.1.0", "v1.2.3-rc.1": "1.2.3~rc.1",
		"v10.0.0-alpha": "10.0.0~alpha"} {
		require.Equal(t, want, debianVersion(version))
	}
}

func TestFilesHaveTheirPlacesOnDebian(t *testing.T) {
	t.Parallel()
	placed, err := debianPlaces(released)
	require.NoError(t, err)
	texts := map[string]string{}
	for _, f := range placed {
		texts[f.name] = string(f.text)
	}
	for name, want := range map[string]string{"usr/share/man/man1/whimbrel-up.1.gz": ".TH up\n",
		"usr/share/doc/whimbrel/changelog.gz": "# new\n"} {
		plain, err := gzip.NewReader(bytes.NewReader([]byte(texts[name])))
		require.NoError(t, err, name)
		text, err := io.ReadAll(plain)
		require.NoError(t, err)
		require.Equal(t, want, string(text))
		delete(texts, name)
	}
	require.Equal(t, map[string]string{
		"usr/bin/whimbrel": "\x7fELF", "usr/share/doc/whimbrel/copyright": "free\n",
		"usr/share/doc/whimbrel/README.md":               "# whimbrel\n",
		"usr/share/bash-completion/completions/whimbrel": "complete\n",
	}, texts)
}

func TestAPackageHoldsControlAndData(t *testing.T) {
	t.Parallel()
	text, err := debianPackage(released, "v1.2.3-rc.1", "arm64", dated)
	require.NoError(t, err)
	members := readAr(t, text)
	require.Equal(t, "2.0\n", members["debian-binary"])
	control := readTarGz(t, []byte(members["control.tar.gz"]))
	require.Equal(t, "./control", control[0].name)
	for _, line := range []string{"Package: whimbrel", "Version: 1.2.3~rc.1", "Architecture: arm64", "Installed-Size: 6"} {
		require.Contains(t, control[0].text, line+"\n")
	}
	require.Equal(t, "./md5sums", control[1].name)
	require.Contains(t, control[1].text, "d1531b1622de54fe3a0187c3344600e9  usr/bin/whimbrel\n")
	var names []string
	for _, e := range readTarGz(t, []byte(members["data.tar.gz"])) {
		names = append(names, e.name)
	}
	require.Subset(t, names, []string{"./usr/", "./usr/bin/", "./usr/bin/whimbrel",
		"./usr/share/man/man1/whimbrel-up.1.gz"})
}

// readAr gives the members of an archive of ar(5).
func readAr(t *testing.T, text []byte) map[string]string {
	t.Helper()
	rest, found := bytes.CutPrefix(text, []byte("!<arch>\n"))
	require.True(t, found)
	members := map[string]string{}
	for len(rest) > 0 {
		header := string(rest[:60])
		require.Equal(t, "1793527200  0     0     100644  ", header[16:48])
		require.Equal(t, "`\n", header[58:])
		size, err := strconv.Atoi(strings.TrimSpace(header[48:58]))
		require.NoError(t, err)
		members[strings.TrimSpace(header[:16])] = string(rest[60 : 60+size])
		rest = rest[60+size+size%2:]
	}
	return members
}

// What Debian's own tools say, where they are.
func TestDebianReadsThePackage(t *testing.T) {
	t.Parallel()
	dpkg, err := exec.LookPath("dpkg-deb")
	if err != nil {
		return // the package is read in the test above
	}
	text, err := debianPackage(released, "v1.2.3-rc.1", "arm64", dated)
	require.NoError(t, err)
	folder := t.TempDir()
	name := filepath.Join(folder, "w.deb")
	require.NoError(t, os.WriteFile(name, text, 0o644))
	ask := func(program string, arguments ...string) string {
		command := exec.CommandContext(t.Context(), program, arguments...)
		command.Dir, command.Env = folder, append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
		said, err := command.CombinedOutput()
		require.NoError(t, err, string(said))
		return string(said)
	}
	require.Equal(t, "whimbrel 1.2.3~rc.1 arm64\n",
		ask(dpkg, "--show", "--showformat=${Package} ${Version} ${Architecture}\\n", name))
	require.Contains(t, ask(dpkg, "--contents", name),
		"-rwxr-xr-x root/root         4 2026-11-01 10:00 ./usr/bin/whimbrel\n")
	ask(dpkg, "--raw-extract", name, ".")
	ask("md5sum", "--check", "--strict", "DEBIAN/md5sums")
}
