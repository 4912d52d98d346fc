package forecast

import (
	"fmt"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
)

// Deploy says in which order a migration and the version of the application that
// belongs to it are to be deployed, while the version before is still running.
type Deploy struct {
	Order   Order    `json:"order"`
	Reasons []string `json:"reasons"`
}

// Order is an order of deployment.
type Order string

// The orders.
const (
	// Either: both versions of the application work before and after the migration.
	Either Order = "either"
	// MigrationFirst: it adds what the new version of the application needs.
	MigrationFirst Order = "migration first"
	// ApplicationFirst: it takes away, or forbids, what the old version may need or do.
	ApplicationFirst Order = "application first"
	// Split: parts of it have to come before the application and others after it.
	Split Order = "split the migration"
	// Neither: whatever comes first breaks something; expand, then contract.
	Neither Order = "neither: expand and contract"
	// OrderUnknown: what it does cannot be read from its text.
	OrderUnknown Order = "unknown"
)

var advice = map[Order]string{
	Either:           "application and migration can be deployed in either order",
	MigrationFirst:   "run the migration, then deploy the application that needs it",
	ApplicationFirst: "deploy the application that can do without it, then run the migration",
	Split:            "make two migrations of it: what adds, then the application, then what takes away",
	Neither: "no order is safe while the old version runs: add the new beside the old, deploy an application that uses " +
		"the new, then drop the old",
	OrderUnknown: "find out what it does, and decide",
}

// Advice says what to do about an order.
func (o Order) Advice() string { return advice[o] }

// need is what one statement asks of the order, and why.
type need struct {
	order Order
	why   string
}

// deploy combines what the statements ask for.
func (t *teller) deploy(p whimbrel.Planned) Deploy {
	d := Deploy{Order: Either, Reasons: []string{}}
	if p.RecordOnly() {
		return d
	}
	if p.Migration.Kind != migration.SQL {
		return Deploy{OrderUnknown, []string{"what a program will send to the server cannot be read from its text"}}
	}
	asked := map[Order]bool{}
	made := made{}
	for _, s := range remaining(p).Statements {
		for _, n := range t.needs(s, made) {
			if n.order == Either {
				continue
			}
			asked[n.order] = true
			if reason := n.why; !contains(d.Reasons, reason) {
				d.Reasons = append(d.Reasons, reason)
			}
		}
	}
	switch {
	case asked[Neither]:
		d.Order = Neither
	case asked[OrderUnknown]:
		d.Order = OrderUnknown
	case asked[MigrationFirst] && asked[ApplicationFirst]:
		d.Order = Split
	case asked[ApplicationFirst]:
		d.Order = ApplicationFirst
	case asked[MigrationFirst]:
		d.Order = MigrationFirst
	}
	return d
}

// made are the objects that a migration has made so far: nobody uses them yet.
type made map[string]bool

// needs says what a statement asks for.
func (t *teller) needs(s migration.Statement, made made) []need {
	if s.Batch != nil || s.Assert != nil {
		return nil
	}
	nodes := t.trees(s.Text)
	if nodes == nil {
		return []need{{OrderUnknown, fmt.Sprintf("line %d is not understood", s.Start.Line)}}
	}
	var all []need
	for _, n := range nodes {
		for _, asks := range needsOf(n, made) {
			asks.why = fmt.Sprintf("line %d %s", s.Start.Line, asks.why)
			all = append(all, asks)
		}
	}
	return all
}

