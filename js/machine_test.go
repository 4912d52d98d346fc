package js

import (
	"strings"
	"testing"
	"time"

	"github.com/dop251/goja"
	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

func TestAFaultOfTheMachineIsAnError(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.bundle.path = "1_it.js"
	for want, work := range map[string]func(){
		"boom":                 func() { panic("boom") },
		"nil pointer":          func() { var o *goja.Object; o.Get("x") },
		"index out of range":   func() { var list []int; _ = list[len(m.bundle.path)] },
		"cannot be read":       func() { panic(&refusal{"cannot be read"}) },
		"integer divide by ze": func() { n := 0; _ = 1 / n },
	} {
		_, err := m.enter(func() (goja.Value, error) { work(); return nil, nil })
		var e *whimbrel.Error
		require.ErrorAs(t, m.failure(err), &e)
		require.Equal(t, whimbrel.CodeInternal, e.Code)
		require.Equal(t, "1_it.js", e.Path)
		require.Contains(t, e.Message, want)
	}
	_, err := m.enter(func() (goja.Value, error) { return m.vm.RunString("1 + 1") })
	require.NoError(t, err, "it works as before")
}

func TestAStackShowsNoNamesInGo(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	value, err := m.enter(func() (goja.Value, error) {
		return m.vm.RunString("let stack; try { Buffer.from(Symbol('x')); } catch (err) { stack = err.stack; } try { " +
			"queueMicrotask(); } catch (err) { stack += err.stack; }; stack + [console.log, setTimeout, " +
			"queueMicrotask].map((f) => f.name)")
	})
	require.NoError(t, err)
	require.NotContains(t, value.String(), "whimbrel/js")
	require.True(t, strings.HasSuffix(value.String(), "log,setTimeout,queueMicrotask"), value)
}

func TestTheTemplatesOfCreateAreScripts(t *testing.T) {
	t.Parallel()
	for _, extension := range []string{"js", "cjs", "mjs", "ts"} {
		file, content, err := migration.Template(migration.Draft{Extension: extension, Version: "1",
			Title: `Add "users" \ ${now}`, Author: "me", Date: time.Now()})
		require.NoError(t, err)
		script, err := New(Options{}).Compile(t.Context(), migration.Migration{Path: file, Text: content})
		require.NoError(t, err, content)
		require.True(t, script.HasDown())
		var e *whimbrel.Error
		require.ErrorAs(t, script.Run(t.Context(), whimbrel.Up, nil), &e)
		require.Equal(t, "up is not written yet", e.Message)
		require.Positive(t, e.Line)
	}
}

// FuzzCompile makes scripts of anything: what is none is an *Error.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"module.exports = { up() {} };", "export default class { up() {} }",
		"export const transaction = false; export const up = 1;",
		"throw null", "//\xde", "for (;;) {}", "let x = `${1}`; throw { x }", "import './a'", "require(1)",
		"//# sourceMappingURL=x", bundleMark + "\n;",
		"exports.up = /(?<a>x)\\k<a>/y;", "module.exports = new Proxy({}, { get() { throw 1 } })", "Promise.reject()",
		"class A { #x = 1; static { this.y = 1n ** 2n } }",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	runtime := New(Options{Compute: 100 * time.Millisecond})
	f.Fuzz(func(t *testing.T, text string, typed bool) {
		path := "1_it.js"
		if typed {
			path = "1_it.ts"
		}
		_, err := runtime.Compile(t.Context(), migration.Migration{Path: path, Text: text})
		var e *whimbrel.Error
		if err != nil {
			require.ErrorAs(t, err, &e)
			require.NotEqual(t, whimbrel.CodeInternal, e.Code, "%v", err)
		}
	})
}
