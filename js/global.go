package js

import (
	"crypto/rand"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sync"
	"time"

	_ "embed" // for the prelude

	"github.com/dop251/goja"
)

const stringKind = reflect.String

//go:embed prelude.js
var preludeText string

// prelude is compiled when the first script runs.
var prelude = sync.OnceValue(func() *goja.Program {
	return goja.MustCompile(programName, "("+preludeText+")", true)
})

// natives are what the machine needs of JavaScript, taken before a script can
// change it.
type natives struct {
	stringify, resolve, isView    goja.Callable
	error, date, buffer, interval *goja.Object
	mapClass, setClass            *goja.Object
	origin                        *goja.Symbol
}

// newError makes an Error, with the stack of this moment.
func (n natives) newError(m *machine, message string) *goja.Object {
	made, err := m.vm.New(n.error, m.vm.ToValue(message))
	if err != nil {
		panic(err)
	}
	return made
}

// furnish defines what scripts find in the machine beside the language.
func (m *machine) furnish() error {
	m.natives.origin = goja.NewSymbol("whimbrel")
	global := m.vm.GlobalObject()
	for _, class := range []struct {
		name string
		into **goja.Object
	}{{"Error", &m.natives.error}, {"Date", &m.natives.date}, {"Map", &m.natives.mapClass}, {"Set", &m.natives.setClass}} {
		*class.into = global.Get(class.name).ToObject(m.vm)
	}
	for _, method := range []struct {
		of, name string
		into     *goja.Callable
	}{
		{"JSON", "stringify", &m.natives.stringify},
		{"Promise", "resolve", &m.natives.resolve}, {"ArrayBuffer", "isView", &m.natives.isView},
	} {
		of := global.Get(method.of).ToObject(m.vm)
		function, _ := goja.AssertFunction(of.Get(method.name))
		*method.into = func(_ goja.Value, arguments ...goja.Value) (goja.Value, error) { return function(of, arguments...) }
	}
	for _, furnish := range []func() error{m.furnishPrelude, m.furnishTimers, m.furnishConsole, m.furnishProcess,
		m.furnishGuards} {
		if err := furnish(); err != nil {
			return err
		}
	}
	return m.define(global, map[string]any{
		"global":   global,
		thrownName: m.noteThrown,
	})
}

// define sets properties that are not enumerated, as those of the language are not.
func (m *machine) define(object *goja.Object, properties map[string]any) error {
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := m.vm.ToValue(properties[name])
		if function, ok := value.(*goja.Object); ok && reflect.TypeOf(properties[name]).Kind() == reflect.Func {
			// Or else stacks would show its name in Go.
			if err := function.DefineDataProperty("name", m.vm.ToValue(name), goja.FLAG_FALSE, goja.FLAG_TRUE,
				goja.FLAG_FALSE); err != nil {
				return fmt.Errorf("naming %s: %w", name, err)
			}
		}
		if err := object.DefineDataProperty(name, value, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE); err != nil {
			return fmt.Errorf("defining %s: %w", name, err)
		}
	}
	return nil
}

func (m *machine) furnishPrelude() error {
	made, err := m.vm.RunProgram(prelude())
	if err != nil {
		return err
	}
	function, _ := goja.AssertFunction(made)
	native := m.vm.NewObject()
	if err := m.define(native, m.forPrelude()); err != nil {
		return err
	}
	classes, err := function(goja.Undefined(), native)
	if err != nil {
		return err
	}
	m.natives.buffer = classes.ToObject(m.vm).Get("Buffer").ToObject(m.vm)
	m.natives.interval = classes.ToObject(m.vm).Get("Interval").ToObject(m.vm)
	return m.define(m.vm.GlobalObject(), map[string]any{"Buffer": m.natives.buffer})
}

// furnishProcess defines what scripts know of the process: the variables that
// they may read, and the clock.
func (m *machine) furnishProcess() error {
	environment := m.vm.NewObject()
	for _, name := range m.options.Environment {
		if value, set := os.LookupEnv(name); set {
			if err := environment.Set(name, value); err != nil {
				return err
			}
		}
	}
	started := time.Now()
	return m.define(m.vm.GlobalObject(), map[string]any{
		"process": m.object("env", environment,
			"nextTick", m.queueMicrotask,
			"exit", func(goja.FunctionCall) goja.Value {
				panic(m.goError(&refusal{"a migration cannot end the process: throw an Error, which rolls it back"}))
			}),
		"performance":    m.object("now", func() float64 { return float64(time.Since(started).Microseconds()) / 1000 }),
		"crypto":         m.object("randomUUID", randomUUID),
		"queueMicrotask": m.queueMicrotask,
	})
}

// queueMicrotask runs a function when those on the stack have returned.
func (m *machine) queueMicrotask(call goja.FunctionCall) goja.Value {
	function, ok := goja.AssertFunction(call.Argument(0))
	if !ok {
		panic(m.vm.NewTypeError("queueMicrotask needs a function"))
	}
	resolved, err := m.natives.resolve(goja.Undefined(), goja.Undefined())
	if err != nil {
		panic(err)
	}
	then, _ := goja.AssertFunction(resolved.ToObject(m.vm).Get("then"))
	arguments := slices.Clone(call.Arguments[1:])
	_, err = then(resolved, m.vm.ToValue(func(goja.FunctionCall) goja.Value {
		if _, err := function(goja.Undefined(), arguments...); err != nil {
			panic(err)
		}
		return goja.Undefined()
	}))
	if err != nil {
		panic(err)
	}
	return goja.Undefined()
}

// randomUUID makes a UUID of version 4 (RFC 9562).
func randomUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// noteThrown remembers where something was thrown that does not know it.
func (m *machine) noteThrown(call goja.FunctionCall) goja.Value {
	value := call.Argument(0)
	if object, ok := value.(*goja.Object); !ok || object.ClassName() != "Error" {
		m.lastThrown.value = value
		m.lastThrown.stack = m.vm.CaptureCallStack(0, nil)
	}
	return value
}
