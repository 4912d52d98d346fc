package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// alterTableStatement judges the commands of an ALTER TABLE one after the other,
// each on what those before it have made.
func (j *judge) alterTableStatement(s *ast.AlterTableStmt) {
	switch s.Objtype {
	case ast.ObjectType_OBJECT_INDEX:
		if i := j.findIndex(nameOfRange(s.Relation)); i != nil {
			j.because(fmt.Sprintf("only the index %s is locked, for a moment", i.name))
		}
		for _, n := range s.Cmds {
			cmd := n.GetAlterTableCmd()
			if cmd.Subtype == ast.AlterTableType_AT_AttachPartition {
				for _, name := range []*ast.RangeVar{s.Relation, cmd.Def.GetPartitionCmd().GetName()} {
					if i := j.findIndex(nameOfRange(name)); i != nil {
						j.lock(i.table, AccessShare)
					}
				}
			}
			j.alterIndex(s, cmd)
		}
		return
	case ast.ObjectType_OBJECT_TYPE:
		j.alterComposite(s)
		return
	case ast.ObjectType_OBJECT_SEQUENCE, ast.ObjectType_OBJECT_VIEW, ast.ObjectType_OBJECT_MATVIEW,
		ast.ObjectType_OBJECT_FOREIGN_TABLE:
		j.alterOtherRelation(s)
		return
	}
	if s.MissingOk && j.complete && j.find(nameOfRange(s.Relation)) == nil {
		j.evidence(FromCatalog, "no table "+nameOfRange(s.Relation).String())
		return
	}
	if s.MissingOk && j.find(nameOfRange(s.Relation)) == nil && j.known() != nil {
		j.maybeAbsent = true
		defer func() { j.maybeAbsent = false }()
	}
	r := j.relation(s.Relation)
	if j.forward(r) {
		return
	}
	for _, n := range s.Cmds {
		cmd := n.GetAlterTableCmd()
		mode, recurses := lockOf(cmd)
		if s.Relation.Inh && j.buildsKey(r, cmd) {
			for _, part := range r.parts() { // whose indexes are built as by CREATE INDEX
				j.lock(part, Share)
			}
			j.lock(r, mode)
		} else if s.Relation.Inh && (recurses || mode == ShareRowExclusive && r.rowTriggers &&
			strings.Contains(cmd.Subtype.String(), "Trig")) {
			j.lockTree(r, mode)
		} else {
			j.lock(r, mode)
		}
		if j.missing(r, cmd) {
			continue
		}
		if !j.isNew(r) || cmd.Subtype == ast.AlterTableType_AT_AttachPartition ||
			cmd.Subtype == ast.AlterTableType_AT_AddConstraint ||
			cmd.Subtype == ast.AlterTableType_AT_AddColumn {
			j.alterCommand(r, cmd)
		}
		j.alterTable(s, cmd)
	}
	j.harmless(r)
	j.manyPartitions(r)
}

// alterOtherRelation judges ALTER TABLE, ALTER VIEW and the like on what is not a table.
func (j *judge) alterOtherRelation(s *ast.AlterTableStmt) {
	r := j.relation(s.Relation)
	for _, n := range s.Cmds {
		cmd := n.GetAlterTableCmd()
		mode, _ := lockOf(cmd)
		j.lock(r, mode)
		if cmd.Subtype == ast.AlterTableType_AT_ChangeOwner {
			j.ownerChange(r.name.String(), cmd.Newowner)
		}
		if s.Objtype == ast.ObjectType_OBJECT_FOREIGN_TABLE && cmd.Subtype == ast.AlterTableType_AT_DropColumn {
			j.dropColumnCommand(r, cmd)
		}
	}
}

// buildsKey reports whether a command adds a key whose indexes on partitions are
// built as by CREATE INDEX, and changes nothing else of them.
func (j *judge) buildsKey(r *relation, cmd *ast.AlterTableCmd) bool {
	c := cmd.Def.GetConstraint()
	since := 18 // from then on partitions are locked as their parent
	if cmd.Subtype != ast.AlterTableType_AT_AddConstraint || c.GetIndexname() != "" || j.options.Major == 0 ||
		j.options.Major >= since {
		return false
	}
	if c.GetContype() != ast.ConstrType_CONSTR_PRIMARY {
		return c.GetContype() == ast.ConstrType_CONSTR_UNIQUE
	}
	return !slices.ContainsFunc(texts(c.Keys), func(name string) bool {
		return r.column(name) == nil ||
			!r.column(name).notNull
	})
}

