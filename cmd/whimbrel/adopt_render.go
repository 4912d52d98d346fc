package main

import (
	"fmt"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/project"
)

// adoptionJSON is what adopt prints with --json.
type adoptionJSON struct {
	Tool    string      `json:"tool"`
	Table   string      `json:"table"` // the other tool's
	Format  string      `json:"format"`
	Folders []string    `json:"folders"`
	History string      `json:"history"` // whimbrel's table
	DryRun  bool        `json:"dry_run"`
	Applied []adopted   `json:"applied"`
	Pending []adopted   `json:"pending"`
	Unknown []string    `json:"unknown,omitempty"` // applied, and without a file
	Unfit   []unfitJSON `json:"unfit,omitempty"`
	Remarks []string    `json:"remarks,omitempty"`
	// Recorded is how many rows of the history are new.
	Recorded int           `json:"recorded"`
	Written  []string      `json:"written,omitempty"`
	Config   *project.Edit `json:"config,omitempty"`
}

// adopted is a migration in it.
type adopted struct {
	Version migration.Version `json:"version"`
	Name    string            `json:"name"`
	Path    string            `json:"path"`
	At      string            `json:"at,omitempty"`
	Assumed bool              `json:"assumed,omitempty"`
	Edited  bool              `json:"edited,omitempty"`
	Late    bool              `json:"late,omitempty"`
}

// unfitJSON is a migration that whimbrel cannot run.
type unfitJSON struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

func (d *adoption) describe() adoptionJSON {
	out := adoptionJSON{
		Tool: d.table.Tool, Table: d.table.String(), Format: d.theirs.Format.Name, History: d.historyName(),
		DryRun:  d.flags.dryRun,
		Applied: []adopted{}, Pending: []adopted{}, Recorded: len(d.report.Result.Done), Written: d.written,
		Remarks: d.theirs.Remarks,
	}
	for _, source := range d.sources {
		out.Folders = append(out.Folders, source.Label)
	}
	for _, m := range d.report.Applied {
		row := describeFile(m.File.Migration)
		row.Assumed, row.Edited = m.Assumed, containsFile(d.report.Edited, m)
		if !m.Record.At.IsZero() {
			row.At = m.Record.At.UTC().Format("2006-01-02T15:04:05Z07:00")
		}
		out.Applied = append(out.Applied, row)
	}
	for _, f := range d.report.Pending {
		row := describeFile(f.Migration)
		row.Late = d.report.IsLate(f)
		out.Pending = append(out.Pending, row)
	}
	for _, r := range d.report.Unknown {
		out.Unknown = append(out.Unknown, r.Key)
	}
	for _, m := range d.Migrations {
		if m.Unfit != nil {
			out.Unfit = append(out.Unfit, unfitJSON{m.Path, m.Unfit.Error()})
		}
	}
	if d.kept.Path != "" {
		out.Config = &d.kept
	}
	return out
}

func describeFile(m migration.Migration) adopted {
	return adopted{Version: m.Version, Name: m.Name, Path: m.Path}
}

func containsFile(all []adopt.Matched, m adopt.Matched) bool {
	for _, other := range all {
		if other.File.Migration.Version.Equal(m.File.Migration.Version) {
			return true
		}
	}
	return false
}

func (d *adoption) historyName() string {
	if d.Table != "" {
		return d.Table
	}
	return whimbrel.DefaultTable
}

