package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// otherStatement judges the rest, and tells whether it knew the statement.
func (j *judge) otherStatement(n *ast.Node) bool {
	switch s := n.GetNode().(type) {
	case *ast.Node_ViewStmt:
		j.viewStatement(s.ViewStmt)
	case *ast.Node_CreateTrigStmt:
		j.createTrigger(s.CreateTrigStmt)
	case *ast.Node_CreatePolicyStmt:
		j.createPolicyStatement(s.CreatePolicyStmt)
	case *ast.Node_AlterPolicyStmt:
		r := j.relation(s.AlterPolicyStmt.Table)
		j.lock(r, AccessExclusive)
		if !j.harmless(r) && r.rowSecurity {
			j.untold("which rows the policy lets through from now on is not known")
		}
	case *ast.Node_RuleStmt:
		r := j.relation(s.RuleStmt.Relation)
		j.lock(r, AccessExclusive)
		if !j.harmless(r) && s.RuleStmt.Instead {
			j.report(Finding{Hazard: rewriteRule, Evidence: j.wasThere(r),
				Message: fmt.Sprintf("code that writes %s is told that it did, and something else is done", r.name)})
		}
	case *ast.Node_CreateStatsStmt:
		for _, rel := range s.CreateStatsStmt.Relations {
			j.lock(j.relation(rel.GetRangeVar()), ShareUpdateExclusive)
		}
	case *ast.Node_CommentStmt:
		j.comment(s.CommentStmt)
	case *ast.Node_GrantStmt:
		j.grant(s.GrantStmt)
	case *ast.Node_GrantRoleStmt:
		j.because("no table is locked")
	case *ast.Node_AlterOwnerStmt:
		j.ownerChange(strings.Join(texts(s.AlterOwnerStmt.Object.GetList().GetItems()), "."), s.AlterOwnerStmt.Newowner)
	case *ast.Node_AlterEnumStmt:
		j.alterEnumStatement(s.AlterEnumStmt)
	case *ast.Node_AlterSeqStmt:
		j.alterSequence(s.AlterSeqStmt)
	case *ast.Node_CreatePublicationStmt:
		j.publicationStatement(s.CreatePublicationStmt.Pubobjects, s.CreatePublicationStmt.Options,
			s.CreatePublicationStmt.ForAllTables)
	case *ast.Node_AlterPublicationStmt:
		j.unpublished(s.AlterPublicationStmt)
		if s.AlterPublicationStmt.Action != ast.AlterPublicationAction_AP_DropObjects {
			j.publicationStatement(s.AlterPublicationStmt.Pubobjects, s.AlterPublicationStmt.Options, false)
		}
	case *ast.Node_DropOwnedStmt:
		j.report(Finding{Hazard: dropOwned, Message: "everything that the role owns in this database is lost"})
	case *ast.Node_ReassignOwnedStmt:
		j.report(Finding{Hazard: ownerChange, Message: "code that runs as the old owner may lose its rights"})
	case *ast.Node_DropdbStmt:
		j.report(Finding{Hazard: dropDatabase, Message: fmt.Sprintf("the database %s is lost",
			quoted(s.DropdbStmt.Dbname))})
	case *ast.Node_DropRoleStmt:
		j.report(Finding{Hazard: loginRefused, Message: "nobody can log in as the role any more"})
	case *ast.Node_AlterRoleStmt:
		j.alterRole(s.AlterRoleStmt.Options)
	case *ast.Node_AlterDatabaseStmt:
		j.alterRole(s.AlterDatabaseStmt.Options)
	default:
		return j.newObject(n)
	}
	return true
}

