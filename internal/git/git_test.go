package git

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository makes one with files in the folder "db", committed.
func repository(t *testing.T, files map[string]string) (root, folder string) {
	t.Helper()
	root = t.TempDir()
	folder = filepath.Join(root, "db")
	require.NoError(t, os.Mkdir(folder, 0o755))
	for name, text := range files {
		write(t, folder, name, text)
	}
	run(t, root, "init", "-q", "-b", "main")
	commit(t, root)
	return root, folder
}

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
}

func run(t *testing.T, folder string, arguments ...string) {
	t.Helper()
	_, err := Output(t.Context(), folder, arguments...)
	require.NoError(t, err)
}

func commit(t *testing.T, root string) {
	t.Helper()
	run(t, root, "add", "-A")
	run(t, root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x")
}

func TestWhatIsChangedSinceARevision(t *testing.T) {
	t.Parallel()
	root, folder := repository(t, map[string]string{"1_a.sql": "one\ntwo\nthree\n", "2_b.sql": "b\n", "3_c.sql": "c\n"})
	run(t, root, "checkout", "-q", "-b", "change")
	write(t, folder, "1_a.sql", "one\nTWO\nthree\n")
	require.NoError(t, os.Remove(filepath.Join(folder, "2_b.sql")))
	commit(t, root)
	write(t, folder, "4_d.sql", "d\n")
	base, err := MergeBase(t.Context(), folder, "main")
	require.NoError(t, err)
	changes, err := Changes(t.Context(), folder, base)
	require.NoError(t, err)
	require.Equal(t, []Change{{Name: "1_a.sql", Line: 2}, {Name: "2_b.sql", Deleted: true}}, changes)
	names, err := Names(t.Context(), folder, "main")
	require.NoError(t, err)
	require.Equal(t, []string{"1_a.sql", "2_b.sql", "3_c.sql"}, names)
	changed, err := ChangedNames(t.Context(), folder, base)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"1_a.sql": true, "2_b.sql": true, "4_d.sql": true}, changed)
}

func TestLineEndsAreNoChange(t *testing.T) {
	t.Parallel()
	root, folder := repository(t, map[string]string{"1_a.sql": "one\ntwo\n", "2_b.sql": "one\r\ntwo\r\n",
		"3_c.sql": "one\ntwo\n", "4_d.sql": "\x00\n"})
	run(t, root, "config", "core.autocrlf", "false")
	write(t, root, ".gitattributes", "*.sql -diff\n")
	commit(t, root)
	run(t, root, "checkout", "-q", "-b", "change")
	write(t, folder, "1_a.sql", "one\r\ntwo\r\n")
	write(t, folder, "2_b.sql", "one\ntwo\n")
	write(t, folder, "3_c.sql", "one\r\nTWO\r\n")
	write(t, folder, "4_d.sql", "\x01\n")
	for range 2 { // as files, and committed
		changes, err := Changes(t.Context(), folder, "main")
		require.NoError(t, err)
		require.Equal(t, []Change{{Name: "3_c.sql", Line: 2}, {Name: "4_d.sql", Line: 1}}, changes)
		changed, err := ChangedNames(t.Context(), folder, "main")
		require.NoError(t, err)
		require.Equal(t, map[string]bool{"3_c.sql": true, "4_d.sql": true}, changed)
		commit(t, root)
	}
}

func TestWhatGitCannotTellHasARemedy(t *testing.T) {
	t.Parallel()
	root, folder := repository(t, map[string]string{"1_a.sql": "a\n"})
	for _, revision := range []string{"", "--output=x", "nowhere"} {
		_, err := Changes(t.Context(), folder, revision)
		var said *Error
		require.ErrorAs(t, err, &said, revision)
		require.NotEmpty(t, said.Remedy)
	}
	run(t, root, "checkout", "-q", "--orphan", "apart")
	write(t, folder, "2_b.sql", "or it were the very same commit\n")
	commit(t, root)
	_, err := MergeBase(t.Context(), folder, "main")
	require.ErrorContains(t, err, "in common")
	_, err = Names(t.Context(), t.TempDir(), "main")
	require.ErrorContains(t, err, "git cannot say")
}

