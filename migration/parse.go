package migration

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
)

// Parse reads one file, of which file is the name for a reader; its last
// element says version, name and kind. Scripts are not looked into.
//
// The error joins an *Error for everything that is wrong with the file (see
// Problems), in the order of the text; then there is no migration.
func Parse(file, text string) (Migration, error) { return parseIn(new(room), file, text) }

func parseIn(in *room, file, text string) (Migration, error) {
	version, name, kind, err := ParseName(path.Base(file))
	if err != nil {
		return Migration{}, locate(file, Problems(err))
	}
	return parseAs(Migration{Version: version, Name: name, Kind: kind, Path: file}, text, in)
}

// ParseSQL is Parse for SQL of which version and name are known: what another
// tool's files are to whimbrel. file is then nothing but a name for a reader.
func ParseSQL(version Version, name, file, text string) (Migration, error) {
	return parseAs(Migration{Version: version, Name: name, Kind: SQL, Path: file}, text, new(room))
}

// ParseForeign is ParseSQL for the file of a tool whose marks have been turned into
// whimbrel's: those of yet another tool are comments in it, as they are to its own. tool is
// the name of its format; one of its marks that is left is misspelled.
func ParseForeign(tool string, version Version, name, file, text string) (Migration, error) {
	m := Migration{Version: version, Name: name, Kind: SQL, Path: file}
	return parseAs(m, text, &room{foreign: true, tool: tool})
}

// ParseScript is ParseSQL for a script.
func ParseScript(version Version, name, file, text string) (Migration, error) {
	return parseAs(Migration{Version: version, Name: name, Kind: Script, Path: file}, text, new(room))
}

// NewOpaque is a migration that cannot be run here, for the reason given. text
// is what its checksum is made of.
func NewOpaque(version Version, name, file, text string, unfit *Error) Migration {
	m := Migration{Version: version, Name: name, Kind: Opaque, Path: file, Unfit: unfit}
	m.take(text)
	m.Checksum = m.checksum()
	return m
}

// room is what one file after the other is read in.
type room struct {
	text     []byte
	sections []part
	// foreign is set where marks of other tools than this one are comments.
	foreign bool
	tool    string
}

// marks is what pgsql.Options.Mark is for such a file.
func (in *room) marks() func(comment string) bool {
	if !in.foreign {
		return isAnnotation
	}
	return func(comment string) bool {
		return isOwnAnnotation(comment) || in.tool != "" && foreignTool(comment) == in.tool
	}
}

func parseAs(m Migration, text string, in *room) (Migration, error) {
	m.take(text)
	m.Checksum = m.checksum()
	if problem := readable(m.Text); problem != nil {
		return Migration{}, locate(m.Path, []*Error{problem})
	}
	if m.Kind == Script {
		tags, problem := scriptTags(m.Text)
		if problem != nil {
			return Migration{}, locate(m.Path, []*Error{problem})
		}
		m.Tags = tags
		return m, nil
	}
	m, problems := read(m, false, in)
	if len(problems) > 0 {
		return Migration{}, locate(m.Path, problems)
	}
	return m, nil
}

// locate says of which file the problems are, and joins them.
func locate(file string, problems []*Error) error {
	all := make([]error, len(problems))
	for i, problem := range problems {
		problem.Path = file
		all[i] = problem
	}
	return errors.Join(all...)
}

// readable refuses what is no text at all, with a better word than "invalid".
func readable(text string) *Error {
	switch {
	case strings.HasPrefix(text, "\xFF\xFE"), strings.HasPrefix(text, "\xFE\xFF"):
		return &Error{Code: CodeEncoding, Message: "the file is UTF-16, not UTF-8", Remedy: "save it as UTF-8"}
	case strings.HasPrefix(text, byteOrderMark):
		return &Error{Code: CodeEncoding, Message: "the file begins with two byte-order marks",
			Remedy: "save it as UTF-8 without a byte-order mark"}
	case strings.TrimSpace(text) == "":
		return &Error{Code: CodeEmpty, Message: "the file is empty",
			Remedy: `write the migration's SQL into it, or delete it`}
	}
	return nil
}

// read fills in what the text of an SQL migration says. What is before the
// first mark of a direction belongs to the up migration, or to the way down.
func read(m Migration, down bool, in *room) (Migration, []*Error) {
	r := reader{migration: m, stored: down, sections: in.sections[:0], marks: in.marks()}
	if len(m.Text) > largeText {
		r.room = make([]Statement, 0, count(m.Text))
	}
	r.beginSection(down, 0)
	for s, err := range pgsql.Statements(m.Text, pgsql.Options{Mark: r.marks}) {
		switch {
		case err != nil:
			return m, []*Error{lexical(err)}
		case s.Class == pgsql.Mark:
			r.annotation(s)
		default:
			r.statement(s)
		}
	}
	r.endSection(len(m.Text))
	r.finish()
	in.sections = r.sections
	return r.migration, r.problems
}

// largeText is from where on a text is first gone through to count its statements: a
// slice of very many that grows takes twice their memory.
const largeText = 1 << 20