// createTrigger finds triggers that refuse every row.
func (j *judge) createTrigger(s *ast.CreateTrigStmt) {
	r := j.relation(s.Relation)
	j.lockTree(r, ShareRowExclusive)
	if j.harmless(r) || s.WhenClause != nil || s.Isconstraint {
		return
	}
	for _, f := range lookup(j.model, j.functions, nameOf(texts(s.Funcname))) {
		if f.language != "plpgsql" {
			continue
		}
		body, err := j.parser.Body(f.text)
		if err != nil {
			continue
		}
		if body.Raises {
			j.report(Finding{Hazard: triggerRefusesWrites, Evidence: j.wasThere(r),
				Message: fmt.Sprintf("the trigger raises an error whatever happens: code that writes %s fails", r.name)})
		}
		for _, column := range body.Assigns {
			if !r.assumed && len(r.columns) > 0 && r.column(column) == nil {
				j.report(Finding{Hazard: triggerRefusesWrites, Evidence: j.wasThere(r),
					Message: fmt.Sprintf(
						"the trigger's function sets %s, a column that %s does not have: code that writes %[2]s fails", quoted(column),
						r.name)})
			}
		}
	}
}

// createPolicyStatement finds policies that take away what others let through.
func (j *judge) createPolicyStatement(s *ast.CreatePolicyStmt) {
	r := j.relation(s.Table)
	j.lock(r, AccessExclusive)
	if j.harmless(r) {
		return
	}
	if setting := asked(s.Qual, s.WithCheck); setting != "" && (r.rowSecurity || j.securedLater(r)) {
		j.report(Finding{Hazard: policyNeedsSetting, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("every statement on %s fails in a session that has not set %s, and code that runs does not",
				r.name, setting),
			Rewrite: strings.ReplaceAll(j.out.Text, "'"+setting+"')", "'"+setting+"', true)")})
		return
	}
	if s.Permissive || !r.rowSecurity {
		return
	}
	j.report(Finding{Hazard: restrictivePolicy, Evidence: j.wasThere(r),
		Message: fmt.Sprintf("rows of %s that the policy does not let through are gone for code that runs", r.name)})
}

// asked gives a setting without which the expressions of a policy fail: one of the
// application's own, asked for without leave to be missing.
func asked(expressions ...*ast.Node) (setting string) {
	for _, e := range expressions {
		walk(e, func(n *ast.Node) bool {
			call := n.GetFuncCall()
			if call != nil && len(call.Args) == 1 && nameOf(texts(call.Funcname)).Object == "current_setting" &&
				strings.Contains(text(call.Args[0]), ".") {
				setting = text(call.Args[0])
			}
			return true
		})
	}
	return setting
}

// securedLater reports whether the transaction turns row security on further down.
func (j *judge) securedLater(r *relation) bool {
	return slices.ContainsFunc(j.sameStep(), func(p parsed) bool {
		s := p.node.GetAlterTableStmt()
		return s != nil && j.find(nameOfRange(s.Relation)) == r && slices.ContainsFunc(s.Cmds, func(n *ast.Node) bool {
			return n.GetAlterTableCmd().GetSubtype() == ast.AlterTableType_AT_EnableRowSecurity
		})
	})
}

// alterRole finds options with which nobody gets in any more.
func (j *judge) alterRole(options []*ast.Node) {
	for _, o := range options {
		d := o.GetDefElem()
		refused := false
		switch value := text(d.GetArg()); d.GetDefname() {
		case "canlogin", "allow_connections":
			refused = value == "false" || value == "0" || value == "off"
		case "connectionlimit", "connection_limit":
			refused = value == "0"
		case "password", "validUntil":
			refused = true
		}
		if refused {
			j.report(Finding{Hazard: loginRefused, Message: "the next connection that running code opens may be refused"})
			return
		}
	}
	j.because("no table is locked, and who could log in still can")
}

// unpublished finds tables whose changes subscribers no longer get.
func (j *judge) unpublished(s *ast.AlterPublicationStmt) {
	var named publication
	j.publish(&named, s.Pubobjects)
	var gone []string
	switch s.Action {
	case ast.AlterPublicationAction_AP_DropObjects:
		for _, r := range named.tables {
			j.lock(r, ShareUpdateExclusive)
			if !j.isNew(r) {
				gone = append(gone, r.name.String())
			}
		}
		for _, schema := range named.schemas {
			gone = append(gone, "schema "+quoted(schema))
		}
	case ast.AlterPublicationAction_AP_SetObjects:
		if before := j.publications[s.Pubname]; before != nil && len(s.Pubobjects) > 0 {
			for _, r := range before.tables {
				if !slices.Contains(named.tables, r) && !slices.Contains(named.schemas, r.name.Schema) && !j.isNew(r) {
					j.lock(r, ShareUpdateExclusive)
					gone = append(gone, r.name.String())
				}
			}
		}
	}
	if len(gone) > 0 {
		j.report(Finding{Hazard: unpublishTable, Message: fmt.Sprintf("subscribers get no change of %s any more",
			strings.Join(gone, ", "))})
	}
}

