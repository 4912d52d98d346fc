package js

import (
	"github.com/dop251/goja"
)

// furnishGuards puts a check before what would allocate without bound in one
// step, between whose beginning and end nothing can be stopped.
func (m *machine) furnishGuards() error {
	const perItem = 16 // bytes of a value in an array
	for _, guard := range []struct {
		class, method string
		size          func(goja.FunctionCall) float64
	}{
		{"String", "repeat", func(call goja.FunctionCall) float64 { return length(call.This) * call.Argument(0).ToFloat() }},
		{"String", "padStart", func(call goja.FunctionCall) float64 { return call.Argument(0).ToFloat() }},
		{"String", "padEnd", func(call goja.FunctionCall) float64 { return call.Argument(0).ToFloat() }},
		{"Array", "fill", func(call goja.FunctionCall) float64 { return perItem * length(call.This) }},
		{"Array", "join", func(call goja.FunctionCall) float64 { return length(call.This) }},
	} {
		prototype := m.vm.GlobalObject().Get(guard.class).ToObject(m.vm).Get("prototype").ToObject(m.vm)
		if err := m.guard(prototype, guard.method, guard.size); err != nil {
			return err
		}
	}
	array := m.vm.GlobalObject().Get("Array").ToObject(m.vm)
	return m.guard(array, "from", func(call goja.FunctionCall) float64 { return perItem * length(call.Argument(0)) })
}

func (m *machine) guard(object *goja.Object, method string, size func(goja.FunctionCall) float64) error {
	original, _ := goja.AssertFunction(object.Get(method))
	return m.define(object, map[string]any{method: func(call goja.FunctionCall) goja.Value {
		m.fits(size(call))
		value, err := original(call.This, call.Arguments...)
		if err != nil {
			panic(err)
		}
		return value
	}})
}

// length is what a string or a list is long, in characters or elements.
func length(value goja.Value) float64 {
	object, ok := value.(*goja.Object)
	if !ok {
		return float64(len(value.String()))
	}
	if length := object.Get("length"); length != nil {
		return length.ToFloat()
	}
	return 0
}

// fits throws if the script asks for more memory at once than it may have.
func (m *machine) fits(size float64) {
	if size > float64(m.options.Memory) {
		panic(m.goError(m.limit.outOfMemory()))
	}
}