func count(text string) (statements int) {
	for _, err := range pgsql.Statements(text, pgsql.Options{Mark: isAnnotation}) {
		if err == nil {
			statements++
		}
	}
	return statements
}

func lexical(err error) *Error {
	problem := &Error{Code: CodeLexical, Message: err.Error()}
	if broken, ok := errors.AsType[*pgsql.Error](err); ok {
		problem.Position, problem.Message, problem.Remedy = broken.Position, broken.Message, broken.Remedy
	}
	return problem
}

// reader goes through a file's statements and marks in their order.
type reader struct {
	migration Migration
	problems  []*Error
	marks     func(comment string) bool // which comments are none

	room     []Statement // for the first section of a large text
	sections []part      // in the file's order; the last one is open
	last     int         // offset of the end of the last statement, if nothing but comments followed it yet; 0: none
	// What waits for a statement or a counterpart in the open section.
	batch  *Batch
	assert *Assert
	begun  *Position // of StatementBegin

	settings     map[string]Position // by name in lower case
	irreversible *Position
	squashed     *Position
	stored       bool // it comes from a history
	foreign      bool // it was said that the file is for another tool
}

// part is a section as it is in the file.
type part struct {
	down       bool
	start, end int // offsets of its text, after its mark
	// lastEnd is the offset of the end of its last statement, or start.
	lastEnd   int
	settings  []Setting // that are in it
	variables []Variable
}

func (r *reader) open() *part { return &r.sections[len(r.sections)-1] }

func (r *reader) section() *Section {
	if r.open().down {
		return &r.migration.Down
	}
	return &r.migration.Up
}

func (r *reader) problem(problem *Error) { r.problems = append(r.problems, problem) }

func (r *reader) misplaced(position Position, message, remedy string) {
	r.problem(&Error{Code: CodeMisplacedAnnotation, Position: position, Message: message, Remedy: remedy})
}

func (r *reader) beginSection(down bool, start int) {
	r.sections = append(r.sections, part{down: down, start: start, lastEnd: start})
	r.last = 0
}

func (r *reader) endSection(end int) {
	r.open().end = end
	r.dropWaiting("the section ends without one")
	if r.begun != nil {
		r.misplaced(*r.begun, "StatementBegin without StatementEnd",
			`write "-- +migrate StatementEnd" after the statement, or leave both out: they are not needed`)
		r.begun = nil
	}
}

// dropWaiting reports the annotation that is still without its statement.
func (r *reader) dropWaiting(why string) {
	const remedy = "put it right before its statement"
	if r.batch != nil {
		r.misplaced(r.batch.Position, "Batch needs a statement after it; "+why, remedy)
	}
	if r.assert != nil {
		r.misplaced(r.assert.Position, "Assert needs a query after it; "+why, remedy)
	}
	r.batch, r.assert = nil, nil
}

// statement puts a statement into its section, with what waited for it.
func (r *reader) statement(s pgsql.Statement) {
	r.unreadMark(s.Start.Offset)
	if r.batch != nil {
		if message := unfitForBatch(s); message != "" {
			r.problem(&Error{Code: CodeBadAnnotation, Position: s.Start, Message: message,
				Remedy: "write for example: UPDATE t SET a = b WHERE id > :from AND id <= :to"})
		}
	}
	if r.assert != nil && s.Class != pgsql.Query {
		r.problem(&Error{Code: CodeBadAnnotation, Position: s.Start,
			Message: fmt.Sprintf("the statement after Assert is not a query: %s", firstLine(s.Text)),
			Remedy:  "write for example: SELECT count(*) = 0 FROM t WHERE a IS NULL"})
	}
	section := r.section()
	if section.Statements == nil {
		section.Statements, r.room = r.room, nil
	}
	section.Statements = append(section.Statements, Statement{Statement: s, Batch: r.batch, Assert: r.assert})
	r.batch, r.assert = nil, nil
	end := s.Start.Offset + len(s.Text)
	r.last, r.open().lastEnd = end, end
}

// unfitForBatch says why a statement cannot run once per range of keys, or "".
func unfitForBatch(s pgsql.Statement) string {
	switch {
	case s.Data != nil || (s.Class != pgsql.Change && s.Class != pgsql.Query && s.Class != pgsql.Other):
		return fmt.Sprintf("the statement after Batch cannot run in batches: %s", firstLine(s.Text))
	case !uses(s.Text, "from") || !uses(s.Text, "to"):
		return "the statement after Batch does not use :from (exclusive) and :to (inclusive)"
	}
	return ""
}

// uses reports whether a placeholder is in a statement: a colon, and right
// behind it the name.
func uses(statement, name string) bool {
	colon := false
	for token := range pgsql.Tokens(statement) {
		if colon && token.Kind == pgsql.Word && token.Text == name {
			return true
		}
		colon = token.Kind == pgsql.Punctuation && token.Text == ":"
	}
	return false
}