func needsOf(n *ast.Node, made made) []need {
	switch s := n.GetNode().(type) {
	case *ast.Node_AlterTableStmt:
		return alterNeeds(s.AlterTableStmt, made)
	case *ast.Node_DropStmt:
		return dropNeeds(s.DropStmt, made)
	case *ast.Node_RenameStmt:
		return renameNeeds(s.RenameStmt, made)
	case *ast.Node_AlterObjectSchemaStmt:
		if made[rangeName(s.AlterObjectSchemaStmt.Relation)] {
			return nil
		}
		return []need{{Neither, "moves to another schema what the old version looks for where it was"}}
	case *ast.Node_IndexStmt:
		if s.IndexStmt.Unique && !made[rangeName(s.IndexStmt.Relation)] {
			return []need{{ApplicationFirst, "forbids duplicates in " + rangeName(s.IndexStmt.Relation) +
				": the application must not write any"}}
		}
		return nil
	case *ast.Node_AlterEnumStmt:
		if s.AlterEnumStmt.OldVal != "" {
			return []need{{Neither, fmt.Sprintf("renames the value %q, which the old version uses", s.AlterEnumStmt.OldVal)}}
		}
		return []need{{MigrationFirst, fmt.Sprintf("adds the value %q", s.AlterEnumStmt.NewVal)}}
	case *ast.Node_GrantStmt:
		if s.GrantStmt.IsGrant {
			return []need{{MigrationFirst, "gives rights"}}
		}
		return []need{{ApplicationFirst, "takes rights away"}}
	case *ast.Node_TruncateStmt:
		return []need{{ApplicationFirst, "removes all rows, which the old version may want"}}
	case *ast.Node_AlterDomainStmt:
		return domainNeeds(s.AlterDomainStmt)
	case *ast.Node_DoStmt, *ast.Node_CallStmt:
		return []need{{OrderUnknown, "runs code that may do anything"}}
	case *ast.Node_DropOwnedStmt, *ast.Node_DropdbStmt:
		return []need{{ApplicationFirst, "drops what the old version may use"}}
	}
	return createNeeds(n, made)
}

func createNeeds(n *ast.Node, made made) []need {
	adds := func(what string) []need { return []need{{MigrationFirst, "makes " + what}} }
	relation := func(r *ast.RangeVar) []need {
		made[rangeName(r)] = true
		return adds(rangeName(r))
	}
	switch s := n.GetNode().(type) {
	case *ast.Node_CreateStmt:
		return relation(s.CreateStmt.Relation)
	case *ast.Node_CreateTableAsStmt:
		return relation(s.CreateTableAsStmt.Into.GetRel())
	case *ast.Node_ViewStmt:
		return relation(s.ViewStmt.View)
	case *ast.Node_CreateSeqStmt:
		return relation(s.CreateSeqStmt.Sequence)
	case *ast.Node_CreateFunctionStmt:
		return adds("a function: if it takes the place of another, both versions must tolerate it")
	case *ast.Node_CreateEnumStmt, *ast.Node_CompositeTypeStmt, *ast.Node_CreateDomainStmt, *ast.Node_CreateRangeStmt,
		*ast.Node_DefineStmt:
		return adds("a type")
	case *ast.Node_CreateSchemaStmt:
		return adds("a schema")
	case *ast.Node_CreateExtensionStmt:
		return adds("an extension")
	}
	return nil
}

func dropNeeds(s *ast.DropStmt, made made) []need {
	switch s.RemoveType {
	case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW,
		ast.ObjectType_OBJECT_SEQUENCE, ast.ObjectType_OBJECT_SCHEMA,
		ast.ObjectType_OBJECT_FUNCTION, ast.ObjectType_OBJECT_PROCEDURE, ast.ObjectType_OBJECT_TYPE, ast.ObjectType_OBJECT_DOMAIN,
		ast.ObjectType_OBJECT_EXTENSION, ast.ObjectType_OBJECT_FOREIGN_TABLE, ast.ObjectType_OBJECT_INDEX:
	default:
		return nil
	}
	var all []need
	for _, o := range s.Objects {
		if name := objectName(o); !made[name] {
			all = append(all, need{ApplicationFirst, "drops " + name + ", which the old version may use"})
		}
	}
	return all
}

func renameNeeds(s *ast.RenameStmt, made made) []need {
	switch s.RenameType {
	case ast.ObjectType_OBJECT_INDEX, ast.ObjectType_OBJECT_TABCONSTRAINT, ast.ObjectType_OBJECT_DOMCONSTRAINT,
		ast.ObjectType_OBJECT_TRIGGER, ast.ObjectType_OBJECT_POLICY, ast.ObjectType_OBJECT_RULE:
		return nil
	}
	what := s.Subname
	if what == "" {
		what = rangeName(s.Relation)
	}
	if what == "" {
		what = objectName(s.Object)
	}
	if made[rangeName(s.Relation)] {
		return nil
	}
	return []need{{Neither, fmt.Sprintf("renames %s to %s: the old version knows only the old name, the new one only "+
		"the new", what, s.Newname)}}
}

func domainNeeds(s *ast.AlterDomainStmt) []need {
	switch s.Subtype {
	case "C", "O", "V":
		return []need{{ApplicationFirst, "forbids values: the application must not write any"}}
	}
	return []need{{MigrationFirst, "allows values that were forbidden"}}
}

