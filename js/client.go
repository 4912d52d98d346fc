package js

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// client makes the object that up and down are called with, and, as inner, the
// one for the functions that client.tx and client.batch call.
func (m *machine) client(inner bool) *goja.Object {
	client := m.vm.NewObject()
	methods := map[string]any{
		"query": m.query,
		"tx": func(call goja.FunctionCall) goja.Value {
			return m.begin("client.tx", inner, call,
				m.transaction)
		},
		"batch":            func(call goja.FunctionCall) goja.Value { return m.begin("client.batch", inner, call, m.batch) },
		"escapeIdentifier": m.escapeIdentifier,
		"escapeLiteral":    m.escapeLiteral,
	}
	if err := m.define(client, methods); err != nil {
		panic(err)
	}
	return client
}

// question is a call of query, understood.
type question struct {
	text       string
	parameters []parameter
	asArrays   bool
}

// query asks the database and returns a settled promise: the answer is there
// before it returns. So queries that are asked without waiting are done one
// after the other, in the order of the calls.
func (m *machine) query(call goja.FunctionCall) goja.Value {
	promise, resolve, reject := m.vm.NewPromise()
	var answer goja.Value
	var failure goja.Value
	if exception := m.vm.Try(func() { answer, failure = m.ask(m.question(call)) }); exception != nil {
		failure = exception.Value()
	}
	settle, value := resolve, answer
	if failure != nil {
		settle, value = reject, failure
	}
	if err := settle(value); err != nil {
		panic(err)
	}
	return m.vm.ToValue(promise)
}

// question reads the arguments of query. It panics with a JavaScript Error.
func (m *machine) question(call goja.FunctionCall) question {
	config, values := call.Argument(0), call.Argument(1)
	if goja.IsUndefined(config) || goja.IsNull(config) {
		panic(m.vm.NewTypeError("Client was passed a null or undefined query"))
	}
	var q question
	if object, ok := config.(*goja.Object); ok && object.ClassName() != "String" {
		for _, name := range []string{"submit", "callback", "types", "binary"} {
			if value := object.Get(name); value != nil && value.ToBoolean() {
				panic(m.vm.NewTypeError("client.query does not know the option %s here: give it {text, values, rowMode}", name))
			}
		}
		if goja.IsUndefined(values) {
			values = object.Get("values")
		}
		mode := object.Get("rowMode")
		q.asArrays = mode != nil && mode.String() == "array"
		config = object.Get("text")
		if config == nil || goja.IsUndefined(config) || goja.IsNull(config) {
			panic(m.vm.NewTypeError("a query needs a text"))
		}
	}
	q.text = config.String()
	if callable(values) || callable(call.Argument(2)) {
		panic(m.vm.NewTypeError("client.query takes no callback here: await the promise that it returns"))
	}
	if values == nil || goja.IsUndefined(values) || goja.IsNull(values) {
		return q
	}
	list, ok := values.(*goja.Object)
	if !ok || list.ClassName() != "Array" {
		panic(m.vm.NewTypeError("Query values must be an array"))
	}
	for i := range list.Get("length").ToInteger() {
		q.parameters = append(q.parameters, m.parameter(list.Get(fmt.Sprint(i)), 0))
	}
	return q
}

// ask sends a question, and gives what the promise is settled with.
func (m *machine) ask(q question) (answer, failure goja.Value) {
	if m.session == nil {
		return nil, m.goError(&refusal{"the database can be asked only within up and down"})
	}
	err := m.session.Check(q.text)
	if err == nil && copiesIn(q.text) {
		err = &refusal{"COPY … FROM STDIN cannot be used in a script: it has no way to send the rows; use INSERT with " +
			"arrays: INSERT … SELECT * FROM unnest($1::int[], $2::text[])"}
	}
	if err != nil {
		return nil, m.goError(err)
	}
	m.limit.waiting()
	defer m.limit.computing()
	results, err := m.send(q)
	if err != nil {
		return nil, m.answerError(err, q.text)
	}
	if len(results) == 1 {
		return results[0].object(m, q.asArrays), nil
	}
	all := make([]any, len(results))
	for i, r := range results {
		all[i] = r.object(m, q.asArrays)
	}
	return m.vm.NewArray(all...), nil
}

// answerError is the JavaScript Error for a failure of a query.
func (m *machine) answerError(err error, text string) goja.Value {
	var refused *pgconn.PgError
	var t *thrown
	switch {
	case errors.As(err, &t):
		return t.value
	case m.ctx.Err() != nil:
		m.limit.stop(context.Cause(m.ctx)) // it may not go on and do something else
	case errors.As(err, &refused):
		return m.databaseError(m.natives.newError(m, refused.Message), refused, text)
	}
	return m.goError(err)
}

