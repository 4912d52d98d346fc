package lint

import (
	"cmp"
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
		known := commandOf(cmd)
		mode := known.lock
		if s.Relation.Inh && j.buildsKey(r, cmd) {
			for _, part := range r.parts() { // whose indexes are built as by CREATE INDEX
				j.lock(part, Share)
			}
			j.lock(r, mode)
		} else if s.Relation.Inh && (known.tree || mode == ShareRowExclusive && r.rowTriggers &&
			strings.Contains(cmd.Subtype.String(), "Trig")) {
			j.lockTree(r, mode)
		} else {
			j.lock(r, mode)
		}
		if j.missing(r, cmd) {
			continue
		}
		if known.hazards != nil && (known.onNew || !j.isNew(r)) {
			known.hazards(j, r, cmd)
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
		j.lock(r, commandOf(cmd).lock)
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
	if !commandOf(cmd).named || cmd.MissingOk || r.assumed || len(r.columns) == 0 || r.column(cmd.Name) != nil ||
		cmd.Name == "" {
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

func (j *judge) setExpressionCommand(r *relation, cmd *ast.AlterTableCmd) {
	j.rewrite(r)
	if j.small(r) {
		return
	}
	verdict := Dangerous
	if c := r.column(cmd.Name); c == nil || !c.generated { // a virtual one has no values to compute
		verdict = Unknown
	}
	j.report(Finding{Hazard: setGeneratedExpression, Verdict: verdict, claim: claim{claimsRewrite, leaves(r)},
		Message:  fmt.Sprintf("%s is recomputed for every row of %s while nobody can read it", quoted(cmd.Name), r.name),
		Evidence: j.wasThere(r)})
}

func (j *judge) setLoggedCommand(r *relation, cmd *ast.AlterTableCmd) {
	if r.unlogged == (cmd.Subtype == ast.AlterTableType_AT_SetUnLogged) && !r.assumed {
		j.evidence(j.source(r), "the table is that already")
		return
	}
	j.rewrittenWhole(r, setLoggedUnlogged, "is rewritten, with all its indexes")
}

func (j *judge) rewritingCommand(r *relation, cmd *ast.AlterTableCmd) {
	if cmd.Subtype == ast.AlterTableType_AT_SetTableSpace {
		j.rewrittenWhole(r, setTablespace, "is copied to the other tablespace")
		return
	}
	j.rewrittenWhole(r, setAccessMethod, "is rewritten in the other format")
}

func (j *judge) disableTriggerCommand(r *relation, cmd *ast.AlterTableCmd) {
	what := "the trigger " + quoted(cmd.Name)
	switch cmd.Subtype {
	case ast.AlterTableType_AT_DisableTrigAll:
		what = "no trigger of " + r.name.String() + " fires any more, foreign keys are not checked; what they do"
	case ast.AlterTableType_AT_DisableTrigUser:
		what = "what the triggers of " + r.name.String() + " do"
	}
	j.report(Finding{Hazard: disableTrigger, Message: what + " is missing for everybody's writes until it is " +
		"enabled again", Evidence: j.wasThere(r)})
}

// inheritCommand locks the other table.
func (j *judge) inheritCommand(_ *relation, cmd *ast.AlterTableCmd) {
	mode := AccessShare
	if cmd.Subtype == ast.AlterTableType_AT_AddInherit {
		mode = ShareUpdateExclusive
	}
	j.lock(j.relation(cmd.Def.GetRangeVar()), mode)
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

func (j *judge) replicaIdentityCommand(r *relation, cmd *ast.AlterTableCmd) {
	if cmd.Def.GetReplicaIdentityStmt().GetIdentityType() != "n" {
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

// alterTable applies one command of an ALTER TABLE, to the partitions as well
// where the server does so.
func (m *model) alterTable(s *ast.AlterTableStmt, cmd *ast.AlterTableCmd) {
	if s.Objtype == ast.ObjectType_OBJECT_TYPE {
		return
	}
	if s.Objtype == ast.ObjectType_OBJECT_INDEX {
		m.alterIndex(s, cmd)
		return
	}
	r := m.relation(s.Relation)
	if s.Objtype == ast.ObjectType_OBJECT_SEQUENCE || s.Objtype == ast.ObjectType_OBJECT_VIEW {
		return
	}
	c := commandOf(cmd)
	if c.effect == nil {
		return
	}
	targets := []*relation{r}
	if c.tree && s.Relation.Inh {
		targets = r.tree()
	}
	for _, t := range targets {
		c.effect(m, t, cmd)
	}
}

func (m *model) inheritOf(r *relation, cmd *ast.AlterTableCmd) {
	m.inherit(r, m.relation(cmd.Def.GetRangeVar()), nil)
}

func (m *model) disinheritOf(r *relation, cmd *ast.AlterTableCmd) {
	parent := m.relation(cmd.Def.GetRangeVar())
	parent.heirs = slices.DeleteFunc(parent.heirs, func(h *relation) bool { return h == r })
}

func (m *model) identifyOf(r *relation, cmd *ast.AlterTableCmd) {
	s := cmd.Def.GetReplicaIdentityStmt()
	r.identity = cmp.Or(s.GetName(), s.GetIdentityType())
}

// alterTables applies all commands of an ALTER TABLE.
func (m *model) alterTables(s *ast.AlterTableStmt) {
	for _, cmd := range s.Cmds {
		m.alterTable(s, cmd.GetAlterTableCmd())
	}
}

func (m *model) alterIndex(s *ast.AlterTableStmt, cmd *ast.AlterTableCmd) {
	if cmd.Subtype == ast.AlterTableType_AT_AttachPartition {
		// the parent's index is valid once every partition has its part; that the
		// last one came is taken for granted
		if i := m.findIndex(nameOfRange(s.Relation)); i != nil {
			i.valid = true
		}
	}
}

// command is what there is to know of a command of ALTER TABLE.
type command struct {
	// lock is what it takes, on the partitions as well if tree is set. Several commands take
	// the strongest of theirs.
	//
	// See the table in the source of PostgreSQL, AlterTableGetLockLevel, and "ALTER TABLE" in
	// its documentation; the tests measure it.
	lock Mode
	tree bool
	// named is set where it is about a column, which must be there.
	named bool
	// onNew is set where it may harm others even on a table that nobody uses yet.
	onNew bool
	// hazards judges it on a table that others use.
	hazards func(*judge, *relation, *ast.AlterTableCmd)
	// effect is what it does to the table, and to each of its tree if tree is set.
	effect func(*model, *relation, *ast.AlterTableCmd)
}

// ofColumn makes an effect of one on the column that the command names.
func ofColumn(effect func(*column, *ast.AlterTableCmd)) func(*model, *relation, *ast.AlterTableCmd) {
	return func(_ *model, r *relation, cmd *ast.AlterTableCmd) {
		if c := r.column(cmd.Name); c != nil {
			effect(c, cmd)
		}
	}
}

// ofTable makes an effect of one on the table alone.
func ofTable(effect func(*relation)) func(*model, *relation, *ast.AlterTableCmd) {
	return func(_ *model, r *relation, _ *ast.AlterTableCmd) { effect(r) }
}

// commandOf is the table of the commands.
func commandOf(cmd *ast.AlterTableCmd) command {
	const tree, named, onNew = true, true, true
	switch cmd.Subtype {
	case ast.AlterTableType_AT_AddColumn:
		return command{AccessExclusive, tree, false, onNew, (*judge).addColumnCommand, (*model).addColumnOf}
	case ast.AlterTableType_AT_DropColumn:
		return command{AccessExclusive, tree, named, false, (*judge).dropColumnCommand, (*model).dropColumnOf}
	case ast.AlterTableType_AT_AlterColumnType:
		return command{AccessExclusive, tree, named, false, (*judge).alterTypeCommand, ofColumn((*column).retype)}
	case ast.AlterTableType_AT_SetNotNull:
		return command{AccessExclusive, tree, named, false, (*judge).setNotNullCommand,
			ofColumn(func(c *column, _ *ast.AlterTableCmd) { c.notNull = true })}
	case ast.AlterTableType_AT_DropNotNull:
		return command{AccessExclusive, tree, named, false, (*judge).dropNotNullCommand,
			ofColumn(func(c *column, _ *ast.AlterTableCmd) { c.notNull = false })}
	case ast.AlterTableType_AT_ColumnDefault:
		return command{AccessExclusive, tree, named, false, (*judge).dropDefaultCommand,
			ofColumn(func(c *column, cmd *ast.AlterTableCmd) { c.value = defaultOf(cmd.Def) })}
	case ast.AlterTableType_AT_AddIdentity:
		return command{AccessExclusive, tree, named, false, (*judge).identityCommand,
			ofColumn(func(c *column, cmd *ast.AlterTableCmd) { c.identity = cmd.Def.GetConstraint().GetGeneratedWhen() })}
	case ast.AlterTableType_AT_SetIdentity:
		return command{AccessExclusive, tree, false, false, (*judge).identityCommand, nil}
	case ast.AlterTableType_AT_DropIdentity:
		return command{AccessExclusive, tree, named, false, (*judge).dropDefaultCommand,
			ofColumn(func(c *column, _ *ast.AlterTableCmd) { c.identity = "" })}
	case ast.AlterTableType_AT_SetExpression:
		return command{AccessExclusive, tree, false, false, (*judge).setExpressionCommand, nil}
	case ast.AlterTableType_AT_DropExpression:
		return command{AccessExclusive, tree, false, false, nil,
			ofColumn(func(c *column, _ *ast.AlterTableCmd) { c.generated = false })}
	case ast.AlterTableType_AT_SetStorage:
		return command{AccessExclusive, tree, named, false, nil, nil}
	case ast.AlterTableType_AT_SetStatistics:
		return command{ShareUpdateExclusive, tree, named, false, nil, nil}
	case ast.AlterTableType_AT_SetOptions, ast.AlterTableType_AT_ResetOptions:
		return command{ShareUpdateExclusive, tree, false, false, nil, nil}
	}
	return commandOfTable(cmd)
}

// commandOfTable is commandOf for what is about no column.
func commandOfTable(cmd *ast.AlterTableCmd) command {
	const tree, onNew = true, true
	switch cmd.Subtype {
	case ast.AlterTableType_AT_AddConstraint:
		lock := AccessExclusive
		if cmd.Def.GetConstraint().GetContype() == ast.ConstrType_CONSTR_FOREIGN {
			lock = ShareRowExclusive
		}
		return command{lock, tree, false, onNew, (*judge).addConstraintCommand, (*model).addConstraintOf}
	case ast.AlterTableType_AT_ValidateConstraint:
		return command{ShareUpdateExclusive, tree, false, false, (*judge).validateCommand, (*model).validateOf}
	case ast.AlterTableType_AT_AlterConstraint:
		return command{AccessExclusive, tree, false, false, nil, (*model).deferOf}
	case ast.AlterTableType_AT_DropConstraint:
		return command{AccessExclusive, tree, false, false, (*judge).dropConstraintCommand, (*model).dropConstraintOf}
	case ast.AlterTableType_AT_AttachPartition:
		return command{ShareUpdateExclusive, false, false, onNew, (*judge).attachCommand, (*model).attachOf}
	case ast.AlterTableType_AT_DetachPartition:
		lock := AccessExclusive
		if cmd.Def.GetPartitionCmd().GetConcurrent() {
			lock = ShareUpdateExclusive
		}
		return command{lock, false, false, false, (*judge).detachCommand, (*model).detachOf}
	case ast.AlterTableType_AT_DetachPartitionFinalize:
		return command{ShareUpdateExclusive, false, false, false, nil, (*model).detachOf}
	case ast.AlterTableType_AT_AddInherit:
		return command{AccessExclusive, false, false, false, (*judge).inheritCommand, (*model).inheritOf}
	case ast.AlterTableType_AT_DropInherit:
		return command{AccessExclusive, false, false, false, (*judge).inheritCommand, (*model).disinheritOf}
	case ast.AlterTableType_AT_SetLogged:
		return command{AccessExclusive, false, false, false, (*judge).setLoggedCommand,
			ofTable(func(r *relation) { r.unlogged = false })}
	case ast.AlterTableType_AT_SetUnLogged:
		return command{AccessExclusive, false, false, false, (*judge).setLoggedCommand,
			ofTable(func(r *relation) { r.unlogged = true })}
	case ast.AlterTableType_AT_SetTableSpace:
		return command{AccessExclusive, false, false, false, (*judge).rewritingCommand, nil}
	case ast.AlterTableType_AT_SetAccessMethod:
		return command{AccessExclusive, false, false, false, (*judge).rewritingCommand, nil}
	case ast.AlterTableType_AT_ClusterOn:
		return command{ShareUpdateExclusive, false, false, false, nil, nil}
	case ast.AlterTableType_AT_DropCluster:
		return command{ShareUpdateExclusive, false, false, false, nil, nil}
	case ast.AlterTableType_AT_SetRelOptions, ast.AlterTableType_AT_ResetRelOptions:
		lock := ShareUpdateExclusive
		if slices.ContainsFunc(cmd.Def.GetList().GetItems(), func(o *ast.Node) bool {
			return o.GetDefElem().GetDefname() == "user_catalog_table"
		}) {
			lock = AccessExclusive
		}
		return command{lock, false, false, false, nil, nil}
	case ast.AlterTableType_AT_EnableTrig, ast.AlterTableType_AT_EnableAlwaysTrig,
		ast.AlterTableType_AT_EnableReplicaTrig, ast.AlterTableType_AT_EnableTrigAll, ast.AlterTableType_AT_EnableTrigUser:
		return command{ShareRowExclusive, false, false, false, nil, nil}
	case ast.AlterTableType_AT_DisableTrig, ast.AlterTableType_AT_DisableTrigAll, ast.AlterTableType_AT_DisableTrigUser:
		return command{ShareRowExclusive, false, false, false, (*judge).disableTriggerCommand, nil}
	case ast.AlterTableType_AT_EnableRowSecurity:
		return command{AccessExclusive, false, false, false, (*judge).rowSecurityCommand,
			ofTable(func(r *relation) { r.rowSecurity = true })}
	case ast.AlterTableType_AT_DisableRowSecurity:
		return command{AccessExclusive, false, false, false, nil, ofTable(func(r *relation) { r.rowSecurity = false })}
	case ast.AlterTableType_AT_ForceRowSecurity:
		return command{AccessExclusive, false, false, false, (*judge).rowSecurityCommand, nil}
	case ast.AlterTableType_AT_ReplicaIdentity:
		return command{AccessExclusive, false, false, false, (*judge).replicaIdentityCommand, (*model).identifyOf}
	case ast.AlterTableType_AT_ChangeOwner:
		return command{AccessExclusive, false, false, false, (*judge).ownerCommand, nil}
	case ast.AlterTableType_AT_NoForceRowSecurity:
		return command{AccessExclusive, false, false, false, nil, nil}
	}
	return command{lock: AccessExclusive, tree: true}
}
