package js

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dop251/goja"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/pause"
)

// machine is a JavaScript machine in which a script is loaded, for one Run or
// one look at what it exports. One goroutine uses it.
type machine struct {
	vm      *goja.Runtime
	bundle  *bundle
	options Options
	limit   *limit
	loop    loop
	natives natives
	console console

	// ctx is that of the work in hand: of the Run, or of the transaction in it.
	ctx context.Context
	// session is nil while the script is only looked at.
	session whimbrel.Session
	// atomic is set when the whole script is one transaction; depth counts the
	// transactions that client.tx and client.batch have opened.
	atomic bool
	depth  int

	// rejected are the promises that failed and that nobody has awaited so far.
	rejected []*goja.Promise
	// lastThrown is the last thrown value that was no Error, and its place.
	lastThrown struct {
		value goja.Value
		stack []goja.StackFrame
	}
}

// maxCalls is how deep functions may call each other, about as in Node.js.
const maxCalls = 10_000

// boot makes a machine. Close must be called.
func boot(ctx context.Context, b *bundle, options Options, session whimbrel.Session) (*machine, error) {
	m := &machine{vm: goja.New(), bundle: b, options: options, ctx: ctx, session: session}
	m.vm.SetMaxCallStackSize(maxCalls)
	m.vm.SetPromiseRejectionTracker(m.track)
	m.limit = watch(ctx, m.vm, options)
	// What is not the script's own does not count as its computing.
	if _, err := m.try(func() (goja.Value, error) { return nil, m.furnish() }); err != nil {
		m.close()
		return nil, m.failure(err)
	}
	return m, nil
}

func (m *machine) close() { m.limit.close() }

// load runs the top level of the script and gives what it exports.
func (m *machine) load() (*goja.Object, error) {
	module := m.vm.NewObject()
	exports := m.vm.NewObject()
	_, err := m.enter(func() (goja.Value, error) {
		if err := module.Set("exports", exports); err != nil {
			return nil, err
		}
		function, err := m.vm.RunProgram(m.bundle.program)
		if err != nil {
			return nil, err
		}
		run, ok := goja.AssertFunction(function)
		if !ok {
			return nil, errors.New("the program is not a function")
		}
		return run(exports, exports, m.vm.ToValue(m.require), module, m.vm.ToValue(m.bundle.name), m.vm.ToValue("."))
	})
	if err != nil {
		return nil, err
	}
	if err := m.settle(nil); err != nil {
		return nil, err
	}
	if exported, ok := module.Get("exports").(*goja.Object); ok {
		return exported, nil
	}
	return m.vm.NewObject(), nil
}

// require is what is left of it after bundling: names that are computed.
func (m *machine) require(call goja.FunctionCall) goja.Value {
	message, remedy := unavailable(call.Argument(0).String())
	panic(m.goError(&whimbrel.Error{Code: whimbrel.CodeScript, Message: message, Remedy: remedy}))
}

// enter runs work in the machine, with nothing of it on the stack so far. The
// microtasks are done when it returns. Errors come back as describe has them.
func (m *machine) enter(work func() (goja.Value, error)) (goja.Value, error) {
	if reason := m.limit.reason(); reason != nil {
		return nil, reason
	}
	m.limit.computing()
	defer m.limit.waiting()
	return m.try(work)
}

// try does work, and gives what the machine reports as describe has it.
func (m *machine) try(work func() (goja.Value, error)) (value goja.Value, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = m.fault(fault)
		}
	}()
	if exception := m.vm.Try(func() { value, err = work() }); exception != nil {
		err = exception
	}
	return value, m.describe(err)
}

// fault is a panic of the machine itself, or the end of a script that had to be
// stopped.
func (m *machine) fault(fault any) error {
	switch fault := fault.(type) {
	case *goja.InterruptedError:
		return m.describe(fault)
	case *goja.StackOverflowError:
		return m.describe(fault)
	}
	return &whimbrel.Error{Code: whimbrel.CodeInternal, Path: m.bundle.path,
		Message: fmt.Sprintf("the JavaScript machine failed: %v", fault),
		Remedy:  "please report this, with the script: it should not be possible"}
}

