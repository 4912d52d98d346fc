package js

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// console is the state of the script's console.
type console struct {
	indent string
	clocks map[string]time.Time
}

// furnishConsole defines console. What it prints goes to the session as it is;
// while a script is only looked at, it goes nowhere.
func (m *machine) furnishConsole() error {
	print := func(level string) func(goja.FunctionCall) goja.Value {
		return func(call goja.FunctionCall) goja.Value {
			m.print(level, m.format(call.Arguments))
			return goja.Undefined()
		}
	}
	object := m.vm.NewObject()
	err := m.define(object, map[string]any{
		"log": print("log"), "info": print("info"), "warn": print("warn"), "error": print("error"),
		"debug": print("log"), "trace": print("warn"), "dir": print("log"), "table": print("log"),
		"assert": func(call goja.FunctionCall) goja.Value {
			if !call.Argument(0).ToBoolean() {
				m.print("error", strings.TrimSuffix("Assertion failed: "+m.format(call.Arguments[min(1, len(call.Arguments)):]),
					": "))
			}
			return goja.Undefined()
		},
		"group": func(call goja.FunctionCall) goja.Value {
			if len(call.Arguments) > 0 {
				m.print("log", m.format(call.Arguments))
			}
			m.console.indent += "  "
			return goja.Undefined()
		},
		"groupEnd": func(goja.FunctionCall) goja.Value {
			m.console.indent = strings.TrimSuffix(m.console.indent, "  ")
			return goja.Undefined()
		},
		"time": func(call goja.FunctionCall) goja.Value {
			if m.console.clocks == nil {
				m.console.clocks = map[string]time.Time{}
			}
			m.console.clocks[label(call)] = time.Now()
			return goja.Undefined()
		},
		"timeLog": m.printTime,
		"timeEnd": func(call goja.FunctionCall) goja.Value {
			m.printTime(call)
			delete(m.console.clocks, label(call))
			return goja.Undefined()
		},
	})
	if err != nil {
		return err
	}
	return m.define(m.vm.GlobalObject(), map[string]any{"console": object})
}

func label(call goja.FunctionCall) string {
	if len(call.Arguments) == 0 {
		return "default"
	}
	return call.Arguments[0].String()
}

func (m *machine) printTime(call goja.FunctionCall) goja.Value {
	if began, ok := m.console.clocks[label(call)]; ok {
		m.print("log", fmt.Sprintf("%s: %s", label(call), time.Since(began).Round(time.Microsecond)))
	}
	return goja.Undefined()
}

func (m *machine) print(level, text string) {
	if m.session == nil {
		return
	}
	if m.console.indent != "" {
		text = m.console.indent + strings.ReplaceAll(text, "\n", "\n"+m.console.indent)
	}
	m.session.Printed(level, text)
}

// format puts arguments together as Node's util.format does.
func (m *machine) format(arguments []goja.Value) string {
	var b strings.Builder
	if len(arguments) > 1 && isString(arguments[0]) {
		var used int
		b.WriteString(m.fill(arguments[0].String(), arguments[1:], &used))
		arguments = arguments[1+used:]
		if len(arguments) > 0 {
			b.WriteByte(' ')
		}
	}
	for i, argument := range arguments {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(m.shown(argument))
	}
	return b.String()
}

// fill replaces the directives of a text with arguments, and counts them.
func (m *machine) fill(text string, arguments []goja.Value, used *int) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '%')
		if at < 0 || at+1 == len(text) {
			return b.String() + text
		}
		b.WriteString(text[:at])
		directive := text[at : at+2]
		text = text[at+2:]
		switch {
		case directive == "%%":
			b.WriteByte('%')
		case *used == len(arguments) || !strings.Contains("sdifjoOc", directive[1:]):
			b.WriteString(directive)
		default:
			b.WriteString(m.directive(directive[1], arguments[*used]))
			*used++
		}
	}
}

func (m *machine) directive(letter byte, argument goja.Value) string {
	switch letter {
	case 's':
		return m.shown(argument)
	case 'd':
		return argument.ToNumber().String()
	case 'i':
		if math.IsNaN(argument.ToFloat()) {
			return "NaN"
		}
		return fmt.Sprint(argument.ToInteger())
	case 'f':
		return argument.ToNumber().String()
	case 'j':
		text, err := m.natives.stringify(goja.Undefined(), argument)
		if err != nil {
			return "[Circular]"
		}
		return text.String()
	case 'c': // CSS
		return ""
	}
	return m.inspect(argument)
}

func isString(value goja.Value) bool {
	switch value.(type) {
	case *goja.Object, *goja.Symbol:
		return false
	}
	return value.ExportType() != nil && value.ExportType().Kind() == stringKind
}

// shown is a value as console.log shows it: a string as it is.
func (m *machine) shown(value goja.Value) string {
	if isString(value) {
		return value.String()
	}
	return m.inspect(value)
}