// newObject knows statements that make something nobody uses yet, or change what no
// table is locked for.
func (j *judge) newObject(n *ast.Node) bool {
	switch n.GetNode().(type) {
	case *ast.Node_CreateEnumStmt, *ast.Node_CreateDomainStmt, *ast.Node_CompositeTypeStmt, *ast.Node_CreateRangeStmt,
		*ast.Node_DefineStmt,
		*ast.Node_CreateSchemaStmt, *ast.Node_CreateSeqStmt, *ast.Node_CreateExtensionStmt, *ast.Node_CreateRoleStmt, *ast.Node_CreatedbStmt,
		*ast.Node_CreateFdwStmt, *ast.Node_CreateForeignServerStmt, *ast.Node_CreateForeignTableStmt, *ast.Node_CreateUserMappingStmt,
		*ast.Node_CreateCastStmt, *ast.Node_CreateConversionStmt, *ast.Node_CreateOpClassStmt, *ast.Node_CreateOpFamilyStmt,
		*ast.Node_CreateAmStmt, *ast.Node_CreatePlangStmt, *ast.Node_CreateTransformStmt, *ast.Node_ImportForeignSchemaStmt,
		*ast.Node_CreateTableSpaceStmt, *ast.Node_CreateSubscriptionStmt:
		j.because("what is made is new: nobody uses it yet")
	case *ast.Node_CreateFunctionStmt:
		j.createFunctionStatement(n.GetCreateFunctionStmt())
		j.analysed(n.GetCreateFunctionStmt())
	case *ast.Node_AlterFunctionStmt, *ast.Node_AlterDefaultPrivilegesStmt, *ast.Node_AlterStatsStmt,
		*ast.Node_AlterTsconfigurationStmt, *ast.Node_AlterTsdictionaryStmt, *ast.Node_AlterForeignServerStmt,
		*ast.Node_AlterUserMappingStmt, *ast.Node_AlterEventTrigStmt, *ast.Node_AlterOperatorStmt, *ast.Node_SecLabelStmt,
		*ast.Node_AlterObjectDependsStmt:
		j.because("no table is locked")
	default:
		return false
	}
	return true
}

func (j *judge) viewStatement(s *ast.ViewStmt) {
	for _, u := range j.uses(s.Query) {
		if u.of.kind != view {
			j.lock(u.of, AccessShare)
		}
	}
	if old := j.find(nameOfRange(s.View)); old != nil && old.kind == view && s.Replace && !old.assumed {
		next := &relation{}
		j.takeColumns(next, s.Query)
		for i, c := range old.columns {
			if i >= len(next.columns) || next.columns[i].name != c.name && c.name != "" && next.columns[i].name != "" {
				j.report(Finding{Hazard: statementFails, claim: claim{kind: claimsError}, Evidence: Evidence{j.source(old),
					"its columns are known"},
					Message: fmt.Sprintf("%s has the column %s, which CREATE OR REPLACE VIEW can neither drop nor move: the "+
						"statement fails", old.name, quoted(c.name))})
				break
			}
		}
	}
	j.because("a view holds no rows")
}

