package lint

import (
	"slices"
	"strconv"
	"strings"

	ast "github.com/pganalyze/pg_query_go/v6"
)

// model is the schema as far as it is known: what the statements that ran so far
// have made of it. It belongs to one goroutine.
type model struct {
	parser    Parser
	relations map[Name]*relation
	indexes   map[Name]*index
	types     map[Name]*userType
	functions map[Name][]*function
	// publications are by name; a nil list of tables stands for all of them.
	publications map[string]*publication
	schemas      map[string]bool
	path         []string
	// complete is set where the model was read from a catalog, so that what is
	// not in it does not exist.
	complete bool
	// now counts migrations, and step the transactions in all of them: by them a
	// rule knows what is as new as itself.
	now, step int
	// ctes are the queries of WITH of the statement at hand, by their names: why their
	// rows are few, or nothing.
	ctes map[string]string
}

// relationKind is what a relation is.
type relationKind int

const (
	table relationKind = iota
	view
	materializedView
	sequence
	foreignTable
)

// relation is a table or something that can be in its place.
type relation struct {
	name        Name
	kind        relationKind
	columns     []*column
	dropped     int // columns that were dropped still count
	constraints []*constraint

	partitionKey []string // of a partitioned table; "" for an expression
	strategy     ast.PartitionStrategy
	partitioned  bool
	parent       *relation
	partitions   []*relation
	heirs        []*relation             // of a table that is inherited from
	bound        *ast.PartitionBoundSpec // of a partition

	public      bool // everybody was granted rights
	rowTriggers bool
	rowSecurity bool
	// attached are the triggers, policies and rules of a table by their kinds.
	attached map[ast.ObjectType][]string
	// triggers are the statements that made the attached ones, by their names.
	triggers map[string]*ast.CreateTrigStmt
	// deferred is set where something is checked when transactions end.
	deferred bool
	// policies are what the attached ones let through, by their names.
	policies  map[string]policy
	identity  string // of replication: "d", "n", "f" or the index's name
	temporary bool
	method    string // access method
	unlogged  bool
	empty     bool // of a materialized view: it was never computed

	// reads is what a view or materialized view is made from.
	reads []*use
	// query is how a view was made.
	query *ast.ViewStmt
	// was is its name before the migration of the number renamed gave it another.
	was     Name
	renamed int
	// created is the number of the migration that made it; 0 for what was there.
	created, createdStep int
	// assumed is set where no statement made it and no catalog holds it: it is
	// taken to exist because a statement says so, and its columns are unknown.
	assumed bool
	// rows is how many there are, and -1 where that is unknown.
	rows int64
}

// use is a relation with those of its columns that something depends on. "*" is
// every one.
type use struct {
	of      *relation
	columns []string
}

type column struct {
	name      string
	typ       Type
	def       *ast.ColumnDef // as the statement has it that gave the type; nil where none did
	notNull   bool
	value     *ast.Node // the default
	identity  string    // "a" always, "d" by default
	generated bool
	serial    bool
	collation string
	created   int
}

type constraint struct {
	name      string
	kind      ast.ConstrType
	columns   []string
	expr      *ast.Node
	valid     bool
	noInherit bool
	index     *index
	to        *relation // of a foreign key
	toColumns []string
	// onDelete and onUpdate are what happens to rows that reference what goes or
	// changes, as the parser writes it.
	onDelete, onUpdate string
	created            int
	step               int
}

type index struct {
	name        Name
	table       *relation
	unique      bool
	columns     []string // "" for an expression
	expressions []*ast.Node
	include     []string
	where       *ast.Node
	method      string
	valid       bool
	constraint  *constraint
	created     int
	step        int
	only        bool
}

type userType struct {
	name    Name
	kind    string // enum, domain, composite, range
	base    Type
	notNull bool
	checks  []*constraint
	value   *ast.Node
	created int
	step    int
	// added are an enum's new values, by the step that added them.
	added map[string]int
}

type publication struct {
	all     bool
	tables  []*relation
	schemas []string
	updates bool // it publishes UPDATE or DELETE
}

