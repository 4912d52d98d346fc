package migration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// folder makes a file system of file names, each with a fitting content.
func folder(files ...string) fstest.MapFS {
	all := fstest.MapFS{}
	for _, file := range files {
		all[file] = &fstest.MapFile{Data: []byte("SELECT 1;")}
	}
	return all
}

func paths(migrations []Migration) []string {
	var all []string
	for _, m := range migrations {
		all = append(all, m.Path)
	}
	return all
}

// requireProblems compares the problems of err, as "code: error".
func requireProblems(t *testing.T, err error, want ...string) {
	t.Helper()
	var got []string
	for _, problem := range Problems(err) {
		got = append(got, string(problem.Code)+": "+problem.Error())
		require.NotEmpty(t, problem.Remedy, "%s has no remedy", problem)
		require.ErrorIs(t, err, problem.Code)
	}
	require.Equal(t, want, got)
}

func TestLoadSortsByVersionAcrossSources(t *testing.T) {
	t.Parallel()
	migrations, err := Load(
		Source{FS: folder("db/10_c.sql", "db/9_b.sql", "db/0001-a.SQL"), Dir: "db", Label: "db"},
		Source{FS: folder("0002_script.js", "20240115120000_d.ts"), Label: "more/"},
		Source{FS: folder("3_x.cjs", "4_y.mjs")},
	)
	require.NoError(t, err)
	require.Equal(t, []string{
		"db/0001-a.SQL", "more/0002_script.js", "3_x.cjs", "4_y.mjs", "db/9_b.sql", "db/10_c.sql", "more/20240115120000_d.ts",
	}, paths(migrations))
	require.Equal(t, Script, migrations[1].Kind)
	require.Equal(t, "SELECT 1;", migrations[1].Text)
	require.Equal(t, sha("SELECT 1;"), migrations[1].Checksum)
	require.Empty(t, migrations[1].Up.Statements, "scripts are not looked into")
}

func TestLoadLeavesAloneWhatIsNoMigration(t *testing.T) {
	t.Parallel()
	migrations, err := Load(Source{FS: folder(
		"1_a.sql", ".2_hidden.sql", "_draft.sql", "_2_draft.js", "README.md", "helpers.js", "types.d.ts", "1_types.d.ts",
		"1_a.sql~", "1_a.sql.bak", "2024/2_b.sql", "lib.js/index.js", "Makefile",
	)})
	require.NoError(t, err)
	require.Equal(t, []string{"1_a.sql"}, paths(migrations))
}

func TestLoadOfAnEmptyFolderIsNoError(t *testing.T) {
	t.Parallel()
	migrations, err := Load(Source{FS: os.DirFS(t.TempDir())})
	require.NoError(t, err)
	require.Empty(t, migrations)
	migrations, err = Load()
	require.NoError(t, err)
	require.Empty(t, migrations)
}

func TestLoadReportsEverythingThatIsWrongInOrder(t *testing.T) {
	t.Parallel()
	files := folder("0001_a.sql", "1_b.sql", "1_c.js", "2_folder.sql/x", "3_copy.js/x", "5.js", "add_users.sql")
	files["4_empty.sql"] = &fstest.MapFile{Data: []byte(" \r\n\t")}
	files["6_empty.js"] = &fstest.MapFile{}
	files["7_utf16.sql"] = &fstest.MapFile{Data: []byte("\xff\xfeS\x00")}
	files["8_quote.sql"] = &fstest.MapFile{Data: []byte("SELECT 1;\n  SELECT 'a;\n")}
	files["9_two.sql"] = &fstest.MapFile{Data: []byte("-- +migrate Upp\nSELECT 1;\n-- +migrate Batch\n")}
	for range 3 {
		migrations, err := Load(
			Source{FS: files, Label: "db"},
			Source{FS: folder("4_again.sql"), Label: "more"},
		)
		require.Nil(t, migrations)
		requireProblems(t, err,
			"duplicate_version: db/1_b.sql: it has the same version as db/0001_a.sql",
			"duplicate_version: db/1_c.js: it has the same version as db/0001_a.sql",
			"folder: db/2_folder.sql: it is a folder where a file should be",
			"folder: db/3_copy.js: it is a folder where a file should be",
			"empty: db/4_empty.sql: the file is empty",
			"bad_name: db/5.js: is not the name of a migration: after the version number the name is missing",
			"empty: db/6_empty.js: the file is empty",
			"encoding: db/7_utf16.sql: the file is UTF-16, not UTF-8",
			"lexical: db/8_quote.sql:2:10: a string is never closed",
			`unknown_annotation: db/9_two.sql:1:13: unknown annotation "Upp"`,
			"bad_annotation: db/9_two.sql:3:18: Batch needs the name of a table",
			"bad_name: db/add_users.sql: is not the name of a migration: it must begin with a version number",
			"duplicate_version: more/4_again.sql: it has the same version as db/4_empty.sql",
		)
	}
}

func TestLoadOfAFolderThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, test := range []struct {
		source Source
		want   string
	}{
		{Source{FS: os.DirFS(filepath.Join(dir, "none")), Label: "none"}, "no_folder: none: no such folder"},
		{Source{FS: os.DirFS(dir), Dir: "a/b"}, "no_folder: a/b: no such folder"},
		{Source{FS: folder("a/1_a.sql"), Dir: "b"}, "no_folder: b: no such folder"},
		{Source{FS: os.DirFS(file), Label: "file"}, "not_a_folder: file: it is a file, not a folder"},
		{Source{FS: os.DirFS(dir), Dir: "./file"}, "not_a_folder: file: it is a file, not a folder"},
		{Source{FS: folder("a"), Dir: "a"}, "not_a_folder: a: it is a file, not a folder"},
		{Source{FS: refusing{folder("1_a.sql"), "."}, Label: "db"},
			"unreadable: db: the folder cannot be read: permission denied"},
		{Source{FS: os.DirFS(dir), Dir: "../x", Label: "x"}, "unreadable: x: the folder cannot be read: invalid argument"},
	} {
		_, err := Load(test.source)
		if strings.HasPrefix(test.source.Dir, "..") {
			// The words are the system's.
			require.Equal(t, CodeUnreadable, Problems(err)[0].Code)
			continue
		}
		requireProblems(t, err, test.want)
	}
	_, err := Load(Source{FS: os.DirFS(filepath.Join(dir, "none"))})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Contains(t, Problems(err)[0].Remedy, "create it")
	require.Contains(t, Problems(err)[0].Remedy, "Source.Dir")
}

// refusing is a file system that does not open one of its files, as root too
// would meet it on a network drive.
type refusing struct {
	fs.FS
	file string
}

func (r refusing) Open(name string) (fs.File, error) {
	if name == r.file {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return r.FS.Open(name)
}

func (r refusing) Stat(name string) (fs.FileInfo, error) { return fs.Stat(r.FS, name) }

// breaking is a file system whose files break off when they are read.
type breaking struct{ fstest.MapFS }

func (b breaking) Open(name string) (fs.File, error) {
	file, err := b.MapFS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	return brokenFile{file}, nil
}

func (b breaking) Stat(name string) (fs.FileInfo, error) { return b.MapFS.Stat(name) }

type brokenFile struct{ fs.File }

func (brokenFile) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

func TestLoadSaysWhichFileCannotBeRead(t *testing.T) {
	t.Parallel()
	_, err := Load(Source{FS: refusing{folder("1_a.sql", "2_b.sql"), "2_b.sql"}, Label: "db"})
	requireProblems(t, err, "unreadable: db/2_b.sql: cannot be read: permission denied")
	require.ErrorIs(t, err, fs.ErrPermission)

	_, err = Load(Source{FS: breaking{folder("1_a.sql")}})
	requireProblems(t, err, "unreadable: 1_a.sql: cannot be read: input/output error")
}

func TestLoadFollowsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "a"), []byte("SELECT 1"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "a"), filepath.Join(dir, "1_a.sql")))
	migrations, err := Load(Source{FS: os.DirFS(dir)})
	require.NoError(t, err)
	require.Equal(t, "SELECT 1", migrations[0].Text)

	require.NoError(t, os.Symlink(elsewhere, filepath.Join(dir, "2_folder.sql")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "3_gone.sql")))
	_, err = Load(Source{FS: os.DirFS(dir)})
	requireProblems(t, err,
		"folder: 2_folder.sql: it is a folder where a file should be",
		"unreadable: 3_gone.sql: cannot be read: no such file or directory")
}

