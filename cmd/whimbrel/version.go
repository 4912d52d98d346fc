package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by release builds with -ldflags "-X main.version=… -X main.commit=…".
var version, commit string

// buildInfo is what is known about this binary.
type buildInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

// build asks the linker's variables first, and then what the Go tool embedded.
func build() buildInfo {
	b := buildInfo{Version: version, Commit: commit, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if b.Version == "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "development"
	}
	for _, setting := range info.Settings {
		if b.Commit == "" && setting.Key == "vcs.revision" {
			b.Commit = setting.Value
		}
	}
	return b
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this program",
		Example: `  whimbrel version
  whimbrel version --json`,
		Args: arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			b := build()
			if a.flags.json {
				a.object(b)
				return nil
			}
			a.say("whimbrel %s", b.Version)
			if b.Commit != "" {
				a.say("commit   %s", b.Commit)
			}
			a.say("built    with %s", b.Go)
			return nil
		},
	}
}
