package main

import (
	"fmt"

	"github.com/whimbrel-db/whimbrel"
)

// part is what a build with the tag "lean" leaves out. lean.go answers in its place.
type part struct{ name string }

var (
	scriptsPart   = part{"JavaScript and TypeScript"}
	telemetryPart = part{"telemetry"}
	parserPart    = part{"the parser of SQL"}
)

// missingParts is what a build lacks: all of them, or nothing.
func missingParts(lean bool) []string {
	if !lean {
		return nil
	}
	return []string{scriptsPart.name, telemetryPart.name, parserPart.name}
}

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
