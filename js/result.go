package js

import (
	"slices"
	"strconv"

	"github.com/dop251/goja"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// result is what a query gives, as Node's pg gives it.
type result struct {
	fields   []pgconn.FieldDescription
	rows     []any
	tag      pgconn.CommandTag
	finished bool // there is a tag
}

// read takes the rows of a result from the connection, converted. Afterwards
// the connection is free for the next result, whatever happened.
func (m *machine) read(reader *pgconn.ResultReader, asArrays bool) (*result, error) {
	defer func() { _, _ = reader.Close() }() // again, where all went well
	r := &result{fields: slices.Clone(reader.FieldDescriptions())}
	if exception := m.vm.Try(func() { m.take(r, reader, asArrays) }); exception != nil {
		return nil, m.describe(exception)
	}
	tag, err := reader.Close()
	r.tag, r.finished = tag, true
	return r, err
}

// take converts the rows. It panics with a JavaScript Error.
func (m *machine) take(r *result, reader *pgconn.ResultReader, asArrays bool) {
	conversions := make([]conversion, len(r.fields))
	names := make([]string, len(r.fields))
	for i, field := range r.fields {
		conversions[i], names[i] = conversionOf(field.DataTypeOID), field.Name
	}
	for reader.NextRow() {
		if m.limit.reason() != nil {
			break // the rows that are still to come would be held, too
		}
		values := reader.Values()
		row := make([]any, len(values))
		for i, value := range values {
			if value == nil {
				row[i] = goja.Null()
				continue
			}
			row[i] = conversions[i](m, string(value))
		}
		if asArrays {
			r.rows = append(r.rows, m.vm.NewArray(row...))
			continue
		}
		r.rows = append(r.rows, m.row(names, row))
	}
}

// row makes an object of a row. Of columns of the same name the last one counts.
func (m *machine) row(names []string, values []any) *goja.Object {
	object := m.vm.NewObject()
	for i, name := range names {
		var err error
		if name == "__proto__" { // which an assignment would not define
			value, _ := values[i].(goja.Value)
			err = object.DefineDataProperty(name, value, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
		} else {
			err = object.Set(name, values[i])
		}
		if err != nil {
			panic(err)
		}
	}
	return object
}

// tagPattern reads a command's tag: INSERT 0 5, SELECT 3, CREATE TABLE.
var tagPattern = plaintext.Pattern(`^([A-Za-z]+)(?: (\d+))?(?: (\d+))?`)

// object makes the result's object.
func (r *result) object(m *machine, asArrays bool) *goja.Object {
	command, count, oid := goja.Null(), goja.Null(), goja.Null()
	if found := tagPattern().FindStringSubmatch(r.tag.String()); r.finished && found != nil {
		number := func(text string) goja.Value {
			n, _ := strconv.ParseInt(text, 10, 64) // digits
			return m.vm.ToValue(n)
		}
		command = m.vm.ToValue(found[1])
		if found[2] != "" {
			count = number(found[2])
		}
		if found[3] != "" {
			oid, count = count, number(found[3])
		}
	}
	fields := make([]any, len(r.fields))
	for i, f := range r.fields {
		fields[i] = m.object("name", f.Name, "tableID", f.TableOID, "columnID", f.TableAttributeNumber,
			"dataTypeID", f.DataTypeOID, "dataTypeSize", f.DataTypeSize, "dataTypeModifier", f.TypeModifier, "format", "text")
	}
	return m.object("command", command, "rowCount", count, "oid", oid,
		"rows", m.vm.NewArray(r.rows...), "fields", m.vm.NewArray(fields...), "rowAsArray", asArrays)
}
