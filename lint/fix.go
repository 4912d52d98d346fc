package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// fixable reports whether a finding's rewrite can be put in the statement's place, and
// why not where the hazard is a mechanical one.
func (j *judge) fixable(f Finding) (bool, string) {
	if f.Allowed || !f.Hazard.Record().Mechanical {
		return false, ""
	}
	if why := j.notFixed(f); why != "" {
		return false, why
	}
	return true, ""
}

func (j *judge) notFixed(f Finding) string {
	alter := j.current.node.GetAlterTableStmt()
	switch {
	case f.Verdict != Dangerous:
		return "it is not certain that it is a hazard"
	case f.NotFixed != "":
		return f.NotFixed
	case f.Rewrite == "":
		return "no rewrite that does all of it"
	case j.inner:
		return "it is in a function's body"
	case j.current.statement.Batch != nil:
		return "it runs in batches already"
	case alter != nil && j.cannotStep() != "":
		return j.cannotStep()
	case f.Hazard == setNotNullScan && !alter.Relation.Inh:
		return "ONLY leaves out the tables that inherit from it"
	case j.migration.Version.Repeatable():
		return "a repeatable migration is one transaction, and the rewrite needs several"
	case strings.Contains(f.Rewrite, "+migrate Batch") && j.asserted():
		return "the assertion behind it would have the batches run again while it does not hold"
	}
	return j.undivided(strings.HasPrefix(f.Rewrite, eachAlone) || f.Hazard == notValidThenValidateSameTransaction)
}

// asserted reports whether an assertion follows the statement.
func (j *judge) asserted() bool {
	return j.at+1 < len(j.parsed) && j.parsed[j.at+1].statement.Assert != nil
}

// undivided says what in the section is for the whole transaction, which a rewrite
// divides; or, if each statement is to run by itself, could then run twice.
func (j *judge) undivided(each bool) string {
	if j.section.NoTransaction {
		return ""
	}
	if j.togetherUntilCommit() {
		return "the rewrite needs several transactions, " +
			"and a constraint of the changed rows is checked at the end of a single one"
	}
	for i, s := range j.section.Statements {
		command := strings.Fields(s.Command + " ?")
		whole := s.Class == pgsql.Setting || slices.Contains([]string{"LOCK", "DECLARE"}, command[0]) || setsByFunction(s) ||
			i < len(j.parsed) && holdsRows(j.parsed[i].node) ||
			command[0] == "CREATE" && strings.HasPrefix(s.Command, "CREATE TEMP")
		if whole || each && (s.Class == pgsql.Other || s.Data != nil) {
			return fmt.Sprintf("the rewrite needs several transactions, and line %d (%s) is for a single one", s.Start.Line,
				strings.TrimSpace(s.Command))
		}
	}
	return ""
}

// setsByFunction reports whether a query changes settings.
func setsByFunction(s migration.Statement) bool {
	return s.Class == pgsql.Query && strings.Contains(strings.ToLower(s.Text), "set_config")
}

// Fixed is a file with the mechanical rewrites done.
type Fixed struct {
	Path string
	// Before and After are the file's text; they are the same where nothing could
	// be done.
	Before, After string
	// Done are the findings that are gone, Left those that a person has to fix. Where
	// a mechanical rewrite was not done, NotFixed says why.
	Done, Left []Finding
}

// Changed reports whether anything was rewritten.
func (f Fixed) Changed() bool { return f.Before != f.After }

// Diff shows what was rewritten, as a unified diff.
func (f Fixed) Diff() string {
	return string(diff.Diff("a/"+f.Path, []byte(f.Before), "b/"+f.Path, []byte(f.After)))
}

// mostFixes bounds how often a file is read again.
const mostFixes = 200

// Fix rewrites what has a mechanical safe form in the migrations that Options.Judge
// picks. What a statement says is all there in the rewrite, or the statement is left as it
// is and its finding says why. It changes no file: the caller shows the difference and
// writes. Migrations that have run somewhere must not be rewritten.
func (l *Linter) Fix(migrations []migration.Migration) ([]Fixed, error) {
	current := slices.Clone(migrations)
	var all []Fixed
	for i, m := range current {
		if m.Kind != migration.SQL || l.options.Judge != nil && !l.options.Judge(m) {
			continue
		}
		f := fixing{Linter: l, migrations: current, at: i, refused: map[string]string{}}
		fixed, err := f.run()
		if err != nil {
			return nil, err
		}
		all = append(all, fixed)
	}
	return all, nil
}

