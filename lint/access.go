package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// createTriggerStatement finds triggers that refuse every row.
func (j *judge) createTriggerStatement(s *ast.CreateTrigStmt) {
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

func (m *model) createTrigger(s *ast.CreateTrigStmt) {
	for _, r := range m.relation(s.Relation).parts() {
		r.attachTrigger(s)
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

func (j *judge) alterPolicyStatement(s *ast.AlterPolicyStmt) {
	r := j.relation(s.Table)
	j.lock(r, AccessExclusive)
	if !j.harmless(r) && r.rowSecurity {
		j.untold("which rows the policy lets through from now on is not known")
	}
}

func (m *model) createPolicy(s *ast.CreatePolicyStmt) { m.relation(s.Table).attachPolicy(s) }

func (j *judge) ruleStatement(s *ast.RuleStmt) {
	r := j.relation(s.Relation)
	j.lock(r, AccessExclusive)
	if !j.harmless(r) && s.Instead {
		j.report(Finding{Hazard: rewriteRule, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("code that writes %s is told that it did, and something else is done", r.name)})
	}
}

func (m *model) createRule(s *ast.RuleStmt) {
	m.relation(s.Relation).attach(ast.ObjectType_OBJECT_RULE, s.Rulename)
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

// grantPublic notes which tables everybody has rights on, which nobody has by
// default.
func (m *model) grantPublic(s *ast.GrantStmt) {
	if !s.IsGrant || !toPublic(s) {
		return
	}
	for _, o := range s.Objects {
		if r := m.find(nameOfRange(o.GetRangeVar())); o.GetRangeVar() != nil && r != nil {
			r.public = true
		}
	}
}

// toPublic reports whether rights are everybody's and no role's.
func toPublic(s *ast.GrantStmt) bool {
	return len(s.Grantees) > 0 && !slices.ContainsFunc(s.Grantees, func(n *ast.Node) bool {
		return n.GetRoleSpec().GetRoletype() != ast.RoleSpecType_ROLESPEC_PUBLIC
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

func (j *judge) ownerChange(what string, to *ast.RoleSpec) {
	j.report(Finding{Hazard: ownerChange,
		Message: fmt.Sprintf("code that runs as the old owner of %s may lose its rights; the new one is %s", what,
			quoted(to.GetRolename()))})
}

func (j *judge) ownerCommand(r *relation, cmd *ast.AlterTableCmd) {
	j.ownerChange(r.name.String(), cmd.Newowner)
}

func (j *judge) createStatsStatement(s *ast.CreateStatsStmt) {
	for _, n := range s.Relations {
		j.lock(j.relation(n.GetRangeVar()), ShareUpdateExclusive)
	}
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
