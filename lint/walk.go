package lint

import (
	ast "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// walk visits a tree from the top. It does not go below a node of which visit
// answers false.
func walk(n *ast.Node, visit func(*ast.Node) bool) {
	if n == nil || n.Node == nil || !visit(n) {
		return
	}
	walkMessage(inner(n).ProtoReflect(), visit)
}

// inner is the statement, or the part of one, that a node is.
func inner(n *ast.Node) proto.Message {
	m := n.ProtoReflect()
	return m.Get(m.WhichOneof(m.Descriptor().Oneofs().Get(0))).Message().Interface()
}

// walkMessage goes through the fields of a message down to the next nodes.
func walkMessage(m protoreflect.Message, visit func(*ast.Node) bool) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Kind() != protoreflect.MessageKind {
			return true
		}
		if field.IsList() {
			for i := range value.List().Len() {
				enter(value.List().Get(i).Message(), visit)
			}
			return true
		}
		enter(value.Message(), visit)
		return true
	})
}

func enter(m protoreflect.Message, visit func(*ast.Node) bool) {
	if n, ok := m.Interface().(*ast.Node); ok {
		walk(n, visit)
		return
	}
	if wrapped := wrap(m.Interface()); wrapped != nil && !visit(wrapped) {
		return
	}
	walkMessage(m, visit)
}

// wrap makes a node of the messages that are in the tree without one and that
// visitors want to see.
func wrap(m proto.Message) *ast.Node {
	switch m := m.(type) {
	case *ast.RangeVar:
		return &ast.Node{Node: &ast.Node_RangeVar{RangeVar: m}}
	case *ast.SelectStmt:
		return &ast.Node{Node: &ast.Node_SelectStmt{SelectStmt: m}}
	case *ast.TypeName:
		return &ast.Node{Node: &ast.Node_TypeName{TypeName: m}}
	}
	return nil
}

// columnsIn gives the names of the columns that an expression mentions.
func columnsIn(n *ast.Node) []string {
	var columns []string
	walk(n, func(n *ast.Node) bool {
		if ref := n.GetColumnRef(); ref != nil && len(ref.Fields) > 0 {
			last := ref.Fields[len(ref.Fields)-1]
			if last.GetAStar() != nil {
				columns = append(columns, "*")
			} else {
				columns = append(columns, text(last))
			}
		}
		return true
	})
	return columns
}

// conjuncts takes an expression apart at its top-level ANDs.
func conjuncts(n *ast.Node) []*ast.Node {
	if b := n.GetBoolExpr(); b != nil && b.Boolop == ast.BoolExprType_AND_EXPR {
		var all []*ast.Node
		for _, arg := range b.Args {
			all = append(all, conjuncts(arg)...)
		}
		return all
	}
	if n == nil {
		return nil
	}
	return []*ast.Node{n}
}

// copied is a deep copy of a part of a tree.
func copied[M proto.Message](m M) M { return proto.Clone(m).(M) }

// withOf gives the WITH of a statement, if it has one.
func withOf(n *ast.Node) *ast.WithClause {
	switch s := n.GetNode().(type) {
	case *ast.Node_SelectStmt:
		return s.SelectStmt.WithClause
	case *ast.Node_InsertStmt:
		return s.InsertStmt.WithClause
	case *ast.Node_UpdateStmt:
		return s.UpdateStmt.WithClause
	case *ast.Node_DeleteStmt:
		return s.DeleteStmt.WithClause
	case *ast.Node_MergeStmt:
		return s.MergeStmt.WithClause
	}
	return nil
}
