package trial

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
	"github.com/whimbrel-db/whimbrel/migration"
)

// reader takes a file of tests apart.
type reader struct{ *yamlpos.Reader }

// addYAML reads a YAML file.
func (s *suite) addYAML(file string, text []byte) error {
	parsed, err := yamlpos.Parse(file, text)
	if err != nil {
		return err
	}
	r := reader{parsed}
	for _, document := range r.Documents {
		r.Mapping(document, yamlpos.Fields{
			"rows":    func(n ast.Node) { r.Each(n, func(n ast.Node) { s.sets = append(s.sets, r.set(n)) }) },
			"queries": func(n ast.Node) { r.Each(n, func(n ast.Node) { s.queries = append(s.queries, r.query(n)) }) },
		})
	}
	return r.Err()
}

func (r reader) set(n ast.Node) *set {
	s := &set{spot: r.Place(n)}
	r.Mapping(n, yamlpos.Fields{
		"table":  func(n ast.Node) { s.table = r.Text(n) },
		"before": func(n ast.Node) { s.before = r.version(n) },
		"at":     func(n ast.Node) { s.at = r.version(n) },
		"key":    func(n ast.Node) { s.key = r.Texts(n) },
		"rows":   func(n ast.Node) { s.rows = r.rows(n) },
		"then":   func(n ast.Node) { r.Each(n, func(n ast.Node) { s.then = append(s.then, r.change(n)) }) },
	})
	switch {
	case s.table == "":
		r.Wrong(n, "write table: NAME", "the rows are for no table")
	case s.before == "" && s.at == "", s.before != "" && s.at != "":
		r.Wrong(n, "write before: VERSION to insert them right before that migration, or at: VERSION right after it",
			"it must be said once when the rows of %s are inserted", s.table)
	case len(s.rows) == 0:
		r.Wrong(n, "write some below rows:", "there are no rows for %s", s.table)
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

func (r reader) change(n ast.Node) change {
	c := change{spot: r.Place(n)}
	stated := false
	r.Mapping(n, yamlpos.Fields{
		"after": func(n ast.Node) { c.after = r.version(n) },
		"table": func(n ast.Node) { c.table = r.Text(n) },
		"key":   func(n ast.Node) { c.key = r.Texts(n) },
		"rows":  func(n ast.Node) { c.rows, stated = r.rows(n), true },
	})
	if c.after == "" {
		r.Wrong(n, "write after: VERSION", "it is not said which migration changes the rows")
	}
	if !stated {
		r.Wrong(n, "write them below rows:, or rows: [] if none is expected any more",
			"it is not said what the rows are then")
	}
	return c
}

func (r reader) rows(n ast.Node) (rows []given) {
	r.Each(n, func(n ast.Node) {
		entries, ok := r.Entries(n)
		if !ok || len(entries) == 0 {
			r.Wrong(n, "write {column: value, …}", "a row is a mapping of columns to values")
			return
		}
		row := given{spot: r.Place(n)}
		for _, entry := range entries {
			row.columns = append(row.columns, entry.Name)
			row.values = append(row.values, r.value(entry.Value))
		}
		rows = append(rows, row)
	})
	return rows
}

func (r reader) query(n ast.Node) *query {
	q := &query{spot: r.Place(n), limit: defaultLimit, runs: defaultRuns}
	r.Mapping(n, yamlpos.Fields{
		"name":         func(n ast.Node) { q.name = r.Text(n) },
		"sql":          func(n ast.Node) { q.sql = strings.TrimSpace(r.Text(n)) },
		"parameters":   func(n ast.Node) { r.Each(n, func(n ast.Node) { q.parameters = append(q.parameters, r.value(n)) }) },
		"after":        func(n ast.Node) { q.after = r.version(n) },
		"until":        func(n ast.Node) { q.until = r.version(n) },
		"max_duration": func(n ast.Node) { q.limit = r.duration(n) },
		"runs":         func(n ast.Node) { q.runs = int(r.Int(n, 1)) },
		"fail":         func(n ast.Node) { q.fail = r.Bool(n) },
		"row_count":    func(n ast.Node) { count := int(r.Int(n, 0)); q.count = &count },
		"rows": func(n ast.Node) {
			q.hasRows = true
			r.Each(n, func(n ast.Node) { q.rows = append(q.rows, r.expected(n)) })
		},
	})
	switch {
	case q.name == "":
		r.Wrong(n, "write name: …", "the query has no name")
	case q.sql == "":
		r.Wrong(n, "write sql: SELECT …", "the query %q has no SQL", q.name)
	case q.count != nil && q.hasRows && *q.count != len(q.rows):
		r.Wrong(n, "leave row_count away", "the query %q expects %d rows and lists %d", q.name, *q.count, len(q.rows))
	}
	return q
}

func (r reader) expected(n ast.Node) expectedRow {
	row := expectedRow{spot: r.Place(n)}
	if entries, ok := r.Entries(n); ok {
		for _, entry := range entries {
			row.columns = append(row.columns, entry.Name)
			row.values = append(row.values, r.value(entry.Value))
		}
		return row
	}
	if _, ok := r.Resolve(n).(*ast.SequenceNode); !ok { // the one value of a row
		row.values = []value{r.value(n)}
		return row
	}
	r.Each(n, func(n ast.Node) { row.values = append(row.values, r.value(n)) })
	return row
}

// value keeps what is written, so that numbers of any size reach the server as they are.
func (r reader) value(n ast.Node) value {
	v := value{spot: r.Place(n)}
	switch n := r.Resolve(n).(type) {
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
			r.Wrong(n, "write it as a text of JSON", "the value cannot be read: %v", err)
		}
		v.text = string(text)
	default:
		r.Wrong(n, "write the value itself, in quotes where it is a text", "a value with %s is not understood here",
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

// version reads the digits as they stand there: 0001 is no octal number.
func (r reader) version(n ast.Node) migration.Version {
	text := yamlpos.Written(r.Resolve(n))
	if text == "" || strings.Trim(text, "0123456789") != "" {
		r.Wrong(n, "write its digits, as in the name of its file", "invalid version %q of a migration", text)
	}
	return migration.Version(text)
}

// duration reads milliseconds, or a number with its unit.
func (r reader) duration(n ast.Node) time.Duration {
	text, _ := r.Scalar(n)
	parsed, err := time.ParseDuration(text)
	if milliseconds, plain := strconv.ParseFloat(text, 64); plain == nil {
		parsed, err = time.Duration(milliseconds*float64(time.Millisecond)), nil
	}
	if err != nil || parsed <= 0 {
		r.Wrong(n, "write milliseconds, or a number with its unit, as in 50ms or 2s", "invalid duration %q", text)
	}
	return parsed
}
