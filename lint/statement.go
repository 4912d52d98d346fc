package lint

import (
	"fmt"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// visit is what there is to do about a statement: to find its hazards, and, after that, to
// make of the model what it makes of a schema. Nil is nothing.
type visit struct{ hazards, effect func() }

// of makes a visit of what is to be done about one kind of statement.
func of[S any](s S, hazards, effect func(S)) visit {
	var v visit
	if hazards != nil {
		v.hazards = func() { hazards(s) }
	}
	if effect != nil {
		v.effect = func() { effect(s) }
	}
	return v
}

// statement finds the hazards of one statement, and gives what is to be done to the model
// when all has been said about it.
func (j *judge) statement(n *ast.Node) (effect func()) {
	j.hostAccess(n)
	j.ctes = j.pickWith(withOf(n), nil)
	v := j.visit(n)
	if v.hazards != nil {
		v.hazards()
	} else {
		j.opaque("no rule knows this kind of statement")
	}
	if v.effect == nil || n.GetAlterTableStmt() != nil { // which had its effect command by command
		return func() {}
	}
	return v.effect
}

// apply has a statement's effect on the model without a word about it. What is not known
// leaves the model as it is.
func (m *model) apply(n *ast.Node) {
	if v := (&judge{model: m}).visit(n); v.effect != nil {
		v.effect()
	}
}

// visit knows every kind of statement. What a kind is about is in one file: its hazards
// and its effect.
func (j *judge) visit(n *ast.Node) visit {
	switch s := n.GetNode().(type) {
	case *ast.Node_CreateStmt:
		return of(s.CreateStmt, j.createTableStatement, j.createTable)
	case *ast.Node_CreateTableAsStmt:
		return of(s.CreateTableAsStmt, j.createTableAsStatement, j.createTableAs)
	case *ast.Node_ViewStmt:
		return of(s.ViewStmt, j.viewStatement, j.createView)
	case *ast.Node_RefreshMatViewStmt:
		return of(s.RefreshMatViewStmt, j.refreshStatement, j.refresh)
	case *ast.Node_IndexStmt:
		return of(s.IndexStmt, j.createIndexStatement, j.createIndex)
	case *ast.Node_ReindexStmt:
		return of(s.ReindexStmt, j.reindexStatement, j.reindex)
	case *ast.Node_AlterTableStmt:
		return of(s.AlterTableStmt, j.alterTableStatement, j.alterTables)
	case *ast.Node_RenameStmt:
		return of(s.RenameStmt, j.renameStatement, j.rename)
	case *ast.Node_AlterObjectSchemaStmt:
		return of(s.AlterObjectSchemaStmt, j.setSchemaStatement, j.setSchema)
	case *ast.Node_DropStmt:
		return of(s.DropStmt, j.dropStatement, j.drop)
	case *ast.Node_ClusterStmt:
		return of(s.ClusterStmt, j.clusterStatement, nil)
	case *ast.Node_VacuumStmt:
		return of(s.VacuumStmt, j.vacuumStatement, nil)
	case *ast.Node_CreateTrigStmt:
		return of(s.CreateTrigStmt, j.createTriggerStatement, j.createTrigger)
	case *ast.Node_CreatePolicyStmt:
		return of(s.CreatePolicyStmt, j.createPolicyStatement, j.createPolicy)
	case *ast.Node_AlterPolicyStmt:
		return of(s.AlterPolicyStmt, j.alterPolicyStatement, nil)
	case *ast.Node_RuleStmt:
		return of(s.RuleStmt, j.ruleStatement, j.createRule)
	case *ast.Node_CreateStatsStmt:
		return of(s.CreateStatsStmt, j.createStatsStatement, nil)
	case *ast.Node_CommentStmt:
		return of(s.CommentStmt, j.comment, nil)
	}
	return first(j.visitRows(n), j.visitSession(n), j.visitOther(n), j.visitNew(n))
}

func first(visits ...visit) visit {
	for _, v := range visits {
		if v.hazards != nil {
			return v
		}
	}
	return visit{}
}

// visitRows is visit for what reads and changes rows.
func (j *judge) visitRows(n *ast.Node) visit {
	switch s := n.GetNode().(type) {
	case *ast.Node_UpdateStmt:
		return of(s.UpdateStmt, func(s *ast.UpdateStmt) { j.update(n, s) }, nil)
	case *ast.Node_DeleteStmt:
		return of(s.DeleteStmt, func(s *ast.DeleteStmt) { j.delete(n, s) }, nil)
	case *ast.Node_InsertStmt:
		return of(s.InsertStmt, func(s *ast.InsertStmt) { j.insert(n, s) }, nil)
	case *ast.Node_MergeStmt:
		return of(s.MergeStmt, func(s *ast.MergeStmt) { j.merge(n, s) }, nil)
	case *ast.Node_SelectStmt:
		return of(s.SelectStmt, func(s *ast.SelectStmt) { j.read(n, s) }, j.selectInto)
	case *ast.Node_CopyStmt:
		return of(s.CopyStmt, j.copyStatement, nil)
	case *ast.Node_TruncateStmt:
		return of(s.TruncateStmt, j.truncateStatement, nil)
	case *ast.Node_ExplainStmt:
		if create := s.ExplainStmt.Query.GetCreateTableAsStmt(); create != nil {
			return of(create, j.createTableAsStatement, nil)
		}
		return visit{hazards: j.visitRows(s.ExplainStmt.Query).hazards}
	}
	return visit{}
}

// visitSession is visit for settings, explicit locks and blocks of code.
func (j *judge) visitSession(n *ast.Node) visit {
	switch s := n.GetNode().(type) {
	case *ast.Node_VariableSetStmt:
		return of(s.VariableSetStmt, j.setting, j.set)
	case *ast.Node_VariableShowStmt, *ast.Node_DiscardStmt, *ast.Node_ListenStmt, *ast.Node_NotifyStmt,
		*ast.Node_UnlistenStmt, *ast.Node_CheckPointStmt, *ast.Node_LoadStmt, *ast.Node_ConstraintsSetStmt,
		*ast.Node_DeallocateStmt, *ast.Node_ClosePortalStmt, *ast.Node_DeclareCursorStmt, *ast.Node_FetchStmt,
		*ast.Node_TransactionStmt, *ast.Node_PrepareStmt:
		return of("it is about the session alone", j.because, nil)
	case *ast.Node_LockStmt:
		return of(s.LockStmt, j.lockStatement, nil)
	case *ast.Node_AlterSystemStmt:
		return of(Finding{Hazard: serverSetting, Message: fmt.Sprintf("%s changes for every database of the server, from "+
			"the next reload or restart on", s.AlterSystemStmt.Setstmt.GetName())}, j.report, nil)
	case *ast.Node_AlterDatabaseSetStmt:
		return of(s.AlterDatabaseSetStmt.Setstmt, j.sessionDefault, nil)
	case *ast.Node_AlterRoleSetStmt:
		return of(s.AlterRoleSetStmt.Setstmt, j.sessionDefault, nil)
	case *ast.Node_DoStmt:
		return of(s.DoStmt, j.do, nil)
	case *ast.Node_CallStmt:
		return of(s.CallStmt, j.call, nil)
	}
	return visit{}
}

// visitOther is visit for types, publications, roles and rights.
func (j *judge) visitOther(n *ast.Node) visit {
	switch s := n.GetNode().(type) {
	case *ast.Node_AlterEnumStmt:
		return of(s.AlterEnumStmt, j.alterEnumStatement, j.alterEnum)
	case *ast.Node_AlterDomainStmt:
		return of(s.AlterDomainStmt, j.alterDomainStatement, j.alterDomain)
	case *ast.Node_AlterSeqStmt:
		return of(s.AlterSeqStmt, j.alterSequence, nil)
	case *ast.Node_CreatePublicationStmt:
		return of(s.CreatePublicationStmt, j.createPublicationStatement, j.createPublication)
	case *ast.Node_AlterPublicationStmt:
		return of(s.AlterPublicationStmt, j.alterPublicationStatement, j.alterPublication)
	case *ast.Node_GrantStmt:
		return of(s.GrantStmt, j.grant, j.grantPublic)
	case *ast.Node_GrantRoleStmt:
		return of("no table is locked", j.because, nil)
	case *ast.Node_AlterOwnerStmt:
		what := strings.Join(texts(s.AlterOwnerStmt.Object.GetList().GetItems()), ".")
		return of(s.AlterOwnerStmt.Newowner, func(to *ast.RoleSpec) { j.ownerChange(what, to) }, nil)
	case *ast.Node_DropOwnedStmt:
		return of(Finding{Hazard: dropOwned, Message: "everything that the role owns in this database is lost"},
			j.report, nil)
	case *ast.Node_ReassignOwnedStmt:
		return of(Finding{Hazard: ownerChange, Message: "code that runs as the old owner may lose its rights"},
			j.report, nil)
	case *ast.Node_DropdbStmt:
		return of(Finding{Hazard: dropDatabase, Message: fmt.Sprintf("the database %s is lost",
			quoted(s.DropdbStmt.Dbname))}, j.report, nil)
	case *ast.Node_DropRoleStmt:
		return of(Finding{Hazard: loginRefused, Message: "nobody can log in as the role any more"}, j.report, nil)
	case *ast.Node_AlterRoleStmt:
		return of(s.AlterRoleStmt.Options, j.alterRole, nil)
	case *ast.Node_AlterDatabaseStmt:
		return of(s.AlterDatabaseStmt.Options, j.alterRole, nil)
	}
	return visit{}
}

// visitNew is visit for what makes something that nobody uses yet, or changes what no table
// is locked for.
func (j *judge) visitNew(n *ast.Node) visit {
	made := visit{hazards: func() { j.because("what is made is new: nobody uses it yet") }}
	switch s := n.GetNode().(type) {
	case *ast.Node_CreateFunctionStmt:
		return of(s.CreateFunctionStmt, j.createFunctionStatement, j.createFunction)
	case *ast.Node_AlterFunctionStmt:
		return visit{func() { j.because("no table is locked") }, func() { j.alterFunction(s.AlterFunctionStmt) }}
	case *ast.Node_CreateForeignTableStmt:
		made.effect = func() { j.createForeignTable(s.CreateForeignTableStmt) }
	case *ast.Node_CreateSchemaStmt:
		made.effect = func() { j.createSchema(s.CreateSchemaStmt) }
	case *ast.Node_CreateSeqStmt:
		made.effect = func() { j.createSequence(s.CreateSeqStmt) }
	case *ast.Node_CreateEnumStmt:
		made.effect = func() { j.createEnum(s.CreateEnumStmt) }
	case *ast.Node_CreateDomainStmt:
		made.effect = func() { j.createDomain(s.CreateDomainStmt) }
	case *ast.Node_CompositeTypeStmt:
		made.effect = func() { j.createType(nameOfRange(s.CompositeTypeStmt.Typevar), "composite") }
	case *ast.Node_CreateRangeStmt:
		made.effect = func() { j.createType(nameOf(texts(s.CreateRangeStmt.TypeName)), "range") }
	case *ast.Node_DefineStmt, *ast.Node_CreateExtensionStmt, *ast.Node_CreateRoleStmt, *ast.Node_CreatedbStmt,
		*ast.Node_CreateFdwStmt, *ast.Node_CreateForeignServerStmt, *ast.Node_CreateUserMappingStmt,
		*ast.Node_CreateCastStmt, *ast.Node_CreateConversionStmt, *ast.Node_CreateOpClassStmt,
		*ast.Node_CreateOpFamilyStmt, *ast.Node_CreateAmStmt, *ast.Node_CreatePlangStmt, *ast.Node_CreateTransformStmt,
		*ast.Node_ImportForeignSchemaStmt, *ast.Node_CreateTableSpaceStmt, *ast.Node_CreateSubscriptionStmt:
	case *ast.Node_AlterDefaultPrivilegesStmt, *ast.Node_AlterStatsStmt, *ast.Node_AlterTsconfigurationStmt,
		*ast.Node_AlterTsdictionaryStmt, *ast.Node_AlterForeignServerStmt, *ast.Node_AlterUserMappingStmt,
		*ast.Node_AlterEventTrigStmt, *ast.Node_AlterOperatorStmt, *ast.Node_SecLabelStmt,
		*ast.Node_AlterObjectDependsStmt:
		return of("no table is locked", j.because, nil)
	default:
		return visit{}
	}
	return made
}
