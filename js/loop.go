package js

import (
	"cmp"
	"slices"
	"time"

	"github.com/dop251/goja"
)

// loop is what a script has set going and what happens only when it waits:
// timers, and transactions of its own. Queries are not in it: they are answered
// within the call, in the order of the calls.
type loop struct {
	operations []*operation
	timers     []*timer // by when they are due
	last       int64    // number of the last timer
}

// operation is a transaction, or a row of them, that the script has asked for.
type operation struct {
	name            string // as the script calls it
	run             func() (goja.Value, error)
	site            *goja.Object // an Error made where it was asked for
	resolve, reject func(any) error
}

// finish does the work of an operation and settles its promise.
func (m *machine) finish(o *operation, run func() (goja.Value, error)) error {
	value, err := run()
	if reason := m.limit.reason(); reason != nil {
		return reason
	}
	_, failed := m.enter(func() (goja.Value, error) {
		if err != nil {
			return nil, o.reject(m.rejection(err, o.site))
		}
		return nil, o.resolve(value)
	})
	return failed
}

type timer struct {
	id        int64
	due       time.Time
	every     time.Duration // 0: once
	call      goja.Callable
	arguments []goja.Value
}

// add sets a timer. Those that are due at the same time go in their order.
func (l *loop) add(t *timer) {
	at, _ := slices.BinarySearchFunc(l.timers, t, func(a, b *timer) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.id, b.id))
	})
	l.timers = slices.Insert(l.timers, at, t)
}

// passed takes a timer off, or sets it again if it repeats.
func (l *loop) passed(t *timer) {
	l.remove(t.id)
	if t.every > 0 {
		t.due = time.Now().Add(t.every)
		l.add(t)
	}
}

func (l *loop) remove(id int64) {
	l.timers = slices.DeleteFunc(l.timers, func(t *timer) bool { return t.id == id })
}

// longestWait is the longest that a timer of Node.js takes.
const longestWait = 1<<31 - 1

// furnishTimers defines setTimeout and the other timers.
func (m *machine) furnishTimers() error {
	set := func(repeat bool, call goja.FunctionCall, wait int64, arguments []goja.Value) goja.Value {
		function, ok := goja.AssertFunction(call.Argument(0))
		if !ok {
			panic(m.vm.NewTypeError("a timer needs a function"))
		}
		if wait < 1 || wait > longestWait {
			wait = 1
		}
		m.loop.last++
		t := &timer{id: m.loop.last, call: function, arguments: arguments,
			due: time.Now().Add(time.Duration(wait) * time.Millisecond)}
		if repeat {
			t.every = time.Duration(wait) * time.Millisecond
		}
		m.loop.add(t)
		return m.vm.ToValue(t.id)
	}
	clear := func(call goja.FunctionCall) goja.Value {
		m.loop.remove(call.Argument(0).ToInteger())
		return goja.Undefined()
	}
	rest := func(call goja.FunctionCall, from int) []goja.Value {
		// Copied, since the machine uses the memory of the call again.
		return slices.Clone(call.Arguments[min(from, len(call.Arguments)):])
	}
	return m.define(m.vm.GlobalObject(), map[string]any{
		"setTimeout": func(call goja.FunctionCall) goja.Value {
			return set(false, call, call.Argument(1).ToInteger(), rest(call, 2))
		},
		"setInterval": func(call goja.FunctionCall) goja.Value {
			return set(true, call, call.Argument(1).ToInteger(), rest(call, 2))
		},
		"setImmediate":   func(call goja.FunctionCall) goja.Value { return set(false, call, 0, rest(call, 1)) },
		"clearTimeout":   clear,
		"clearInterval":  clear,
		"clearImmediate": clear,
	})
}
