package lint

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// steady tells whether an expression gives the same value for all rows of one
// statement, so that the server can compute it once.
type steady int

const (
	isSteady steady = iota
	isVolatile
	isUnknown
)

// volatility is what is known of an expression, and why.
type volatility struct {
	is  steady
	why string
}

// functions.txt has every function of pg_catalog that an expression can call, one
// name on a line, with a "!" behind it if some form of it is volatile. A test
// compares it with a server.
//
//go:embed functions.txt
var functionList string

// catalogFunctions says of the functions in pg_catalog whether they are volatile.
var catalogFunctions = sync.OnceValue(func() map[string]bool {
	all := make(map[string]bool)
	for name := range strings.FieldsSeq(functionList) {
		plain := strings.TrimSuffix(name, "!")
		all[plain] = plain != name
	}
	return all
})

// FromExtension reports whether a function or type of that name comes with one of the
// usual extensions.
func FromExtension(name string) bool {
	_, function := fromExtensions[name]
	return function || slices.Contains(extensionTypes, name)
}

var extensionTypes = []string{"citext", "hstore", "ltree", "lquery", "cube", "seg", "geometry", "geography", "raster",
	"vector", "halfvec", "isbn", "ean13"}

// fromExtensions are functions of the extensions that come with PostgreSQL and that
// people use in defaults.
var fromExtensions = map[string]bool{
	"uuid_generate_v1": true, "uuid_generate_v1mc": true, "uuid_generate_v4": true, "gen_random_bytes": true,
	"gen_salt":         true,
	"uuid_generate_v7": true, "uuid_nil": false, "uuid_generate_v3": false, "uuid_generate_v5": false, "digest": false,
	"crypt": false,
}

// volatility looks for volatile functions in an expression.
func (m *model) volatility(n *ast.Node) volatility {
	found := volatility{}
	walk(n, func(n *ast.Node) bool {
		call := n.GetFuncCall()
		if call == nil || found.is == isVolatile {
			return found.is != isVolatile
		}
		if v := m.functionVolatility(nameOf(texts(call.Funcname)), call); v.is != isSteady {
			found = v
		}
		return true
	})
	return found
}

func (m *model) functionVolatility(name Name, call *ast.FuncCall) volatility {
	catalog, isBuiltin := catalogFunctions()[name.Object]
	if name.Schema != catalogSchema {
		if v, ok := m.userVolatility(name, call); ok && (!isBuiltin || name.Schema != "") {
			return v
		}
	}
	if isBuiltin && (name.Schema == "" || name.Schema == catalogSchema) {
		if catalog {
			return volatility{isVolatile, name.Object + "() is volatile"}
		}
		return volatility{}
	}
	if volatile, ok := fromExtensions[name.Object]; ok {
		if volatile {
			return volatility{isVolatile, name.Object + "() is volatile"}
		}
		return volatility{}
	}
	return volatility{isUnknown, "the function " + name.String() + "() is volatile"}
}

// userVolatility judges a function that a migration made. One in SQL that is a
// single expression is as volatile as that, since the planner puts it in the
// place of the call; any other is what it was declared to be.
func (m *model) userVolatility(name Name, call *ast.FuncCall) (volatility, bool) {
	overloads := m.overloads(name, call)
	if len(overloads) == 0 {
		return volatility{}, false
	}
	result, volatiles := volatility{}, 0
	for _, f := range overloads {
		if f.volatility != "volatile" {
			continue
		}
		found := volatility{isVolatile, name.String() + "() is declared volatile, or not declared at all"}
		if f.expr != nil {
			found = m.volatility(f.expr)
		}
		if found.is != isSteady {
			result = found
			volatiles++
		}
	}
	if volatiles > 0 && volatiles < len(overloads) {
		result = volatility{isUnknown, "the function that is meant by " + name.String() +
			"() is volatile, as one of that name is"}
	}
	return result, true
}
