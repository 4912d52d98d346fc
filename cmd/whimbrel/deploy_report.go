package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/preflight"
)

// deployment is what a deploy did, as far as it came.
type deployment struct {
	Event    string            `json:"event,omitempty"` // where it is a line of a stream
	Outcome  outcome           `json:"outcome"`
	Database string            `json:"database"`
	Checks   *preflight.Report `json:"checks,omitempty"`
	Run      *whimbrel.Result  `json:"run,omitempty"`
	Verified *verified         `json:"verified,omitempty"`
	Error    *whimbrel.Error   `json:"error,omitempty"`
	Took     time.Duration     `json:"took_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (d deployment) MarshalJSON() ([]byte, error) { return millis.Marshal(&d) }

// outcome is how a deployment ended.
type outcome string

const (
	deployed      outcome = "deployed"
	nothingNew    outcome = "nothing to do"
	refusedDeploy outcome = "refused"
	failedDeploy  outcome = "failed"
	differing     outcome = "differs"
	interruptedIt outcome = "interrupted"
)

// conclude says how it ended.
func (d *deployment) conclude(err error) {
	var own *whimbrel.Error
	var file *migration.Error
	switch {
	case errors.As(err, &own) && own.Code == codeRefused:
		d.Outcome, d.Error = refusedDeploy, spoken(own)
	case errors.As(err, &own) && own.Code == whimbrel.CodeInterrupted:
		d.Outcome, d.Error = interruptedIt, spoken(own)
	case errors.As(err, &own):
		d.Outcome, d.Error = failedDeploy, spoken(own)
	case errors.As(err, &file):
		d.Outcome, d.Error = failedDeploy, failures(err)[0]
	case err != nil:
		d.Outcome, d.Error = failedDeploy, &whimbrel.Error{Code: whimbrel.CodeInternal, Message: err.Error()}
	case d.Verified != nil && d.Verified.differs():
		d.Outcome = differing
	case len(d.Run.Done) == 0:
		d.Outcome = nothingNew
	default:
		d.Outcome = deployed
	}
}

// worked reports whether it did what it was to do, if anything.
func (d *deployment) worked() bool { return d.Outcome == deployed || d.Outcome == nothingNew }

// markdown is the report of a deployment.
func (d *deployment) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## whimbrel deploy: %s\n\n%s, %s\n", d.Outcome, present.MarkdownCode(cmp.Or(d.Database,
		"no database")),
		present.Duration(d.Took))
	if d.Error != nil {
		fmt.Fprintf(&b, "\n> **%s**\n", present.Markdown(d.Error.Error()))
		for _, line := range []string{d.Error.Detail, d.Error.Hint, d.Error.Remedy} {
			if line != "" {
				fmt.Fprintf(&b, ">\n> %s\n", present.Markdown(line))
			}
		}
	}
	if d.Run != nil && len(d.Run.Done) > 0 {
		b.WriteString("\n" + present.MarkdownHead("migration", "time"))
		for _, o := range d.Run.Done {
			b.WriteString(present.MarkdownRow(present.MarkdownCode(title(o.Version, o.Name)), present.Duration(o.Duration)))
		}
	}
	if d.Checks != nil {
		b.WriteString("\n" + present.MarkdownHead("check", "", ""))
		for _, r := range d.Checks.Results {
			mark := "passed"
			switch {
			case !r.Passed && r.Blocking:
				mark = "**stops**"
			case !r.Passed:
				mark = "warning"
			}
			b.WriteString(present.MarkdownRow(r.Name, mark, present.Markdown(r.Message)))
		}
	}
	if d.Verified != nil {
		b.WriteString("\n" + present.MarkdownBlock("", d.Verified.text(present.Style{}, d.Outcome == deployed)))
	}
	return b.String()
}
