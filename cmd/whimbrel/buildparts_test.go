package main

import (
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
)

func TestWhatALeanBuildLacksIsSaidWithTheWayOut(t *testing.T) {
	t.Parallel()
	for _, p := range []part{scriptsPart, telemetryPart, parserPart} {
		e := p.lacking("nothing happens")
		require.Equal(t, whimbrel.CodeUnsupported, e.Code)
		require.Equal(t, exitWrongUse, exitStatus(e))
		require.Contains(t, e.Message, "without "+p.name)
		require.Contains(t, e.Remedy, "docs/install.md")
	}
}

// What a lean build leaves out is not linked, by whatever way.
func TestTheLeanBuildDependsOnNothingThatItLeavesOut(t *testing.T) {
	t.Parallel()
	heavy := regexp.MustCompile(
		`(?m)^.*(goja|esbuild|wazero|go-pgquery|pg_query|/lint$|/lint/|google\.golang\.org|opentelemetry).*$`)
	for tags, linked := range map[string]bool{"": true, leanTags: false} {
		list, err := exec.CommandContext(t.Context(), "go", "list", "-tags", tags, "-deps", ".").Output()
		require.NoError(t, err)
		require.Equal(t, linked, heavy.Match(list), "%s", heavy.FindAllString(string(list), -1))
	}
}
