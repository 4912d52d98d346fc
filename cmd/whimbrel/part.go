package main

import (
	"fmt"

	"github.com/whimbrel-db/whimbrel"
)

// part is what a lean build leaves out, by a build tag. Each has a pair of files of
// which one is compiled: they are all that knows which build this is.
type part struct {
	name, tag string
	linked    bool
}

var (
	scriptsPart   = part{"JavaScript and TypeScript", "nojs", hasScripts}
	telemetryPart = part{"telemetry", "notelemetry", hasTelemetry}
	parserPart    = part{"the parser of SQL", "noparser", hasParser}
)

// parts are all of them.
func parts() []part { return []part{scriptsPart, telemetryPart, parserPart} }

// lacking is the error that something cannot be had from this build, and where it
// can be had.
func (p part) lacking(consequence string) *whimbrel.Error {
	return &whimbrel.Error{
		Code: whimbrel.CodeUnsupported, Message: fmt.Sprintf("this is a lean build of whimbrel, without %s: %s", p.name,
			consequence),
		Remedy: "use the whole one, which is what go install and the archives without \"lean\" in their names give; see " +
			"docs/install.md",
	}
}
