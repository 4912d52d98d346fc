package js

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/dop251/goja"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// thrown is a JavaScript value that was thrown, on its way through Go.
type thrown struct {
	value    goja.Value
	stack    []goja.StackFrame // where it was thrown, if that is known
	floating bool              // a promise that nobody awaits failed with it
}

func (t *thrown) Error() string { return "the script threw " + t.value.String() }

// stopped is a script that was ended from outside.
type stopped struct {
	reason error
	stack  []goja.StackFrame
}

func (s *stopped) Error() string { return s.reason.Error() }
func (s *stopped) Unwrap() error { return s.reason }

// origin is the failure in Go that a JavaScript Error stands for.
type origin struct {
	err   error
	query string // that the server refused
}

// describe turns what the machine reports into thrown and stopped.
func (m *machine) describe(err error) error {
	var exception *goja.Exception
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	var t *thrown
	switch {
	case errors.As(err, &interrupted):
		return &stopped{reason: m.limit.reason(), stack: interrupted.Stack()}
	case errors.As(err, &overflow):
		return &stopped{stack: overflow.Stack(), reason: &whimbrel.Error{Code: whimbrel.CodeScript,
			Message: fmt.Sprintf("functions call each other more than %d deep", maxCalls),
			Remedy:  "look for a recursion that does not end"}}
	case errors.As(err, &exception):
		return &thrown{value: exception.Value(), stack: exception.Stack()}
	case errors.As(err, &t) && t.stack == nil && m.lastThrown.value != nil && m.lastThrown.value.StrictEquals(t.value):
		t.stack = m.lastThrown.stack
	}
	return err
}

// failure turns what ended a script into what a Run returns. Failures that are
// not the script's, as a broken connection, are passed on.
func (m *machine) failure(err error) error {
	var t *thrown
	var s *stopped
	var own *whimbrel.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &t):
		return m.uncaught(t)
	case errors.As(err, &s):
		if errors.As(s.reason, &own) {
			return m.bundle.locate(*own, trace(s.stack))
		}
		return fmt.Errorf("running %s: %w", m.bundle.path, s.reason)
	case errors.As(err, &own):
		return m.bundle.locate(*own, nil)
	}
	return fmt.Errorf("running %s: %w", m.bundle.path, err)
}

// uncaught is the failure of a script that threw.
func (m *machine) uncaught(t *thrown) error {
	frames := trace(t.stack)
	e := whimbrel.Error{Code: whimbrel.CodeScript}
	object, isError := t.value.(*goja.Object)
	if isError = isError && object.ClassName() == "Error"; isError {
		e.Message = headline(object)
		if made := framesOf(property(object, "stack")); len(made) > 0 {
			frames = made
		}
	} else {
		e.Message = "the script threw " + m.inspect(t.value)
		e.Remedy = "throw an Error: throw new Error('…')"
	}
	o := m.origin(t.value)
	var own *whimbrel.Error
	var refused *pgconn.PgError
	switch {
	case o == nil:
	case errors.As(o.err, &own):
		e = *own
	case errors.As(o.err, &refused):
		fromServer(&e, refused, o.query)
	case !isScripts(o.err):
		return fmt.Errorf("running %s: %w", m.bundle.path, o.err)
	}
	if t.floating && e.Code == whimbrel.CodeScript {
		e.Remedy = "nobody awaited the promise that failed: write await before the call"
	}
	return m.bundle.locate(e, frames)
}

// headline is what an Error says, with its name where that says something.
func headline(object *goja.Object) string {
	name, message := property(object, "name"), property(object, "message")
	switch {
	case name == "" || name == "Error" || name == "error":
		if message == "" {
			return "the script threw an Error without a message"
		}
		return message
	case message == "":
		return name
	}
	return name + ": " + message
}

// property reads a property that a script may have made anything of.
func property(object *goja.Object, name string) string {
	value := object.Get(name)
	if value == nil || goja.IsUndefined(value) || goja.IsNull(value) {
		return ""
	}
	return value.String()
}

// fromServer takes over what PostgreSQL said.
func fromServer(e *whimbrel.Error, refused *pgconn.PgError, query string) {
	e.SQLState, e.Detail, e.Hint, e.Constraint = refused.Code, refused.Detail, refused.Hint, refused.ConstraintName
	e.Where, e.Err = refused.Where, refused
	if refused.Position > 0 {
		at := pgsql.PositionAt(query, pgsql.OffsetOfCharacter(query, int(refused.Position)))
		e.Where = join(e.Where, "in the query, at "+at.String()+":\n"+excerpt(line(query, at.Line), at.Column))
	}
}

