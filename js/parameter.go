package js

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/dop251/goja"
)

// parameter is a value on its way to the server. The server finds out the type;
// bytes go as they are, everything else as text.
type parameter struct {
	data   []byte // nil is NULL
	binary bool
}

// maxNesting is how deep arrays in a parameter may lie in each other, and how
// often toPostgres is asked: what is deeper contains itself.
const maxNesting = 64

// parameter converts a value as Node's pg does: null and undefined are NULL, a
// Date is local time with its offset, an array is an array of PostgreSQL, any
// other object is JSON unless it has a method toPostgres.
// It panics with a JavaScript Error.
func (m *machine) parameter(value goja.Value, depth int) parameter {
	if depth > maxNesting {
		panic(m.vm.NewTypeError("a parameter contains itself"))
	}
	if value == nil || goja.IsNull(value) || goja.IsUndefined(value) {
		return parameter{}
	}
	object, ok := value.(*goja.Object)
	if !ok || callable(object) {
		return parameter{data: []byte(value.String())}
	}
	if data, ok := m.view(object); ok {
		return parameter{data: data, binary: true}
	}
	switch object.ClassName() {
	case "Date":
		at, ok := object.Export().(time.Time)
		if !ok {
			panic(m.vm.NewTypeError("a parameter is an invalid Date"))
		}
		return parameter{data: []byte(dateLiteral(at.Local()))}
	case "Array":
		return parameter{data: []byte(m.array(object, depth).literal())}
	}
	if method, ok := goja.AssertFunction(object.Get("toPostgres")); ok {
		converted, err := method(object, m.vm.ToValue(m.prepareValue))
		if err != nil {
			panic(err)
		}
		return m.parameter(converted, depth+1)
	}
	text, err := m.natives.stringify(goja.Undefined(), object)
	if err != nil {
		panic(err)
	}
	if goja.IsUndefined(text) {
		return parameter{}
	}
	return parameter{data: []byte(text.String())}
}

// prepareValue is what toPostgres methods are given for values inside theirs.
func (m *machine) prepareValue(call goja.FunctionCall) goja.Value {
	p := m.parameter(call.Argument(0), 1)
	switch {
	case p.data == nil:
		return goja.Null()
	case p.binary:
		return call.Argument(0)
	}
	return m.vm.ToValue(string(p.data))
}

func (m *machine) array(object *goja.Object, depth int) element {
	if depth > maxNesting {
		panic(m.vm.NewTypeError("a parameter contains itself"))
	}
	length := int(object.Get("length").ToInteger())
	array := element{elements: make([]element, 0, min(length, 1<<16))}
	for i := range length {
		item := object.Get(fmt.Sprint(i))
		if inner, ok := item.(*goja.Object); ok && inner.ClassName() == "Array" {
			array.elements = append(array.elements, m.array(inner, depth+1))
			continue
		}
		p := m.parameter(item, depth+1)
		switch {
		case p.data == nil:
			array.elements = append(array.elements, element{null: true})
		case p.binary:
			array.elements = append(array.elements, element{text: `\x` + hex.EncodeToString(p.data)})
		default:
			array.elements = append(array.elements, element{text: string(p.data)})
		}
	}
	return array
}

// view gives the bytes that a Buffer or another view of an ArrayBuffer shows.
func (m *machine) view(object *goja.Object) ([]byte, bool) {
	isView, err := m.natives.isView(goja.Undefined(), object)
	if err != nil || !isView.ToBoolean() {
		return nil, false
	}
	buffer, ok := object.Get("buffer").Export().(goja.ArrayBuffer)
	if !ok {
		return nil, false
	}
	from := object.Get("byteOffset").ToInteger()
	data := buffer.Bytes()[from : from+object.Get("byteLength").ToInteger()]
	return append([]byte{}, data...), true
}

// dateLiteral writes a time with its offset, which is in whole minutes save
// for the local times of long ago.
func dateLiteral(at time.Time) string {
	layout := "-01-02T15:04:05.000-07:00"
	if _, offset := at.Zone(); offset%60 != 0 {
		layout = "-01-02T15:04:05.000-07:00:00"
	}
	year, era := at.Year(), ""
	if year < 1 {
		year, era = 1-year, " BC"
	}
	return fmt.Sprintf("%04d%s%s", year, at.Format(layout), era)
}