func newModel(parser Parser) *model {
	return &model{
		parser: parser, relations: map[Name]*relation{}, indexes: map[Name]*index{}, types: map[Name]*userType{},
		functions: map[Name][]*function{}, publications: map[string]*publication{}, schemas: map[string]bool{},
		path: []string{public},
	}
}

// qualify gives the name of a new object its schema.
func (m *model) qualify(n Name) Name {
	if n.Schema == "" {
		n.Schema = m.path[0]
	}
	return n
}

// find looks a relation up as the server does, and gives nil where there is none.
func (m *model) find(n Name) *relation { return lookup(m, m.relations, n) }

func (m *model) findIndex(n Name) *index { return lookup(m, m.indexes, n) }

func (m *model) findType(n Name) *userType { return lookup(m, m.types, n) }

func lookup[T any](m *model, in map[Name]T, n Name) T {
	if n.Schema != "" {
		return in[n]
	}
	for _, schema := range m.path {
		if found, ok := in[Name{schema, n.Object}]; ok {
			return found
		}
	}
	var none T
	return none
}

// relation gives the relation of a name, and assumes one where none is known.
func (m *model) relation(r *ast.RangeVar) *relation { return m.assume(nameOfRange(r)) }

func (m *model) assume(n Name) *relation {
	if found := m.find(n); found != nil {
		return found
	}
	made := &relation{name: m.qualify(n), assumed: true, rows: -1, identity: "d"}
	if n.Schema == "pg_catalog" || n.Schema == "information_schema" {
		made.kind = view
	}
	m.relations[made.name] = made
	return made
}

// new reports whether the relation was made by the migration that is judged, or
// is temporary, so that nobody else can be using it.
func (m *model) isNew(r *relation) bool {
	return r.temporary || !r.assumed && r.created != 0 && r.created == m.now
}

func (r *relation) column(name string) *column {
	for _, c := range r.columns {
		if c.name == name {
			return c
		}
	}
	return nil
}

// lacks reports whether it is certain that a table has no such column.
func (r *relation) lacks(column string) bool {
	return r.kind == table && !r.assumed && len(r.columns) > 0 && r.column(column) == nil && r.column("") == nil &&
		!slices.Contains(systemColumns, column)
}

var systemColumns = []string{"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"}

// attach notes a trigger, policy or rule of a table.
func (r *relation) attach(kind ast.ObjectType, name string) {
	if r.attached == nil {
		r.attached = map[ast.ObjectType][]string{}
	}
	if !slices.Contains(r.attached[kind], name) {
		r.attached[kind] = append(r.attached[kind], name)
	}
}

func (r *relation) attachTrigger(s *ast.CreateTrigStmt) {
	r.attach(ast.ObjectType_OBJECT_TRIGGER, s.Trigname)
	if r.triggers == nil {
		r.triggers = map[string]*ast.CreateTrigStmt{}
	}
	r.triggers[s.Trigname] = s
	r.rowTriggers = r.rowTriggers || s.Row
	r.deferred = r.deferred || s.Initdeferred
}

// policy is what a policy of row security is about.
type policy struct {
	command string // all, select, insert, update, delete
	narrows bool   // it is restrictive
}

func (r *relation) attachPolicy(s *ast.CreatePolicyStmt) {
	r.attach(ast.ObjectType_OBJECT_POLICY, s.PolicyName)
	if r.policies == nil {
		r.policies = map[string]policy{}
	}
	r.policies[s.PolicyName] = policy{command: s.CmdName, narrows: !s.Permissive}
}

