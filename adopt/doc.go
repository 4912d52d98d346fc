// Package adopt takes a project over from another migration tool: it reads that
// tool's own history and its files together, and records in whimbrel's history
// what is applied. It can also write that tool's history, for the way out.
//
// The other tool's table is read and never changed. While it is read and the
// history is written, the lock is held by which that tool keeps others out, and
// the table is locked against writing.
//
//	tables, err := adopt.Find(ctx, conn, "")
//	report, err := adopt.Adopt(ctx, conn, tables[0], project, options)
package adopt

import (
	"slices"
	"time"

	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/migration"
)

// State is what another tool's history says of a migration.
type State string

// The states.
const (
	Applied State = "applied"
	// Unfinished: it was begun, and how far it came only the database shows.
	Unfinished State = "unfinished"
	// Baseline: it and everything before it counts as applied, though none ran.
	Baseline State = "baseline"
)

// Record is a row of another tool's history, or what several rows amount to.
type Record struct {
	Key      string    // what File.Key is: a version or a file's name
	Name     string    // for people; may be empty
	Checksum string    // as File.Checksum; "" where the tool keeps none
	At       time.Time // when it was applied; zero where the tool does not say
	Took     time.Duration
	State    State
	Note     string // what the row says of a failure
}

// History is what another tool knows of a database.
type History struct {
	Table   Table
	Records []Record // in the order of application
}

// Matched is a file and what the other tool's history has of it.
type Matched struct {
	File   format.File
	Record Record
	// Assumed is set where the history has only the newest version, and
	// everything before it is taken to be applied as well.
	Assumed bool
}

// Finding is a history beside the files.
type Finding struct {
	Applied    []Matched // in the order of application
	Pending    []format.File
	Late       []format.File // of the pending: older than the newest applied
	Edited     []Matched     // of the applied: changed since
	Unfinished []Matched
	Unknown    []Record // applied, and without a file
}

// Compare sets a history beside the files. It is pure.
func Compare(project format.Project, history History) Finding {
	c := comparison{tool: history.Table.tool, project: project, files: map[string]format.File{}, taken: map[string]bool{}}
	for _, f := range project.Files {
		c.files[c.tool.key(f.Key)] = f
	}
	for _, r := range history.Records {
		c.record(r)
	}
	c.finding.Unfinished = deduplicated(c.finding.Unfinished)
	var newest migration.Version
	for _, m := range c.finding.Applied {
		if v := m.File.Migration.Version; !v.Repeatable() && (newest == "" || v.Compare(newest) > 0) {
			newest = v
		}
	}
	for _, f := range project.Files {
		if c.taken[c.tool.key(f.Key)] {
			continue
		}
		c.finding.Pending = append(c.finding.Pending, f)
		if newest != "" && f.Migration.Version.Compare(newest) < 0 {
			c.finding.Late = append(c.finding.Late, f)
		}
	}
	return c.finding
}

// comparison is a Finding in the making.
type comparison struct {
	tool    tool
	project format.Project
	files   map[string]format.File // by comparable key
	taken   map[string]bool        // keys of files that are not pending
	finding Finding
}

func (c *comparison) record(r Record) {
	file, found := c.files[c.tool.key(r.Key)]
	switch {
	case r.State == Unfinished:
		c.finding.Unfinished = append(c.finding.Unfinished, Matched{File: file, Record: r})
		if c.tool.highWater {
			c.below(r, file.Migration.Version)
		}
		return
	case r.State == Baseline:
		c.below(r, migration.Version(r.Key))
		if found {
			c.take(file, r, false)
		}
		return
	case c.tool.highWater:
		c.below(r, migration.Version(r.Key))
	}
	if !found {
		if !c.covered(r) {
			c.finding.Unknown = append(c.finding.Unknown, r)
		}
		return
	}
	c.take(file, r, false)
	if !file.Keeps(r.Checksum) {
		c.finding.Edited = append(c.finding.Edited, Matched{File: file, Record: r})
	}
}

func (c *comparison) take(f format.File, r Record, assumed bool) {
	if key := c.tool.key(f.Key); !c.taken[key] {
		c.taken[key] = true
		c.finding.Applied = append(c.finding.Applied, Matched{File: f, Record: r, Assumed: assumed})
	}
}

// below takes everything before a version for applied.
func (c *comparison) below(r Record, version migration.Version) {
	for _, f := range c.project.Files {
		if v := f.Migration.Version; !v.Repeatable() && v.Compare(version) < 0 {
			c.take(f, Record{At: r.At}, true)
		}
	}
}

// covered reports whether an applied version has no file because a newer one
// replaces it, which then counts as applied too.
func (c *comparison) covered(r Record) bool {
	for _, f := range c.project.Files {
		if f.Covers && migration.Version(r.Key).Compare(f.Migration.Version) <= 0 {
			c.take(f, r, false)
			return true
		}
	}
	return false
}

func deduplicated(all []Matched) (once []Matched) {
	seen := map[string]bool{}
	for _, m := range all {
		if !seen[m.Record.Key] {
			seen[m.Record.Key] = true
			once = append(once, m)
		}
	}
	return once
}

// Empty reports whether nothing was found, as where a failure came before.
func (f Finding) Empty() bool {
	return len(f.Applied) == 0 && len(f.Pending) == 0 && len(f.Unknown) == 0 && len(f.Unfinished) == 0
}

// Assumed counts the applied migrations that the other tool's history does not
// name.
func (f Finding) Assumed() int {
	n := 0
	for _, m := range f.Applied {
		if m.Assumed {
			n++
		}
	}
	return n
}

// IsLate reports whether a pending file is older than the newest applied one.
func (f Finding) IsLate(file format.File) bool {
	return slices.ContainsFunc(f.Late,
		func(late format.File) bool { return late.Migration.Version.Equal(file.Migration.Version) })
}
