package plaintext_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

func TestAPatternIsCompiledOnceAndWhenItIsUsed(t *testing.T) {
	t.Parallel()
	broken := plaintext.Pattern("(")
	digits := plaintext.Pattern(`^\d+$`)
	first := digits()
	require.Same(t, first, digits())
	require.True(t, digits().MatchString("12"))
	require.Panics(t, func() { broken() })
}