func FuzzFirstLine(f *testing.F) {
	f.Add("@@ -1,2 +3,4 @@")
	f.Add("@@ +")
	f.Fuzz(func(t *testing.T, diff string) { require.Positive(t, firstLine(diff)) })
}

func TestAFileAsItWas(t *testing.T) {
	t.Parallel()
	root, folder := repository(t, map[string]string{"a b.yaml": "one\n\x00two", "empty": ""})
	require.NoError(t, os.Symlink("a b.yaml", filepath.Join(folder, "inside")))
	require.NoError(t, os.Symlink("../../outside", filepath.Join(folder, "outside")))
	require.NoError(t, os.Symlink("round", filepath.Join(folder, "round")))
	commit(t, root)
	write(t, folder, "a b.yaml", "changed\n")
	for name, want := range map[string]string{"db/a b.yaml": "one\n\x00two", "db/inside": "one\n\x00two", "db/empty": ""} {
		text, found, err := File(t.Context(), folder, "HEAD", name)
		require.NoError(t, err, name)
		require.True(t, found, name)
		require.Equal(t, want, string(text), name)
	}
	for _, name := range []string{"db", "db/outside", "db/round", "db/none", "none/none", "db/empty/x", "a\nb", ""} {
		_, found, err := File(t.Context(), folder, "HEAD", name)
		require.NoError(t, err, "%q", name)
		require.False(t, found, "%q", name)
	}
	_, _, err := File(t.Context(), folder, "--batch-all-objects", "x")
	require.ErrorContains(t, err, "invalid revision")
}

func TestAFileThatGitIsToldNotToKnowIsIgnored(t *testing.T) {
	t.Parallel()
	root, _ := repository(t, map[string]string{"known": "", "listed": ""})
	write(t, root, ".gitignore", "local\nlisted\n")
	write(t, root, "local", "")
	write(t, root, "new", "")
	for name, want := range map[string]bool{"db/known": false, "db/listed": false, "new": false, "local": true,
		"none": true, "DB/Known": false, "LOCAL": true} {
		ignored, err := Ignored(t.Context(), root, name)
		require.NoError(t, err, name)
		require.Equal(t, want, ignored, name)
	}
}

// planting writes what git would take for a repository of its own, whose settings name a
// program, into a folder of a repository.
func planting(t *testing.T, root, folder, proof string) {
	t.Helper()
	require.NoError(t, os.CopyFS(filepath.Join(folder, "objects"), os.DirFS(filepath.Join(root, ".git", "objects"))))
	require.NoError(t, os.CopyFS(filepath.Join(folder, "refs"), os.DirFS(filepath.Join(root, ".git", "refs"))))
	write(t, folder, "HEAD", "ref: refs/heads/main\n")
	write(t, folder, "config", "[core]\nrepositoryformatversion = 0\nbare = false\nworktree = "+root+
		"\nfsmonitor = \"touch "+proof+"; false\"\n")
}

func TestARepositoryThatAChangePlantsRunsNothing(t *testing.T) {
	t.Parallel()
	root, folder := repository(t, map[string]string{"1_a.sql": "a\n"})
	proof := filepath.Join(t.TempDir(), "proof")
	planting(t, root, folder, proof)
	below := filepath.Join(folder, "below")
	require.NoError(t, os.Mkdir(below, 0o755))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(below, link))
	for _, from := range []string{folder, below, link} {
		_, err := ChangedNames(t.Context(), from, "main")
		require.ErrorContains(t, err, "holds what git takes for a repository", from)
		var said *Error
		require.ErrorAs(t, err, &said)
		require.NotEmpty(t, said.Remedy)
	}
	require.NoFileExists(t, proof)
	_, err := ChangedNames(t.Context(), root, "main")
	require.NoError(t, err, "from where .git lies, git finds that")
	require.NoError(t, os.RemoveAll(filepath.Join(folder, "objects")))
	_, err = ChangedNames(t.Context(), folder, "main")
	require.NoError(t, err, "a file that is called HEAD is nothing")
}

