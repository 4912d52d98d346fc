package js

import (
	stdbytes "bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
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
	return map[string]any{
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
	switch encoding {
	case "hex":
		data := make([]byte, len(text)/2)
		n, _ := hex.Decode(data, []byte(text[:len(text)/2*2]))
		return data[:n]
	case "base64", "base64url":
		text = strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "", " ", "").Replace(text)
		text, _, _ = strings.Cut(text, "=")
		data := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
		n, _ := base64.RawStdEncoding.Decode(data, []byte(text))
		return data[:n]
	case "latin1":
		data := make([]byte, 0, len(text))
		for _, c := range text {
			data = append(data, byte(c)) //nolint:gosec // the low byte is what is meant
		}
		return data
	}
	return []byte(text)
}

func encode(data []byte, encoding string) string {
	switch encoding {
	case "hex":
		return hex.EncodeToString(data)
	case "base64":
		return base64.StdEncoding.EncodeToString(data)
	case "base64url":
		return base64.RawURLEncoding.EncodeToString(data)
	case "latin1":
		var b strings.Builder
		for _, c := range data {
			b.WriteRune(rune(c))
		}
		return b.String()
	}
	if utf8.Valid(data) {
		return string(data)
	}
	return string([]rune(string(data))) // what is no UTF-8 becomes U+FFFD
}