// missing finds that a command is about a column that the table does not have.
func (j *judge) missing(r *relation, cmd *ast.AlterTableCmd) bool {
	switch cmd.Subtype {
	case ast.AlterTableType_AT_ColumnDefault, ast.AlterTableType_AT_DropNotNull, ast.AlterTableType_AT_SetNotNull,
		ast.AlterTableType_AT_AlterColumnType, ast.AlterTableType_AT_DropColumn, ast.AlterTableType_AT_SetStorage,
		ast.AlterTableType_AT_SetStatistics, ast.AlterTableType_AT_AddIdentity, ast.AlterTableType_AT_DropIdentity:
	default:
		return false
	}
	if cmd.MissingOk || r.assumed || len(r.columns) == 0 || r.column(cmd.Name) != nil || cmd.Name == "" {
		return false
	}
	j.report(Finding{Hazard: statementFails, claim: claim{kind: claimsError}, Evidence: Evidence{j.source(r),
		"its columns are known"},
		Message: fmt.Sprintf("%s has no column %s: the statement fails", r.name, quoted(cmd.Name))})
	return true
}

// forward finds that a table is used before the statement that makes it.
func (j *judge) forward(r *relation) bool {
	if !r.assumed || j.inner {
		return false
	}
	made := func(n *ast.Node) bool {
		create := n.GetCreateStmt()
		return create != nil && !create.IfNotExists && j.qualify(nameOfRange(create.Relation)) == r.name
	}
	dropped := func(n *ast.Node) bool {
		d := n.GetDropStmt()
		if d == nil || d.RemoveType != ast.ObjectType_OBJECT_TABLE {
			return false
		}
		return slices.ContainsFunc(d.Objects, func(o *ast.Node) bool {
			return j.qualify(nameOf(texts(o.GetList().GetItems()))) == r.name
		})
	}
	gone := false
	for _, p := range j.parsed[j.at+1:] {
		if p.node == nil {
			continue
		}
		gone = gone || dropped(p.node) || p.node.GetRenameStmt() != nil
		if made(p.node) && !gone {
			j.report(Finding{Hazard: usesObjectBeforeCreation, claim: claim{kind: claimsError},
				Message: fmt.Sprintf("%s is made further down, in line %d", r.name, p.statement.Start.Line)})
			return true
		}
	}
	return false
}

// alterComposite judges the attributes of a composite type.
func (j *judge) alterComposite(s *ast.AlterTableStmt) {
	n := nameOfRange(s.Relation)
	if t := j.findType(n); t != nil && t.created == j.now {
		j.because("the type was made by this migration")
		return
	}
	for _, c := range s.Cmds {
		switch cmd := c.GetAlterTableCmd(); cmd.Subtype {
		case ast.AlterTableType_AT_AddColumn:
			j.because("values that are there have NULL for the new attribute; none is touched")
		case ast.AlterTableType_AT_DropColumn:
			j.report(Finding{Hazard: dropColumn, Message: fmt.Sprintf("code that still names the attribute %s of %s fails, "+
				"and its values are lost", quoted(cmd.Name), n)})
		default:
			j.opaque("whether tables use the type is not known")
		}
	}
}

// lockOf gives the lock that a command of ALTER TABLE takes, and whether it takes
// it on the partitions as well. Several commands take the strongest of theirs.
//
// See the table in the source of PostgreSQL, AlterTableGetLockLevel, and "ALTER
// TABLE" in its documentation; the tests measure it.
func lockOf(cmd *ast.AlterTableCmd) (Mode, bool) {
	switch cmd.Subtype {
	case ast.AlterTableType_AT_SetStatistics, ast.AlterTableType_AT_SetOptions, ast.AlterTableType_AT_ResetOptions:
		return ShareUpdateExclusive, true
	case ast.AlterTableType_AT_ClusterOn, ast.AlterTableType_AT_DropCluster, ast.AlterTableType_AT_AttachPartition,
		ast.AlterTableType_AT_DetachPartitionFinalize:
		return ShareUpdateExclusive, false
	case ast.AlterTableType_AT_DetachPartition:
		if cmd.Def.GetPartitionCmd().GetConcurrent() {
			return ShareUpdateExclusive, false
		}
		return AccessExclusive, false
	case ast.AlterTableType_AT_ValidateConstraint:
		return ShareUpdateExclusive, true
	case ast.AlterTableType_AT_SetRelOptions, ast.AlterTableType_AT_ResetRelOptions:
		for _, o := range cmd.Def.GetList().GetItems() {
			if name := o.GetDefElem().GetDefname(); name == "user_catalog_table" {
				return AccessExclusive, false
			}
		}
		return ShareUpdateExclusive, false
	case ast.AlterTableType_AT_EnableTrig, ast.AlterTableType_AT_EnableAlwaysTrig, ast.AlterTableType_AT_EnableReplicaTrig,
		ast.AlterTableType_AT_DisableTrig, ast.AlterTableType_AT_EnableTrigAll, ast.AlterTableType_AT_DisableTrigAll,
		ast.AlterTableType_AT_EnableTrigUser, ast.AlterTableType_AT_DisableTrigUser:
		return ShareRowExclusive, false
	case ast.AlterTableType_AT_AddConstraint:
		if cmd.Def.GetConstraint().GetContype() == ast.ConstrType_CONSTR_FOREIGN {
			return ShareRowExclusive, true
		}
		return AccessExclusive, true
	}
	return AccessExclusive, !relationOnly(cmd.Subtype)
}

