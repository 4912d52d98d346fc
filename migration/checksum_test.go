package migration

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func sha(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func parse(t require.TestingT, file, text string) Migration {
	m, err := Parse(file, text)
	require.NoError(t, err)
	return m
}

func TestChecksumIgnoresByteOrderMarkAndLineEndsOnly(t *testing.T) {
	t.Parallel()
	const lf = "SELECT 1;\nSELECT 2;\n"
	const want = "82efb67f3010c6eb7ead02e4f6d9550633dbc1407f99aa487468e7b2567aebbc" // by sha256sum
	for _, same := range []string{lf, "\uFEFF" + lf, strings.ReplaceAll(lf, "\n", "\r\n"), "SELECT 1;\r\nSELECT 2;\n"} {
		require.Equal(t, want, parse(t, "1_a.sql", same).Checksum, "%q", same)
	}
	for _, different := range []string{"SELECT 1;\nSELECT 2;", "SELECT 1; \nSELECT 2;\n", "SELECT 1;\rSELECT 2;\n",
		"\n" + lf} {
		require.NotEqual(t, want, parse(t, "1_a.sql", different).Checksum, "%q", different)
	}
}

func TestChecksumsOfOtherRunnersAreAccepted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"-- a", "SELECT 1;", "", "\r"}), 1, 5).Draw(t, "lines")
		ends := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "ends")
		mark := rapid.SampledFrom([]string{"", "\uFEFF"}).Draw(t, "mark")
		raw := mark + "SELECT 0;" + ends + strings.Join(lines, ends)
		m := parse(t, "migrations/1_a.sql", raw)
		lf := strings.ReplaceAll(strings.TrimPrefix(raw, "\uFEFF"), "\r\n", "\n")
		for _, content := range []string{raw, lf, strings.ReplaceAll(lf, "\n", "\r\n"), "\uFEFF" + lf} {
			require.True(t, m.AcceptsChecksum(sha(content)))
			require.True(t, m.AcceptsChecksum(strings.ToUpper(sha(content))))
			require.False(t, m.AcceptsChecksum(sha(content+" ")))
		}
	})
}

func TestAnUnknownChecksumIsAccepted(t *testing.T) {
	t.Parallel()
	m := parse(t, "1_a.sql", "SELECT 1")
	require.True(t, m.AcceptsChecksum(""))
	require.True(t, m.AcceptsChecksum("  "))
	require.False(t, m.AcceptsChecksum("x"))
	require.True(t, Migration{Kind: Func}.AcceptsChecksum(sha("whatever")))
}

func TestOnlyScriptsAcceptTheChecksumOfTheirName(t *testing.T) {
	t.Parallel()
	script := parse(t, "migrations/1_a.js", "module.exports = {}")
	require.True(t, script.AcceptsChecksum(sha("1_a.js")))
	require.True(t, script.AcceptsChecksum(sha("1_a")))
	require.True(t, script.AcceptsChecksum(sha("module.exports = {}")))
	require.False(t, script.AcceptsChecksum(sha("migrations/1_a.js")))
	require.False(t, script.AcceptsChecksum(sha("2_a.js")))

	sql := parse(t, "migrations/1_a.sql", "SELECT 1")
	require.False(t, sql.AcceptsChecksum(sha("1_a.sql")))
	require.False(t, sql.AcceptsChecksum(sha("1_a")))
}
