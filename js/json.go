package js

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

// asJSON reads JSON as JSON.parse does. That of goja refuses numbers that are
// beyond a float's range, which PostgreSQL keeps, and which are infinite in
// JavaScript.
func asJSON(m *machine, text string) goja.Value {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	value, err := m.decode(decoder)
	if err != nil {
		panic(m.goError(&refusal{"reading JSON from the server: " + err.Error()}))
	}
	return value
}

func (m *machine) decode(decoder *json.Decoder) (goja.Value, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			return m.decodeArray(decoder)
		}
		return m.decodeObject(decoder)
	case json.Number:
		f, _ := strconv.ParseFloat(token.String(), 64) // the nearest there is
		return m.vm.ToValue(f), nil
	case nil:
		return goja.Null(), nil
	}
	return m.vm.ToValue(token), nil
}

func (m *machine) decodeArray(decoder *json.Decoder) (goja.Value, error) {
	var values []any
	for decoder.More() {
		value, err := m.decode(decoder)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	_, err := decoder.Token()
	return m.vm.NewArray(values...), err
}

func (m *machine) decodeObject(decoder *json.Decoder) (goja.Value, error) {
	var names []string
	var values []any
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		value, err := m.decode(decoder)
		if err != nil {
			return nil, err
		}
		names, values = append(names, name), append(values, value)
	}
	_, err := decoder.Token()
	return m.row(names, values), err
}
