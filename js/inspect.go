package js

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// The limits of what inspect shows, those of Node's util.inspect.
const (
	inspectDepth  = 2
	inspectItems  = 100
	inspectBytes  = 50
	inspectWidth  = 72
	inspectString = 10_000
)

// inspect shows a value about as Node's util.inspect does.
func (m *machine) inspect(value goja.Value) string {
	i := inspector{machine: m}
	var text string
	if exception := m.vm.Try(func() { text = i.show(value, 0) }); exception != nil {
		return "[it cannot be shown: " + exception.Value().String() + "]"
	}
	return text
}

type inspector struct {
	machine *machine
	above   []*goja.Object
}

func (i *inspector) show(value goja.Value, depth int) string {
	object, ok := value.(*goja.Object)
	if !ok {
		return primitive(value)
	}
	if slices.Contains(i.above, object) {
		return "[Circular]"
	}
	i.above = append(i.above, object)
	defer func() { i.above = i.above[:len(i.above)-1] }()
	name := i.className(object)
	if callable(object) {
		return function(object)
	}
	switch class := object.ClassName(); class {
	case "Date":
		if at, ok := object.Export().(time.Time); ok {
			return at.UTC().Format("2006-01-02T15:04:05.000Z")
		}
		return "Invalid Date"
	case "RegExp":
		return object.String()
	case "Error":
		return i.failure(object, depth)
	case "Array":
		return i.list(object, depth)
	case "Promise", "WeakMap", "WeakSet", "Symbol":
		return name + " {}"
	case "Number", "Boolean", "String", "BigInt":
		return fmt.Sprintf("[%s: %s]", class, object.String())
	}
	for class, constructor := range map[string]*goja.Object{"Map": i.machine.natives.mapClass,
		"Set": i.machine.natives.setClass} {
		if i.machine.vm.InstanceOf(object, constructor) {
			return i.collection(object, class, depth)
		}
	}
	if data, ok := i.machine.view(object); ok && name == "Buffer" {
		return showBuffer(data)
	}
	if length := object.Get("BYTES_PER_ELEMENT"); length != nil && object.Get("length") != nil {
		return name + "(" + object.Get("length").String() + ") " + i.list(object, depth)
	}
	return i.record(object, name, depth)
}

func primitive(value goja.Value) string {
	if value == nil {
		return "undefined"
	}
	if symbol, ok := value.(*goja.Symbol); ok {
		return "Symbol(" + symbol.String() + ")"
	}
	if isString(value) {
		text := value.String()
		if len(text) > inspectString {
			text = text[:inspectString] + "…"
		}
		return quote(text)
	}
	if _, ok := value.Export().(*big.Int); ok {
		return value.String() + "n"
	}
	if number, ok := value.Export().(float64); ok && number == 0 && math.Signbit(number) {
		return "-0"
	}
	return value.String()
}

// quote puts a text into the quotes that it does not hold itself.
func quote(text string) string {
	mark := "'"
	if strings.Contains(text, "'") {
		if mark = `"`; strings.Contains(text, mark) {
			mark = "`"
		}
	}
	text = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(text)
	if mark == "`" && strings.Contains(text, mark) {
		return "'" + strings.ReplaceAll(text, "'", `\'`) + "'"
	}
	return mark + text + mark
}

func (i *inspector) className(object *goja.Object) string {
	constructor, ok := object.Get("constructor").(*goja.Object)
	if !ok {
		return "[Object: null prototype]"
	}
	return property(constructor, "name")
}

func function(object *goja.Object) string {
	name := property(object, "name")
	kind := "Function"
	if text := object.String(); strings.HasPrefix(text, "class") {
		return "[class " + name + "]"
	} else if strings.HasPrefix(text, "async") {
		kind = "AsyncFunction"
	}
	if name == "" {
		return "[" + kind + " (anonymous)]"
	}
	return "[" + kind + ": " + name + "]"
}

