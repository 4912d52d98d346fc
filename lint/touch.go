package lint

import (
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/migration"
	"google.golang.org/protobuf/proto"
)

// Touches says what a statement does to the relations that it names, and what the role
// must have for it. It knows the text of the statement alone: what a schema has to do
// with it, the judgement knows. Package preflight looks up in a catalog what it gives.
func Touches(s migration.Statement) (pgsql.Touched, error) {
	parser := PostgreSQL()
	n, err := single(parser.Parse(parameters(s)))
	if err != nil {
		return pgsql.Touched{Opaque: "what the statement does: " + err.Error()}, nil
	}
	t := &toucher{model: newModel(parser), statement: s, taken: map[*ast.RangeVar]bool{}}
	t.out.Makes = makes(inner(n))
	walk(n, func(n *ast.Node) bool {
		if cte := n.GetCommonTableExpr(); cte != nil {
			t.common = append(t.common, cte.Ctename)
		}
		return true
	})
	walk(n, t.visit)
	return t.out, nil
}

// owner is what changes of a definition need.
var owner = []string{pgsql.NeedsOwner}

// alteration is a change of a definition that touches no rows.
var alteration = pgsql.Touch{Effect: pgsql.Brief, Needs: owner}

// toucher notes what the parts of a statement touch.
type toucher struct {
	*model
	statement migration.Statement
	taken     map[*ast.RangeVar]bool // those of which is noted what they are for
	common    []string               // the names of WITH: tables of the statement's own
	out       pgsql.Touched
}

func (t *toucher) note(n Name, touch pgsql.Touch) {
	touch.Schema, touch.Name = n.Schema, n.Object
	t.out.Add(touch)
}

// relation notes a relation, unless it is temporary.
func (t *toucher) relation(r *ast.RangeVar, touch pgsql.Touch) {
	if r == nil {
		return
	}
	t.taken[r] = true
	if r.Relpersistence != "t" {
		t.note(nameOfRange(r), touch)
	}
}

// alters notes relations of which the definition changes: who does that owns them.
func (t *toucher) alters(relations ...*ast.RangeVar) {
	for _, r := range relations {
		t.relation(r, alteration)
	}
}

// creates notes what is new.
func (t *toucher) creates(r *ast.RangeVar) { t.relation(r, pgsql.Touch{Effect: pgsql.Brief}) }

// changes notes a table whose rows change.
func (t *toucher) changes(r *ast.RangeVar, needs ...string) {
	t.relation(r, pgsql.Touch{Effect: pgsql.Rows, Concurrent: t.statement.Batch != nil, Needs: needs})
}

// visit notes what one node says of relations, before the walk comes to their names.
func (t *toucher) visit(n *ast.Node) bool {
	switch s := inner(n).(type) {
	case *ast.RangeVar:
		if !t.taken[s] && (s.Schemaname != "" || !slices.Contains(t.common, s.Relname)) {
			t.note(nameOfRange(s), pgsql.Touch{Effect: pgsql.Reads, Needs: []string{"SELECT"}})
		}
	case *ast.LockingClause:
		return false // which has aliases
	case *ast.SelectStmt:
		t.creates(s.IntoClause.GetRel())
	case *ast.InsertStmt:
		needs := []string{"INSERT"}
		if s.OnConflictClause.GetAction() == ast.OnConflictAction_ONCONFLICT_UPDATE {
			needs = append(needs, "UPDATE")
		}
		t.changes(s.Relation, needs...)
	case *ast.UpdateStmt:
		t.changes(s.Relation, "UPDATE")
	case *ast.DeleteStmt:
		t.changes(s.Relation, "DELETE")
	case *ast.MergeStmt:
		needs := []string{"SELECT"}
		for _, when := range s.MergeWhenClauses {
			if c := when.GetMergeWhenClause().CommandType; c != ast.CmdType_CMD_NOTHING {
				needs = append(needs, strings.TrimPrefix(c.String(), "CMD_"))
			}
		}
		t.changes(s.Relation, needs...)
	case *ast.CopyStmt:
		if s.IsFrom {
			t.changes(s.Relation, "INSERT")
		}
	case *ast.DoStmt:
		t.out.Opaque = "what DO … does"
	case *ast.CallStmt:
		t.out.Opaque = "what CALL " + nameOf(texts(s.Funccall.GetFuncname())).String() + " does"
	case *ast.ExecuteStmt:
		t.out.Opaque = "what EXECUTE " + s.Name + " does"
	default:
		t.definition(n)
	}
	return true
}

