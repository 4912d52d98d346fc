package pattern_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/pattern"
)

func TestAPatternIsCompiledOnceAndWhenItIsUsed(t *testing.T) {
	t.Parallel()
	broken := pattern.Of("(")
	digits := pattern.Of(`^\d+$`)
	first := digits()
	require.Same(t, first, digits())
	require.True(t, digits().MatchString("12"))
	require.Panics(t, func() { broken() })
}