// send runs a question and reads all of the answer. Without parameters the text
// may hold several statements.
func (m *machine) send(q question) ([]*result, error) {
	connection := m.session.Conn().PgConn()
	if len(q.parameters) > 0 {
		values, formats := make([][]byte, len(q.parameters)), make([]int16, len(q.parameters))
		for i, p := range q.parameters {
			values[i] = p.data
			if p.binary {
				formats[i] = 1
			}
		}
		r, err := m.read(connection.ExecParams(m.ctx, q.text, values, nil, formats, nil), q.asArrays)
		return []*result{r}, err
	}
	reader := connection.Exec(m.ctx, q.text)
	defer func() { _ = reader.Close() }() // again, where all went well
	var results []*result
	var failed error
	for reader.NextResult() {
		r, err := m.read(reader.ResultReader(), q.asArrays)
		if failed == nil {
			failed = err
		}
		results = append(results, r)
	}
	if err := reader.Close(); failed == nil {
		failed = err
	}
	if len(results) == 0 {
		results = []*result{{}}
	}
	return results, failed
}

// copiesIn reports whether the server would wait for rows that nobody sends:
// whether a statement of the text is COPY … FROM STDIN.
func copiesIn(text string) bool {
	if !stdin().MatchString(text) {
		return false
	}
	first, previous := "", ""
	for token := range pgsql.Tokens(text) {
		if token.Kind <= pgsql.BlockComment {
			continue
		}
		word := ""
		if token.Kind == pgsql.Word {
			word = strings.ToUpper(token.Text)
		}
		switch {
		case token.Text == ";":
			first = ""
			continue
		case first == "":
			first = word
		case first == "COPY" && previous == "FROM" && word == "STDIN":
			return true
		}
		previous = word
	}
	return false
}

var stdin = plaintext.Pattern(`(?i)\bstdin\b`)

// begin queues a transaction, or a row of them, for when the script waits.
func (m *machine) begin(name string, inner bool, call goja.FunctionCall,
	work func(goja.FunctionCall) (goja.Value, error)) goja.Value {
	promise, resolve, reject := m.vm.NewPromise()
	site := m.natives.newError(m, "")
	var refused error
	switch {
	case m.session == nil:
		refused = &refusal{"the database can be asked only within up and down"}
	case m.atomic:
		refused = needsNoTransaction(name)
	case inner:
		refused = inTransaction(name)
	}
	if refused != nil {
		if err := reject(m.explain(site, refused)); err != nil {
			panic(err)
		}
		return m.vm.ToValue(promise)
	}
	call.Arguments = slices.Clone(call.Arguments) // the machine uses their memory again
	m.loop.operations = append(m.loop.operations, &operation{name: name, site: site, resolve: resolve, reject: reject,
		run: func() (goja.Value, error) { return work(call) }})
	return m.vm.ToValue(promise)
}

// transaction is client.tx(async (client) => …). It gives what that returns.
func (m *machine) transaction(call goja.FunctionCall) (goja.Value, error) {
	function, ok := goja.AssertFunction(call.Argument(0))
	if !ok {
		return nil, &refusal{"client.tx needs a function: client.tx(async (client) => …)"}
	}
	var result goja.Value
	err := m.session.Transaction(m.ctx, func(ctx context.Context) error {
		var err error
		result, err = m.inside(ctx, function)
		return err
	})
	return result, err
}

// inside calls a function with an inner client, within a transaction that the
// engine has opened, and waits for what it returns.
func (m *machine) inside(ctx context.Context, function goja.Callable, arguments ...goja.Value) (goja.Value, error) {
	outer := m.ctx
	m.ctx, m.depth = ctx, m.depth+1
	defer func() { m.ctx, m.depth = outer, m.depth-1 }()
	returned, err := m.enter(func() (goja.Value, error) {
		return function(goja.Undefined(), append(arguments, m.client(true))...)
	})
	if err != nil {
		return nil, err
	}
	return m.await(returned)
}