// definition notes what changes the catalog, and what is maintained.
func (t *toucher) definition(n *ast.Node) {
	switch s := inner(n).(type) {
	case *ast.AlterTableStmt:
		t.alterTable(s)
	case *ast.CreateStmt:
		t.creates(s.Relation)
		t.each(s.InhRelations, alteration)
	case *ast.CreateForeignTableStmt:
		t.creates(s.BaseStmt.Relation)
		t.each(s.BaseStmt.InhRelations, alteration)
	case *ast.CreateTableAsStmt, *ast.ViewStmt, *ast.CreateSeqStmt, *ast.CompositeTypeStmt:
		t.creates(newRelation(s))
	case *ast.Constraint:
		t.relation(s.Pktable, pgsql.Touch{Effect: pgsql.Brief, Needs: []string{"REFERENCES"}})
	case *ast.CreateTrigStmt:
		t.relation(s.Relation, pgsql.Touch{Effect: pgsql.Brief, Needs: []string{"TRIGGER"}})
	case *ast.IndexStmt:
		t.relation(s.Relation, pgsql.Touch{Effect: pgsql.Builds, Concurrent: s.Concurrent, Needs: owner})
	case *ast.CreateStatsStmt:
		t.each(s.Relations, alteration)
	case *ast.PublicationObjSpec:
		t.alters(s.Pubtable.GetRelation())
	case *ast.CommentStmt:
		t.object(s.Objtype, s.Object, false)
	case *ast.SecLabelStmt:
		t.object(s.Objtype, s.Object, false)
	case *ast.DropStmt:
		for _, o := range s.Objects {
			t.object(s.RemoveType, o, s.Concurrent)
		}
	case *ast.GrantStmt: // who may hand on which right is beyond what a text tells, so nothing is needed
		t.each(s.Objects, pgsql.Touch{Effect: pgsql.Brief})
	case *ast.TruncateStmt:
		t.each(s.Relations, pgsql.Touch{Effect: pgsql.Brief, Needs: []string{"TRUNCATE"}})
	case *ast.LockStmt:
		t.each(s.Relations, pgsql.Touch{Effect: pgsql.Brief, Needs: []string{"SELECT"}})
	case *ast.VacuumStmt, *ast.ClusterStmt, *ast.ReindexStmt, *ast.RefreshMatViewStmt:
		t.maintenance(s)
	case *ast.TableLikeClause: // is read
	case interface{ GetRelation() *ast.RangeVar }: // RENAME, SET SCHEMA, a rule
		if r := s.GetRelation(); !t.taken[r] {
			t.alters(r)
		}
	case interface{ GetTable() *ast.RangeVar }: // a policy
		t.alters(s.GetTable())
	case *ast.AlterSeqStmt:
		t.alters(s.Sequence)
	}
}

func (t *toucher) each(relations []*ast.Node, touch pgsql.Touch) {
	for _, n := range relations {
		t.relation(n.GetRangeVar(), touch)
	}
}

// maintenance notes what VACUUM, ANALYZE, CLUSTER, REINDEX and REFRESH go through.
func (t *toucher) maintenance(statement proto.Message) {
	touch := pgsql.Touch{Effect: pgsql.Rewrite, Needs: []string{pgsql.NeedsMaintain}}
	switch s := statement.(type) {
	case *ast.VacuumStmt:
		if !slices.ContainsFunc(s.Options, func(o *ast.Node) bool { return o.GetDefElem().GetDefname() == "full" }) {
			touch.Effect, touch.Concurrent = pgsql.Scan, true
		}
		for _, r := range s.Rels {
			t.relation(r.GetVacuumRelation().Relation, touch)
		}
	case *ast.ClusterStmt:
		t.relation(s.Relation, touch)
	case *ast.ReindexStmt:
		touch.Effect, touch.Concurrent = pgsql.Builds, strings.HasSuffix(t.statement.Command, "CONCURRENTLY")
		t.relation(s.Relation, touch)
	case *ast.RefreshMatViewStmt:
		touch.Concurrent = s.Concurrent
		t.relation(s.Relation, touch)
	}
}

// object notes the relation that DROP and COMMENT mean, or that has what they mean.
func (t *toucher) object(kind ast.ObjectType, o *ast.Node, concurrent bool) {
	words := texts(o.GetList().GetItems())
	switch kind {
	case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_INDEX,
		ast.ObjectType_OBJECT_SEQUENCE, ast.ObjectType_OBJECT_MATVIEW, ast.ObjectType_OBJECT_FOREIGN_TABLE:
	case ast.ObjectType_OBJECT_COLUMN, ast.ObjectType_OBJECT_TRIGGER, ast.ObjectType_OBJECT_POLICY,
		ast.ObjectType_OBJECT_RULE, ast.ObjectType_OBJECT_TABCONSTRAINT:
		words = words[:len(words)-1]
	default:
		return
	}
	t.note(nameOf(words), pgsql.Touch{Effect: pgsql.Brief, Concurrent: concurrent, Needs: owner})
}

