//go:build unix

package project

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// owned is a file or folder with an owner.
type owned struct {
	uid  uint32
	mode fs.FileMode
}

func (o owned) Name() string       { return "" }
func (o owned) Size() int64        { return 0 }
func (o owned) Mode() fs.FileMode  { return o.mode }
func (o owned) ModTime() time.Time { return time.Time{} }
func (o owned) IsDir() bool        { return o.mode.IsDir() }
func (o owned) Sys() any           { return &syscall.Stat_t{Uid: o.uid} }

func TestAFileIsAStrangersByItsOwnerAndItsMode(t *testing.T) {
	t.Parallel()
	const file, folder = fs.FileMode(0o644), fs.ModeDir | 0o755
	for name, test := range map[string]struct {
		of    owned
		self  int
		sudo  string
		whose string
	}{
		"one's own":                         {of: owned{1000, file}, self: 1000},
		"root's":                            {of: owned{0, file}, self: 1000},
		"root's own":                        {of: owned{0, file}, self: 0},
		"another user's":                    {of: owned{1001, file}, self: 1000, whose: "another user (1001)"},
		"another user's, to root":           {of: owned{1001, file}, self: 0, whose: "another user"},
		"another user's, and private":       {of: owned{1001, 0o600}, self: 0, whose: "another user"},
		"the caller's of sudo":              {of: owned{1001, file}, self: 0, sudo: "1001"},
		"another than the caller's of sudo": {of: owned{1001, file}, self: 0, sudo: "1002", whose: "another user"},
		"sudo said by who isn't root":       {of: owned{1001, file}, self: 1000, sudo: "1001", whose: "another user"},
		"sudo said by nonsense":             {of: owned{1001, file}, self: 0, sudo: "1001x", whose: "another user"},
		"a group's":                         {of: owned{1000, 0o664}, self: 1000},
		"everybody's":                       {of: owned{1000, 0o666}, self: 1000, whose: "every user (mode 0666)"},
		"root's, and everybody's":           {of: owned{0, 0o646}, self: 1000, whose: "every user"},
		"one's own folder":                  {of: owned{1000, folder}, self: 1000},
		"another user's folder":             {of: owned{1001, folder}, self: 1000, whose: "another user"},
		"everybody's folder":                {of: owned{0, fs.ModeDir | 0o777}, self: 1000, whose: "every user"},
		"everybody's folder, but sticky":    {of: owned{0, fs.ModeDir | fs.ModeSticky | 0o777}, self: 1000},
		"a sticky file":                     {of: owned{0, fs.ModeSticky | 0o666}, self: 1000, whose: "every user"},
		"one's own link":                    {of: owned{1000, fs.ModeSymlink | 0o777}, self: 1000},
		"another user's link":               {of: owned{1001, fs.ModeSymlink | 0o777}, self: 1000, whose: "another user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := stranger(test.of, test.self, test.sudo)
			if test.whose == "" {
				require.Empty(t, got)
				return
			}
			require.Contains(t, got, test.whose)
		})
	}
}

// Who has the link chooses the file, and who may write its folder does too.
func TestALinkAndAFolderMayBeAStrangers(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	for name, text := range map[string]string{"open/whimbrel.yaml": "", "own/whimbrel.yaml": "", "linked/.keep": ""} {
		require.NoError(t, os.MkdirAll(filepath.Join(work, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(work, name), []byte(text), 0o644))
	}
	require.NoError(t, os.Chmod(filepath.Join(work, "open"), 0o777))
	link := filepath.Join(work, "linked", "whimbrel.yaml")
	require.NoError(t, os.Symlink("../open/whimbrel.yaml", link))
	for path, refused := range map[string]bool{
		filepath.Join(work, "own", "whimbrel.yaml"): false, filepath.Join(work, "open", "whimbrel.yaml"): true, link: true,
	} {
		err := believe(path, "whimbrel.yaml", "")
		if !refused {
			require.NoError(t, err, path)
			continue
		}
		require.ErrorContains(t, err, "its folder may be written by every user", path)
	}
}
