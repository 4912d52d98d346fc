package lint

import (
	"fmt"
	"slices"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// added is a column that is added, with what is at it.
type added struct {
	def       *ast.ColumnDef
	typ       Type
	domain    *userType
	serial    bool
	value     *ast.Node
	notNull   bool
	identity  *ast.Constraint
	generated *ast.Constraint
	check     *ast.Constraint
	key       *ast.Constraint
	foreign   *ast.Constraint
}

func (j *judge) added(def *ast.ColumnDef) added {
	a := added{def: def, typ: typeOf(def.TypeName)}
	_, a.serial = serials[a.typ.Name.Object]
	a.serial = a.serial && a.typ.Name.Schema == ""
	if t := j.findType(a.typ.Name); t != nil && t.kind == "domain" && !a.typ.Array {
		a.domain = t
	}
	for _, n := range def.Constraints {
		c := n.GetConstraint()
		switch c.GetContype() {
		case ast.ConstrType_CONSTR_DEFAULT:
			a.value = defaultOf(c.RawExpr)
		case ast.ConstrType_CONSTR_NOTNULL:
			a.notNull = true
		case ast.ConstrType_CONSTR_IDENTITY:
			a.identity = c
		case ast.ConstrType_CONSTR_GENERATED:
			a.generated = c
		case ast.ConstrType_CONSTR_CHECK:
			a.check = c
		case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE:
			a.key = c
		case ast.ConstrType_CONSTR_FOREIGN:
			a.foreign = c
		}
	}
	return a
}

func (j *judge) addColumnCommand(r *relation, cmd *ast.AlterTableCmd) {
	def := cmd.Def.GetColumnDef()
	if r.column(def.GetColname()) != nil && cmd.MissingOk {
		j.evidence(j.source(r), "the column is there already")
		return
	}
	if c := r.column(def.GetColname()); c != nil && !r.assumed {
		j.report(Finding{Hazard: statementFails, claim: claim{kind: claimsError}, Evidence: Evidence{j.source(r),
			"its columns are known"},
			Message: fmt.Sprintf("%s has a column %s already: the statement fails", r.name, quoted(c.name))})
		return
	}
	a := j.added(def)
	if a.foreign != nil {
		j.lock(j.relation(a.foreign.Pktable), ShareRowExclusive)
	}
	if j.isNew(r) {
		return
	}
	before := len(j.out.Findings)
	j.addColumnFills(r, a)
	j.addColumnConstraints(r, a)
	if a.typ.Name == (Name{catalogSchema, "json"}) && !a.typ.Array {
		j.columnFinding(r, a, addColumnJson,
			"json has no equality: SELECT DISTINCT, GROUP BY and UNION of whole rows of "+r.name.String()+" fail",
			j.asJSONB(r, def), claim{})
	}
	if n := len(r.columns) + r.dropped + 1; n > maxColumns {
		j.columnFinding(r, a, wideTable, fmt.Sprintf("this would be column %d of %s; a table has at most %d, and those "+
			"that were dropped count", n, r.name, maxColumns), "", claim{kind: claimsError})
	}
	j.columnFinding(r, a, cachedPlanBreak, "prepared statements with SELECT * or RETURNING * from "+r.name.String()+
		" fail once in each session", "", claim{})
	if len(j.out.Findings) == before {
		j.because("a column is added to the catalog alone, under a brief ACCESS EXCLUSIVE lock; no row is touched")
	}
}

// maxColumns is MaxHeapAttributeNumber; see "PostgreSQL Limits".
const maxColumns = 1600

func (j *judge) columnFinding(r *relation, a added, hazard ID, message, rewrite string, c claim) {
	start, end := j.place(a.def.Location)
	j.report(Finding{Hazard: hazard, Message: message, Rewrite: rewrite, claim: c, Start: start, End: end,
		Evidence: j.wasThere(r)})
}

// addColumnFills finds that the server has to write a value into every row.
func (j *judge) addColumnFills(r *relation, a added) {
	name := quoted(a.def.Colname)
	rewritten := func(hazard ID, why, rewrite string) {
		j.rewrite(r)
		if !j.small(r) {
			j.columnFinding(r, a, hazard, fmt.Sprintf("%s is rewritten under ACCESS EXCLUSIVE: %s", r.name, why),
				rewrite, claim{claimsRewrite, leaves(r)})
		}
	}
	steps := func(hazard ID, why string) {
		j.rewrite(r)
		if !j.small(r) {
			j.columnInSteps(r, a, hazard, fmt.Sprintf("%s is rewritten under ACCESS EXCLUSIVE: %s", r.name, why),
				claim{claimsRewrite, leaves(r)})
		}
	}
	switch {
	case a.serial:
		steps(addColumnSerial, "every row gets a number of a sequence")
		return
	case a.identity != nil:
		rewritten(addColumnIdentity, "every row gets a number of a sequence", j.identitySlowly(r, a))
		return
	case a.generated != nil:
		if a.generated.GeneratedWhen == "a" {
			rewritten(addColumnGeneratedStored, "the value is computed for every row", j.computedSlowly(r, a))
		}
		return
	}
	if a.domain != nil && (a.domain.notNull || len(a.domain.checks) > 0) {
		rewritten(addColumnConstrainedDomain,
			fmt.Sprintf("the constraint of the domain %s is checked for every row, even where it is NULL", a.domain.name),
			j.domainSlowly(r, a))
		return
	}
	value := a.value
	if value == nil && a.domain != nil {
		value = a.domain.value
	}
	if value == nil {
		if a.notNull {
			if j.few(r) && r.rowsKnown() == 0 {
				return
			}
			j.columnFinding(r, a, addColumnNotNullNoDefault, fmt.Sprintf("existing rows of %s have no value for %s: "+
				"the statement fails unless the table is empty, and so do INSERTs of the code that runs", r.name, name),
				j.requiredRewrite(r, a), claim{claimsError, leaves(r)})
		}
		return
	}
	switch v := j.volatility(value); v.is {
	case isVolatile:
		steps(addColumnVolatileDefault, v.why+", so every row gets a value of its own")
	case isUnknown:
		j.rewrite(r)
		start, end := j.place(a.def.Location)
		j.report(Finding{Hazard: addColumnVolatileDefault, Verdict: Unknown, Start: start, End: end,
			claim:   claim{claimsRewrite, leaves(r)},
			Message: fmt.Sprintf("if %s, %s is rewritten under ACCESS EXCLUSIVE", v.why, r.name)})
	default:
		j.because("the default is computed once and kept in the catalog; no row is touched")
	}
}

// rowsKnown is how many rows there are, or -1.
func (r *relation) rowsKnown() int64 { return r.rows }

func (j *judge) requiredRewrite(r *relation, a added) string {
	add := j.addColumn(r, &column{name: a.def.Colname, typ: a.typ, def: a.def})
	return add + "\n" + laterOn("when the code writes it and every row has a value, in a migration of its own",
		eachAlone+j.notNullSteps(r, a.def.Colname))
}

// columnInSteps reports a hazard of a new column with all steps to it, or why there are
// none.
func (j *judge) columnInSteps(r *relation, a added, hazard ID, message string, c claim) {
	start, end := j.place(a.def.Location)
	rewrite, why := j.inSteps(r, a)
	j.report(Finding{Hazard: hazard, Message: message, Rewrite: rewrite, NotFixed: why, claim: c, Start: start, End: end,
		Evidence: j.wasThere(r)})
}

// addColumnConstraints finds that a constraint at the column goes through all rows,
// though the column is new in all of them.
func (j *judge) addColumnConstraints(r *relation, a added) {
	name := quoted(a.def.Colname)
	if a.check != nil {
		j.scan(r)
		if !j.small(r) {
			j.columnInSteps(r, a, addColumnInlineCheck,
				fmt.Sprintf("all rows of %s are checked while nobody can read or write it, though %s is new in all of them",
					r.name, name), claim{claimsScan, leaves(r)})
		}
	}
	if a.key != nil {
		j.scan(r)
		if !j.small(r) {
			j.columnInSteps(r, a, addColumnInlineUnique,
				fmt.Sprintf("nobody can read or write %s until its index on %s is built", r.name, name), claim{claimsScan,
					leaves(r)})
		}
	}
	if a.foreign != nil && a.value != nil {
		to := j.relation(a.foreign.Pktable)
		j.scan(r)
		j.scan(to)
		if !j.small(r) {
			j.columnInSteps(r, a, addColumnInlineReferences,
				fmt.Sprintf("the default is looked up in %s for every row of %s, while nobody can read or write it", to.name,
					r.name), claim{claimsScan, leaves(r)})
		}
	}
}

func (j *judge) dropColumnCommand(r *relation, cmd *ast.AlterTableCmd) {
	c := r.column(cmd.Name)
	if c == nil && (cmd.MissingOk || j.conditional) && !r.assumed && len(r.columns) > 0 {
		j.evidence(j.source(r), "no such column")
		return
	}
	if c != nil && c.created == j.now {
		j.because("the column was made by this migration")
		return
	}
	message := fmt.Sprintf("code that still names %s.%s fails, and its values are lost", r.name, quoted(cmd.Name))
	var with []string
	for _, i := range j.indexesOf(r) {
		if i.mentions(cmd.Name) {
			with = append(with, "index "+i.name.String())
		}
	}
	for _, k := range r.constraints {
		if k.kind == ast.ConstrType_CONSTR_FOREIGN && slices.Contains(k.columns, cmd.Name) {
			with = append(with, "foreign key "+quoted(k.name))
			j.lockTree(k.to, AccessExclusive)
		}
	}
	for other, keys := range j.references(r) {
		for _, k := range keys {
			if slices.Contains(k.toColumns, cmd.Name) {
				with = append(with, fmt.Sprintf("foreign key %s of %s", quoted(k.name), other.name))
				j.lockTree(other, AccessExclusive)
			}
		}
	}
	for _, v := range j.readers(r, cmd.Name) {
		with = append(with, "view "+v.name.String())
		if cmd.Behavior == ast.DropBehavior_DROP_CASCADE {
			j.lock(v, AccessExclusive)
		}
	}
	if len(with) > 0 {
		slices.Sort(with)
		message += "; with it go, or are in its way: " + strings.Join(with, ", ")
	}
	rewrite := ""
	if c != nil && c.notNull && c.value == nil && c.identity == "" && !slices.Contains(r.primaryKey(), c.name) {
		rewrite = fmt.Sprintf("-- first deploy code that does not name %s; INSERTs that leave it out need:\n%s",
			quoted(cmd.Name), j.alterTo(r, fmt.Sprintf("ALTER COLUMN %s DROP NOT NULL", quoted(cmd.Name))))
	}
	j.report(Finding{Hazard: dropColumn, Message: message, Evidence: j.wasThere(r), Rewrite: rewrite})
}

// setNotNullCommand finds that all rows are read. They are not where a valid check
// says that none is NULL, as one conjunct of its own; the server proves no more.
func (j *judge) setNotNullCommand(r *relation, cmd *ast.AlterTableCmd) {
	c := r.column(cmd.Name)
	if c != nil && (c.notNull || c.identity != "") {
		j.evidence(j.source(r), "the column is NOT NULL already")
		return
	}
	for _, k := range r.constraints {
		if k.kind == ast.ConstrType_CONSTR_CHECK && k.valid && !k.noInherit && impliesNotNull(k.expr, cmd.Name) {
			j.evidence(j.source(r), fmt.Sprintf("the valid constraint %s says that no row is NULL, so that none is read",
				quoted(k.name)))
			return
		}
	}
	if c != nil && c.created == j.now {
		if c.value == nil && !j.filled(r, cmd.Name) {
			j.report(Finding{Hazard: addColumnNotNullNoDefault, claim: claim{claimsError, leaves(r)},
				Evidence: j.wasThere(r),
				Message: fmt.Sprintf("%s is NULL in the existing rows of %s: the statement fails unless the table is empty",
					quoted(cmd.Name), r.name)})
		}
	}
	j.scan(r)
	if j.small(r) {
		return
	}
	j.report(Finding{Hazard: setNotNullScan, claim: claim{claimsScan, leaves(r)}, Evidence: j.wasThere(r),
		Message: fmt.Sprintf("all rows of %s are read while nobody else can read or write it", r.name),
		Rewrite: eachAlone + j.notNullSteps(r, cmd.Name)})
}

// filled reports whether a statement of the migration changes rows of a table.
func (j *judge) filled(r *relation, _ string) bool {
	for _, p := range j.parsed[:j.at] {
		if u := p.node.GetUpdateStmt(); u != nil && j.relation(u.Relation) == r {
			return true
		}
		if p.node.GetDoStmt() != nil || p.node.GetCallStmt() != nil {
			return true
		}
	}
	return false
}

func impliesNotNull(expr *ast.Node, column string) bool {
	return slices.ContainsFunc(conjuncts(expr), func(n *ast.Node) bool {
		not := ast.NullTestType_IS_NOT_NULL
		if b := n.GetBoolExpr(); b != nil && b.Boolop == ast.BoolExprType_NOT_EXPR {
			n, not = b.Args[0], ast.NullTestType_IS_NULL
		}
		t := n.GetNullTest()
		return t != nil && t.Nulltesttype == not && t.Arg.GetColumnRef() != nil &&
			slices.Equal(columnsIn(t.Arg), []string{column})
	})
}

func (j *judge) dropNotNullCommand(r *relation, cmd *ast.AlterTableCmd) {
	c := r.column(cmd.Name)
	if c != nil && (!c.notNull || c.created == j.now) {
		j.evidence(j.source(r), "the column allows NULL already")
		return
	}
	j.report(Finding{Hazard: dropNotNull, Evidence: j.wasThere(r),
		Message: fmt.Sprintf("code that runs does not expect NULL in %s.%s and may fail when the first one comes", r.name,
			quoted(cmd.Name)),
		Rewrite: "-- deploy readers that cope with NULL first, then\n" + j.out.Text})
}

// dropDefaultCommand finds that INSERTs which leave a required column out will fail.
func (j *judge) dropDefaultCommand(r *relation, cmd *ast.AlterTableCmd) {
	c := r.column(cmd.Name)
	null := cmd.Def == nil || cmd.Def.GetAConst().GetIsnull()
	if cmd.Subtype == ast.AlterTableType_AT_DropIdentity {
		null = true
	}
	switch {
	case !null:
		j.because("the default holds for rows to come; none is touched")
	case c == nil && r.assumed:
		j.report(Finding{Hazard: dropDefaultOfRequiredColumn, Verdict: Unknown,
			Message: fmt.Sprintf("if %s.%s is NOT NULL, INSERTs of the code that runs which leave it out fail", r.name,
				quoted(cmd.Name))})
	case c == nil || !c.notNull || j.isNew(r):
		j.because("rows to come get NULL, which the column allows")
	case c.value == nil && c.identity == "" && !c.serial:
		j.evidence(j.source(r), "the column has no default")
	default:
		j.report(Finding{Hazard: dropDefaultOfRequiredColumn, Evidence: Evidence{j.source(r), "the column is NOT NULL"},
			Message: fmt.Sprintf("INSERTs of the code that runs which leave %s.%s out fail from now on", r.name,
				quoted(cmd.Name)),
			Rewrite: "-- deploy code that always gives a value first, then\n" + j.out.Text})
	}
}

func (j *judge) identityCommand(r *relation, cmd *ast.AlterTableCmd) {
	always := cmd.Def.GetConstraint().GetGeneratedWhen() == "a"
	for _, o := range cmd.Def.GetList().GetItems() {
		if d := o.GetDefElem(); d.GetDefname() == "generated" {
			always = text(d.Arg) == "97" // the letter a
		} else if d.GetDefname() == "restart" {
			j.report(Finding{Hazard: sequenceRestart, Evidence: j.wasThere(r),
				Message: fmt.Sprintf("%s.%s starts over at a number that rows may have already", r.name, quoted(cmd.Name)),
				Rewrite: fmt.Sprintf("SELECT setval(pg_get_serial_sequence(%s, %s), (SELECT max(%s) FROM %s));",
					literal(j.written(r)), literal(cmd.Name), quoted(cmd.Name), j.written(r))})
		}
	}
	if always {
		j.report(Finding{Hazard: identityAlways, Evidence: j.wasThere(r),
			Message: fmt.Sprintf("INSERTs of the code that runs which give %s.%s a value fail from now on", r.name,
				quoted(cmd.Name)),
			Rewrite: j.byDefault(r, cmd)})
	}
}

// addColumn adds a column with the constraints that are at it.
func (m *model) addColumn(r *relation, def *ast.ColumnDef) {
	c := &column{name: def.Colname, typ: typeOf(def.TypeName), def: def, created: m.now,
		collation: collationOf(def.CollClause)}
	if base, ok := serials[c.typ.Name.Object]; ok && c.typ.Name.Schema == "" {
		c.typ, c.serial, c.notNull = Type{Name: Name{catalogSchema, base}}, true, true
		c.value = nextval
	}
	if found := r.column(def.Colname); found != nil {
		*found = *c // a partition or heir that names its column again
		c = found
	} else {
		r.columns = append(r.columns, c)
	}
	for _, n := range def.Constraints {
		s := n.GetConstraint()
		switch s.GetContype() {
		case ast.ConstrType_CONSTR_NOTNULL:
			c.notNull = true
		case ast.ConstrType_CONSTR_DEFAULT:
			c.value = defaultOf(s.RawExpr)
		case ast.ConstrType_CONSTR_IDENTITY:
			c.identity, c.notNull = s.GeneratedWhen, true
		case ast.ConstrType_CONSTR_GENERATED:
			c.generated = true
		case ast.ConstrType_CONSTR_PRIMARY, ast.ConstrType_CONSTR_UNIQUE:
			m.key(r, s.Contype, s.Conname, []string{c.name})
		case ast.ConstrType_CONSTR_CHECK:
			m.check(r, s)
		case ast.ConstrType_CONSTR_FOREIGN:
			m.foreign(r, s, []string{c.name})
		case ast.ConstrType_CONSTR_ATTR_DEFERRED:
			r.deferred = true
		}
	}
}

func (m *model) addColumnOf(r *relation, cmd *ast.AlterTableCmd) {
	if def := cmd.Def.GetColumnDef(); !cmd.MissingOk || r.column(def.GetColname()) == nil {
		m.addColumn(r, def)
	}
}

// defaultOf is the default that an expression makes: NULL is none.
func defaultOf(n *ast.Node) *ast.Node {
	if n.GetAConst().GetIsnull() {
		return nil
	}
	return n
}

func collationOf(c *ast.CollateClause) string {
	if c == nil {
		return ""
	}
	return strings.Join(texts(c.Collname), ".")
}

// nextval replaces the default of a serial column.
var nextval = &ast.Node{Node: &ast.Node_FuncCall{FuncCall: &ast.FuncCall{
	Funcname: []*ast.Node{{Node: &ast.Node_String_{String_: &ast.String{Sval: "nextval"}}}},
}}}

func (m *model) dropColumnOf(r *relation, cmd *ast.AlterTableCmd) {
	if c := r.column(cmd.Name); c != nil {
		m.dropColumn(r, c)
	}
}

func (m *model) dropColumn(r *relation, c *column) {
	r.columns = slices.DeleteFunc(r.columns, func(other *column) bool { return other == c })
	r.dropped++
	r.constraints = slices.DeleteFunc(r.constraints, func(k *constraint) bool {
		return slices.Contains(k.columns,
			c.name)
	})
	for name, i := range m.indexes {
		if i.table == r && i.mentions(c.name) {
			delete(m.indexes, name)
		}
	}
	for other, keys := range m.references(r) {
		other.constraints = slices.DeleteFunc(other.constraints, func(k *constraint) bool {
			return slices.Contains(keys, k) && slices.Contains(k.toColumns, c.name)
		})
	}
}

// mentions reports whether an index needs a column.
func (i *index) mentions(column string) bool {
	if slices.Contains(i.columns, column) || slices.Contains(i.include, column) || slices.Contains(columnsIn(i.where),
		column) {
		return true
	}
	for _, e := range i.expressions {
		if slices.Contains(columnsIn(e), column) {
			return true
		}
	}
	return false
}
