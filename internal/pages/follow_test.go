package pages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// follow follows a page in a folder of its own.
func follow(t *testing.T, text string) (folder string, err error) {
	t.Helper()
	page, err := Parse("p.md", text)
	require.NoError(t, err)
	folder = t.TempDir()
	return folder, page.Follow(t.Context(), Place{Folder: folder, Environment: append(os.Environ(), "WHO=me")})
}

func TestAPageIsFollowedFromTopToBottom(t *testing.T) {
	t.Parallel()
	folder, err := follow(t, fence+"sh run\nmkdir db; touch db/2026_a.sql; echo $WHO; echo no >&2\n"+fence+"\n"+
		fence+"text output\nme\nno\n"+fence+"\n"+
		fence+"sql file=db/*_a.sql\nSELECT 1;\n"+fence+"\n"+
		fence+"sql file=new/b.sql\nSELECT 2;\n"+fence+"\n"+
		fence+"sh\nexit 1\n"+fence+"\n"+
		fence+"sh run status=3\ncat db/2026_a.sql new/b.sql; exit 3\n"+fence+"\n"+
		fence+"text output\nSELECT 1;\n…\n"+fence+"\n")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(folder, "new", "b.sql"))
	require.NoError(t, err)
	require.Equal(t, "SELECT 2;\n", string(text))
}

func TestWhatIsNotAsThePageSaysEndsIt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, message string }{
		"a failure": {fence + "sh run\nfalse\ntrue\n" + fence,
			"p.md:1: the block ends in status 1 and not 0"},
		"a failure in a pipe":        {fence + "sh run\nfalse | cat\n" + fence, "status 1 and not 0"},
		"a success that was to fail": {fence + "sh run status=3\ntrue\n" + fence, "status 0 and not 3"},
		"something else is printed": {fence + "sh run\necho a\n" + fence + "\n" + fence + "text output\nb\n" + fence,
			"p.md:4: the page shows\n  b\nand this is printed\n  a"},
		"an output of nothing":         {fence + "text output\nb\n" + fence, "p.md:1: output of no command"},
		"a file that cannot be placed": {fence + "sql file=*_a.sql\nb\n" + fence, "*_a.sql is not one file but 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := follow(t, test.text+"\n")
			require.ErrorContains(t, err, test.message)
		})
	}
}

func TestWhatIsPrintedIsComparedWithGaps(t *testing.T) {
	t.Parallel()
	for _, same := range [][2]string{
		{"a\n", "a"},
		{"", ""},
		{"took … ms\n", "took 3.1 ms\n"},
		{"a  \nb", "a\nb\n\n"},
		{"a\n…\nz\n", "a\nz\n"},
		{"a\n…\nz\n", "a\nb\n\nc\nz\n"},
		{"a.c (d)", "a.c (d)"},
	} {
		require.NoError(t, Compare(same[0], same[1]), "%q", same)
	}
	for _, other := range [][2]string{
		{"a\n", "a\nb\n"},
		{"took … ms\n", "took 3.1 s\n"},
		{"took … ms\n", "took 3.1\n ms\n"},
		{"a.c", "abc"},
		{"a\n…\nz\n", "a\nz\nb\n"},
	} {
		require.Error(t, Compare(other[0], other[1]), "%q", other)
	}
}
