package format

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
)

// draft is a migration in the making.
type draft struct {
	version migration.Version
	name    string
	path    string // of its file, for messages
	key     string // see File
	// text is in whimbrel's own format. What is in a second file begins at
	// below, and downPath is that file.
	text     string
	below    int
	downPath string
	// hasDown is set where there is a file for the down migration, or the mark above one,
	// whatever is in it.
	hasDown bool
	// apart is set where the tool runs both directions outside of a transaction, and no mark says so.
	apart bool
	// whole is set where no other tool says what an empty file means.
	whole bool
	// tool is the name of the format, where the tool has marks of its own that may be misspelled.
	tool string
	// marks turns whimbrel's marks in messages into those of the tool; nil if it has none.
	marks *strings.Replacer
	// unmarked is set where the tool knows no marks in a file: then a comment is a comment.
	unmarked bool
	// unfit is why it cannot be run; nil if it can.
	unfit *migration.Error
}

// The marks of whimbrel's own format.
const (
	markUp   = "-- +migrate Up"
	markDown = "-- +migrate Down"
	apart    = " notransaction"
)

func (d draft) parse() (migration.Migration, error) {
	if d.whole {
		return migration.ParseSQL(d.version, d.name, d.path, d.text)
	}
	return migration.ParseForeign(d.tool, d.version, d.name, d.path, d.text)
}

// file makes the File. What cannot be parsed cannot be run, and that is all.
func (d draft) file() File {
	f := File{Key: d.key}
	if d.unfit == nil {
		m, err := d.parse()
		if err == nil {
			if d.downPath != "" {
				m.Down.Path, m.Down.Start = d.downPath, d.below
			}
			m.Up.NoTransaction, m.Down.NoTransaction = m.Up.NoTransaction || d.apart, m.Down.NoTransaction || d.apart
			f.Migration = d.asItsTool(m)
			return f
		}
		problem := *migration.Problems(err)[0]
		if d.marks != nil {
			if problem.Code == migration.CodeForeignAnnotation {
				problem.Message = "no tool knows this mark, as it is written here"
			}
			problem.Message, problem.Remedy = d.marks.Replace(problem.Message), d.marks.Replace(problem.Remedy)
		}
		d.unfit = &problem
		if d.downPath != "" && problem.Position.Offset >= d.below && problem.Position.Line > 0 {
			d.unfit.Path = d.downPath
			d.unfit.Position.Line -= strings.Count(d.text[:d.below], "\n")
		}
	}
	if d.unfit.Path == "" {
		d.unfit.Path = d.path
	}
	f.Migration = migration.NewOpaque(d.version, d.name, d.path, d.text, d.unfit)
	return f
}

// asItsTool is a migration that means what it means to its tool: an empty way up is
// applied, and an empty down migration, in a file of its own or below its mark, does nothing.
func (d draft) asItsTool(m migration.Migration) migration.Migration {
	if d.unmarked {
		m.UnreadMark = nil
	}
	if m.UnreadMark != nil && d.marks != nil {
		problem := *m.UnreadMark
		problem.Remedy = d.marks.Replace(problem.Remedy)
		m.UnreadMark = &problem
	}
	if d.whole {
		return m
	}
	if m = m.DoingNothing(false); d.hasDown {
		m = m.DoingNothing(true)
	}
	return m
}

// join puts a down migration that has a file of its own below the up migration.
func (d *draft) join(down, path string) {
	if strings.TrimSpace(down) == "" {
		return
	}
	if d.text != "" && !strings.HasSuffix(d.text, "\n") {
		d.text += "\n"
	}
	d.text += markDown + "\n"
	d.below, d.downPath = len(d.text), path
	d.text += down
}

// variables lists names as variables of the migration, below everything else,
// so that no line moves. Names that stand in comments only are left out.
func (d *draft) variables(names []string) {
	used := map[string]bool{}
	for token := range pgsql.Tokens(d.text) {
		if token.Kind == pgsql.LineComment || token.Kind == pgsql.BlockComment {
			continue
		}
		for _, name := range names {
			used[name] = used[name] || strings.Contains(token.Text, "${"+name+"}")
		}
	}
	// Outside quotes a reference is several tokens.
	outside := withoutComments(d.text)
	var listed []string
	for _, name := range names {
		if (used[name] || strings.Contains(outside, "${"+name+"}")) && !slices.Contains(listed, name) {
			listed = append(listed, name)
		}
	}
	if len(listed) > 0 {
		d.text = terminated(d.text) + "-- +migrate Variables " + strings.Join(listed, " ") + "\n"
	}
}

// terminated is a text that ends with a line end, behind which a new statement
// may begin.
func terminated(text string) string {
	last := ""
	for token := range pgsql.Tokens(text) {
		switch token.Kind {
		case pgsql.Whitespace, pgsql.LineComment, pgsql.BlockComment:
		default:
			last = token.Text
		}
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if last != "" && last != ";" {
		text += ";\n"
	}
	return text
}

// withoutComments is a text with nothing in the place of its comments.
func withoutComments(text string) string {
	var b strings.Builder
	for token := range pgsql.Tokens(text) {
		if token.Kind != pgsql.LineComment && token.Kind != pgsql.BlockComment {
			b.WriteString(token.Text)
		}
	}
	return b.String()
}

// lines goes through the lines of a text, and puts what change gives in place
// of each. Line ends stay as they are.
func lines(text string, change func(line string) string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		body := strings.TrimRight(line, "\r\n")
		b.WriteString(change(body))
		b.WriteString(line[len(body):])
	}
	return b.String()
}

// silenced is a line that another tool does not read.
func silenced(line string) string {
	if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "--") && !strings.Contains(line, "+migrate") {
		return line
	}
	return "-- " + strings.ReplaceAll(line, "+migrate", "migrate")
}

// unfit is why a migration cannot be run.
func unfit(remedy, format string, args ...any) *migration.Error {
	return &migration.Error{Code: migration.CodeUnsupported, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

// badName is a file whose name says no version.
func (f folder) badName(file, message, remedy string) error {
	return &migration.Error{Code: migration.CodeBadName, Path: f.path(file), Message: message, Remedy: remedy}
}
