package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestWhatALeanBuildLacksIsSaidWithTheWayOut(t *testing.T) {
	t.Parallel()
	for _, p := range parts() {
		e := p.lacking("nothing happens")
		require.Equal(t, whimbrel.CodeUnsupported, e.Code)
		require.Equal(t, exitWrongUse, exitStatus(e))
		require.Contains(t, e.Message, "without "+p.name)
		require.Contains(t, e.Remedy, "docs/install.md")
	}
}
