package lint

import (
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// mechanical are the hazards whose rewrite can be put in a statement's place, and
// whether its parts need transactions of their own.
var mechanical = map[string]bool{
	"create-index-not-concurrent": false, "drop-index-not-concurrent": false, "reindex-not-concurrent": false,
	"detach-partition-not-concurrent": false, "drop-index-concurrently-multiple": false, "concurrent-index-if-not-exists": false,
	"concurrent-index-on-partitioned-parent": false, "refresh-matview-not-concurrent": false,
	"add-unique-without-using-index": false, "add-pk-without-using-index": false, "add-column-inline-unique": false,
	"add-check-without-not-valid": true, "add-fk-without-not-valid": true, "add-column-inline-check": true,
	"add-column-inline-references": true, "set-not-null-scan": true, "not-valid-then-validate-same-transaction": true,
	"add-column-volatile-default": true, "add-column-serial": true, "unbatched-data-change": false,
}

// fixable reports whether a finding's rewrite is complete SQL that does the same.
func (j *judge) fixable(f Finding) bool {
	apart, known := mechanical[f.Hazard]
	if !known || j.inner || j.current.statement.Batch != nil || f.Rewrite == "" || strings.Contains(f.Rewrite, "…") {
		return false
	}
	if s := j.current.node.GetAlterTableStmt(); s != nil && (len(s.Cmds) != 1 || s.MissingOk) {
		return false
	}
	if strings.Contains(f.Rewrite, "+migrate Batch") && !j.batchable() {
		return false
	}
	if f.Hazard == "refresh-matview-not-concurrent" {
		r := j.relation(j.current.node.GetRefreshMatViewStmt().GetRelation())
		if !slices.ContainsFunc(j.indexesOf(r), func(i *index) bool { return i.unique && i.where == nil && len(i.expressions) == 0 }) {
			return false
		}
	}
	return !apart || j.divisible()
}

// batchable reports whether the statement's table has a key of one column.
func (j *judge) batchable() bool {
	for _, l := range j.out.Effect.Locks {
		for _, r := range j.relations {
			if j.lockedAs(r) == l.Table && l.Mode >= RowExclusive {
				return len(r.primaryKey()) == 1
			}
		}
	}
	return false
}

// divisible reports whether the section may run each statement in a transaction of
// its own: nothing in it is for the whole transaction, or could run twice.
func (j *judge) divisible() bool {
	return !slices.ContainsFunc(j.section.Statements, func(s migration.Statement) bool {
		return s.Class == pgsql.Setting || s.Class == pgsql.Other || s.HasData || s.Command == "CREATE TEMP TABLE" || s.Command == "CREATE TEMPORARY TABLE"
	})
}

// Fixed is a file with the mechanical rewrites done.
type Fixed struct {
	Path string
	// Before and After are the file's text; they are the same where nothing could
	// be done.
	Before, After string
	// Done are the findings that are gone, Left those that a person has to see to.
	Done, Left []Finding
}

// Changed reports whether anything was rewritten.
func (f Fixed) Changed() bool { return f.Before != f.After }

// Diff shows what was rewritten, as a unified diff.
func (f Fixed) Diff() string {
	return string(diff.Diff("a/"+f.Path, []byte(f.Before), "b/"+f.Path, []byte(f.After)))
}

// mostFixes bounds how often a file is looked at again.
const mostFixes = 50

// Fix rewrites what has a mechanical safe form in the migrations that Options.Judge
// picks. It changes no file: whoever calls it shows the difference and writes.
// Migrations that have run somewhere must not be rewritten.
func (l *Linter) Fix(migrations []migration.Migration) ([]Fixed, error) {
	current := slices.Clone(migrations)
	var all []Fixed
	for i, m := range current {
		if m.Kind != migration.SQL || l.options.Judge != nil && !l.options.Judge(m) {
			continue
		}
		fixed := Fixed{Path: m.Path, Before: m.Text, After: m.Text}
		for range mostFixes {
			file, err := l.only(current, i)
			if err != nil {
				return nil, err
			}
			fixed.Left = Report{Files: []File{file}}.Findings()
			text, finding, ok := fixOne(file, current[i])
			if !ok {
				break
			}
			next, err := migration.Parse(m.Path, text)
			if err != nil {
				break // whatever is wrong with the rewrite, the file stays as it can be read
			}
			next.Folder = m.Folder
			current[i], fixed.After = next, text
			fixed.Done = append(fixed.Done, finding)
		}
		all = append(all, fixed)
	}
	return all, nil
}

// only judges one of the migrations.
func (l *Linter) only(migrations []migration.Migration, at int) (File, error) {
	options := l.options
	options.Judge = func(m migration.Migration) bool { return m.Version == migrations[at].Version }
	options.Down = false
	report, err := (&Linter{options}).Check(migrations[:at+1])
	if err != nil {
		return File{}, err
	}
	return report.Files[0], nil
}

// fixOne rewrites the first statement that can be.
func fixOne(file File, m migration.Migration) (string, Finding, bool) {
	for _, s := range file.Statements {
		for _, f := range s.Findings {
			if !f.Fixable {
				continue
			}
			text := file.Text[:s.Start.Offset] + replacement(f, s) + file.Text[s.End.Offset:]
			if mechanical[f.Hazard] && !m.Up.NoTransaction {
				text = apart(text)
			}
			return text, f, true
		}
	}
	return "", Finding{}, false
}

func replacement(f Finding, s Judgement) string {
	if f.Hazard == "not-valid-then-validate-same-transaction" {
		return s.Text // the transactions are what changes
	}
	return strings.TrimRight(strings.TrimSpace(f.Rewrite), ";")
}

// apart marks the way up so that each statement is a transaction of its own.
func apart(text string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		words := strings.Fields(line)
		if len(words) == 3 && words[0] == "--" && strings.EqualFold(words[1], "+migrate") && strings.EqualFold(words[2], "up") {
			lines[i] = strings.Replace(line, words[2], words[2]+" notransaction", 1)
			return strings.Join(lines, "")
		}
	}
	return "-- +migrate Up notransaction\n" + text
}