// annotation does what a mark says.
func (r *reader) annotation(s pgsql.Statement) {
	l := &line{text: strings.TrimRight(s.Text, " \t\r\n\f\v"), start: s.Start}
	if tool := foreignTool(l.text); tool != "" {
		r.foreignMark(l, tool)
		return
	}
	word, problem := l.annotation()
	if problem != nil {
		r.problem(problem)
		return
	}
	unfinished := r.unfinished(s.Start.Offset)
	r.last = 0
	if unfinished && word != "Up" && word != "Down" && word != "StatementEnd" {
		r.misplaced(s.Start, fmt.Sprintf("%s is in the middle of a statement", word),
			"put it before the statement, or end the statement before it with a semicolon")
		return
	}
	l.skipBlanks()
	if problem := r.obey(word, l); problem != nil {
		r.problem(problem)
	}
}

func (r *reader) foreignMark(l *line, tool string) {
	if !r.foreign {
		r.problem(l.wrong(CodeForeignAnnotation, fmt.Sprintf("this is a mark of %s, which whimbrel does not read", tool),
			`mark the directions with "-- +migrate Up" and "-- +migrate Down"`))
	}
	r.foreign = true
}

// unfinished reports whether the statement before offset has no semicolon.
func (r *reader) unfinished(offset int) bool {
	return r.last > 0 && !terminated(r.migration.Text[r.last:offset])
}

func (r *reader) obey(word string, l *line) (problem *Error) {
	switch word {
	case "Up", "Down":
		r.endSection(l.start.Offset)
		r.beginSection(word == "Down", l.start.Offset+len(l.text))
		var without bool
		if without, problem = l.noTransaction(); without {
			r.section().NoTransaction = true
		}
		return problem
	case "StatementBegin", "StatementEnd":
		r.statementMark(word == "StatementBegin", l)
	case "Batch":
		r.dropWaiting("another annotation follows")
		var batch *Batch
		if batch, problem = l.batch(); problem == nil {
			r.batch = batch
		}
		return problem
	case "Assert":
		r.dropWaiting("another annotation follows")
		r.assert = &Assert{Message: l.rest(), Position: l.start}
	case "Set":
		var setting Setting
		if setting, problem = l.setting(); problem == nil {
			r.set(setting)
		}
		return problem
	case "Allow":
		var allow Allow
		if allow, problem = l.allow(); problem == nil {
			r.migration.Allows = append(r.migration.Allows, allow)
		}
		return problem
	case "Tags":
		return l.words("Tags <tag> [<tag>…]", r.tag)
	case "Variables":
		return l.words("Variables <name> [<name>…]", r.variable(l))
	case "After":
		return l.words("After <name> [<name>…]", r.after(l))
	case "Squashes":
		return l.words("Squashes <version> [<version>…]", r.squashes(l))
	case "Prose": // unreadMark looks for it
	case "Irreversible":
		if r.irreversible != nil {
			r.misplaced(l.start, fmt.Sprintf("duplicate Irreversible: already in line %d", r.irreversible.Line), "leave one out")
			return nil
		}
		r.irreversible = &l.start
		r.migration.Irreversible, r.migration.Reason = true, l.rest()
	}
	return nil
}

func (r *reader) statementMark(begin bool, l *line) {
	switch {
	case begin && r.begun != nil:
		r.misplaced(l.start, fmt.Sprintf("StatementBegin within that of line %d", r.begun.Line),
			"leave both out: they are not needed")
	case begin:
		r.begun = &l.start
	case r.begun == nil:
		r.misplaced(l.start, "StatementEnd without StatementBegin", "leave it out: it is not needed")
	default:
		r.begun = nil
	}
}

func (r *reader) set(setting Setting) {
	name := strings.ToLower(setting.Name)
	if earlier, set := r.settings[name]; set {
		r.misplaced(setting.Position, fmt.Sprintf("%s is set in line %d already", setting.Name, earlier.Line),
			"leave one out: a setting holds for the whole file, in both directions")
		return
	}
	if r.settings == nil {
		r.settings = map[string]Position{}
	}
	r.settings[name] = setting.Position
	r.migration.Settings = append(r.migration.Settings, setting)
	r.open().settings = append(r.open().settings, setting)
}

// finish checks what only the whole file shows.
func (r *reader) finish() {
	for _, section := range []*Section{&r.migration.Up, &r.migration.Down} {
		without, problems := section.divided()
		*section = without
		r.problems = append(r.problems, problems...)
	}
	if r.irreversible != nil && len(r.migration.Down.Statements) > 0 {
		r.problem(&Error{Code: CodeIrreversibleWithDown, Position: *r.irreversible,
			Message: "the migration says it is irreversible, but has a down migration",
			Remedy:  "remove the annotation, or the statements below Down"})
	}
	r.repeatable()
	r.standsForItself()
	if !r.stored { // which may have less than the file
		r.unusedVariables()
	}
	slices.SortStableFunc(r.problems, func(a, b *Error) int { return cmp.Compare(a.Position.Offset, b.Position.Offset) })
	r.migration.storedDown = r.storedDown()
}
