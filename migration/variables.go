package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// Variable is a name that the annotation "Variables <name> [<name>…]" lists. A
// reference to it in a statement is a placeholder for a value that is given from outside:
//
//	${NAME}    the value: outside quotes as SQL text, inside them as plain text
//	${'NAME'}  a string with the value in it
//	${"NAME"}  an identifier with the value in it
//
// References to names that are not listed are text like any other.
type Variable struct {
	Name     string
	Position Position
}

var (
	variableName = plaintext.Pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)
	reference    = plaintext.Pattern(
		`\$\{(?:([A-Za-z_][A-Za-z0-9_]*)|'([A-Za-z_][A-Za-z0-9_]*)'|"([A-Za-z_][A-Za-z0-9_]*)")\}`)
)

// IsVariable reports whether a text can be the name of a variable: letters,
// digits and underscores, the first of them no digit.
func IsVariable(text string) bool { return variableName().MatchString(text) }

// variable checks one word of the annotation Variables, at a place.
func (r *reader) variable(l *line) func(word string) string {
	return func(word string) string {
		switch {
		case !IsVariable(word):
			return fmt.Sprintf("invalid variable name %q: it is made of letters, digits and underscores", word)
		case r.migration.hasVariable(word):
			return fmt.Sprintf("variable %s is listed twice", word)
		}
		at := l.position()
		at.Offset, at.Column = at.Offset-len(word), at.Column-len(word)
		v := Variable{Name: word, Position: at}
		r.migration.Variables = append(r.migration.Variables, v)
		r.open().variables = append(r.open().variables, v)
		return ""
	}
}

func (m Migration) hasVariable(name string) bool {
	return slices.ContainsFunc(m.Variables, func(v Variable) bool { return v.Name == name })
}

// unusedVariables reports names that are listed and stand nowhere: anyone who
// writes ${NAMES} for ${NAME} would send it to the server as it is.
func (r *reader) unusedVariables() {
	if len(r.migration.Variables) == 0 {
		return
	}
	var used []string
	see := func(text string) {
		for _, found := range reference().FindAllStringSubmatch(text, -1) {
			used = append(used, found[1]+found[2]+found[3])
		}
	}
	for _, section := range []Section{r.migration.Up, r.migration.Down} {
		for _, s := range section.Statements {
			see(s.Text)
		}
	}
	for _, s := range r.migration.Settings {
		see(s.Value)
	}
	for _, v := range r.migration.Variables {
		if !slices.Contains(used, v.Name) {
			r.problem(&Error{Code: CodeVariable, Position: v.Position,
				Message: fmt.Sprintf("variable %s is listed, and ${%s} appears in no statement", v.Name, v.Name),
				Remedy:  "correct the name, or take it off the list"})
		}
	}
}

// WithVariables returns m with values in place of the variables in its
// settings and in the statements of one direction. Text, checksum and stored
// down migration stay those of the file, in which values never are. Whatever a value
// is, a statement stays one statement, and what is in quotes stays in them.
//
// The error joins an *Error for each reference that has no value, or one that
// cannot stand there.
func (m Migration) WithVariables(values map[string]string, down bool) (Migration, error) {
	if len(m.Variables) == 0 {
		return m, nil
	}
	f := filler{migration: m, values: values}
	section := &m.Up
	if down {
		section = &m.Down
	}
	section.Statements = slices.Clone(section.Statements)
	for i, s := range section.Statements {
		section.Statements[i] = f.statement(s)
	}
	m.Settings = slices.Clone(m.Settings)
	for i, s := range m.Settings {
		m.Settings[i].Value = f.setting(s)
	}
	if len(f.problems) > 0 {
		return m, locate(m.Path, f.problems)
	}
	return m, nil
}

// replaced is a place of a statement's text at which a value stands.
type replaced struct {
	at, length         int // of the value, in the text as it is sent
	written, reference int // of the reference, in the text as it was written
}

// Written is the statement as it is in the file: without the values of
// variables, which need not be for everyone's eyes.
func (s Statement) Written() string {
	if s.origin == nil || s.origin.written == "" {
		return s.Text
	}
	return s.origin.written
}

// End is the place in the file behind the statement, before the semicolon.
func (s Statement) End() Position {
	s.Text = s.Written()
	return s.Statement.End()
}

