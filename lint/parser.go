package lint

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	ast "github.com/pganalyze/pg_query_go/v6"
	pgquery "github.com/wasilibs/go-pgquery"
)

// Parser gives the parse tree of SQL text, as PostgreSQL's own grammar makes it.
type Parser interface {
	// Parse gives the trees of a text's statements. Locations in them are
	// offsets in bytes.
	Parse(text string) ([]*ast.Node, error)
	// Body gives what the text of a CREATE FUNCTION or DO in PL/pgSQL would run.
	Body(text string) (Body, error)
	// Write is the inverse of Parse, for one statement.
	Write(statement *ast.Node) (string, error)
}

// PostgreSQL is the parser that is PostgreSQL's own, compiled to WebAssembly (or
// linked in, with the build tag pgquery_cgo). Making one costs nothing: it comes
// to life with the first statement, which takes more than a second without that
// tag, once in a process. It may be used concurrently.
func PostgreSQL() Parser { return postgres{} }

type postgres struct{}

// parsing serialises the library, whose machine belongs to the process: two
// callers at once would make it compile a second one, which takes another second
// and a hundred megabytes.
var parsing sync.Mutex

// grammar is the version that trees have. The parser that is linked in writes no tree that
// does not name it. To be called by who holds parsing.
var grammar = sync.OnceValue(func() int32 {
	result, err := pgquery.Parse("")
	if err != nil {
		return 0
	}
	return result.Version
})

// Parse implements Parser.
func (postgres) Parse(text string) ([]*ast.Node, error) {
	parsing.Lock()
	defer parsing.Unlock()
	result, err := pgquery.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing with PostgreSQL's grammar: %w", err)
	}
	var nodes []*ast.Node
	for _, raw := range result.Stmts {
		nodes = append(nodes, raw.Stmt)
	}
	return nodes, nil
}

// Body implements Parser.
func (p postgres) Body(text string) (Body, error) {
	parsing.Lock()
	result, err := pgquery.ParsePlPgSqlToJSON(text)
	parsing.Unlock()
	if err != nil {
		return Body{}, fmt.Errorf("parsing PL/pgSQL: %w", err)
	}
	return readBody(p, result)
}

// Write implements Parser.
func (postgres) Write(statement *ast.Node) (string, error) {
	parsing.Lock()
	defer parsing.Unlock()
	written, err := pgquery.Deparse(&ast.ParseResult{Version: grammar(), Stmts: []*ast.RawStmt{{Stmt: statement}}})
	if err != nil {
		return "", fmt.Errorf("writing a statement: %w", err)
	}
	return written, nil
}

// unwritten is in a rewrite where an expression could not be written; then there is
// no rewrite.
const unwritten = "\x00"

// expression writes an expression.
func expression(p Parser, n *ast.Node) string {
	target := &ast.Node{Node: &ast.Node_ResTarget{ResTarget: &ast.ResTarget{Val: n}}}
	written, err := p.Write(&ast.Node{Node: &ast.Node_SelectStmt{SelectStmt: &ast.SelectStmt{
		TargetList: []*ast.Node{target}, LimitOption: ast.LimitOption_LIMIT_OPTION_DEFAULT, Op: ast.SetOperation_SETOP_NONE,
	}}})
	if err != nil {
		return unwritten
	}
	return strings.TrimPrefix(written, "SELECT ")
}

// text gives the string in a node that is one, or a type or name made of them.
func text(n *ast.Node) string {
	switch {
	case n == nil:
		return ""
	case n.GetString_() != nil:
		return n.GetString_().Sval
	case n.GetAConst() != nil:
		return constant(n.GetAConst())
	case n.GetInteger() != nil:
		return strconv.Itoa(int(n.GetInteger().Ival))
	case n.GetFloat() != nil:
		return n.GetFloat().Fval
	case n.GetBoolean() != nil:
		return strconv.FormatBool(n.GetBoolean().Boolval)
	case n.GetTypeName() != nil:
		return strings.Join(texts(n.GetTypeName().Names), ".")
	case n.GetList() != nil:
		return strings.Join(texts(n.GetList().Items), ".")
	case n.GetTypeCast() != nil:
		return text(n.GetTypeCast().Arg)
	}
	return ""
}

func texts(nodes []*ast.Node) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, text(n))
	}
	return all
}

func constant(c *ast.A_Const) string {
	switch value := c.Val.(type) {
	case *ast.A_Const_Sval:
		return value.Sval.Sval
	case *ast.A_Const_Ival:
		return strconv.Itoa(int(value.Ival.Ival))
	case *ast.A_Const_Fval:
		return value.Fval.Fval
	case *ast.A_Const_Boolval:
		return strconv.FormatBool(value.Boolval.Boolval)
	case *ast.A_Const_Bsval:
		return value.Bsval.Bsval
	}
	return ""
}