// batch is client.batch({table, key, size, pause}, async (range, client) => …).
// It gives the number of rows.
func (m *machine) batch(call goja.FunctionCall) (goja.Value, error) {
	function, ok := goja.AssertFunction(call.Argument(1))
	if !ok {
		return nil, &refusal{"client.batch needs a function: client.batch({ table, key }, async (range, client) => …)"}
	}
	var batch migration.Batch
	_, err := m.enter(func() (goja.Value, error) {
		var err error
		batch, err = m.batchOf(call.Argument(0))
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	var total int64
	err = m.session.Batch(m.ctx, batch, func(ctx context.Context, keys whimbrel.Range) (int64, error) {
		var argument goja.Value
		_, err := m.enter(func() (goja.Value, error) {
			argument = m.object("from", m.keyValue(keys.From), "to", m.keyValue(keys.To))
			return nil, nil
		})
		if err != nil {
			return 0, err
		}
		returned, err := m.inside(ctx, function, argument)
		if err != nil {
			return 0, err
		}
		rows := m.rowsOf(returned)
		total += rows
		return rows, nil
	})
	return m.vm.ToValue(total), err
}

// keyValue is a key as a query would give it: of one column its value, of
// several an array.
func (m *machine) keyValue(key []whimbrel.KeyValue) goja.Value {
	if len(key) == 0 {
		return goja.Null()
	}
	values := make([]any, len(key))
	for i, k := range key {
		values[i] = conversionOf(k.Type)(m, k.Text)
	}
	if len(values) == 1 {
		value, _ := values[0].(goja.Value)
		return value
	}
	return m.vm.NewArray(values...)
}

// rowsOf is the number of rows that a batch says it has changed: a number, or
// the result of a query.
func (m *machine) rowsOf(returned goja.Value) int64 {
	if object, ok := returned.(*goja.Object); ok {
		returned = object.Get("rowCount")
	}
	if returned == nil || goja.IsUndefined(returned) || goja.IsNull(returned) {
		return 0
	}
	return max(returned.ToInteger(), 0)
}

// batchOf reads what client.batch is to do. The rules for names and figures are
// those of the annotation of that name, so it is read as one.
func (m *machine) batchOf(value goja.Value) (migration.Batch, error) {
	options, ok := value.(*goja.Object)
	if !ok {
		return migration.Batch{}, &refusal{"client.batch needs a table and its key: client.batch({ table: 'users', key: " +
			"'id' }, …)"}
	}
	var words []string
	for _, name := range options.Keys() {
		switch value := options.Get(name); {
		case name == "table" || name == "key" || goja.IsUndefined(value):
		case name == "pause" && value.ExportType().Kind() != stringKind:
			words = append(words, fmt.Sprintf("pause=%s", time.Duration(value.ToFloat()*float64(time.Millisecond))))
		case name == "size" || name == "pause":
			words = append(words, name+"="+value.String())
		default:
			return migration.Batch{}, &refusal{fmt.Sprintf("client.batch does not know the option %s: it takes table, key, "+
				"size and pause", name)}
		}
	}
	var keys []string
	key := options.Get("key")
	if list, ok := key.(*goja.Object); ok {
		for i := range list.Get("length").ToInteger() {
			keys = append(keys, list.Get(fmt.Sprint(i)).String())
		}
	} else if key != nil && !goja.IsUndefined(key) {
		keys = append(keys, key.String())
	}
	table := options.Get("table")
	if table == nil || goja.IsUndefined(table) || len(keys) == 0 {
		return migration.Batch{}, &refusal{"client.batch needs a table and its key: client.batch({ table: 'users', key: " +
			"'id' }, …)"}
	}
	for i, k := range keys {
		keys[i] = `"` + strings.ReplaceAll(k, `"`, `""`) + `"`
	}
	text := fmt.Sprintf("Batch %s by %s %s", table.String(), strings.Join(keys, ","), strings.Join(words, " "))
	if strings.ContainsAny(text, "\r\n") {
		return migration.Batch{}, &refusal{"the names of client.batch must be on one line"}
	}
	read, err := migration.Parse("1_batch.sql", "-- +migrate Up\n-- +migrate "+text+"\nSELECT :from, :to;\n")
	if problems := migration.Problems(err); len(problems) > 0 {
		return migration.Batch{}, &refusal{"client.batch: " + problems[0].Message}
	}
	if err != nil {
		return migration.Batch{}, &refusal{"client.batch: " + err.Error()}
	}
	return *read.Up.Statements[0].Batch, nil
}

func (m *machine) escapeIdentifier(call goja.FunctionCall) goja.Value {
	return m.vm.ToValue(`"` + strings.ReplaceAll(call.Argument(0).String(), `"`, `""`) + `"`)
}

func (m *machine) escapeLiteral(call goja.FunctionCall) goja.Value {
	text := call.Argument(0).String()
	literal := "'" + strings.ReplaceAll(strings.ReplaceAll(text, "'", "''"), `\`, `\\`) + "'"
	if strings.Contains(text, `\`) {
		literal = " E" + literal
	}
	return m.vm.ToValue(literal)
}
