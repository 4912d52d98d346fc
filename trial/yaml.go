package trial

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/spelling"
	"github.com/whimbrel-db/whimbrel/migration"
)

// wrong is an error at a place of a file of tests.
func (s spot) wrong(remedy, format string, args ...any) error {
	return &whimbrel.Error{
		Code: whimbrel.CodeConfiguration, Path: s.path, Line: s.line, Column: s.column,
		Message: fmt.Sprintf(format, args...), Remedy: remedy,
	}
}

// addYAML reads a YAML file.
func (s *suite) addYAML(file string, text []byte) error {
	r := &reader{path: file}
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		var positioned yaml.Error
		if errors.As(err, &positioned) && positioned.GetToken() != nil {
			at := positioned.GetToken().Position
			return spot{file, at.Line, at.Column}.wrong("", "%s", positioned.GetMessage())
		}
		return spot{path: file}.wrong("", "%v", err)
	}
	for _, document := range parsed.Docs {
		if document.Body == nil || document.Body.Type() == ast.CommentType {
			continue
		}
		r.mapping(document.Body, fields{
			"rows":    func(n ast.Node) { r.each(n, func(n ast.Node) { s.sets = append(s.sets, r.set(n)) }) },
			"queries": func(n ast.Node) { r.each(n, func(n ast.Node) { s.queries = append(s.queries, r.query(n)) }) },
		})
	}
	return errors.Join(r.problems...)
}

// reader takes nodes apart and notes what is wrong with them.
type reader struct {
	path     string
	problems []error
}

// fields are what to do with the value of each key that a mapping may have.
type fields map[string]func(ast.Node)

func (r *reader) spot(n ast.Node) spot {
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) > 0 && !m.IsFlowStyle {
		n = m.Values[0].Key
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return spot{path: r.path}
	}
	at := n.GetToken().Position
	return spot{r.path, at.Line, at.Column}
}

func (r *reader) wrong(n ast.Node, remedy, format string, args ...any) {
	r.problems = append(r.problems, r.spot(n).wrong(remedy, format, args...))
}

// entries gives the keys and values of a mapping.
func (r *reader) entries(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch m := n.(type) {
	case *ast.MappingNode:
		return m.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{m}, true
	}
	return nil, false
}

func (r *reader) mapping(n ast.Node, known fields) {
	entries, ok := r.entries(n)
	if !ok {
		r.wrong(n, "the keys are "+strings.Join(slices.Sorted(maps.Keys(known)), ", "), "a mapping is expected here")
		return
	}
	for _, entry := range entries {
		key := entry.Key.GetToken().Value
		if read, ok := known[key]; ok {
			read(entry.Value)
			continue
		}
		names := slices.Sorted(maps.Keys(known))
		remedy := "the keys are " + strings.Join(names, ", ")
		if near := spelling.Nearest(key, names); near != "" {
			remedy = fmt.Sprintf("did you mean %s?", near)
		}
		r.wrong(entry.Key, remedy, "unknown key %q", key)
	}
}

func (r *reader) each(n ast.Node, read func(ast.Node)) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(n, "write each below the other, behind a dash", "a list is expected here")
		return
	}
	for _, one := range list.Values {
		read(one)
	}
}

func (r *reader) set(n ast.Node) *set {
	s := &set{spot: r.spot(n)}
	r.mapping(n, fields{
		"table":  func(n ast.Node) { s.table = r.text(n) },
		"before": func(n ast.Node) { s.before = r.version(n) },
		"at":     func(n ast.Node) { s.at = r.version(n) },
		"key":    func(n ast.Node) { s.key = r.texts(n) },
		"rows":   func(n ast.Node) { s.rows = r.rows(n) },
		"then":   func(n ast.Node) { r.each(n, func(n ast.Node) { s.then = append(s.then, r.change(n)) }) },
	})
	switch {
	case s.table == "":
		r.wrong(n, "write table: NAME", "the rows are for no table")
	case s.before == "" && s.at == "", s.before != "" && s.at != "":
		r.wrong(n, "write before: VERSION to insert them right before that migration, or at: VERSION right after it",
			"it must be said once when the rows of %s are inserted", s.table)
	case len(s.rows) == 0:
		r.wrong(n, "write some below rows:", "there are no rows for %s", s.table)
	}
	for i := range s.then {
		if s.then[i].table == "" {
			s.then[i].table = s.table
		}
		if s.then[i].key == nil && s.then[i].table == s.table {
			s.then[i].key = s.key
		}
	}
	return s
}

func (r *reader) change(n ast.Node) change {
	c := change{spot: r.spot(n)}
	stated := false
	r.mapping(n, fields{
		"after": func(n ast.Node) { c.after = r.version(n) },
		"table": func(n ast.Node) { c.table = r.text(n) },
		"key":   func(n ast.Node) { c.key = r.texts(n) },
		"rows":  func(n ast.Node) { c.rows, stated = r.rows(n), true },
	})
	if c.after == "" {
		r.wrong(n, "write after: VERSION", "it is not said which migration changes the rows")
	}
	if !stated {
		r.wrong(n, "write them below rows:, or rows: [] if none is expected any more",
			"it is not said what the rows are then")
	}
	return c
}

func (r *reader) rows(n ast.Node) (rows []given) {
	r.each(n, func(n ast.Node) {
		entries, ok := r.entries(n)
		if !ok || len(entries) == 0 {
			r.wrong(n, "write {column: value, …}", "a row is a mapping of columns to values")
			return
		}
		row := given{spot: r.spot(n)}
		for _, entry := range entries {
			row.columns = append(row.columns, entry.Key.GetToken().Value)
			row.values = append(row.values, r.value(entry.Value))
		}
		rows = append(rows, row)
	})
	return rows
}

