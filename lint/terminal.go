package lint

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Style says whether a text for a terminal has colours; its zero value has none.
type Style = present.Style

// Text renders a report for a terminal: every finding with the lines of the file
// that it is about, marked, and what to write instead. With details it also says
// why the statements without findings are held to be safe.
func (r Report) Text(style Style, details bool) string {
	var b strings.Builder
	var statements, unknown int
	for _, f := range r.Files {
		for _, s := range f.Statements {
			statements++
			if s.Verdict == Unknown {
				unknown++
			}
			for _, finding := range s.Findings {
				if !finding.Allowed || details {
					f.text(&b, style, finding)
				}
			}
			if len(s.Findings) == 0 && (details || s.Verdict == Unknown) {
				f.verdict(&b, style, s)
			}
		}
		for _, allow := range f.Unused {
			fmt.Fprintf(&b, "%s:%d: %s\n\n", f.Path, allow.Position.Line,
				style.Faint("Allow "+allow.Hazard+" allows nothing that was found here"))
		}
	}
	fmt.Fprintf(&b, "%s in %s: %s, %s", present.Plural(statements, "statement"), present.Plural(len(r.Files), "migration"),
		present.Plural(r.Count(Error), "error"), present.Plural(r.Count(Warn), "warning"))
	if unknown > 0 {
		fmt.Fprintf(&b, ", %d unknown", unknown)
	}
	if r.Stopped != "" {
		fmt.Fprintf(&b, "\n%s", style.Bad(r.Stopped))
	}
	b.WriteString("\n")
	return b.String()
}

// text writes one finding.
func (f File) text(b *strings.Builder, style Style, finding Finding) {
	word, paint := string(finding.Severity), style.Warning
	if finding.Severity == Error {
		paint = style.Bad
	}
	if finding.Severity == Warn {
		word = "warning"
	}
	switch {
	case finding.Allowed:
		word, paint = "allowed", style.Faint
	case finding.Verdict == Unknown:
		word, paint = "unknown", style.Warning
	}
	h := finding.Hazard.Record()
	fmt.Fprintf(b, "%s:%d:%d: %s %s\n", f.Path, finding.Start.Line, finding.Start.Column, paint(word+":"),
		style.Strong(fmt.Sprintf("%s (%s)", h.Title, h.ID)))
	f.excerpt(b, style, paint, finding.Start, finding.End)
	fmt.Fprintf(b, "  %s\n", finding.Message)
	if finding.Evidence.Reason != "" && finding.Evidence.Source != FromText {
		fmt.Fprintf(b, "  %s\n", style.Faint("because "+finding.Evidence.Reason+" ("+string(finding.Evidence.Source)+
			")"))
	}
	if finding.Allowed {
		fmt.Fprintf(b, "  %s\n\n", style.Faint("allowed: "+finding.Reason))
		return
	}
	if finding.Rewrite != "" {
		fmt.Fprintf(b, "  instead:\n%s\n", indent(finding.Rewrite, "    "))
	} else {
		fmt.Fprintf(b, "  instead: %s\n", h.Remedy)
	}
	fmt.Fprintf(b, "  %s\n\n", style.Faint(h.Link))
}

// verdict writes what is held of a statement without findings.
func (f File) verdict(b *strings.Builder, style Style, s Judgement) {
	fmt.Fprintf(b, "%s:%d:%d: %s\n", f.Path, s.Start.Line, s.Start.Column, style.Faint(string(s.Verdict)))
	for _, e := range s.Evidence {
		fmt.Fprintf(b, "  %s %s\n", e.Reason, style.Faint("("+string(e.Source)+")"))
	}
	b.WriteString("\n")
}

// mostLines is how many lines of a statement are shown.
const mostLines = 6

// excerpt writes the lines from start to end with carets below what is meant.
func (f File) excerpt(b *strings.Builder, style Style, paint func(string) string, start, end migration.Position) {
	lines := strings.Split(f.Text, "\n")
	width := len(number(end.Line))
	for n := start.Line; n <= end.Line && n <= len(lines); n++ {
		if n-start.Line == mostLines {
			fmt.Fprintf(b, "  %*s | %s\n", width, "", style.Faint("…"))
			return
		}
		line := strings.ReplaceAll(lines[n-1], "\t", " ")
		from, to := 0, utf8.RuneCountInString(line)
		if n == start.Line {
			from = start.Column - 1
		} else {
			from = utf8.RuneCountInString(line) - utf8.RuneCountInString(strings.TrimLeft(line, " "))
		}
		if n == end.Line {
			to = min(to, end.Column-1)
		}
		fmt.Fprintf(b, "  %s | %s\n", style.Faint(fmt.Sprintf("%*d", width, n)), line)
		if to > from {
			fmt.Fprintf(b, "  %*s | %s%s\n", width, "", strings.Repeat(" ", from), paint(strings.Repeat("^", to-from)))
		}
	}
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}
