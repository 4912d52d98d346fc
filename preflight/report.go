package preflight

import (
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Report is what the checks found.
type Report struct {
	Database string    `json:"database"` // user@host:port/name
	Server   string    `json:"server"`   // PostgreSQL's version
	Role     string    `json:"role"`
	At       time.Time `json:"at"`
	// Passed is set where every check passed.
	Passed  bool     `json:"passed"`
	Results []Result `json:"checks"` // in the order of Names
}

// Result is what one check found.
type Result struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	// Blocking is set where the check stops a run if it has not passed.
	Blocking bool `json:"blocking"`
	// Unknown is set where too little could be seen to tell; then Passed is not.
	Unknown bool   `json:"unknown,omitempty"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
	// Unseen lists what could not be seen.
	Unseen  []string      `json:"unseen,omitempty"`
	Details Details       `json:"details,omitempty"`
	Took    time.Duration `json:"took_ms"`
}

// MarshalJSON writes durations in milliseconds.
func (r Result) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Result) UnmarshalJSON(text []byte) error { return millis.Unmarshal(text, r) }

// Details are what a check read, as one of this package's types. JSON gives all
// of it; Lines are for people.
type Details interface {
	Lines() []string
}

// Blocked gives the checks that stop a run: those that are blocking and have not
// passed, whether they failed or could not tell.
func (r Report) Blocked() []Result {
	var out []Result
	for _, result := range r.Results {
		if result.Blocking && !result.Passed {
			out = append(out, result)
		}
	}
	return out
}

// Result gives the result of a check, if it was made.
func (r Report) Result(name string) (Result, bool) {
	for _, result := range r.Results {
		if result.Name == name {
			return result, true
		}
	}
	return Result{}, false
}

// Style says whether a text for a terminal has colours; its zero value has none.
type Style = present.Style

// Text renders the report for a terminal. Details of checks that passed are shown
// only if they are asked for. What several checks could not see is said once.
func (r Report) Text(style Style, details bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, PostgreSQL %s\n\n", style.Strong(r.Database), r.Server)
	said := map[string]bool{}
	for _, result := range r.Results {
		result.text(&b, style, details, said)
	}
	fmt.Fprintf(&b, "\n%s: %s\n", present.Plural(len(r.Results), "check"), r.verdict(style))
	return b.String()
}

// Brief renders the checks that did not pass, and nothing where all did.
func (r Report) Brief(style Style) string {
	var b strings.Builder
	said := map[string]bool{}
	for _, result := range r.Results {
		if !result.Passed {
			result.text(&b, style, false, said)
		}
	}
	return b.String()
}

func (r Report) verdict(style Style) string {
	var failed, warned int
	for _, result := range r.Results {
		switch {
		case result.Passed:
		case result.Blocking:
			failed++
		default:
			warned++
		}
	}
	switch {
	case failed > 0:
		return fmt.Sprintf("%s, %s", style.Bad(present.Plural(failed, "reason")+" to stop"), present.Plural(warned,
			"warning"))
	case warned > 0:
		return style.Warning(present.Plural(warned, "warning")) + ", nothing to stop for"
	}
	return style.Good("all passed")
}

func (r Result) text(b *strings.Builder, style Style, details bool, said map[string]bool) {
	mark, paint := "✓", style.Good
	switch {
	case r.Unknown && r.Blocking:
		mark, paint = "?", style.Bad
	case r.Unknown:
		mark, paint = "?", style.Warning
	case !r.Passed && r.Blocking:
		mark, paint = "✗", style.Bad
	case !r.Passed:
		mark, paint = "!", style.Warning
	}
	fmt.Fprintf(b, "%s %s  %s\n", paint(mark), style.Strong(fmt.Sprintf("%-19s", r.Name)),
		present.Printable(r.Message))
	const indent = "    "
	if r.Details != nil && (details || !r.Passed) {
		for _, line := range r.Details.Lines() {
			fmt.Fprintf(b, "%s%s\n", indent, present.Printable(line))
		}
	}
	for _, unseen := range r.Unseen {
		if said[unseen] {
			continue
		}
		said[unseen] = true
		fmt.Fprintf(b, "%s%s %s\n", indent, style.Faint("not seen:"), present.Printable(unseen))
	}
	if r.Remedy != "" && !r.Passed {
		fmt.Fprintf(b, "%s%s %s\n", indent, style.Faint("remedy:"), present.Printable(r.Remedy))
	}
}
