package plaintext

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearestFindsSlips(t *testing.T) {
	t.Parallel()
	candidates := []string{"up", "down", "status", "history", "verify"}
	for word, want := range map[string]string{
		"statsu": "status", "Down": "down", "dwon": "down", "histroy": "history", "varify": "verify",
		"u": "up", "completely-different": "", "": "",
	} {
		require.Equal(t, want, Nearest(word, candidates), word)
	}
	require.Empty(t, Nearest("x", nil))
	require.Equal(t, 1, distance("ab", "ba"))
	require.Equal(t, 3, distance("", "abc"))
	require.Equal(t, 0, distance("ä", "ä"))
}

func TestNearestFindsWhatWasMeant(t *testing.T) {
	t.Parallel()
	known := []string{"Up", "Down", "StatementBegin", "StatementEnd", "Set", "Batch", "Assert", "Irreversible", "Allow"}
	for text, want := range map[string]string{
		"": "", "u": "Up", "upp": "Up", "dwn": "Down", "statementstart": "StatementBegin", "begin": "",
		"irreversable": "Irreversible",
		"sett":         "Set", "alow": "Allow", "asert": "Assert", "bach": "Batch", "revert": "", "donw": "Down",
		"Ünïcode":                  "",
		strings.Repeat("up", 1000): "",
	} {
		require.Equal(t, want, Nearest(text, known), text)
	}
}