func (j *judge) comment(s *ast.CommentStmt) {
	words := texts(s.Object.GetList().GetItems())
	switch s.Objtype {
	case ast.ObjectType_OBJECT_TABLE:
		j.lock(j.assume(nameOf(words)), ShareUpdateExclusive)
	case ast.ObjectType_OBJECT_COLUMN:
		if len(words) > 1 {
			j.lock(j.assume(nameOf(words[:len(words)-1])), ShareUpdateExclusive)
		}
	case ast.ObjectType_OBJECT_TABCONSTRAINT, ast.ObjectType_OBJECT_TRIGGER, ast.ObjectType_OBJECT_POLICY,
		ast.ObjectType_OBJECT_RULE:
		if len(words) > 1 {
			j.lock(j.find(nameOf(words[:len(words)-1])), AccessShare)
		}
	}
	j.because("only the catalog changes, alongside reads and writes")
}

func (j *judge) grant(s *ast.GrantStmt) {
	since := 18 // from then on tables that are named are locked, so that nobody drops them meanwhile
	if s.Targtype == ast.GrantTargetType_ACL_TARGET_OBJECT && j.options.Major >= since {
		for _, o := range s.Objects {
			if r := o.GetRangeVar(); r != nil {
				j.lock(j.relation(r), AccessShare)
			}
		}
	}
	if s.IsGrant {
		j.because("nobody at work is stopped")
		return
	}
	if len(s.Objects) > 0 && !slices.ContainsFunc(s.Objects, func(o *ast.Node) bool {
		return !j.grantedNew(s.Objtype,
			o)
	}) {
		j.because("what it is about was made by this migration")
		return
	}
	if s.Objtype == ast.ObjectType_OBJECT_TABLE && s.Targtype == ast.GrantTargetType_ACL_TARGET_OBJECT && toPublic(s) &&
		!slices.ContainsFunc(s.Objects, func(o *ast.Node) bool {
			r := j.relation(o.GetRangeVar())
			return r.public || r.assumed || r.created == 0
		}) {
		j.report(Finding{Hazard: revokePrivilege, Verdict: Unknown, Evidence: Evidence{FromHistory,
			"by default nobody but the owner has rights on a table"},
			Message: "no migration granted everybody anything on it; if somebody did by hand, code that relies on it fails"})
		return
	}
	making := func(n *ast.Node) bool { return lower(n.GetAccessPriv().GetPrivName()) == "create" }
	if len(s.Privileges) > 0 && !slices.ContainsFunc(s.Privileges, func(n *ast.Node) bool { return !making(n) }) &&
		(s.Objtype == ast.ObjectType_OBJECT_SCHEMA || s.Objtype == ast.ObjectType_OBJECT_DATABASE) {
		j.because("it takes away the right to make new things, which code that runs does not")
		return
	}
	j.report(Finding{Hazard: revokePrivilege, Message: "code that runs as the role fails where it needs the privilege"})
}

// grantedNew reports whether a privilege is on something that this migration made.
func (j *judge) grantedNew(kind ast.ObjectType, o *ast.Node) bool {
	switch kind {
	case ast.ObjectType_OBJECT_TABLE, ast.ObjectType_OBJECT_SEQUENCE:
		return o.GetRangeVar() != nil && j.isNew(j.relation(o.GetRangeVar()))
	case ast.ObjectType_OBJECT_FUNCTION, ast.ObjectType_OBJECT_PROCEDURE, ast.ObjectType_OBJECT_ROUTINE:
		f := j.overload(o.GetObjectWithArgs())
		return f != nil && f.created == j.now
	case ast.ObjectType_OBJECT_SCHEMA:
		return slices.ContainsFunc(j.parsed[:j.at], func(p parsed) bool {
			return p.node.GetCreateSchemaStmt() != nil && p.node.GetCreateSchemaStmt().Schemaname == text(o)
		})
	case ast.ObjectType_OBJECT_TYPE, ast.ObjectType_OBJECT_DOMAIN:
		t := j.findType(nameOf(texts(o.GetList().GetItems())))
		return t != nil && t.created == j.now
	}
	return false
}