// fixing is the work on one file.
type fixing struct {
	*Linter
	migrations []migration.Migration
	at         int
	refused    map[string]string // why, by hazard and statement
}

func (f *fixing) run() (Fixed, error) {
	m := f.migrations[f.at]
	fixed := Fixed{Path: m.Path, Before: m.Text, After: m.Text}
	file, err := f.judged(m)
	if err != nil {
		return fixed, err
	}
	if own, err := migration.Parse(m.Path, m.Text); err != nil || own.Version != m.Version || m.Up.Path != "" {
		f.refuseAll(file, "the file is in the format of another tool") // so that nothing is tried
	}
	for range mostFixes {
		s, finding, ok := f.next(file)
		if !ok {
			break
		}
		next, after, why, err := f.try(file, s, finding)
		if err != nil {
			return fixed, err
		}
		if why != "" {
			f.refused[finding.Hazard.String()+s.Text] = why
			continue
		}
		f.migrations[f.at], file, fixed.After = next, after, next.Text
		fixed.Done = append(fixed.Done, finding)
		clear(f.refused) // what was a hazard in one transaction may be none in several
	}
	for _, s := range file.Statements {
		for _, finding := range s.Findings {
			if finding.Allowed {
				continue
			}
			if why := f.refused[finding.Hazard.String()+s.Text]; why != "" {
				finding.Fixable, finding.NotFixed = false, why
			}
			fixed.Left = append(fixed.Left, finding)
		}
	}
	return fixed, nil
}

func (f *fixing) refuseAll(file File, why string) {
	for _, s := range file.Statements {
		for _, finding := range s.Findings {
			if finding.Fixable {
				f.refused[finding.Hazard.String()+s.Text] = why
			}
		}
	}
}

// judged judges one migration in the place of the one that is worked on.
func (f *fixing) judged(m migration.Migration) (File, error) {
	options := f.options
	options.Judge = func(other migration.Migration) bool { return other.Version == m.Version }
	options.Down = false
	report, err := (&Linter{options}).Check(append(slices.Clone(f.migrations[:f.at]), m))
	if err != nil {
		return File{}, err
	}
	return report.Files[0], nil
}

// next gives the first finding that can be fixed.
func (f *fixing) next(file File) (Judgement, Finding, bool) {
	for _, s := range file.Statements {
		for _, finding := range s.Findings {
			if finding.Fixable && f.refused[finding.Hazard.String()+s.Text] == "" {
				return s, finding, true
			}
		}
	}
	return Judgement{}, Finding{}, false
}

// try puts a rewrite in the place of its statement, and says why not where the file
// would then say something else, or hold a hazard that it did not before.
func (f *fixing) try(file File, s Judgement, finding Finding) (next migration.Migration, after File, why string,
	err error) {
	before := f.migrations[f.at]
	text := replaced(before, s, finding)
	next, err = migration.Parse(before.Path, text)
	if err != nil {
		return next, after, "the file could not be read afterwards: " + oneLine(err.Error()), nil
	}
	next.Folder = before.Folder
	if !sameAround(before, next, s) {
		return next, after, "the rest of the file would be read in another way", nil
	}
	if after, err = f.judged(next); err != nil {
		return next, after, "", err
	}
	if worse := newHazard(file, after); worse != "" {
		return next, after, "the rewrite would be a hazard itself here: " + worse, nil
	}
	return next, after, "", nil
}

// sameAround reports whether two versions of a file have the same statements but for the
// one that is rewritten.
func sameAround(before, after migration.Migration, s Judgement) bool {
	texts := func(all []migration.Statement) (texts []string) {
		for _, s := range all {
			texts = append(texts, s.Text)
		}
		return texts
	}
	old, fresh := texts(before.Up.Statements), texts(after.Up.Statements)
	i := slices.IndexFunc(before.Up.Statements,
		func(other migration.Statement) bool { return other.Start.Offset == s.Start.Offset })
	if i < 0 || len(fresh) < len(old) {
		return false
	}
	behind := len(old) - i - 1
	return slices.Equal(old[:i], fresh[:i]) && slices.Equal(old[i+1:], fresh[len(fresh)-behind:]) &&
		slices.Equal(texts(before.Down.Statements), texts(after.Down.Statements)) &&
		before.Down.NoTransaction == after.Down.NoTransaction
}