// failure shows an Error with its stack, in which the machine's own numbers and
// frames are left away.
func (i *inspector) failure(object *goja.Object, depth int) string {
	text := property(object, "name")
	if message := property(object, "message"); message != "" {
		text += ": " + message
	}
	for _, f := range framesOf(property(object, "stack")) {
		if _, known := i.machine.bundle.sources[f.file]; !known {
			continue
		}
		place := fmt.Sprintf("%s:%d:%d", f.file, f.line, f.column)
		if f.function != "" {
			place = f.function + "(" + place + ")"
		}
		text += "\n    at " + place
	}
	keys := slices.DeleteFunc(object.Keys(), func(name string) bool {
		return name == "name" || name == "message" || name == "stack" || goja.IsUndefined(object.Get(name))
	})
	if len(keys) == 0 || depth > inspectDepth {
		return text
	}
	return text + " " + i.braces("", i.pairs(object, keys, depth), depth)
}

func (i *inspector) list(object *goja.Object, depth int) string {
	length := int(object.Get("length").ToInteger())
	if length == 0 {
		return "[]"
	}
	if depth > inspectDepth {
		return "[Array]"
	}
	var items []string
	for n := range min(length, inspectItems) {
		items = append(items, i.show(object.Get(strconv.Itoa(n)), depth+1))
	}
	if length > inspectItems {
		items = append(items, more(length-inspectItems))
	}
	return layout("[", items, "]", depth)
}

func more(n int) string {
	if n == 1 {
		return "... 1 more item"
	}
	return fmt.Sprintf("... %d more items", n)
}

func (i *inspector) collection(object *goja.Object, class string, depth int) string {
	var items []string
	count := 0
	i.machine.vm.ForOf(object, func(value goja.Value) bool {
		if count++; count > inspectItems || depth > inspectDepth {
			return true
		}
		if pair, ok := value.(*goja.Object); ok && class == "Map" {
			items = append(items, i.show(pair.Get("0"), depth+1)+" => "+i.show(pair.Get("1"), depth+1))
			return true
		}
		items = append(items, i.show(value, depth+1))
		return true
	})
	if depth > inspectDepth {
		return "[" + class + "]"
	}
	if count > inspectItems {
		items = append(items, more(count-inspectItems))
	}
	return i.braces(fmt.Sprintf("%s(%d) ", class, count), items, depth)
}

func (i *inspector) record(object *goja.Object, name string, depth int) string {
	if name == "Object" {
		name = ""
	}
	if depth > inspectDepth {
		if name == "" {
			name = "Object"
		}
		return "[" + strings.Trim(name, "[]") + "]"
	}
	if name != "" {
		name += " "
	}
	return i.braces(name, i.pairs(object, object.Keys(), depth), depth)
}

func (i *inspector) pairs(object *goja.Object, names []string, depth int) []string {
	var pairs []string
	for _, name := range names {
		shown := name
		if !plainName(name) {
			shown = quote(name)
		}
		pairs = append(pairs, shown+": "+i.show(object.Get(name), depth+1))
	}
	return pairs
}

func plainName(name string) bool {
	for n, c := range name {
		if c != '_' && c != '$' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (n == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func (*inspector) braces(name string, items []string, depth int) string {
	if len(items) == 0 {
		return name + "{}"
	}
	return layout(name+"{", items, "}", depth)
}

// layout puts items on one line if they fit, or else on one each.
func layout(open string, items []string, end string, depth int) string {
	if line := open + " " + strings.Join(items, ", ") + " " + end; len(line) <= inspectWidth && !strings.Contains(line,
		"\n") {
		return line
	}
	indent := strings.Repeat("  ", depth)
	return open + "\n  " + indent + strings.Join(items, ",\n  "+indent) + "\n" + indent + end
}

func showBuffer(data []byte) string {
	var b strings.Builder
	b.WriteString("<Buffer")
	for _, c := range data[:min(len(data), inspectBytes)] {
		fmt.Fprintf(&b, " %02x", c)
	}
	if len(data) > inspectBytes {
		fmt.Fprintf(&b, " ... %d more bytes", len(data)-inspectBytes)
	}
	return b.String() + ">"
}
