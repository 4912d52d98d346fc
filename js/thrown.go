package js

import (
	"reflect"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/unistring"
)

// thrownName is what a thrown value passes through. A value that is no Error
// knows nothing of its place, and an async function forgets it.
const thrownName = "__whimbrel_thrown"

// markThrown makes `throw value` into `throw __whimbrel_thrown(value)`
// everywhere in a program.
func markThrown(program *ast.Program) {
	seen := map[uintptr]bool{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Interface:
			walk(v.Elem())
		case reflect.Pointer:
			if v.IsNil() || seen[v.Pointer()] {
				return
			}
			seen[v.Pointer()] = true
			if statement, ok := v.Interface().(*ast.ThrowStatement); ok {
				statement.Argument = passThrough(statement)
			}
			walk(v.Elem())
		case reflect.Struct:
			if v.Type().PkgPath() != astPackage {
				return
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		}
	}
	walk(reflect.ValueOf(program.Body))
}

var astPackage = reflect.TypeFor[ast.Program]().PkgPath()

func passThrough(statement *ast.ThrowStatement) ast.Expression {
	return &ast.CallExpression{
		Callee:           &ast.Identifier{Name: unistring.NewFromString(thrownName), Idx: statement.Throw},
		LeftParenthesis:  statement.Throw,
		ArgumentList:     []ast.Expression{statement.Argument},
		RightParenthesis: statement.Argument.Idx1(),
	}
}