// track hears of promises that fail with nobody waiting for them, and of those
// that somebody waits for after all.
func (m *machine) track(promise *goja.Promise, operation goja.PromiseRejectionOperation) {
	if operation == goja.PromiseRejectionReject {
		m.rejected = append(m.rejected, promise)
		return
	}
	m.forgive(promise)
}

func (m *machine) forgive(promise *goja.Promise) {
	for i, p := range m.rejected {
		if p == promise {
			m.rejected = append(m.rejected[:i], m.rejected[i+1:]...)
			return
		}
	}
}

// await runs the loop until a value that a function of the script returned is
// there, and gives it, or as an error what was thrown.
func (m *machine) await(value goja.Value) (goja.Value, error) {
	promise, err := m.promise(value)
	if err != nil || promise == nil {
		return value, err
	}
	for promise.State() == goja.PromiseStatePending {
		if err := m.unhandled(promise); err != nil {
			return nil, err
		}
		if err := m.turn(); err != nil {
			return nil, err
		}
	}
	if promise.State() == goja.PromiseStateRejected {
		m.forgive(promise)
		return nil, m.describe(&thrown{value: promise.Result()})
	}
	return promise.Result(), nil
}

// promise makes a promise of whatever can be awaited, and nil of everything else.
func (m *machine) promise(value goja.Value) (*goja.Promise, error) {
	object, ok := value.(*goja.Object)
	if !ok {
		return nil, nil
	}
	if object.ClassName() == "Promise" {
		promise, _ := object.Export().(*goja.Promise)
		return promise, nil
	}
	resolved, err := m.enter(func() (goja.Value, error) {
		if _, ok := goja.AssertFunction(object.Get("then")); !ok {
			return goja.Undefined(), nil
		}
		return m.natives.resolve(goja.Undefined(), object)
	})
	if err != nil {
		return nil, err
	}
	promise, _ := resolved.Export().(*goja.Promise)
	return promise, nil
}

// settle finishes what the script has begun and not awaited, except for
// timers, and reports what failed of it.
func (m *machine) settle(awaited *goja.Promise) error {
	for len(m.loop.operations) > 0 {
		if err := m.turn(); err != nil {
			return err
		}
	}
	return m.unhandled(awaited)
}

// unhandled is the failure of a promise that nobody awaits.
func (m *machine) unhandled(awaited *goja.Promise) error {
	for _, promise := range m.rejected {
		if promise != awaited {
			return m.describe(&thrown{value: promise.Result(), floating: true})
		}
	}
	return nil
}

// turn does the next thing that the script waits for.
func (m *machine) turn() error {
	if reason := m.limit.reason(); reason != nil {
		return reason
	}
	switch {
	case len(m.loop.operations) > 0 && m.depth == 0:
		operation := m.loop.operations[0]
		m.loop.operations = m.loop.operations[1:]
		return m.finish(operation, operation.run)
	case len(m.loop.timers) > 0:
		return m.tick()
	case len(m.loop.operations) > 0:
		// It could begin only when the transaction ends that waits for it.
		operation := m.loop.operations[0]
		m.loop.operations = m.loop.operations[1:]
		return m.finish(operation, func() (goja.Value, error) { return nil, inTransaction(operation.name) })
	}
	return &whimbrel.Error{Code: whimbrel.CodeScript, Path: m.bundle.path,
		Message: "the script waits for a promise that nothing will ever settle",
		Remedy:  "look for `new Promise` whose resolve is not called on every way, or a callback that nobody calls"}
}

// tick waits for the next timer and calls its function.
func (m *machine) tick() error {
	next := m.loop.timers[0]
	if wait := time.Until(next.due); wait > 0 {
		if err := pause.For(m.ctx, wait); err != nil {
			m.limit.stop(err)
			return m.limit.reason()
		}
	}
	m.loop.passed(next)
	_, err := m.enter(func() (goja.Value, error) { return next.call(goja.Undefined(), next.arguments...) })
	return err
}
