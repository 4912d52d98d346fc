package js

import (
	stdbytes "bytes"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja_nodejs/buffer"
)

// buffer makes a Buffer of bytes, which it keeps.
func (m *machine) buffer(data []byte) goja.Value {
	made, err := m.vm.New(m.natives.buffer, m.vm.ToValue(m.vm.NewArrayBuffer(data)))
	if err != nil {
		panic(err)
	}
	return made
}

// forPrelude are the functions that the prelude is built on.
func (m *machine) forPrelude() map[string]any {
	bytesOf := func(value goja.Value) []byte {
		if object, ok := value.(*goja.Object); ok {
			if data, ok := m.view(object); ok {
				return data
			}
		}
		panic(m.vm.NewTypeError("a Buffer or Uint8Array is needed"))
	}
	module := m.vm.NewObject()
	_ = module.Set("exports", m.vm.NewObject()) // which never fails for a new object
	buffer.Require(m.vm, module)
	return map[string]any{
		"library": module.Get("exports"),
		"fits": func(call goja.FunctionCall) goja.Value {
			m.fits(call.Argument(0).ToFloat())
			return goja.Undefined()
		},
		"decode": func(call goja.FunctionCall) goja.Value {
			return m.vm.ToValue(m.vm.NewArrayBuffer(decode(call.Argument(0).String(), call.Argument(1).String())))
		},
		"encode": func(call goja.FunctionCall) goja.Value {
			return m.vm.ToValue(encode(bytesOf(call.Argument(0)), call.Argument(1).String()))
		},
		"compare": func(call goja.FunctionCall) goja.Value {
			return m.vm.ToValue(stdbytes.Compare(bytesOf(call.Argument(0)), bytesOf(call.Argument(1))))
		},
	}
}

// decode gives the bytes that a text represents. As in Node.js, it stops where
// the text is not in the encoding.
func decode(text, encoding string) []byte {
	if encoding != "latin1" {
		return buffer.StringCodecByName(encoding).DecodeAppend(text, nil)
	}
	data := make([]byte, 0, len(text))
	for _, c := range text {
		data = append(data, byte(c)) //nolint:gosec // the low byte is what is meant
	}
	return data
}

func encode(data []byte, encoding string) string {
	if encoding != "latin1" {
		return buffer.StringCodecByName(encoding).Encode(data)
	}
	var b strings.Builder
	for _, c := range data {
		b.WriteRune(rune(c))
	}
	return b.String()
}