// alterCommand judges one command on a table that others use.
func (j *judge) alterCommand(r *relation, cmd *ast.AlterTableCmd) {
	switch cmd.Subtype {
	case ast.AlterTableType_AT_AddColumn:
		j.addColumnCommand(r, cmd)
	case ast.AlterTableType_AT_DropColumn:
		j.dropColumnCommand(r, cmd)
	case ast.AlterTableType_AT_AlterColumnType:
		j.alterTypeCommand(r, cmd)
	case ast.AlterTableType_AT_SetNotNull:
		j.setNotNullCommand(r, cmd)
	case ast.AlterTableType_AT_DropNotNull:
		j.dropNotNullCommand(r, cmd)
	case ast.AlterTableType_AT_ColumnDefault, ast.AlterTableType_AT_DropIdentity:
		j.dropDefaultCommand(r, cmd)
	case ast.AlterTableType_AT_AddIdentity, ast.AlterTableType_AT_SetIdentity:
		j.identityCommand(r, cmd)
	case ast.AlterTableType_AT_SetExpression:
		j.rewrite(r)
		if !j.small(r) {
			verdict := Dangerous
			if c := r.column(cmd.Name); c == nil || !c.generated { // a virtual one has no values to compute
				verdict = Unknown
			}
			j.report(Finding{Hazard: setGeneratedExpression, Verdict: verdict, claim: claim{claimsRewrite, leaves(r)},
				Message:  fmt.Sprintf("%s is recomputed for every row of %s while nobody can read it", quoted(cmd.Name), r.name),
				Evidence: j.wasThere(r)})
		}
	case ast.AlterTableType_AT_AddConstraint:
		j.addConstraintCommand(r, cmd.Def.GetConstraint())
	case ast.AlterTableType_AT_ValidateConstraint:
		j.validateCommand(r, cmd)
	case ast.AlterTableType_AT_DropConstraint:
		j.dropConstraintCommand(r, cmd)
	case ast.AlterTableType_AT_AttachPartition:
		j.attachCommand(r, cmd.Def.GetPartitionCmd())
	case ast.AlterTableType_AT_DetachPartition:
		j.detachCommand(r, cmd.Def.GetPartitionCmd())
	default:
		j.alterStorageOrAccess(r, cmd)
	}
}

func (j *judge) alterStorageOrAccess(r *relation, cmd *ast.AlterTableCmd) {
	switch cmd.Subtype {
	case ast.AlterTableType_AT_SetLogged, ast.AlterTableType_AT_SetUnLogged:
		unlogged := cmd.Subtype == ast.AlterTableType_AT_SetUnLogged
		if unlogged == r.unlogged && !r.assumed {
			j.evidence(j.source(r), "the table is that already")
			return
		}
		j.rewrittenWhole(r, setLoggedUnlogged, "is rewritten, with all its indexes")
	case ast.AlterTableType_AT_SetTableSpace:
		j.rewrittenWhole(r, setTablespace, "is copied to the other tablespace")
	case ast.AlterTableType_AT_SetAccessMethod:
		j.rewrittenWhole(r, setAccessMethod, "is rewritten in the other format")
	case ast.AlterTableType_AT_EnableRowSecurity, ast.AlterTableType_AT_ForceRowSecurity:
		j.rowSecurityCommand(r, cmd)
	case ast.AlterTableType_AT_ChangeOwner:
		j.ownerChange(r.name.String(), cmd.Newowner)
	case ast.AlterTableType_AT_ReplicaIdentity:
		j.replicaIdentityCommand(r, cmd.Def.GetReplicaIdentityStmt())
	case ast.AlterTableType_AT_DisableTrig, ast.AlterTableType_AT_DisableTrigAll, ast.AlterTableType_AT_DisableTrigUser:
		what := "the trigger " + quoted(cmd.Name)
		switch cmd.Subtype {
		case ast.AlterTableType_AT_DisableTrigAll:
			what = "no trigger of " + r.name.String() + " fires any more, foreign keys are not checked; what they do"
		case ast.AlterTableType_AT_DisableTrigUser:
			what = "what the triggers of " + r.name.String() + " do"
		}
		j.report(Finding{Hazard: disableTrigger, Message: what + " is missing for everybody's writes until it is " +
			"enabled again", Evidence: j.wasThere(r)})
	case ast.AlterTableType_AT_AddInherit:
		parent := j.relation(cmd.Def.GetRangeVar())
		j.lock(parent, ShareUpdateExclusive)
	case ast.AlterTableType_AT_DropInherit:
		j.lock(j.relation(cmd.Def.GetRangeVar()), AccessShare)
	}
}