// OffsetInFile gives the place in the file of a byte of Text. What a variable's
// value made is at the reference to it.
func (s Statement) OffsetInFile(offset int) int {
	if s.origin == nil {
		return s.Start.Offset + offset
	}
	shift := 0
	for _, r := range s.origin.replaced {
		switch {
		case offset < r.at:
			return s.Start.Offset + offset + shift
		case offset < r.at+r.length:
			return s.Start.Offset + r.written
		}
		shift = r.written + r.reference - r.at - r.length
	}
	return s.Start.Offset + offset + shift
}

// filler puts values into one migration.
type filler struct {
	migration Migration
	values    map[string]string
	problems  []*Error
}

func (f *filler) wrong(offset int, remedy, format string, args ...any) {
	f.problems = append(f.problems, &Error{
		Code: CodeVariable, Position: pgsql.PositionAt(f.migration.Text, offset),
		Message: fmt.Sprintf(format, args...), Remedy: remedy,
	})
}

// value finds the value of a name that is listed.
func (f *filler) value(name string, offset int) (string, bool) {
	value, given := f.values[name]
	if !given {
		f.wrong(offset, fmt.Sprintf("give it in Variables[%s]", name), "variable %s has no value", name)
	} else if strings.ContainsRune(value, 0) || strings.ToValidUTF8(value, "") != value {
		f.wrong(offset, "give it a text in UTF-8", "the value of %s is no text", name)
		given = false
	}
	return value, given
}

func (f *filler) setting(s Setting) string {
	return reference().ReplaceAllStringFunc(s.Value, func(found string) string {
		name := strings.Trim(found, `${}'"`)
		if !f.migration.hasVariable(name) {
			return found
		}
		value, _ := f.value(name, s.Position.Offset)
		return value
	})
}

// statement puts values into a statement.
func (f *filler) statement(s Statement) Statement {
	var text strings.Builder
	var replacements []replaced
	end, before := 0, len(f.problems)
	written := s.Text
	quotes := quotesOf(written)
	for _, at := range reference().FindAllStringSubmatchIndex(written, -1) {
		r := referenceAt(written, at)
		if at[0] < end || !f.migration.hasVariable(r.name) {
			continue
		}
		around, inside := quotes.around(at[0], at[1])
		if !inside && around.Kind == pgsql.DollarString || around.Kind == pgsql.LineComment ||
			around.Kind == pgsql.BlockComment {
			continue // in a comment, or across the dollars of a quote
		}
		offset := s.Start.Offset + at[0]
		value, given := f.value(r.name, offset)
		if !given {
			continue
		}
		spelled, remedy := spell(r, value, around, inside)
		if remedy != "" {
			f.wrong(offset, remedy, "the value of %s is not allowed here", r.name)
			continue
		}
		text.WriteString(written[end:at[0]])
		replacements = append(replacements, replaced{at: text.Len(), length: len(spelled), written: at[0],
			reference: at[1] - at[0]})
		text.WriteString(spelled)
		end = at[1]
	}
	if len(f.problems) > before || end == 0 {
		return s
	}
	text.WriteString(written[end:])
	s.Text, s.origin = text.String(), &origin{written: written, replaced: replacements}
	f.classify(&s)
	return s
}

// classify says again what sort of statement it is, and makes sure that it is
// one, and no more of it a comment than before: 1 -${N} with a negative N.
func (f *filler) classify(s *Statement) {
	at := s.Start.Offset + s.origin.replaced[0].written
	const remedy = `check the values; ${'NAME'} puts one between quotes, and ${"NAME"} makes an identifier of it`
	if comments(s.Text) != comments(s.origin.written) {
		f.wrong(at, remedy, "with the values of its variables, a part of the statement is a comment")
		return
	}
	if s.Data != nil {
		return // nothing but a name can have been in it, and its data lies elsewhere
	}
	again, err := pgsql.Split(s.Text, pgsql.Options{})
	if err != nil || len(again) != 1 {
		f.wrong(at, remedy, "with the values of its variables, this is not one statement any more")
		return
	}
	if again[0].Class == pgsql.TransactionControl && s.Class != pgsql.TransactionControl {
		f.wrong(at, remedy, "with the values of its variables, the statement ends the transaction")
		return
	}
	s.Class, s.Command = again[0].Class, again[0].Command
}

func comments(text string) (count int) {
	for token := range pgsql.Tokens(text) {
		if token.Kind == pgsql.LineComment || token.Kind == pgsql.BlockComment {
			count++
		}
	}
	return count
}

// ref is a reference: to which variable, and in which quotes its name is.
type ref struct {
	name  string
	quote byte // 0, ' or "
}

