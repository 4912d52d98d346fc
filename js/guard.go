package js

import "github.com/dop251/goja"

// furnishGuards puts a check before what would allocate without bound in one
// step, between whose beginning and end nothing can be stopped.
func (m *machine) furnishGuards() error {
	global := m.vm.GlobalObject()
	prototype := func(class string) *goja.Object {
		return global.Get(class).ToObject(m.vm).Get("prototype").ToObject(m.vm)
	}
	length := func(value goja.Value) float64 {
		if object, ok := value.(*goja.Object); ok {
			if length := object.Get("length"); length != nil {
				return length.ToFloat()
			}
			return 0
		}
		return float64(len(value.String()))
	}
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
		of := prototype(guard.class)
		original, _ := goja.AssertFunction(of.Get(guard.method))
		err := m.define(of, map[string]any{guard.method: func(call goja.FunctionCall) goja.Value {
			m.fits(guard.size(call))
			value, err := original(call.This, call.Arguments...)
			if err != nil {
				panic(err)
			}
			return value
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// fits stops the script if it asks for more memory at once than it may have.
func (m *machine) fits(size float64) {
	if size > float64(m.options.Memory) {
		err := m.limit.outOfMemory()
		m.limit.stop(err)
		panic(m.goError(err))
	}
}
