package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Set by release builds with -ldflags "-X main.version=… -X main.commit=… -X main.date=…".
var version, commit, date string

// buildInfo is what is known about this binary.
type buildInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`   // of the commit
	Edited  bool   `json:"edited,omitempty"` // since the commit
	Go      string `json:"go"`
	Build   string `json:"build"` // "whole" or "lean"
	// Without is what a lean build lacks.
	Without []string `json:"without,omitempty"`
}

// build asks the linker's variables first, and then what the Go tool embedded.
func build() buildInfo {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(buildInfo{Version: version, Commit: commit, Date: date, Go: runtime.Version()}, info, lean)
}

// buildOf adds to what the linker was told what the Go tool embedded: the version of
// the module for `go install MODULE@VERSION`, and the commit for a build in a
// checkout.
func buildOf(b buildInfo, info *debug.BuildInfo, lean bool) buildInfo {
	if b.Version == "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if b.Version == "" {
		b.Version = "development"
	}
	if b.Commit == "" {
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				b.Commit = setting.Value
			case "vcs.time":
				b.Date = setting.Value
			case "vcs.modified":
				b.Edited = setting.Value == "true"
			}
		}
	}
	b.Build, b.Without = "whole", missingParts(lean)
	if lean {
		b.Build = "lean"
	}
	return b
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version and the build of this program",
		Long: `Show the version, the commit and its date, the version of Go, and which build
this is: the whole one, or a lean one and what that lacks.`,
		Example: `  whimbrel version
  whimbrel version --json`,
		Args: arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			b := build()
			if a.flags.json {
				a.object(b)
				return nil
			}
			a.say("%s", b.text())
			return nil
		},
	}
}

// text is what version prints.
func (b buildInfo) text() string {
	lines := []string{"whimbrel " + b.Version}
	if b.Commit != "" {
		line := "commit   " + b.Commit
		if b.Date != "" {
			line += " of " + b.Date
		}
		if b.Edited {
			line += ", edited since"
		}
		lines = append(lines, line)
	}
	line := "build    " + b.Build
	if len(b.Without) > 0 {
		line += ", without " + strings.Join(b.Without, ", ")
	}
	return strings.Join(append(lines, line, "made     with "+b.Go), "\n")
}
