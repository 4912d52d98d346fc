package lint

import (
	"fmt"
	"strings"
)

const introduction = "# Hazards\n\n" +
	"What `whimbrel lint` looks for. This page is made from the records that the program itself uses; every example has " +
	"been run.\n\n" +
	"A finding ends in the name of its hazard, and `whimbrel lint --explain NAME` shows its section here. An *error* ends " +
	"`lint` and `ci` in status 3; what is only to be told is *warn*. There are three ways on:\n\n" +
	"- Write what is below *rather*. `whimbrel lint --fix` does what is mechanical.\n" +
	"- If it is meant, and why it does no harm here, say in the file: `-- +migrate Allow NAME REASON`. See " +
	"[Allow](annotations.md#allow).\n" +
	"- If it never matters in your project, set it to `warn` or `off` below [`lint.hazards`](configuration.md#lint).\n\n" +
	"`whimbrel lint --list` shows this table with your settings.\n\n" +
	"A statement is a *hazard*, *safe*, or *unknown*. A rehearsal runs it on tables with invented rows, and takes back " +
	"what its text says only with " +
	"evidence: the statement ran, also in the bodies of functions and `DO` blocks, and the tables had rows at that " +
	"moment. What a loop did not find, " +
	"a branch did not take, or an empty table did not show stays as the text has it, or is `unknown` with what would " +
	"settle it. What the server " +
	"refuses is an error ([statement-fails](#statement-fails)), unless only the server of the rehearsal lacks " +
	"something: an extension, a foreign " +
	"server, objects that no migration makes. A rehearsal that ended early is status 3 in `lint`, `ci` and `plan " +
	"--rehearse`, and every " +
	"statement behind its end is [not-rehearsed](#not-rehearsed). Missing roles are made for the time of the " +
	"rehearsal.\n\n"

// Markdown renders the records as a page of documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString("| hazard | what happens | severity |\n|---|---|---|\n")
	for _, h := range Hazards() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", h.ID, h.ID, strings.ReplaceAll(h.Title, "|", `\|`), h.Severity)
	}
	b.WriteString("\nThe examples use this schema:\n\n```sql" + ExampleSchema + "```\n")
	for _, h := range Hazards() {
		h.markdown(&b)
	}
	return b.String()
}

func (h Hazard) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n*%s* (%s)\n\n%s\n\n", h.ID, h.Title, h.Severity, h.Happens)
	for _, lock := range h.Locks {
		fmt.Fprintf(b, "- `%s` on %s in the example: stops %s\n", lock.Mode, lock.Table, lock.Mode.Stops())
	}
	if h.Refused != "" {
		fmt.Fprintf(b, "- the server refuses it, with SQLSTATE %s\n", h.Refused)
	}
	if h.Versions != "" {
		fmt.Fprintf(b, "- PostgreSQL %s\n", h.Versions)
	}
	if h.Observed {
		b.WriteString("- only a rehearsal finds it\n")
	}
	fmt.Fprintf(b, "\n%s See [PostgreSQL's documentation](%s).\n", h.Remedy, h.Link)
	if h.Setup != "" && len(h.Setup) < 1000 {
		fmt.Fprintf(b, "\nWith\n\n```sql\n%s\n```\n", h.Setup)
	}
	fmt.Fprintf(b, "\nin place of\n\n```sql\n%s\n```\n\nrather\n\n```sql\n%s\n```\n", h.Bad,
		strings.Join(h.Good, "\n\n-- the next migration:\n"))
}