// render shows it to people.
func (d *adoption) render() string {
	p, tool := d.app.style, d.theirs.Format.Tool
	if d.report.Empty() {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n", p.Strong(tool), p.Faint("history in "+d.table.String()+", files in "+
		project.Labels(d.sources)))
	fmt.Fprintf(&b, "Applied  %d\nPending  %d\n", len(d.report.Applied), len(d.report.Pending))
	if assumed := d.report.Assumed(); assumed > 0 {
		b.WriteString(p.Faint(fmt.Sprintf("%s keeps the newest version only: that the %s before it ran is an assumption",
			tool, present.Plural(assumed, "migration"))) + "\n")
	}
	var rows [][]string
	for _, f := range d.report.Pending {
		rows = append(rows, []string{string(f.Migration.Version), f.Migration.Name,
			p.Warning(d.pendingRemark(f.Migration, d.report.IsLate(f)))})
	}
	b.WriteString(titled("Pending", present.Table(p, nil, rows)))
	rows = nil
	for _, m := range d.report.Applied {
		if remark := d.appliedRemark(m); remark != "" {
			rows = append(rows, []string{string(m.File.Migration.Version), m.File.Migration.Name, p.Warning(remark)})
		}
	}
	for _, r := range d.report.Unknown {
		rows = append(rows, []string{r.Key, r.Name, p.Warning("applied, and has no file")})
	}
	for _, m := range d.report.Unfinished {
		rows = append(rows, []string{m.Record.Key, m.File.Migration.Name, p.Warning("not finished: " + m.Record.Note)})
	}
	b.WriteString(titled("To look at", present.Table(p, nil, rows)))
	for _, remark := range d.theirs.Remarks {
		fmt.Fprintf(&b, "%s %s\n", p.Warning("!"), remark)
	}
	return b.String() + d.renderDone()
}

func (d *adoption) renderDone() string {
	p, tool := d.app.style, d.theirs.Format.Tool
	if d.report.Result.Command == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n")
	if n := len(d.report.Result.Done); n > 0 {
		fmt.Fprintf(&b, "%s %s recorded in %s: whimbrel and %s agree\n", p.Good("✓"), present.Plural(n, "migration"),
			d.historyName(), tool)
	} else {
		fmt.Fprintf(&b, "%s Nothing to record: %s shows what %s has applied\n", p.Good("✓"), d.historyName(), tool)
	}
	if len(d.written) > 0 {
		fmt.Fprintf(&b, "%s %s written to %s\n", p.Good("✓"), present.Plural(len(d.written), "file"), d.flags.convert)
	}
	b.WriteString(renderEdit(p, d.kept))
	if len(d.report.Pending) > 0 {
		fmt.Fprintf(&b, "\nNext:\n  whimbrel up    # runs the %d pending\n", len(d.report.Pending))
	}
	fmt.Fprintf(&b, "\n%s\n", p.Faint(fmt.Sprintf("%s stays as it is. Do not run %s on this database any more: it would "+
		"not see what whimbrel does.", d.table, tool)))
	return b.String()
}

func (d *adoption) pendingRemark(m migration.Migration, late bool) string {
	var remarks []string
	if late {
		remarks = append(remarks, "older than the newest applied: up will want --out-of-order apply or skip")
	}
	if m.Unfit != nil {
		remarks = append(remarks, "whimbrel cannot run it: "+m.Unfit.Message)
	}
	return strings.Join(remarks, "; ")
}

func (d *adoption) appliedRemark(m adopt.Matched) string {
	var remarks []string
	if containsFile(d.report.Edited, m) {
		remarks = append(remarks, "edited after it was applied")
	}
	if unfit := m.File.Migration.Unfit; unfit != nil {
		remarks = append(remarks, "adopted as applied; whimbrel could not run it: "+unfit.Message)
	}
	return strings.Join(remarks, "; ")
}

// titled is a table with a line above it; nothing where there is no table.
func titled(title, table string) string {
	if table == "" {
		return ""
	}
	return "\n" + title + "\n" + table
}

// renderEdit says what became of whimbrel.yaml.
func renderEdit(p present.Style, s project.Edit) string {
	var b strings.Builder
	if len(s.Added) > 0 {
		fmt.Fprintf(&b, "%s %s: %s\n", p.Good("✓"), s.Path, strings.Join(s.Added, ", "))
	}
	if len(s.Differing) > 0 {
		fmt.Fprintf(&b, "%s %s says otherwise, and was left alone; what was adopted needs: %s\n", p.Warning("!"), s.Path,
			strings.Join(s.Differing, ", "))
	}
	return b.String()
}