func alterNeeds(s *ast.AlterTableStmt, made made) []need {
	table := rangeName(s.Relation)
	if made[table] || s.Objtype == ast.ObjectType_OBJECT_INDEX {
		return nil
	}
	var all []need
	for _, n := range s.Cmds {
		c := n.GetAlterTableCmd()
		if asks := commandNeeds(table, c); asks.order != Either {
			all = append(all, asks)
		}
	}
	return all
}

func commandNeeds(table string, c *ast.AlterTableCmd) need {
	column := table + "." + c.Name
	switch c.Subtype {
	case ast.AlterTableType_AT_AddColumn:
		def := c.Def.GetColumnDef()
		column = table + "." + def.GetColname()
		if required(def) {
			return need{Neither, "adds " + column + " as NOT NULL without a default: the old version inserts rows without it, " +
				"the new one needs it"}
		}
		return need{MigrationFirst, "adds " + column}
	case ast.AlterTableType_AT_DropColumn:
		return need{ApplicationFirst, "drops " + column + ", which the old version may use"}
	case ast.AlterTableType_AT_AlterColumnType:
		if c.Def.GetColumnDef().GetRawDefault() != nil {
			return need{Neither, "makes other values of " + column + " (USING): the old version knows only the old ones, the " +
				"new one only the new"}
		}
		return need{MigrationFirst, "changes the type of " + column}
	case ast.AlterTableType_AT_SetNotNull:
		return need{ApplicationFirst, "forbids NULL in " + column + ": the application must not write any"}
	case ast.AlterTableType_AT_DropNotNull:
		return need{MigrationFirst, "allows NULL in " + column + "; the old version must be able to read it"}
	case ast.AlterTableType_AT_ColumnDefault:
		if c.Def == nil {
			return need{ApplicationFirst, "takes the default of " + column + " away: the application must give a value"}
		}
	case ast.AlterTableType_AT_AddConstraint:
		return need{ApplicationFirst, "adds a constraint to " + table + ": the application must not write what breaks it"}
	case ast.AlterTableType_AT_DropConstraint:
		return need{MigrationFirst, "drops the constraint " + c.Name + ", and allows what it forbade"}
	case ast.AlterTableType_AT_EnableRowSecurity, ast.AlterTableType_AT_ForceRowSecurity:
		return need{ApplicationFirst, "hides rows of " + table + " from roles without a policy"}
	case ast.AlterTableType_AT_AddIdentity:
		return need{ApplicationFirst, "makes " + column + " an identity: the application must not give values that it " +
			"refuses"}
	case ast.AlterTableType_AT_DetachPartition:
		return need{ApplicationFirst, "takes the rows of a partition out of " + table}
	}
	return need{order: Either}
}

// required reports whether a new column must be given a value.
func required(def *ast.ColumnDef) bool {
	notNull, given := def.GetIsNotNull(), false
	for _, n := range def.GetConstraints() {
		switch n.GetConstraint().GetContype() {
		case ast.ConstrType_CONSTR_NOTNULL, ast.ConstrType_CONSTR_PRIMARY:
			notNull = true
		case ast.ConstrType_CONSTR_DEFAULT, ast.ConstrType_CONSTR_IDENTITY, ast.ConstrType_CONSTR_GENERATED:
			given = true
		}
	}
	for _, n := range def.GetTypeName().GetNames() {
		given = given || strings.HasSuffix(n.GetString_().GetSval(), "serial")
	}
	return notNull && !given
}

// rangeName is how a statement names a relation.
func rangeName(r *ast.RangeVar) string {
	if r == nil {
		return ""
	}
	return lint.Name{Schema: r.Schemaname, Object: r.Relname}.String()
}

// objectName is how a DROP names an object.
func objectName(n *ast.Node) string {
	items := n.GetList().GetItems()
	if o := n.GetObjectWithArgs(); o != nil {
		items = o.Objname
	}
	if t := n.GetTypeName(); t != nil {
		items = t.Names
	}
	var parts []string
	for _, item := range items {
		parts = append(parts, item.GetString_().GetSval())
	}
	switch {
	case len(parts) == 0:
		return n.GetString_().GetSval()
	case len(parts) == 1:
		return lint.Name{Object: parts[0]}.String()
	}
	return lint.Name{Schema: parts[len(parts)-2], Object: parts[len(parts)-1]}.String()
}