// isScripts reports whether an error in Go is the script's doing, and not that
// of the connection or of anyone who ended the run.
func isScripts(err error) bool {
	var refused *refusal
	return errors.As(err, &refused) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// refusal is a call that the client does not understand.
type refusal struct{ message string }

func (r *refusal) Error() string { return r.message }

// locate fills in the place of a failure from the frames, the innermost first.
func (b *bundle) locate(e whimbrel.Error, frames []frame) *whimbrel.Error {
	var stack []string
	for _, f := range frames {
		text, known := b.sources[f.file]
		if !known {
			continue
		}
		f.column = characters(line(text, f.line), f.column)
		path := beside(b.path, f.file)
		stack = append(stack, fmt.Sprintf("at %s%s:%d:%d", f.function, path, f.line, f.column))
		if e.Line == 0 {
			e.Path, e.Line, e.Column = path, f.line, f.column
			e.Statement = excerpt(line(text, f.line), f.column)
		}
	}
	if e.Path == "" {
		e.Path = b.path
	}
	if len(stack) > mostFrames {
		stack = append(stack[:mostFrames:mostFrames], fmt.Sprintf("… and %d more", len(stack)-mostFrames))
	}
	if len(stack) > 1 {
		e.Where = join(e.Where, strings.Join(stack, "\n"))
	}
	return &e
}

// mostFrames is how many lines of a stack are shown.
const mostFrames = 10

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "\n" + b
}

// frame is a line of a stack, with a place in an original file.
type frame struct {
	function     string // with a space behind it, or nothing
	file         string
	line, column int // column in UTF-16 units, from 1
}

var framePattern = plaintext.Pattern(`^\s*at (?:(.*) \()?([^()]+):(\d+):(\d+)\(\d+\)\)?$`)

// framesOf reads the frames at the end of an Error's stack, where no text of a
// message is taken for them.
func framesOf(stack string) []frame {
	lines := strings.Split(strings.TrimRight(stack, "\n"), "\n")
	first := len(lines)
	for first > 0 && strings.HasPrefix(lines[first-1], "\tat ") {
		first--
	}
	var frames []frame
	for _, text := range lines[first:] {
		found := framePattern().FindStringSubmatch(text)
		if found == nil {
			continue
		}
		f := frame{file: fileName(found[2])}
		f.line, _ = strconv.Atoi(found[3])
		f.column, _ = strconv.Atoi(found[4])
		if found[1] != "" {
			f.function = found[1] + " "
		}
		frames = append(frames, f)
	}
	return frames
}

func trace(stack []goja.StackFrame) []frame {
	var frames []frame
	for _, s := range stack {
		at := s.Position()
		f := frame{file: fileName(at.Filename), line: at.Line, column: at.Column}
		if name := s.FuncName(); name != "<anonymous>" && name != "" {
			f.function = name + " "
		}
		frames = append(frames, f)
	}
	return frames
}

// fileName undoes what goja does to the names in source maps.
func fileName(address string) string {
	if name, err := url.PathUnescape(address); err == nil {
		return strings.TrimPrefix(name, "./")
	}
	return address
}

// line gives a line of a text, counting from 1.
func line(text string, number int) string {
	for ; number > 1; number-- {
		_, rest, more := strings.Cut(text, "\n")
		if !more {
			return ""
		}
		text = rest
	}
	first, _, _ := strings.Cut(text, "\n")
	return strings.TrimSuffix(first, "\r")
}

// characters turns a column in UTF-16 units into one in characters.
func characters(text string, column int) int {
	units, count := 0, 1
	for _, c := range text {
		if units += utf16.RuneLen(c); units >= column {
			break
		}
		count++
	}
	return count
}

// widest is how many characters of a line an excerpt shows.
const widest = 100

// excerpt is a line, shortened, and a caret below a column of it.
func excerpt(text string, column int) string {
	all := []rune(text)
	at := min(max(column-1, 0), len(all))
	before, behind := all[:at], all[at:]
	if len(before) > widest*2/3 {
		before = append([]rune("…"), before[len(before)-widest*2/3:]...)
	}
	if room := widest - len(before); len(behind) > room {
		behind = append(behind[:room:room], '…')
	}
	blank := strings.Map(func(c rune) rune {
		if c == '\t' {
			return c
		}
		return ' '
	}, string(before))
	return string(before) + string(behind) + "\n" + blank + "^"
}

