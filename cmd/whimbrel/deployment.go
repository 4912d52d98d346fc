package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/preflight"
)

// deployment is what a deploy did, as far as it came.
type deployment struct {
	Outcome  outcome           `json:"outcome"`
	Database string            `json:"database"`
	Checks   *preflight.Report `json:"checks,omitempty"`
	Run      *whimbrel.Result  `json:"run,omitempty"`
	Verified *verified         `json:"verified,omitempty"`
	Error    *whimbrel.Error   `json:"error,omitempty"`
	Took     whimbrel.Elapsed  `json:"took_ms"`
}

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
		d.Outcome, d.Error = refusedDeploy, own
	case errors.As(err, &own) && own.Code == whimbrel.CodeInterrupted:
		d.Outcome, d.Error = interruptedIt, own
	case errors.As(err, &own):
		d.Outcome, d.Error = failedDeploy, own
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
	fmt.Fprintf(&b, "## whimbrel deploy: %s\n\n%s, %s\n", d.Outcome, markdownCode(cmp.Or(d.Database, "no database")),
		span(time.Duration(d.Took)))
	if d.Error != nil {
		fmt.Fprintf(&b, "\n> **%s**\n", markdownText(d.Error.Error()))
		for _, line := range []string{d.Error.Detail, d.Error.Hint, d.Error.Remedy} {
			if line != "" {
				fmt.Fprintf(&b, ">\n> %s\n", markdownText(line))
			}
		}
	}
	if d.Run != nil && len(d.Run.Done) > 0 {
		b.WriteString("\n| migration | time |\n|---|---|\n")
		for _, o := range d.Run.Done {
			fmt.Fprintf(&b, "| %s | %s |\n", markdownCode(strings.TrimSpace(string(o.Version)+" "+o.Name)),
				span(time.Duration(o.Duration)))
		}
	}
	if d.Checks != nil {
		b.WriteString("\n| check | | |\n|---|---|---|\n")
		for _, r := range d.Checks.Results {
			mark := "passed"
			switch {
			case !r.Passed && r.Blocking:
				mark = "**stops**"
			case !r.Passed:
				mark = "warning"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Name, mark, markdownText(r.Message))
		}
	}
	if d.Verified != nil {
		fmt.Fprintf(&b, "\n```\n%s```\n", strings.ReplaceAll(d.Verified.text(palette{}, d.Outcome == deployed), "```",
			"` ` `"))
	}
	return b.String()
}

// markdownCode is text between backquotes, in a cell of a table.
func markdownCode(text string) string {
	return "`" + strings.NewReplacer("`", "'", "|", "\\|", "\n", " ").Replace(text) + "`"
}

// markdownText is text on one line, in which nothing is markup.
func markdownText(text string) string {
	return strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "<", "&lt;", "|", "\\|", "[", "\\[",
		"\n", " ").Replace(text)
}
