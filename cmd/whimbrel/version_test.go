package main

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheBuildIsKnownHoweverItWasMade(t *testing.T) {
	t.Parallel()
	checkout := []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"},
		{Key: "vcs.time", Value: "2026-11-01T10:00:00Z"}, {Key: "vcs.modified", Value: "true"}}
	const whole, lean = false, true
	for name, test := range map[string]struct {
		linked buildInfo
		info   debug.BuildInfo
		lean   bool
		want   buildInfo
		text   string
	}{
		"a release": {
			buildInfo{Version: "v0.1.0", Commit: "def", Date: "2026-10-01T10:00:00Z"}, debug.BuildInfo{Settings: checkout},
			whole,
			buildInfo{Version: "v0.1.0", Commit: "def", Date: "2026-10-01T10:00:00Z", Build: "whole"},
			"whimbrel v0.1.0\ncommit   def of 2026-10-01T10:00:00Z\nbuild    whole\nmade     with go",
		},
		"go install of a version": {
			buildInfo{}, debug.BuildInfo{Main: debug.Module{Version: "v0.1.0"}}, whole,
			buildInfo{Version: "v0.1.0", Build: "whole"},
			"whimbrel v0.1.0\nbuild    whole\nmade     with go",
		},
		"go build in an edited checkout": {
			buildInfo{}, debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: checkout}, whole,
			buildInfo{Version: "development", Commit: "abc", Date: "2026-11-01T10:00:00Z", Edited: true, Build: "whole"},
			"whimbrel development\ncommit   abc of 2026-11-01T10:00:00Z, edited since\nbuild    whole\nmade     with go",
		},
		"a lean one": {
			buildInfo{Version: "v0.1.0"}, debug.BuildInfo{}, lean,
			buildInfo{Version: "v0.1.0", Build: "lean", Without: []string{"JavaScript and TypeScript", "telemetry",
				"the parser of SQL"}},
			"whimbrel v0.1.0\nbuild    lean, without JavaScript and TypeScript, telemetry, the parser of SQL\nmade     with go",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.linked.Go, test.want.Go = "go", "go"
			got := buildOf(test.linked, &test.info, test.lean)
			require.Equal(t, test.want, got)
			require.Equal(t, test.text, got.text())
		})
	}
}