// malformed is the failure of a script's top level.
func malformed(err error) error {
	var own *whimbrel.Error
	if !errors.As(err, &own) || own.Code != whimbrel.CodeScript {
		return err
	}
	e := *own
	e.Code = whimbrel.CodeMalformed
	return &e
}

func inTransaction(name string) *whimbrel.Error {
	return &whimbrel.Error{Code: whimbrel.CodeScript,
		Message: name + " was called inside a transaction",
		Remedy:  "call it when the transaction before it is over, on the client that up or down was called with"}
}

func needsNoTransaction(name string) *whimbrel.Error {
	return &whimbrel.Error{Code: whimbrel.CodeScript,
		Message: name + " works only in a script that runs outside a transaction",
		Remedy:  "say `export const transaction = false` in the script (in CommonJS: module.exports.transaction = false)"}
}

// goError makes a JavaScript Error of a failure in Go.
func (m *machine) goError(err error) *goja.Object {
	return m.explain(m.natives.newError(m, ""), err)
}

// explain gives an Error the message of a failure in Go, and keeps that in it.
func (m *machine) explain(object *goja.Object, err error) *goja.Object {
	message := err.Error()
	var own *whimbrel.Error
	if errors.As(err, &own) {
		if message = own.Message; own.Remedy != "" {
			message += "; " + own.Remedy
		}
	}
	m.put(object, "message", m.vm.ToValue(message))
	m.keep(object, &origin{err: err})
	return object
}

func (m *machine) keep(object *goja.Object, o *origin) {
	if err := object.DefineDataPropertySymbol(m.natives.origin, m.vm.ToValue(o), goja.FLAG_FALSE, goja.FLAG_FALSE,
		goja.FLAG_FALSE); err != nil {
		panic(err)
	}
}

// put defines a property as Error's own are: it is not enumerated.
func (m *machine) put(object *goja.Object, name string, value goja.Value) {
	if err := object.DefineDataProperty(name, value, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE); err != nil {
		panic(err)
	}
}

// deepest is how many causes of an Error are looked at.
const deepest = 10

// origin finds the failure in Go that an Error stands for, or that is its cause.
func (m *machine) origin(value goja.Value) *origin {
	for range deepest {
		object, ok := value.(*goja.Object)
		if !ok {
			return nil
		}
		if kept := object.GetSymbol(m.natives.origin); kept != nil {
			if o, ok := kept.Export().(*origin); ok {
				return o
			}
		}
		value = object.Get("cause")
	}
	return nil
}

// rejection is what a promise is rejected with for a failure in Go: what the
// script itself threw, where it was that. Otherwise site becomes the Error.
func (m *machine) rejection(err error, site *goja.Object) goja.Value {
	var t *thrown
	if errors.As(err, &t) {
		return t.value
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return m.databaseError(site, refused, "")
	}
	return m.explain(site, err)
}

// databaseError gives an Error the fields that those of Node's pg have.
func (m *machine) databaseError(object *goja.Object, refused *pgconn.PgError, query string) *goja.Object {
	m.put(object, "message", m.vm.ToValue(refused.Message))
	number := func(n int32) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(int(n))
	}
	fields := []struct{ name, value string }{
		{"severity", refused.Severity}, {"code", refused.Code}, {"detail", refused.Detail}, {"hint", refused.Hint},
		{"position", number(refused.Position)}, {"internalPosition", number(refused.InternalPosition)},
		{"internalQuery", refused.InternalQuery}, {"where", refused.Where}, {"schema", refused.SchemaName},
		{"table", refused.TableName}, {"column", refused.ColumnName}, {"dataType", refused.DataTypeName},
		{"constraint", refused.ConstraintName}, {"file", refused.File}, {"line", number(refused.Line)}, {"routine",
			refused.Routine},
	}
	// As the message was on the wire: its length, each field with its letter
	// and its end, and the end of all.
	length := 4 + 1 + len("V") + len(refused.SeverityUnlocalized) + 1 + len("M") + len(refused.Message) + 1
	set := func(name string, value any) {
		if err := object.Set(name, value); err != nil {
			panic(err)
		}
	}
	for _, field := range fields {
		if field.value != "" {
			length += 1 + len(field.value) + 1
		}
	}
	set("length", length)
	set("name", "error")
	for _, field := range fields {
		if field.value == "" {
			set(field.name, goja.Undefined())
			continue
		}
		set(field.name, field.value)
	}
	m.keep(object, &origin{err: refused, query: query})
	return object
}