func TestLoadDoesNotWaitForWhatIsNoRegularFile(t *testing.T) {
	t.Parallel()
	_, err := Load(Source{FS: fstest.MapFS{"1_pipe.sql": {Mode: fs.ModeNamedPipe}}})
	requireProblems(t, err, "unreadable: 1_pipe.sql: cannot be read: it is not a regular file")
}

// It is not parallel, so that what it counts is its own.
func TestLoadRefusesFilesThatAreTooLarge(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "1_large.sql")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, MaxSize+1))
	_, err := Load(Source{FS: os.DirFS(dir)})
	requireProblems(t, err, "too_large: 1_large.sql: the file is larger than 64 MiB")

	for name, size := range map[string]int64{"just above": MaxSize + 1, "a terabyte": 1 << 40} {
		require.NoError(t, os.Truncate(file, size))
		for _, files := range []fs.FS{os.DirFS(dir), Folder(dir)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = Load(Source{FS: files})
			runtime.ReadMemStats(&after)
			requireProblems(t, err, "too_large: 1_large.sql: the file is larger than 64 MiB")
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(MaxSize)/2, "%s: it was read", name)
		}
	}

	_, err = Load(Source{FS: growing{folder("1_grows.sql")}})
	requireProblems(t, err, "too_large: 1_grows.sql: the file is larger than 64 MiB")
}

// growing is a file system whose files never end.
type growing struct{ fstest.MapFS }

func (g growing) Open(name string) (fs.File, error) {
	file, err := g.MapFS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return file, err
	}
	return endlessFile{file}, nil
}

func (g growing) Stat(name string) (fs.FileInfo, error) { return g.MapFS.Stat(name) }

type endlessFile struct{ fs.File }

func (endlessFile) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestLoadReadsSubfoldersWhereItIsAsked(t *testing.T) {
	t.Parallel()
	files := folder("db/3_c.sql", "db/2023/1_a.sql", "db/2024/q1/2_b.sql", "db/2024/4_d.ts",
		"db/_squashed/1_old.sql", "db/.git/1_x.sql", "db/node_modules/pkg/1_x.js", "db/lib/helpers.js")
	source := Source{FS: files, Dir: "db", Label: "db"}
	migrations, err := Load(source)
	require.NoError(t, err)
	require.Equal(t, []string{"db/3_c.sql"}, paths(migrations), "only the folder itself unless asked")

	source.Subfolders = true
	migrations, err = Load(source)
	require.NoError(t, err)
	require.Equal(t, []string{"db/2023/1_a.sql", "db/2024/q1/2_b.sql", "db/3_c.sql", "db/2024/4_d.ts"}, paths(migrations))
	_, err = fs.Stat(migrations[3].Folder, "4_d.ts")
	require.NoError(t, err, "a script's folder is the one in which it lies")
}

func TestLoadRefusesAVersionInTwoFolders(t *testing.T) {
	t.Parallel()
	files := folder("a/1_x.sql", "b/01_y.sql", "c/users.sql")
	_, err := Load(Source{FS: files, Label: "db", Subfolders: true})
	requireProblems(t, err,
		"duplicate_version: db/b/01_y.sql: it has the same version as db/a/1_x.sql",
		"bad_name: db/c/users.sql: is not the name of a migration: it must begin with a version number")
}
