package migration

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryAnnotationIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/annotations.md")
	require.NoError(t, err)
	for _, name := range annotations {
		if !strings.Contains(string(text), "\n## "+name+"\n") {
			t.Errorf("docs/annotations.md has no section about %s", name)
		}
	}
}