// wasThere is the evidence that a table is in use.
func (j *judge) wasThere(r *relation) Evidence {
	return Evidence{j.source(r), r.name.String() + " was there before this migration"}
}

func (j *judge) rewrittenWhole(r *relation, hazard ID, what string) {
	j.rewrite(r)
	if j.small(r) {
		return
	}
	j.report(Finding{Hazard: hazard, claim: claim{claimsRewrite, leaves(r)}, Evidence: j.wasThere(r),
		Message: fmt.Sprintf("%s %s, while nobody can read or write it", r.name, what)})
}

func (j *judge) rowSecurityCommand(r *relation, cmd *ast.AlterTableCmd) {
	if r.rowSecurity && cmd.Subtype == ast.AlterTableType_AT_EnableRowSecurity {
		j.evidence(j.source(r), r.name.String()+" has row security already")
		return
	}
	if cmd.Subtype == ast.AlterTableType_AT_ForceRowSecurity && !r.rowSecurity {
		return
	}
	j.hidden(r, "", "without a policy for that, everybody but the owner")
}

// hidden finds commands of code that runs which no policy lets through.
func (j *judge) hidden(r *relation, without, who string) {
	var beside []*ast.CreatePolicyStmt
	for _, p := range j.sameStep() {
		if c := p.node.GetCreatePolicyStmt(); c != nil && j.relation(c.Table) == r {
			beside = append(beside, c)
		}
	}
	refused := r.refused(without, beside)
	what := ""
	switch {
	case len(refused) == 0:
		j.evidence(j.source(r), "policies let everything through that they are for")
		return
	case len(refused) == 4:
		what = fmt.Sprintf("sees no row of %s and can write none", r.name)
	default:
		what = fmt.Sprintf("can do no %s of %s", strings.Join(refused, ", "), r.name)
	}
	j.report(Finding{Hazard: rlsEnableWithoutPolicy, Evidence: j.wasThere(r), Message: who + " " + what,
		Rewrite: fmt.Sprintf("CREATE POLICY everything ON %s USING (true) WITH CHECK (true);\n%s;", j.written(r),
			j.out.Text)})
}

// sameStep gives the statements of the transaction that are still to come.
func (j *judge) sameStep() []parsed {
	var rest []parsed
	for _, p := range j.parsed[j.at+1:] {
		if p.step == j.current.step && p.node != nil {
			rest = append(rest, p)
		}
	}
	return rest
}

func (j *judge) ownerChange(what string, to *ast.RoleSpec) {
	j.report(Finding{Hazard: ownerChange,
		Message: fmt.Sprintf("code that runs as the old owner of %s may lose its rights; the new one is %s", what,
			quoted(to.GetRolename()))})
}

func (j *judge) replicaIdentityCommand(r *relation, s *ast.ReplicaIdentityStmt) {
	if s.GetIdentityType() != "n" {
		j.because("the server will find rows by the new identity from the next change on")
		return
	}
	message := fmt.Sprintf("%s cannot be published any more: its UPDATE and DELETE would fail", r.name)
	if j.publishes(r) {
		message = fmt.Sprintf("%s is published: every UPDATE and DELETE of it fails from now on", r.name)
	}
	j.report(Finding{Hazard: replicaIdentityNothing, Message: message, Evidence: j.wasThere(r),
		Rewrite: j.alterTo(r, "REPLICA IDENTITY DEFAULT")})
}

// publishes reports whether changes of a table's rows are published.
func (j *judge) publishes(r *relation) bool {
	for _, p := range j.publications {
		if p.updates && (p.all || slices.Contains(p.tables, r) || slices.Contains(p.schemas, r.name.Schema)) {
			return true
		}
	}
	return false
}

// manyPartitions finds that one statement locks so many tables that the server may
// run out of room for locks.
func (j *judge) manyPartitions(r *relation) {
	const many = 64 // of which each has indexes; max_locks_per_transaction is 64
	if n := len(r.tree()) - 1; n >= many && len(j.out.Effect.Locks) > many {
		j.report(Finding{Hazard: alterOnPartitionedParent, Evidence: Evidence{j.source(r),
			fmt.Sprintf("%s has %d partitions", r.name, n)},
			Message: fmt.Sprintf("%d partitions of %s are locked at once", n, r.name)})
	}
}