// newHazard gives a hazard that a file has more often than before.
func newHazard(before, after File) string {
	count := map[ID]int{}
	for _, finding := range (Report{Files: []File{before}}).Findings() {
		count[finding.Hazard]++
	}
	for _, finding := range (Report{Files: []File{after}}).Findings() {
		if count[finding.Hazard]--; count[finding.Hazard] < 0 {
			return finding.Hazard.String()
		}
	}
	return ""
}

// replaced gives the file's text with a rewrite in the place of its statement.
func replaced(m migration.Migration, s Judgement, finding Finding) string {
	rewrite, each := strings.CutPrefix(finding.Rewrite, eachAlone)
	if finding.Hazard == notValidThenValidateSameTransaction {
		rewrite, each = s.Text, true // the transactions are what changes
	}
	rewrite = kept(s.Text, rewrite) + strings.TrimRight(strings.TrimSpace(rewrite), ";")
	head := m.Text[:s.Start.Offset]
	if strings.HasPrefix(rewrite, "--") && head != "" && !strings.HasSuffix(head, "\n") {
		rewrite = "\n" + rewrite // an annotation is the first thing in its line
	}
	text := head + rewrite + m.Text[s.End.Offset:]
	if each && !m.Up.NoTransaction {
		text = eachStatementAlone(text)
	}
	return text
}

// kept are the comments within a statement that its rewrite does not have.
func kept(statement, rewrite string) string {
	var b strings.Builder
	for token := range pgsql.Tokens(statement) {
		if (token.Kind == pgsql.LineComment || token.Kind == pgsql.BlockComment) && !strings.Contains(rewrite, token.Text) {
			b.WriteString(strings.TrimRight(token.Text, "\n") + "\n")
		}
	}
	return b.String()
}

// eachStatementAlone marks the up migration so that each statement is a transaction of its
// own, and takes away a BEGIN and COMMIT around all of them.
func eachStatementAlone(text string) string {
	statements, err := pgsql.Split(text, pgsql.Options{Mark: func(comment string) bool { return markOf(comment) != "" }})
	if err != nil {
		return text
	}
	up, mark := []pgsql.Statement{}, -1
	down := false
	for i, s := range statements {
		switch word := markOf(s.Text); {
		case s.Class == pgsql.Mark && (word == "up" || word == "down"):
			down = word == "down"
			if !down && mark < 0 {
				mark = i
			}
		case s.Class != pgsql.Mark && !down:
			up = append(up, s)
		}
	}
	var edits []edit
	if n := len(up); n > 1 && up[0].Class == pgsql.TransactionControl && up[n-1].Class == pgsql.TransactionControl &&
		!slices.ContainsFunc(up[1:n-1], func(s pgsql.Statement) bool { return s.Class == pgsql.TransactionControl }) {
		edits = append(edits, cutOut(text, up[0]), cutOut(text, up[n-1]))
	}
	if mark < 0 {
		edits = append(edits, edit{0, 0, eachAlone})
	} else {
		at := statements[mark].Start.Offset + len(strings.TrimRight(statements[mark].Text, " \t\n"))
		edits = append(edits, edit{at, at, " notransaction"})
	}
	slices.SortFunc(edits, func(a, b edit) int { return b.from - a.from })
	for _, e := range edits {
		text = text[:e.from] + e.text + text[e.to:]
	}
	return text
}

// edit puts text in the place of a part of a file.
type edit struct {
	from, to int
	text     string
}

// cutOut removes a statement with its semicolon, and its line where nothing else is in
// it.
func cutOut(text string, s pgsql.Statement) edit {
	e := edit{from: s.Start.Offset, to: s.End().Offset}
	for token := range pgsql.Tokens(text[e.to:]) {
		if token.Text == ";" {
			e.to += token.Offset + 1
			break
		}
		if token.Kind > pgsql.BlockComment {
			break
		}
	}
	begin := strings.LastIndexByte(text[:e.from], '\n') + 1
	line, rest, found := strings.Cut(text[e.to:], "\n")
	if strings.TrimSpace(text[begin:e.from]) == "" && strings.TrimSpace(line) == "" {
		e.from = begin
		e.to = len(text)
		if found {
			e.to -= len(rest)
		}
	}
	return e
}

// markOf gives the word of an annotation in lower case, or "".
func markOf(comment string) string {
	words := strings.Fields(strings.ToLower(strings.TrimPrefix(comment, "--")))
	if !strings.HasPrefix(comment, "--") || len(words) < 2 || words[0] != "+migrate" {
		return ""
	}
	return words[1]
}
