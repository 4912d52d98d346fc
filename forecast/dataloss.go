package forecast

import (
	"fmt"

	ast "github.com/pganalyze/pg_query_go/v6"

	"github.com/whimbrel-db/whimbrel/migration"
)

// Loss is data that is gone for good when a migration has run: no down migration brings it
// back, since that can only make the place where it was.
type Loss struct {
	Line int    `json:"line"`
	What string `json:"what"` // "column users.name", "table users", "rows of users"
	// Table is the one that loses it, and Rows how many it has now; -1: not known.
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

func (l Loss) String() string {
	switch {
	case l.Rows > 0:
		return fmt.Sprintf("%s (%s rows)", l.What, roughCount(l.Rows))
	case l.Rows == 0:
		return l.What + " (empty now)"
	}
	return l.What
}

// losses finds what the statements of a section take away. What the section itself
// has made, or what is not there, is no loss.
func (t *teller) losses(section migration.Section) []Loss {
	var all []Loss
	made := made{}
	for _, s := range section.Statements {
		for _, n := range t.trees(plain(s)) {
			for _, l := range lossesOf(n, made) {
				l.Line, l.Rows = s.Start.Line, -1
				if table, known := t.facts.table(l.Table); known {
					l.Rows = table.Rows
				} else if t.facts.Complete && l.Table != "" {
					l.Rows = 0
				}
				all = append(all, l)
			}
			createNeeds(n, made) // which notes what is made
		}
	}
	return all
}

// plain is a statement's text, less the bounds of a batch, which are no SQL.
func plain(s migration.Statement) string {
	if s.Batch == nil {
		return s.Text
	}
	if s.Command == "DELETE" {
		return "DELETE FROM " + s.Batch.Table
	}
	return ""
}

func lossesOf(n *ast.Node, made made) []Loss {
	var all []Loss
	lose := func(table, format string, arguments ...any) {
		if !made[table] {
			all = append(all, Loss{Table: table, What: fmt.Sprintf(format, arguments...)})
		}
	}
	switch s := n.GetNode().(type) {
	case *ast.Node_DropStmt:
		for _, o := range s.DropStmt.Objects {
			switch name := objectName(o); s.DropStmt.RemoveType {
			case ast.ObjectType_OBJECT_TABLE:
				lose(name, "table %s", name)
			case ast.ObjectType_OBJECT_SCHEMA:
				all = append(all, Loss{What: "schema " + name})
			case ast.ObjectType_OBJECT_SEQUENCE:
				all = append(all, Loss{What: "the count of sequence " + name})
			}
		}
	case *ast.Node_AlterTableStmt:
		for _, c := range s.AlterTableStmt.Cmds {
			if cmd := c.GetAlterTableCmd(); cmd.Subtype == ast.AlterTableType_AT_DropColumn {
				name := rangeName(s.AlterTableStmt.Relation)
				lose(name, "column %s.%s", name, cmd.Name)
			}
		}
	case *ast.Node_TruncateStmt:
		for _, r := range s.TruncateStmt.Relations {
			name := rangeName(r.GetRangeVar())
			lose(name, "all rows of %s", name)
		}
	case *ast.Node_DeleteStmt:
		name := rangeName(s.DeleteStmt.Relation)
		lose(name, "rows of %s", name)
	case *ast.Node_DropOwnedStmt, *ast.Node_DropdbStmt:
		all = append(all, Loss{What: "everything that is dropped with it"})
	}
	return all
}