func (r *reader) query(n ast.Node) *query {
	q := &query{spot: r.spot(n), limit: defaultLimit, runs: defaultRuns}
	r.mapping(n, fields{
		"name":         func(n ast.Node) { q.name = r.text(n) },
		"sql":          func(n ast.Node) { q.sql = strings.TrimSpace(r.text(n)) },
		"parameters":   func(n ast.Node) { r.each(n, func(n ast.Node) { q.parameters = append(q.parameters, r.value(n)) }) },
		"after":        func(n ast.Node) { q.after = r.version(n) },
		"until":        func(n ast.Node) { q.until = r.version(n) },
		"max_duration": func(n ast.Node) { q.limit = r.duration(n) },
		"runs":         func(n ast.Node) { q.runs = r.number(n, 1) },
		"fail":         func(n ast.Node) { q.fail = r.truth(n) },
		"row_count":    func(n ast.Node) { count := r.number(n, 0); q.count = &count },
		"rows": func(n ast.Node) {
			q.hasRows = true
			r.each(n, func(n ast.Node) { q.rows = append(q.rows, r.expected(n)) })
		},
	})
	switch {
	case q.name == "":
		r.wrong(n, "write name: …", "the query has no name")
	case q.sql == "":
		r.wrong(n, "write sql: SELECT …", "the query %q has no SQL", q.name)
	case q.count != nil && q.hasRows && *q.count != len(q.rows):
		r.wrong(n, "leave row_count away", "the query %q expects %d rows and lists %d", q.name, *q.count, len(q.rows))
	}
	return q
}

func (r *reader) expected(n ast.Node) expectedRow {
	row := expectedRow{spot: r.spot(n)}
	if entries, ok := r.entries(n); ok {
		for _, entry := range entries {
			row.columns = append(row.columns, entry.Key.GetToken().Value)
			row.values = append(row.values, r.value(entry.Value))
		}
		return row
	}
	if _, ok := n.(*ast.SequenceNode); !ok { // the one value of a row
		row.values = []value{r.value(n)}
		return row
	}
	r.each(n, func(n ast.Node) { row.values = append(row.values, r.value(n)) })
	return row
}

// value keeps what is written, so that numbers of any size reach the server as they are.
func (r *reader) value(n ast.Node) value {
	v := value{spot: r.spot(n)}
	switch n := n.(type) {
	case *ast.NullNode:
		v.null = true
	case *ast.StringNode:
		v.text = n.Value
	case *ast.LiteralNode:
		v.text = n.Value.Value
	case *ast.BoolNode:
		v.text = strconv.FormatBool(n.Value)
	case *ast.IntegerNode:
		v.text = number(n.Token.Value, n.Value)
	case *ast.FloatNode:
		v.text = strings.ReplaceAll(n.Token.Value, "_", "")
	case *ast.InfinityNode:
		v.text = strings.NewReplacer("+.inf", "Infinity", ".inf", "Infinity").Replace(strings.ToLower(n.Token.Value))
	case *ast.NanNode:
		v.text = "NaN"
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		v.structured = true
		var text []byte
		err := yaml.NodeToValue(n, &v.parsed)
		if err == nil {
			text, err = json.Marshal(v.parsed)
		}
		if err != nil {
			r.wrong(n, "write it as a text of JSON", "the value cannot be read: %v", err)
		}
		v.text = string(text)
	default:
		r.wrong(n, "write the value itself, in quotes where it is a text", "a value with %s is not understood here",
			strings.ToLower(n.Type().String()))
	}
	return v
}

// number spells an integer as it is written, but for bases other than ten,
// which begin with a zero in YAML.
func number(written string, meant any) string {
	written = strings.ReplaceAll(written, "_", "")
	if digits := strings.TrimLeft(written, "+-"); len(digits) > 1 && digits[0] == '0' {
		return fmt.Sprint(meant)
	}
	return written
}

func (r *reader) text(n ast.Node) string {
	v := r.value(n)
	if v.structured || v.null || v.text == "" {
		r.wrong(n, "write it behind the colon", "a text is expected here")
		return ""
	}
	return v.text
}

func (r *reader) texts(n ast.Node) (texts []string) {
	if _, ok := n.(*ast.SequenceNode); !ok {
		return []string{r.text(n)}
	}
	r.each(n, func(n ast.Node) { texts = append(texts, r.text(n)) })
	return texts
}

// version reads the digits as they stand there: 0001 is no octal number.
func (r *reader) version(n ast.Node) migration.Version {
	text := n.GetToken().Value
	if text == "" || strings.Trim(text, "0123456789") != "" {
		r.wrong(n, "write its digits, as in the name of its file", "invalid version of a migration %q", text)
	}
	return migration.Version(text)
}

// duration reads milliseconds, or a number with its unit.
func (r *reader) duration(n ast.Node) time.Duration {
	text := n.GetToken().Value
	parsed, err := time.ParseDuration(text)
	if milliseconds, plain := strconv.ParseFloat(text, 64); plain == nil {
		parsed, err = time.Duration(milliseconds*float64(time.Millisecond)), nil
	}
	if err != nil || parsed <= 0 {
		r.wrong(n, "write milliseconds, or a number with its unit, as in 50ms or 2s", "invalid duration %q", text)
	}
	return parsed
}

func (r *reader) number(n ast.Node, least int) int {
	parsed, err := strconv.Atoi(n.GetToken().Value)
	if err != nil || parsed < least {
		r.wrong(n, fmt.Sprintf("write a number from %d", least), "invalid number %q", n.GetToken().Value)
	}
	return parsed
}

func (r *reader) truth(n ast.Node) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.wrong(n, "write true or false", "%q is neither true nor false", n.GetToken().Value)
		return false
	}
	return b.Value
}