func (t *toucher) alterTable(s *ast.AlterTableStmt) {
	t.taken[s.Relation] = true
	if s.Objtype == ast.ObjectType_OBJECT_TYPE {
		return
	}
	t.alters(s.Relation)
	for _, n := range s.Cmds {
		touch := pgsql.Touch{Needs: owner}
		if touch.Effect, touch.AtWorst = t.action(n.GetAlterTableCmd()); s.Objtype == ast.ObjectType_OBJECT_TABLE {
			t.relation(s.Relation, touch)
		}
	}
}

// action says what one action of ALTER TABLE does to the table. See its notes in
// PostgreSQL's documentation.
func (t *toucher) action(cmd *ast.AlterTableCmd) (e pgsql.Effect, atWorst bool) {
	switch cmd.Subtype {
	case ast.AlterTableType_AT_AddConstraint:
		return addedConstraint(cmd.Def.GetConstraint())
	case ast.AlterTableType_AT_AddColumn:
		return t.newColumn(cmd.Def.GetColumnDef())
	case ast.AlterTableType_AT_ValidateConstraint:
		return pgsql.Scan, false
	case ast.AlterTableType_AT_SetNotNull:
		return pgsql.Scan, true
	case ast.AlterTableType_AT_AlterColumnType:
		return pgsql.Rewrite, true
	case ast.AlterTableType_AT_SetTableSpace, ast.AlterTableType_AT_SetLogged, ast.AlterTableType_AT_SetUnLogged,
		ast.AlterTableType_AT_SetAccessMethod:
		return pgsql.Rewrite, false
	case ast.AlterTableType_AT_AttachPartition:
		t.relation(cmd.Def.GetPartitionCmd().GetName(), pgsql.Touch{Effect: pgsql.Scan, AtWorst: true,
			Needs: owner})
	default:
		t.alters(cmd.Def.GetPartitionCmd().GetName(), cmd.Def.GetRangeVar()) // DETACH, INHERIT
	}
	return pgsql.Brief, false
}

func addedConstraint(c *ast.Constraint) (e pgsql.Effect, atWorst bool) {
	switch {
	case c.SkipValidation || c.Indexname != "":
		return pgsql.Brief, false
	case slices.Contains([]ast.ConstrType{ast.ConstrType_CONSTR_UNIQUE, ast.ConstrType_CONSTR_PRIMARY,
		ast.ConstrType_CONSTR_EXCLUSION}, c.Contype):
		return pgsql.Builds, false
	}
	return pgsql.Scan, c.Contype == ast.ConstrType_CONSTR_FOREIGN
}

// newColumn says what ADD COLUMN does: nothing to the rows, unless every one of them
// needs a value of its own.
func (t *toucher) newColumn(def *ast.ColumnDef) (e pgsql.Effect, atWorst bool) {
	a := (&judge{model: t.model}).added(def)
	switch value := t.volatility(a.value); {
	case a.generated != nil, a.identity != nil, a.serial:
		return pgsql.Rewrite, false
	case a.value != nil && value.is != isSteady:
		return pgsql.Rewrite, value.is == isUnknown
	case a.key != nil:
		return pgsql.Builds, false
	case a.check != nil:
		return pgsql.Scan, true
	}
	return pgsql.Brief, false
}

// makes says what a statement makes that the role must be allowed to make.
func makes(statement proto.Message) *pgsql.Makes {
	var name []*ast.Node
	switch s := statement.(type) {
	case *ast.CreateSchemaStmt:
		return &pgsql.Makes{Database: true, Schema: s.Schemaname}
	case *ast.CreateExtensionStmt, *ast.CreatePublicationStmt:
		return &pgsql.Makes{Database: true}
	case *ast.CreateFunctionStmt:
		name = s.Funcname
	case *ast.DefineStmt:
		name = s.Defnames
	case *ast.CreateEnumStmt:
		name = s.TypeName
	case *ast.CreateRangeStmt:
		name = s.TypeName
	case *ast.CreateDomainStmt:
		name = s.Domainname
	default:
		if r := newRelation(statement); r != nil && r.Relpersistence != "t" {
			return &pgsql.Makes{Schema: r.Schemaname}
		}
		return nil
	}
	return &pgsql.Makes{Schema: nameOf(texts(name)).Schema}
}

// newRelation is the relation that a statement makes, or the table of an index, which is
// in that table's schema.
func newRelation(statement proto.Message) *ast.RangeVar {
	switch s := statement.(type) {
	case *ast.CreateStmt:
		return s.Relation
	case *ast.CreateForeignTableStmt:
		return s.BaseStmt.Relation
	case *ast.CreateTableAsStmt:
		return s.Into.Rel
	case *ast.ViewStmt:
		return s.View
	case *ast.CreateSeqStmt:
		return s.Sequence
	case *ast.CompositeTypeStmt:
		return s.Typevar
	case *ast.IndexStmt:
		return s.Relation
	}
	return nil
}
