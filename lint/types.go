package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

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

func (m *model) createType(n Name, kind string) *userType {
	t := &userType{name: m.qualify(n), kind: kind, created: m.now, step: m.step, added: map[string]int{}}
	m.types[t.name] = t
	return t
}

func (m *model) createEnum(s *ast.CreateEnumStmt) {
	t := m.createType(nameOf(texts(s.TypeName)), "enum")
	for _, value := range s.Vals {
		t.added[text(value)] = 0
	}
}

func (m *model) alterEnum(s *ast.AlterEnumStmt) {
	n := nameOf(texts(s.TypeName))
	t := m.findType(n)
	if t == nil {
		t = m.createType(n, "enum")
		t.created, t.step = 0, 0
	}
	if s.OldVal != "" {
		delete(t.added, s.OldVal)
	}
	t.added[s.NewVal] = m.step
}

func (j *judge) alterDomainStatement(s *ast.AlterDomainStmt) {
	t := j.findType(nameOf(texts(s.TypeName)))
	name := nameOf(texts(s.TypeName))
	if t != nil && t.created == j.now {
		j.because("the domain was made by this migration")
		return
	}
	var tables []*relation
	if t != nil {
		tables = j.withDomain(t)
	}
	scans := s.Subtype == "O" || s.Subtype == "V" || s.Subtype == "C" && !s.Def.GetConstraint().GetSkipValidation()
	if !scans {
		j.because("only the catalog changes; no table is locked")
		return
	}
	existing := false
	for _, r := range tables {
		j.lock(r, Share)
		j.scan(r)
		existing = existing || !j.isNew(r) && !j.small(r)
	}
	if t != nil && !existing {
		j.evidence(FromHistory, "no table has a column of this domain")
		return
	}
	hazard := map[string]ID{"O": alterDomainSetNotNull, "V": alterDomainValidate,
		"C": alterDomainAddConstraint}[s.Subtype]
	f := Finding{Hazard: hazard, Message: "writes to every table with a column of this domain wait until all their rows " +
		"are read"}
	if len(tables) > 0 {
		var all []string
		for _, r := range tables {
			all = append(all, r.name.String())
		}
		f.claim, f.Evidence = claim{claimsScan, leaves(tables[0])}, j.wasThere(tables[0])
		f.Message = fmt.Sprintf("writes to %s, which have columns of the domain %s, wait until all rows are read", join(all),
			name)
	}
	if c := s.Def.GetConstraint(); s.Subtype == "C" && c.GetConname() != "" {
		f.Rewrite = spotsOf(j.out.Text).append(" NOT VALID") + ";"
	}
	j.report(f)
}

func (m *model) createDomain(s *ast.CreateDomainStmt) {
	t := m.createType(nameOf(texts(s.Domainname)), "domain")
	t.base = typeOf(s.TypeName)
	for _, n := range s.Constraints {
		m.constrainDomain(t, n.GetConstraint())
	}
}

func (m *model) constrainDomain(t *userType, c *ast.Constraint) {
	switch c.GetContype() {
	case ast.ConstrType_CONSTR_NOTNULL:
		t.notNull = true
	case ast.ConstrType_CONSTR_DEFAULT:
		t.value = c.RawExpr
	case ast.ConstrType_CONSTR_CHECK:
		name := c.Conname
		if name == "" {
			name = t.name.Object + "_check"
		}
		t.checks = append(t.checks, &constraint{name: name, expr: c.RawExpr, valid: !c.SkipValidation, created: m.now,
			step: m.step})
	}
}

func (m *model) alterDomain(s *ast.AlterDomainStmt) {
	t := m.findType(nameOf(texts(s.TypeName)))
	if t == nil {
		return
	}
	switch s.Subtype {
	case "T":
		t.value = s.Def
	case "N":
		t.notNull = false
	case "O":
		t.notNull = true
	case "C":
		m.constrainDomain(t, s.Def.GetConstraint())
	case "X":
		t.checks = slices.DeleteFunc(t.checks, func(c *constraint) bool { return c.name == s.Name })
	case "V":
		for _, c := range t.checks {
			c.valid = c.valid || c.name == s.Name
		}
	}
}
