package migration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatementsAreShortenedInMessages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SELECT 1":                "SELECT 1",
		"SELECT 1,\n  2":          "SELECT 1, …",
		"SELECT 1,\r\n  2":        "SELECT 1, …",
		strings.Repeat("ü", 60):   strings.Repeat("ü", 60),
		strings.Repeat("ü", 6000): strings.Repeat("ü", 60) + " …",
	} {
		require.Equal(t, want, firstLine(text))
	}
}
