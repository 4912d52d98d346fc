package plaintext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

func TestLineEndsAreReadAsLF(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "a": "a", "a\nb\n": "a\nb\n",
		"a\r\nb\r\n": "a\nb\n", "a\r\nb\n": "a\nb\n", "a\rb\r": "a\nb\n",
		"a\rb\n": "a\rb\n", "a\r\r\n": "a\r\n",
	} {
		require.Equal(t, want, plaintext.LF(text), "%q", text)
	}
}

func TestAFileKeepsItsLineEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, file, want string }{
		"no file":                        {"a\nb\n", "", "a\nb\n"},
		"LF":                             {"a\nc\n", "a\nb\n", "a\nc\n"},
		"CRLF":                           {"a\nc\nd\n", "a\r\nb\r\n", "a\r\nc\r\nd\r\n"},
		"CRLF, and no end at the end":    {"a\nc", "a\r\nb", "a\r\nc"},
		"CR":                             {"a\nc\n", "a\rb\r", "a\rc\r"},
		"one line":                       {"a\nb\n", "a", "a\nb\n"},
		"mixed, and mostly CRLF":         {"a\nx\ny\nc\nd\n", "a\nb\r\nc\r\nd\r\n", "a\nx\r\ny\r\nc\r\nd\r\n"},
		"mixed, and mostly LF":           {"a\nx\ny\nc\n", "a\r\nb\nc\n", "a\r\nx\ny\nc\n"},
		"mixed, and nothing is removed":  {"a\nb\n", "a\r\nb\n", "a\r\nb\n"},
		"mixed, and a line more":         {"a\na\nb\n", "a\r\nb\n", "a\r\na\nb\n"},
		"a carriage return within lines": {"a\rb\nc\n", "a\rb\nd\n", "a\rb\nc\n"},
	} {
		require.Equal(t, c.want, plaintext.Like(c.text, c.file), name)
	}
}

func TestWhatIsPutBackReadsAsBefore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, ends []string) string {
			var b strings.Builder
			for _, line := range rapid.SliceOfN(rapid.SampledFrom([]string{"", "a", "b", "c"}), 0, 6).Draw(t, name) {
				b.WriteString(line + rapid.SampledFrom(ends).Draw(t, "end"))
			}
			return b.String()
		}
		text, file := draw("text", []string{"\n"}), draw("file", []string{"\n", "\r\n"})
		require.Equal(t, text, plaintext.LF(plaintext.Like(text, file)))
		require.Equal(t, file, plaintext.Like(plaintext.LF(file), file), "unchanged")
		for _, variant := range plaintext.Variants(file) {
			require.Equal(t, plaintext.LF(file), plaintext.LF(variant))
		}
	})
}