func TestABranchIsMeantWhereATagHasItsName(t *testing.T) {
	t.Parallel()
	root, folder := repository(t, map[string]string{"1_a.sql": "a\n"})
	run(t, root, "update-ref", "refs/remotes/origin/main", "main")
	run(t, root, "checkout", "-q", "-b", "change")
	write(t, folder, "2_b.sql", "b\n")
	commit(t, root)
	for _, name := range []string{"main", "origin/main", "released"} {
		run(t, root, "tag", name)
	}
	run(t, root, "update-ref", "refs/heads/origin/main", "HEAD")
	head, err := MergeBase(t.Context(), folder, "HEAD")
	require.NoError(t, err)
	base, err := MergeBase(t.Context(), folder, "refs/heads/main")
	require.NoError(t, err)
	require.NotEqual(t, head, base)
	for revision, want := range map[string]string{
		"main": base, "origin/main": base, "main~0": base, "main^{commit}": base, "origin/main@{0}^0~0": base,
		"refs/remotes/origin/main": base, base: base,
		"HEAD~1": base, "HEAD": head, "@": head, "released": head, "tags/main": head, "refs/tags/main": head, "change": head,
		head[:12]: head,
	} {
		got, err := MergeBase(t.Context(), folder, revision)
		require.NoError(t, err, revision)
		require.Equal(t, want, got, revision)
	}
	names, err := Names(t.Context(), folder, "origin/main")
	require.NoError(t, err)
	require.Equal(t, []string{"1_a.sql"}, names)
}

func TestALinkIsChangedWithWhatItLeadsTo(t *testing.T) {
	t.Parallel()
	root, folder := repository(t, map[string]string{"two": "b\n", "three": "c\n", "four": "d\n"})
	for name, target := range map[string]string{"2_b.sql": "next", "next": "two", "3_c.sql": "three",
		"4_d.sql": "nowhere"} {
		require.NoError(t, os.Symlink(target, filepath.Join(folder, name)))
	}
	commit(t, root)
	base, err := MergeBase(t.Context(), folder, "main")
	require.NoError(t, err)
	changed := func() (names []string) {
		changes, err := Changes(t.Context(), folder, base)
		require.NoError(t, err)
		for _, c := range changes {
			names = append(names, c.Name)
		}
		return names
	}
	require.Empty(t, changed())
	write(t, folder, "two", "changed\n")
	require.Equal(t, []string{"two", "2_b.sql", "next"}, changed())
	run(t, root, "checkout", "-q", ".")
	require.NoError(t, os.Remove(filepath.Join(folder, "next")))
	require.NoError(t, os.Symlink("four", filepath.Join(folder, "next")))
	require.Equal(t, []string{"next", "2_b.sql"}, changed())
	run(t, root, "checkout", "-q", ".")
	require.NoError(t, os.Symlink("two", filepath.Join(folder, "5_new.sql")))
	require.Empty(t, changed(), "a new one was not changed")
}

func TestAFolderAsItWasIsTheSameByALink(t *testing.T) {
	t.Parallel()
	root, folder := repository(t, map[string]string{"1_a.sql": "a\n"})
	require.NoError(t, os.Symlink("db", filepath.Join(root, "link")))
	commit(t, root)
	identity, err := Folder(t.Context(), folder, "HEAD", "db")
	require.NoError(t, err)
	require.NotEmpty(t, identity)
	for name, want := range map[string]string{"link": identity, "db/1_a.sql": "", "none": ""} {
		got, err := Folder(t.Context(), folder, "HEAD", name)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
}