// referenceAt reads what the expression reference has found.
func referenceAt(text string, at []int) ref {
	switch {
	case at[4] >= 0:
		return ref{text[at[4]:at[5]], '\''}
	case at[6] >= 0:
		return ref{text[at[6]:at[7]], '"'}
	}
	return ref{text[at[2]:at[3]], 0}
}

// quoted are the tokens of a statement that are in quotes, and its comments.
type quoted []pgsql.Token

func quotesOf(text string) (all quoted) {
	for token := range pgsql.Tokens(text) {
		switch token.Kind {
		case pgsql.String, pgsql.QuotedIdentifier, pgsql.DollarString, pgsql.LineComment, pgsql.BlockComment:
			all = append(all, token)
		}
	}
	return all
}

// around gives the token that a reference is in, or begins or ends in, and
// whether it lies between that token's quotes.
func (q quoted) around(start, end int) (token pgsql.Token, inside bool) {
	for _, t := range q {
		from, to := t.Offset, t.Offset+len(t.Text)
		if start < from || start >= to {
			continue
		}
		head := strings.IndexAny(t.Text, `'"`) + 1
		tail := 1
		if t.Kind == pgsql.DollarString {
			head = strings.IndexByte(t.Text[1:], '$') + 2
			tail = head
		}
		return t, start >= from+head && end <= to-tail
	}
	return pgsql.Token{Kind: pgsql.Whitespace}, false
}

// spell writes a value so that it can stand where the reference does. Where
// that cannot be, it gives a remedy.
func spell(r ref, value string, around pgsql.Token, inside bool) (spelled, remedy string) {
	switch {
	case around.Kind == pgsql.Whitespace:
		return spellOutside(r, value)
	case !inside || around.Kind != pgsql.DollarString && r.quote != 0:
		return "", "leave the quotes around it away, or write ${" + r.name + "} between them"
	case around.Kind == pgsql.DollarString:
		return spellInBody(r, value, around.Text)
	case strings.HasPrefix(strings.ToUpper(around.Text), "U&"):
		return "", "write ${'" + r.name + "'} or ${\"" + r.name + "\"} in place of the quotes with U&"
	case around.Kind == pgsql.QuotedIdentifier:
		return strings.ReplaceAll(value, `"`, `""`), ""
	}
	value = strings.ReplaceAll(value, "'", "''")
	if around.Text[0] == 'e' || around.Text[0] == 'E' {
		value = strings.ReplaceAll(value, `\`, `\\`)
	}
	return value, ""
}

// spellOutside spells a value that is outside quotes.
func spellOutside(r ref, value string) (spelled, remedy string) {
	switch r.quote {
	case '\'':
		return stringLiteral(value), ""
	case '"':
		if value == "" {
			return "", "an identifier must not be empty"
		}
		return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`, ""
	}
	const remedies = `as SQL text it must be whole, without semicolons and comments; ${'%[1]s'} puts it between quotes, and ${"%[1]s"} makes an identifier of it`
	if _, err := pgsql.Split(value, pgsql.Options{}); err != nil {
		return "", fmt.Sprintf(remedies, r.name)
	}
	for token := range pgsql.Tokens(value) {
		if token.Text == ";" || token.Kind == pgsql.Stray || token.Kind == pgsql.LineComment ||
			token.Kind == pgsql.BlockComment {
			return "", fmt.Sprintf(remedies, r.name)
		}
	}
	return value, ""
}

// spellInBody spells a value between dollar quotes. What is there is code
// of its own, in which only the quoted forms are safe whatever the value is.
func spellInBody(r ref, value, body string) (spelled, remedy string) {
	spelled = value
	if r.quote != 0 {
		spelled, remedy = spellOutside(r, value)
	} else if strings.ContainsAny(value, "'\"\\$;\r\n") || strings.Contains(value, "--") || strings.Contains(value, "/*") {
		remedy = fmt.Sprintf(
			`between dollar quotes, ${%[1]s} can have no quotes, backslashes, dollars, semicolons, comments or line ends; write ${'%[1]s'} or ${"%[1]s"}`, r.name)
	}
	delimiter := body[:strings.IndexByte(body[1:], '$')+2]
	if remedy == "" && strings.Contains(spelled, delimiter) {
		remedy = "use other dollar quotes around it: the value has " + delimiter + " in it"
	}
	return spelled, remedy
}

// stringLiteral quotes a text as PostgreSQL's own PQescapeLiteral does: in a
// way that does not depend on standard_conforming_strings.
func stringLiteral(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
