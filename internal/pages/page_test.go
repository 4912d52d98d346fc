package pages

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const fence = "```"

func TestAPageIsReadWithItsBlocksAndLinks(t *testing.T) {
	t.Parallel()
	page, err := Parse("p.md", "# One `two`, three\n\nsee [a](b.md#c) and `[no](link)`\n\n"+
		fence+"sh run status=3\nls\n\necho\n"+fence+"\n\n## Next\n\n"+
		fence+"text output\n"+fence+"\n\n## Next\n\n"+
		fence+"sql file=migrations/1_a.sql recipe\n# no heading [no](link)\n"+fence+"\n"+fence+"\n"+fence+"\n")
	require.NoError(t, err)
	require.Equal(t, []Link{{Target: "b.md#c", Line: 3}}, page.Links)
	require.Equal(t, []string{"one-two-three", "next", "next-1"}, page.Anchors())
	require.Equal(t, []Block{
		{Language: "sh", Run: true, Status: 3, Text: "ls\n\necho\n", Line: 5, Section: "One `two`, three"},
		{Language: "text", Output: true, Line: 13, Section: "Next"},
		{Language: "sql", File: "migrations/1_a.sql", Words: []string{"recipe"}, Text: "# no heading [no](link)\n", Line: 18,
			Section: "Next"},
		{Line: 21, Section: "Next"},
	}, page.Blocks)
	require.True(t, page.Runnable())
}

func TestAPageThatIsWrittenWrongIsRefusedAtItsLine(t *testing.T) {
	t.Parallel()
	for text, message := range map[string]string{
		"\n" + fence + "sh\nls\n":                        "p.md:2: the block is not closed",
		fence + "sh run status=many\n" + fence + "\n":    `p.md:1: invalid exit status "many"`,
		"a\n" + fence + "text status=1\n" + fence + "\n": "p.md:2: a status without run",
	} {
		_, err := Parse("p.md", text)
		require.EqualError(t, err, message)
	}
	_, err := Read(filepath.Join(t.TempDir(), "none.md"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAPageWithoutCommandsIsNotRunnable(t *testing.T) {
	t.Parallel()
	page, err := Parse("p.md", fence+"sh\nls\n"+fence+"\n")
	require.NoError(t, err)
	require.False(t, page.Runnable())
}

// FuzzParse checks that no text makes the reader of pages panic.
func FuzzParse(f *testing.F) {
	f.Add("# a\n" + fence + "sh run\nls\n" + fence + "\n[a](b)")
	f.Add(fence + " = status=\n")
	f.Fuzz(func(_ *testing.T, text string) {
		page, _ := Parse("p.md", text)
		page.Anchors()
	})
}
