package yamlpos

import (
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Unmarshaler reads itself.
type Unmarshaler interface {
	ReadYAML(r *Reader, n Node)
}

// Decode reads a node into what target points to: a struct with the keys in tags yaml, and
// what belongs into one. What the file does not have, or leaves empty, stays as it is. The
// problems begin with the key.
func (r *Reader) Decode(n Node, target any) { r.decode(n, reflect.ValueOf(target).Elem()) }

func (r *Reader) decode(n Node, into reflect.Value) {
	node := r.Resolve(n)
	if node == nil || node.Type() == ast.NullType {
		return
	}
	if own, ok := into.Addr().Interface().(Unmarshaler); ok {
		own.ReadYAML(r, n)
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		r.Mapping(n, r.fields(into))
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		r.decode(n, into.Elem())
	case reflect.Map:
		r.decodeMap(n, into)
	case reflect.Slice:
		r.Each(n, func(n Node) {
			element := reflect.New(into.Type().Elem()).Elem()
			r.decode(n, element)
			into.Set(reflect.Append(into, element))
		})
	default:
		r.decodeScalar(n, into)
	}
}

// fields are the keys of a struct.
func (r *Reader) fields(of reflect.Value) Fields {
	known := Fields{}
	for i := range of.NumField() {
		if key := of.Type().Field(i).Tag.Get("yaml"); key != "" {
			known[key] = func(n Node) { r.below(key, func() { r.decode(n, of.Field(i)) }) }
		}
	}
	return known
}

func (r *Reader) decodeMap(n Node, into reflect.Value) {
	entries, ok := r.Entries(n)
	if !ok {
		r.Wrong(n, "write a name and what belongs to it, behind a colon, on each line", "a mapping is expected here")
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for _, e := range entries {
		value := reflect.New(into.Type().Elem()).Elem()
		r.below(e.Name, func() { r.decode(e.Value, value) })
		into.SetMapIndex(reflect.ValueOf(e.Name), value)
	}
}

func (r *Reader) decodeScalar(n Node, into reflect.Value) {
	switch {
	case into.Type() == reflect.TypeFor[time.Duration]():
		into.SetInt(int64(r.Duration(n)))
	case into.Kind() == reflect.Bool:
		into.SetBool(r.Bool(n))
	case into.CanInt():
		into.SetInt(r.Int(n, math.MinInt64))
	case into.CanFloat():
		text, _ := r.Scalar(n)
		number, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
			r.Wrong(n, "write a number, as in 0.8", "invalid number %q", Written(n))
		}
		into.SetFloat(number)
	default:
		text, ok := r.Scalar(n)
		if !ok {
			r.Wrong(n, "write it behind the colon, in quotes if need be", "a text is expected here")
		}
		into.SetString(text)
	}
}

// below does something about the value of a key.
func (r *Reader) below(key string, do func()) {
	r.within = append(r.within, key)
	do()
	r.within = r.within[:len(r.within)-1]
}