// refused gives the commands that no policy lets do anything, with others beside
// those that are attached, and without one of them.
func (r *relation) refused(without string, beside []*ast.CreatePolicyStmt) []string {
	all := r.attached[ast.ObjectType_OBJECT_POLICY]
	return slices.DeleteFunc([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, func(command string) bool {
		lets := func(p policy) bool {
			return !p.narrows && (p.command == "" || p.command == "all" || strings.EqualFold(p.command, command))
		}
		return slices.ContainsFunc(all, func(name string) bool { return name != without && lets(r.policies[name]) }) ||
			slices.ContainsFunc(beside, func(s *ast.CreatePolicyStmt) bool { return lets(policy{s.CmdName, !s.Permissive}) })
	})
}

// take removes a trigger, policy or rule, and tells whether it was there.
func (r *relation) take(kind ast.ObjectType, name string) bool {
	before := len(r.attached[kind])
	if before > 0 {
		r.attached[kind] = slices.DeleteFunc(r.attached[kind], func(other string) bool { return other == name })
	}
	return len(r.attached[kind]) < before
}

func (r *relation) constraint(name string) *constraint {
	for _, c := range r.constraints {
		if c.name == name {
			return c
		}
	}
	return nil
}

// primaryKey gives the columns of the primary key.
func (r *relation) primaryKey() []string {
	for _, c := range r.constraints {
		if c.kind == ast.ConstrType_CONSTR_PRIMARY {
			return c.columns
		}
	}
	return nil
}

// identityColumns are those by which replication finds a row; nil where that is all
// of them, or none.
func (m *model) identityColumns(r *relation) []string {
	switch r.identity {
	case "d":
		return r.primaryKey()
	case "f", "n":
		return nil
	}
	for _, i := range m.indexesOf(r) {
		if i.name.Object == r.identity {
			return i.columns
		}
	}
	return nil
}

// unique reports whether the columns, or some of them, are a key.
func (m *model) unique(r *relation, columns []string) bool {
	for _, i := range m.indexesOf(r) {
		if i.unique && i.where == nil && len(i.columns) > 0 && i.valid &&
			!slices.ContainsFunc(i.columns, func(c string) bool { return c == "" || !slices.Contains(columns, c) }) {
			return true
		}
	}
	return false
}

// indexesOf gives a table's indexes in the order of their names.
func (m *model) indexesOf(r *relation) []*index {
	var all []*index
	for _, i := range m.indexes {
		if i.table == r {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b *index) int { return compareNames(a.name, b.name) })
	return all
}

func compareNames(a, b Name) int {
	if a.Schema != b.Schema {
		if a.Schema < b.Schema {
			return -1
		}
		return 1
	}
	switch {
	case a.Object < b.Object:
		return -1
	case a.Object > b.Object:
		return 1
	}
	return 0
}

// sorted gives all relations in the order of their names.
func (m *model) sorted() []*relation {
	all := make([]*relation, 0, len(m.relations))
	for _, r := range m.relations {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *relation) int { return compareNames(a.name, b.name) })
	return all
}

// tree gives a table with all its partitions and heirs, at every depth.
func (r *relation) tree() []*relation {
	all := []*relation{r}
	for _, p := range r.partitions {
		all = append(all, p.tree()...)
	}
	for _, h := range r.heirs {
		all = append(all, h.tree()...)
	}
	return all
}

// parts gives a table without its heirs, but with its partitions.
func (r *relation) parts() []*relation {
	all := []*relation{r}
	for _, p := range r.partitions {
		all = append(all, p.parts()...)
	}
	return all
}

// defaultPartition gives the partition that holds what fits nowhere else.
func (r *relation) defaultPartition() *relation {
	for _, p := range r.partitions {
		if p.bound != nil && p.bound.IsDefault {
			return p
		}
	}
	return nil
}

// readers gives the views that depend on a column of the relation; "" asks for
// those that depend on the relation at all.
func (m *model) readers(r *relation, column string) []*relation {
	var views []*relation
	for _, v := range m.sorted() {
		for _, u := range v.reads {
			if u.of == r && (column == "" || slices.Contains(u.columns, column) || slices.Contains(u.columns, "*")) {
				views = append(views, v)
				break
			}
		}
	}
	return views
}

// references gives the foreign keys that point to the relation.
func (m *model) references(r *relation) map[*relation][]*constraint {
	found := make(map[*relation][]*constraint)
	for _, other := range m.relations {
		for _, c := range other.constraints {
			if c.kind == ast.ConstrType_CONSTR_FOREIGN && c.to == r {
				found[other] = append(found[other], c)
			}
		}
	}
	return found
}

// withDomain gives the tables that have a column of the domain.
func (m *model) withDomain(t *userType) []*relation {
	var found []*relation
	for _, r := range m.sorted() {
		if r.kind != table {
			continue
		}
		for _, c := range r.columns {
			if m.findType(c.typ.Name) == t {
				found = append(found, r)
				break
			}
		}
	}
	return found
}

func number(n int) string { return strconv.Itoa(n) }
