package migration

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryAnnotationIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/annotations.md")
	require.NoError(t, err)
	for _, name := range annotations {
		require.Contains(t, string(text), "\n## "+name+"\n", "docs/annotations.md needs a section for it")
	}
}