func (j *judge) alterEnumStatement(s *ast.AlterEnumStmt) {
	n := nameOf(texts(s.TypeName))
	t := j.findType(n)
	if s.OldVal == "" {
		if t != nil && s.SkipIfNewValExists {
			if added, known := t.added[s.NewVal]; known && added != j.step {
				j.evidence(FromHistory, "the value is there already")
				return
			}
		}
		j.because("a value is added to the catalog; no table is locked")
		if t == nil || t.created != j.now || t.step != j.step {
			j.tx.values[s.NewVal] = j.at
		}
		return
	}
	if t != nil && t.created == j.now {
		j.because("the type was made by this migration")
		return
	}
	j.report(Finding{Hazard: renameEnumValue,
		Message: fmt.Sprintf("code that still writes or compares with '%s' fails", s.OldVal),
		Rewrite: j.anotherValue(s, t)})
}

// anotherValue adds the new value, and writes how rows come to have it.
func (j *judge) anotherValue(s *ast.AlterEnumStmt, t *userType) string {
	words := strings.Join(quotedAll(texts(s.TypeName)), ".")
	text := fmt.Sprintf("ALTER TYPE %s ADD VALUE %s AFTER %s;", words, literal(s.NewVal), literal(s.OldVal))
	var lines []string
	for _, r := range j.sorted() {
		b, ok := j.batchOf(r)
		if t == nil || !ok || r.assumed || r.parent != nil {
			continue
		}
		for _, c := range r.columns {
			if j.findType(c.typ.Name) == t && !c.typ.Array {
				lines = append(lines, b.mark(), fmt.Sprintf("UPDATE %s SET %s = %s WHERE %[2]s = %[4]s AND %[5]s;",
					b.table, quoted(c.name), literal(s.NewVal), literal(s.OldVal), b.where("")))
			}
		}
	}
	if len(lines) == 0 {
		return text
	}
	return text + "\n" + laterOn(fmt.Sprintf("when no code writes %s any more, in a migration of its own",
		literal(s.OldVal)), lines...)
}

// newValues finds that a value of an enum is used in the transaction that adds it.
func (j *judge) newValues() {
	n := j.current.node
	if len(j.tx.values) == 0 || n.GetAlterEnumStmt() != nil || n.GetCommentStmt() != nil {
		return
	}
	looked := []*ast.Node{n}
	if s := n.GetCreateFunctionStmt(); s != nil {
		looked = nil
		if languageOf(s) == "sql" { // whose body the server looks at
			looked, _ = j.insideOf(s)
		}
	}
	for _, n := range looked {
		j.newValuesIn(n)
	}
}

func (j *judge) newValuesIn(n *ast.Node) {
	walk(n, func(n *ast.Node) bool {
		c := n.GetAConst()
		if c.GetSval() == nil {
			return true
		}
		value := c.GetSval().Sval
		if by, added := j.tx.values[value]; added {
			j.report(Finding{Hazard: enumValueUsedInTransaction, claim: claim{kind: claimsError},
				Message: fmt.Sprintf("'%s' is used before line %d, which adds it, is committed: the server refuses", value,
					j.parsed[by].statement.Start.Line),
				Rewrite: fmt.Sprintf("-- below a mark with notransaction, or in a migration of its own:\n%s;", j.out.Text)})
		}
		return true
	})
}

func (j *judge) alterSequence(s *ast.AlterSeqStmt) {
	n := nameOfRange(s.Sequence)
	if r := j.find(n); r != nil && j.isNew(r) {
		j.because("the sequence was made by this migration")
		return
	}
	for _, o := range s.Options {
		d := o.GetDefElem()
		switch d.GetDefname() {
		case "restart":
			j.report(Finding{Hazard: sequenceRestart, Message: fmt.Sprintf("%s starts over at a number that rows may have "+
				"already", n),
				Rewrite: j.behindNumbers(n)})
		case "as":
			if t := typeOf(d.Arg.GetTypeName()); t.Name.Object != "int8" {
				j.report(Finding{Hazard: sequenceNarrowing, Message: fmt.Sprintf("%s ends at the largest %s: if it is past "+
					"that already the statement fails, and if not it will run out", n, t)})
			}
		case "maxvalue", "cycle":
			if d.Arg != nil && text(d.Arg) != "false" {
				j.report(Finding{Hazard: sequenceNarrowing, Message: fmt.Sprintf("%s may reach its end, or numbers that rows "+
					"have already", n)})
			}
		case "owned_by":
			j.because("no row depends on the owner of a sequence")
		}
	}
	j.because("only the sequence is locked, for a moment")
}

