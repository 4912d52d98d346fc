// Package millis is how durations are in JSON: in milliseconds, with microseconds as
// decimals. Every struct that is written as JSON and has a field of type time.Duration,
// or embeds such a struct, has a MarshalJSON that calls it.
package millis

import (
	"encoding/json"
	"reflect"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

// Marshal writes a struct as encoding/json does, all but its durations.
func Marshal[T any](v *T) ([]byte, error) { return json.Marshal(inMilliseconds(v)) }

// Unmarshal reads what Marshal writes.
func Unmarshal[T any](text []byte, v *T) error { return json.Unmarshal(text, inMilliseconds(v)) }

// inMilliseconds is the same memory under a type that encoding/json writes so.
func inMilliseconds[T any](v *T) any {
	return reflect.NewAt(twin(reflect.TypeFor[T]()), unsafe.Pointer(v)).Interface()
}

// Of gives a duration as the number that is written.
func Of(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

type duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, Of(time.Duration(d)), 'f', -1, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *duration) UnmarshalJSON(text []byte) error {
	milliseconds, err := strconv.ParseFloat(string(text), 64)
	*d = duration(milliseconds * float64(time.Millisecond))
	return err
}

var twins sync.Map // the types that twin has made

// twin is a struct of the same fields in the same places, and without methods, whose
// durations, and those of the structs that it embeds, are of the type that is written in
// milliseconds.
func twin(t reflect.Type) reflect.Type {
	if made, ok := twins.Load(t); ok {
		return made.(reflect.Type)
	}
	var fields []reflect.StructField
	for field := range t.Fields() {
		switch {
		case field.Type == reflect.TypeFor[time.Duration]():
			field.Type = reflect.TypeFor[duration]()
		case field.Anonymous && field.Type.Kind() == reflect.Struct:
			field.Type = twin(field.Type)
		}
		fields = append(fields, field)
	}
	made, _ := twins.LoadOrStore(t, reflect.StructOf(fields))
	return made.(reflect.Type)
}
