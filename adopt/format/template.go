package format

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// A template is a program: it can loop over a number as long as it likes, call
// itself, and double a text until nothing else has room. Nobody can end it from
// outside, so it is measured from within: each turn of a loop and each call of a
// template is a step, and functions that make text are charged for it beforehand.
const (
	mostActions = 10_000  // in a template: so deep it may be nested
	mostSteps   = 10_000  // of a rendering
	mostMade    = 2 << 20 // bytes that functions make in it
	mostText    = 8 << 20 // bytes of what comes out
)

// render renders a text with the templates beside it, which it may call by their
// names. Its error says what is wrong and where.
func render(name, text string, beside map[string]string, data map[string]any) (string, *migration.Error) {
	m := &meter{}
	whole := template.New("").Option("missingkey=error").Funcs(m.functions())
	for other, text := range beside {
		if strings.Count(text, "{{") > mostActions {
			continue
		}
		if _, err := whole.New(other).Parse(text); err != nil {
			continue // who calls it is told so
		}
	}
	if strings.Count(text, "{{") > mostActions {
		return "", unrendered(name, text, errTooMuch)
	}
	parsed, err := whole.New(name).Parse(text)
	if err != nil {
		return "", unrendered(name, text, err)
	}
	for _, t := range whole.Templates() {
		if t.Tree != nil && t.Root != nil {
			m.measure(t.Root)
		}
	}
	var b rendered
	if err := parsed.Execute(&b, data); err != nil {
		return "", unrendered(name, text, err)
	}
	return b.String(), nil
}

var (
	errTooMuch = errors.New("it takes too much: more than whimbrel gives a template, in turns of loops, calls or text")
	// templateError is where an error of package template says that it is.
	templateError = plaintext.Pattern(`^template: (.*?):(\d+)(?::(\d+))?: (?:executing .* at <.*?>: )?((?s).*)$`)
)

// unrendered is a template that cannot be rendered, at its place.
func unrendered(name, text string, err error) *migration.Error {
	message := err.Error()
	e := unfit("write it without what whimbrel does not have: the functions of Sprig, and values that tern.conf does "+
		"not name", "")
	if errors.Is(err, errTooMuch) {
		message, e.Remedy = errTooMuch.Error(), "write out what it gives"
	}
	if found := templateError().FindStringSubmatch(err.Error()); found != nil {
		if !errors.Is(err, errTooMuch) {
			message = found[4]
		}
		if found[1] == name {
			e.Position.Line, _ = strconv.Atoi(found[2])
			e.Position.Column = columnOf(text, e.Position.Line, found[3], message)
		} else {
			message += " (in " + found[1] + ", line " + found[2] + ")"
		}
	}
	e.Message = "the template cannot be rendered: " + message
	return e
}

// columnOf is where an error is in its line: in bytes from 0 as package template
// has it, or where the function stands that there is not.
func columnOf(text string, line int, bytes, message string) int {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return 0
	}
	at, err := strconv.Atoi(bytes)
	if name := missingFunction().FindStringSubmatch(message); err != nil && name != nil {
		at = strings.Index(lines[line-1], name[1])
	}
	at = min(max(at, 0), len(lines[line-1]))
	return utf8.RuneCountInString(lines[line-1][:at]) + 1
}

var missingFunction = plaintext.Pattern(`^function "(\w+)" not defined$`)

// meter measures one rendering.
type meter struct{ steps, made int }

// measure makes every turn of a loop and every call of a template a step.
func (m *meter) measure(list *parse.ListNode) {
	m.inner(list)
	list.Nodes = append([]parse.Node{step()}, list.Nodes...)
}

func (m *meter) inner(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch node := node.(type) {
		case *parse.RangeNode:
			m.measure(node.List)
			m.inner(node.ElseList)
		case *parse.IfNode:
			m.inner(node.List)
			m.inner(node.ElseList)
		case *parse.WithNode:
			m.inner(node.List)
			m.inner(node.ElseList)
		}
	}
}

// stepName is no name that a template can write.
const stepName = "whimbrel_step"

// step is an action that does nothing but count.
func step() parse.Node {
	trees, err := parse.Parse("step", "{{"+stepName+"}}", "", "", map[string]any{stepName: true})
	if err != nil {
		panic("whimbrel: a step cannot be parsed: " + err.Error()) // its text is fixed
	}
	return trees["step"].Root.Nodes[0]
}

// functions are those that count, in place of package template's own.
func (m *meter) functions() template.FuncMap {
	charged := func(make func(...any) string, times int) func(...any) (string, error) {
		return func(values ...any) (string, error) {
			size := 0
			for _, v := range values {
				size += sizeOf(v) + 1
			}
			if err := m.charge(size * times); err != nil {
				return "", err
			}
			return make(values...), nil
		}
	}
	return template.FuncMap{
		stepName: func() (string, error) {
			if m.steps++; m.steps > mostSteps {
				return "", errTooMuch
			}
			return "", nil
		},
		"print":    charged(fmt.Sprint, 1),
		"println":  charged(fmt.Sprintln, 1),
		"html":     charged(template.HTMLEscaper, 6),
		"js":       charged(template.JSEscaper, 6),
		"urlquery": charged(template.URLQueryEscaper, 3),
		"printf": func(format string, values ...any) (string, error) {
			if err := m.charge(mostOf(format, values)); err != nil {
				return "", err
			}
			return fmt.Sprintf(format, values...), nil
		},
	}
}

func (m *meter) charge(bytes int) error {
	if bytes < 0 || bytes > mostMade-m.made {
		return errTooMuch
	}
	m.made += bytes
	return nil
}

// sizeOf is how many bytes a value is at most when it is printed.
func sizeOf(value any) int {
	switch value := value.(type) {
	case string:
		return len(value)
	case map[string]any:
		size := len("map[]")
		for key, inner := range value {
			size += len(key) + sizeOf(inner) + 2
		}
		return size
	}
	return 400 // a number, a truth value: no verb makes more of it
}

var inFormat = plaintext.Pattern(`\d+`)

// mostOf is how many bytes a format gives at most: each of its verbs may print the
// longest of the values, escaped, and be as wide as its numbers or the values say.
func mostOf(format string, values []any) int {
	widest, longest := 0, 0
	for _, number := range inFormat().FindAllString(format, -1) {
		n, err := strconv.Atoi(number)
		if err != nil {
			n = mostMade
		}
		widest = max(widest, n)
	}
	for _, v := range values {
		longest = max(longest, sizeOf(v))
		if n, isNumber := v.(int); isNumber {
			widest = max(widest, n, -n)
		}
	}
	if longest += len("%!v(map[string]interface {}=)"); longest > mostMade || widest > mostMade {
		return mostMade + 1
	}
	// %!(EXTRA …) lists values that no verb has.
	return len(format) + strings.Count(format, "%")*(6*longest+widest) + len(values)*(longest+widest)
}

// rendered is what a template gives.
type rendered struct{ strings.Builder }

// Write implements io.Writer.
func (r *rendered) Write(text []byte) (int, error) {
	if r.Len()+len(text) > mostText {
		return 0, errTooMuch
	}
	return r.Builder.Write(text)
}