// behindNumbers sets a sequence to go on behind the numbers that rows have; empty where
// no column is known that takes its numbers.
func (j *judge) behindNumbers(sequence Name) string {
	of := j.find(sequence)
	for _, r := range j.sorted() {
		for _, c := range r.columns {
			call := c.value.GetFuncCall()
			if call == nil || len(call.Args) != 1 || nameOf(texts(call.Funcname)).Object != "nextval" {
				continue
			}
			if found := j.find(nameOf(strings.Split(text(call.Args[0]), "."))); found != nil && found == of {
				return fmt.Sprintf("SELECT setval(%s, (SELECT max(%s) FROM %s));", literal(j.written(of)), quoted(c.name),
					j.written(r))
			}
		}
	}
	return ""
}

// publicationStatement finds published tables whose rows a subscriber cannot find.
func (j *judge) publicationStatement(objects, options []*ast.Node, all bool) {
	var p publication
	j.publish(&p, objects)
	tables := p.tables
	for _, r := range tables {
		j.lock(r, ShareUpdateExclusive)
	}
	for _, o := range options {
		if d := o.GetDefElem(); d.GetDefname() == "publish" && !strings.Contains(text(d.Arg), "update") &&
			!strings.Contains(text(d.Arg), "delete") {
			j.because("neither UPDATE nor DELETE is published")
			return
		}
	}
	j.filtered(objects)
	for _, r := range j.sorted() {
		for _, schema := range p.schemas {
			if r.kind == table && r.name.Schema == schema {
				tables = append(tables, r)
			}
		}
		if all && r.kind == table && !r.assumed {
			tables = append(tables, r)
		}
	}
	for _, r := range tables {
		if r.assumed || len(r.primaryKey()) > 0 || r.identity != "d" && r.identity != "n" || j.isNew(r) {
			continue
		}
		j.report(Finding{Hazard: publicationWithoutReplicaIdentity, Evidence: Evidence{j.source(r),
			r.name.String() + " has no primary key"},
			Message: fmt.Sprintf("%s has no primary key and no other replica identity: every UPDATE and DELETE of it fails "+
				"from now on", r.name),
			Rewrite: j.alterTo(r, "REPLICA IDENTITY FULL") + "\n" + j.out.Text + ";"})
	}
	if len(j.out.Findings) == 0 {
		j.because("subscribers can find every row")
	}
}

// filtered finds lists of columns and conditions by which the rows that are changed
// cannot be told: the one must have all columns of the replica identity, the other
// no others. See "Row Filters" and "Column Lists" in PostgreSQL's documentation.
func (j *judge) filtered(objects []*ast.Node) {
	for _, o := range objects {
		t := o.GetPublicationObjSpec().GetPubtable()
		if t == nil || t.WhereClause == nil && len(t.Columns) == 0 {
			continue
		}
		r := j.relation(t.Relation)
		identity := j.identityColumns(r)
		if r.assumed || j.isNew(r) || identity == nil {
			continue
		}
		var wrong []string
		walk(t.WhereClause, func(n *ast.Node) bool {
			if column, ok := columnOf(n, ""); ok && !slices.Contains(identity, column) {
				wrong = append(wrong, column)
			}
			return true
		})
		for _, column := range identity {
			if len(t.Columns) > 0 && !slices.Contains(texts(t.Columns), column) {
				wrong = append(wrong, column)
			}
		}
		if len(wrong) > 0 {
			j.report(Finding{Hazard: publicationWithoutReplicaIdentity, Evidence: Evidence{j.source(r),
				"its replica identity is " + strings.Join(identity, ", ")},
				Message: fmt.Sprintf("%s does not fit the replica identity of %s: every UPDATE and DELETE of it fails from now on",
					strings.Join(wrong, ", "), r.name)})
		}
	}
}
