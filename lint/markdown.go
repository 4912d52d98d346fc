package lint

import (
	"fmt"
	"strings"
)

// Markdown renders the records as a page of documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Hazards\n\nWhat `whimbrel lint` looks for. This page is made from the records that the program itself uses; every example has been run.\n\nThe examples stand on this schema:\n\n```sql")
	b.WriteString(ExampleSchema + "```\n")
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
	fmt.Fprintf(b, "\nin place of\n\n```sql\n%s\n```\n\nrather\n\n```sql\n%s\n```\n", h.Bad, strings.Join(h.Good, "\n\n-- the next migration:\n"))
}
