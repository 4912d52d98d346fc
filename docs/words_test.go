package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// notPlain are phrases that whimbrel has plainer ones for, in the words of PostgreSQL's
// documentation. Single words are for a reader's judgement.
var notPlain = regexp.MustCompile(
	`(?i)\bways? back\b|there is no [a-z ]+ that\b|\bis no (time|tag|size|duration|number of)\b|` +
		`\banew\b|\bg(ave|ives?|iving) way\b|\bleave (it|them|one of them) away\b|` +
		`\bstands twice\b|\bkeep one of (them|the two)\b|` +
		`\bdoes not hold any more\b|\bcomes to other steps\b|\bsee to it\b|\bthe lease since\b.*\bholds\b|\bbears? to be\b`)

// What is published is plain: code, help, messages and pages.
func TestPhrasesArePlain(t *testing.T) {
	t.Parallel()
	read := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		name := filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator)))
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != ".." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
			return fs.SkipDir
		case entry.IsDir() || !slices.Contains(published, filepath.Ext(name)) || !plain(name):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := notPlain.FindString(line); found != "" {
				t.Errorf("%s:%d: %q", name, i+1, found)
			}
		}
		read++
		return nil
	}))
	require.Greater(t, read, 500)
}

// published are the kinds of files that are read.
var published = []string{".go", ".md", ".txt", ".yaml", ".ts"}

// plain reports whether a file is to be plain: not what others call the mark of a down
// migration, not this very list, and not an example, whose files have checksums.
func plain(name string) bool {
	return !strings.Contains(name, "unread") && name != "docs/words_test.go" && !strings.HasPrefix(name, "examples/") &&
		(!strings.Contains(name, "testdata/") || strings.Contains(name, "/golden/"))
}
