package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/adopt/format"
)

// contents lists what is below a folder, files with their text.
func contents(t *testing.T, root string) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && path == root {
			return err
		}
		line := strings.TrimPrefix(filepath.ToSlash(path), filepath.ToSlash(root)+"/")
		if !entry.IsDir() {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			line += "=" + string(text)
		}
		all = append(all, line)
		return nil
	}))
	return all
}

func TestFilesAreThereAfterTheWorkOrNotAtAll(t *testing.T) {
	t.Parallel()
	files := []format.Written{{Name: "1_a.sql", Text: "a"}, {Name: "2_b.sql", Text: "b"}}
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		before []string
		work   error
		after  []string
		says   string
	}{
		"a new folder, below others": {nil, nil, []string{"x", "x/new", "x/new/1_a.sql=a", "x/new/2_b.sql=b"}, ""},
		"one that is empty": {[]string{"x/new/"}, nil, []string{"x", "x/new", "x/new/1_a.sql=a",
			"x/new/2_b.sql=b"}, ""},
		"one that git keeps": {[]string{"x/new/.gitkeep="}, nil, []string{"x", "x/new", "x/new/.gitkeep=",
			"x/new/1_a.sql=a", "x/new/2_b.sql=b"}, ""},
		"what an earlier try has left": {[]string{"x/new/1_a.sql=a"}, nil, []string{"x", "x/new", "x/new/1_a.sql=a",
			"x/new/2_b.sql=b"}, ""},
		"all of what it has left": {[]string{"x/new/1_a.sql=a", "x/new/2_b.sql=b"}, nil, []string{"x", "x/new",
			"x/new/1_a.sql=a", "x/new/2_b.sql=b"}, ""},
		"a file of that name": {[]string{"x/new/1_a.sql=other"}, nil, []string{"x", "x/new",
			"x/new/1_a.sql=other"}, "there is something in x/new already: 1_a.sql"},
		"another file": {[]string{"x/new/3_c.sql=c"}, nil, []string{"x", "x/new", "x/new/3_c.sql=c"},
			"there is something in x/new already: 3_c.sql"},
		"a file in the folder's place": {[]string{"x/new=a"}, nil, []string{"x", "x/new=a"}, "cannot be written"},
		"the work is refused":          {nil, refused, nil, "refused"},
		"refused, with a folder there": {[]string{"x/new/.gitkeep="}, refused, []string{"x", "x/new", "x/new/.gitkeep="},
			"refused"},
		"refused, after an earlier try": {[]string{"x/new/1_a.sql=a"}, refused, []string{"x", "x/new", "x/new/1_a.sql=a"},
			"refused"},
		"nothing in it and nothing over": {[]string{"x/"}, nil, []string{"x", "x/new", "x/new/1_a.sql=a", "x/new/2_b.sql=b"},
			""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for _, entry := range test.before {
				path, text, isFile := strings.Cut(entry, "=")
				path = filepath.Join(root, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
				if isFile {
					require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
				} else {
					require.NoError(t, os.MkdirAll(path, 0o700))
				}
			}
			a := &app{environment: environment{folder: root}}
			before, worked := contents(t, root), false
			err := a.beside(func() error {
				worked = true
				meanwhile := slices.DeleteFunc(contents(t, root), func(line string) bool {
					return strings.Contains(line,
						".whimbrel-")
				})
				require.ElementsMatch(t, before, meanwhile, "nothing is in its place yet")
				return test.work
			}, filepath.Join("x", "new"), files)
			if test.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, filepath.FromSlash(test.says))
			}
			require.Equal(t, test.says == "" || test.work != nil, worked,
				"what cannot be written is known before the work is done")
			require.Equal(t, test.after, contents(t, root))
		})
	}
}
