package migration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/pgsql"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// repeatablePrefix begins the names, and the versions, of repeatable migrations.
const repeatablePrefix = "R__"

// Repeatable reports whether a version is that of a repeatable migration: one
// without a place in the order, which runs again whenever its file changes. Its
// version is its file's name, "R__active_users". It comes after all numbers.
func (v Version) Repeatable() bool { return strings.HasPrefix(string(v), repeatablePrefix) }

// After is the annotation "After <name> [<name>…]" of a repeatable migration:
// the names of those that must have run before it.
type After struct {
	Name     string // without R__ and .sql
	Position Position
}

// after checks one word of the annotation After, at a place.
func (r *reader) after(l *line) func(word string) string {
	return func(word string) string {
		name := strings.TrimSuffix(strings.TrimPrefix(word, repeatablePrefix), ".sql")
		if name == r.migration.Name {
			return "a migration cannot come after itself"
		}
		at := l.position()
		at.Offset, at.Column = at.Offset-len(word), at.Column-len(word)
		r.migration.After = append(r.migration.After, After{Name: name, Position: at})
		return ""
	}
}

// repeatable refuses what cannot be done again as a whole. One transaction is
// all there is: what it defines is there as the file says, or as it was before.
func (r *reader) repeatable() {
	if !r.migration.Version.Repeatable() {
		for _, after := range r.migration.After {
			r.misplaced(after.Position, "After is for repeatable migrations",
				"leave it out: the version says where a migration comes")
		}
		return
	}
	for _, section := range []Section{r.migration.Up, r.migration.Down} {
		for _, s := range section.Statements {
			if s.Class == pgsql.Alone || s.Batch != nil || section.NoTransaction || section.blocks {
				r.problem(&Error{Code: CodeRepeatable, Position: s.Start,
					Message: fmt.Sprintf("a repeatable migration is one transaction, and this would be outside of it: %s",
						firstLine(s.Text)),
					Remedy: "put it into a migration with a version"})
				break
			}
		}
	}
}

// Object is something that a migration creates, as its text names it.
type Object struct {
	Kind   string // "view", "function", …
	Schema string // empty where none is written
	Name   string
}

// Defines lists the objects of which others may make use that the up part creates, as
// its text says. What a body or dynamic SQL creates is not seen.
func (m Migration) Defines() (all []Object) {
	for _, s := range m.Up.Statements {
		if defined := definedBy(s.Text); defined.name != "" {
			all = append(all, Object{Kind: defined.kind, Schema: defined.schema, Name: defined.name})
		}
	}
	return all
}

// object is the name of something that a statement defines or mentions.
type object struct{ kind, schema, name string } // kind and schema are "" where none is written

// is reports whether a mention can mean what is defined under a name.
func (o object) is(defined object) bool {
	return o.name == defined.name && (o.schema == "" || defined.schema == "" || o.schema == defined.schema)
}

// contents are the objects that a repeatable migration defines, those that it
// mentions, and those that are mentioned in bodies and strings only, which
// PostgreSQL looks up when they are run and not when they are defined.
type contents struct {
	defines, mentions, later []object
	drops                    bool
}

func contentsOf(m Migration) contents {
	var c contents
	for _, s := range m.Up.Statements {
		c.drops = c.drops || strings.HasPrefix(s.Command, "DROP ")
		if defined := definedBy(s.Text); defined.name != "" {
			c.defines = append(c.defines, defined)
		}
		c.see(s.Text, false)
	}
	return c
}

// see gathers the names in a text.
func (c *contents) see(text string, later bool) {
	var schema string
	dot := false
	for token := range pgsql.Tokens(text) {
		switch token.Kind {
		case pgsql.Word, pgsql.QuotedIdentifier:
			o := object{name: pgsql.Identifier(token.Text)}
			if dot {
				o.schema = schema
			}
			if later {
				c.later = append(c.later, o)
			} else {
				c.mentions = append(c.mentions, o)
			}
			schema, dot = o.name, false
			continue
		case pgsql.DollarString:
			delimiter := strings.IndexByte(token.Text[1:], '$') + 2
			if len(token.Text) >= 2*delimiter {
				c.see(token.Text[delimiter:len(token.Text)-delimiter], true)
			}
		case pgsql.String:
			if inner := token.Text[strings.IndexByte(token.Text, '\'')+1:]; len(inner) > 1 {
				c.see(inner[:len(inner)-1], true)
			}
		}
		dot = token.Text == "."
	}
}

// definedBy is the object that a CREATE statement defines, if it is of a kind
// that others can rest on.
func definedBy(text string) (defined object) {
	const ( // what is expected next
		create = iota
		kind
		name
	)
	at, dot, what := create, false, ""
	for token := range pgsql.Tokens(text) {
		if space(token) {
			continue
		}
		word := ""
		if token.Kind == pgsql.Word {
			word = strings.ToUpper(token.Text)
		}
		switch {
		case at == create && word == "CREATE":
			at = kind
		case at == create:
			return object{}
		case at == kind && slices.Contains([]string{"VIEW", "FUNCTION", "PROCEDURE", "AGGREGATE", "TYPE", "DOMAIN", "TABLE",
			"SEQUENCE", "SCHEMA"}, word):
			at, what = name, what+strings.ToLower(word)
		case at == kind && !slices.Contains([]string{"OR", "REPLACE", "TEMP", "TEMPORARY", "UNLOGGED", "RECURSIVE",
			"MATERIALIZED", "FOREIGN"}, word):
			return object{}
		case at == kind && (word == "MATERIALIZED" || word == "FOREIGN"):
			what = strings.ToLower(word) + " "
		case at == kind, at == name && defined.name == "" && slices.Contains([]string{"IF", "NOT", "EXISTS"}, word):
		case at == name && defined.name != "" && token.Text == ".":
			dot = true
		case at == name && (token.Kind == pgsql.Word || token.Kind == pgsql.QuotedIdentifier) && (defined.name == "" || dot):
			defined, dot = object{kind: what, schema: defined.name, name: pgsql.Identifier(token.Text)}, false
		default:
			return defined
		}
	}
	return defined
}

// Repeatables are repeatable migrations in the order in which they run.
type Repeatables struct {
	Migrations []Migration
	needs      map[Version][]Version
	drops      map[Version]bool
}

// OrderRepeatables puts each migration after those that define what it
// mentions, and after those that its annotation After names; among the rest the
// name decides. What is in the body of a function counts where it makes no
// circle, since bodies may mention each other. An annotation goes before what is
// mentioned. The error joins an *Error for each unknown name and for a circle.
func OrderRepeatables(migrations []Migration) (Repeatables, error) {
	o := orderer{
		files: slices.SortedFunc(slices.Values(migrations), func(a, b Migration) int { return a.Version.Compare(b.Version) }),
		edges: map[[2]int]strength{},
	}
	o.connect()
	o.obey()
	if len(o.problems) > 0 {
		return Repeatables{}, join(o.problems)
	}
	return o.sort()
}

// strength is how firmly one migration must come after another.
type strength int

const (
	mentionedLater strength = 1 + iota // in a body
	mentioned
	annotated
)

// orderer makes the order. edges are by dependent and what it needs.
type orderer struct {
	files    []Migration
	contents []contents
	edges    map[[2]int]strength
	problems []error
}

// connect finds who mentions what others define.
func (o *orderer) connect() {
	type definition struct {
		object
		by int
	}
	defined := map[string][]definition{}
	for i, m := range o.files {
		c := contentsOf(m)
		o.contents = append(o.contents, c)
		for _, d := range c.defines {
			defined[d.name] = append(defined[d.name], definition{d, i})
		}
	}
	for i, c := range o.contents {
		for how, all := range map[strength][]object{mentionedLater: c.later, mentioned: c.mentions} {
			for _, mention := range all {
				for _, d := range defined[mention.name] {
					own := slices.ContainsFunc(c.defines, func(own object) bool { return own.is(d.object) })
					if d.by != i && !own && mention.is(d.object) {
						o.edges[[2]int{i, d.by}] = max(o.edges[[2]int{i, d.by}], how)
					}
				}
			}
		}
	}
}

// obey adds what the annotations say.
func (o *orderer) obey() {
	for i, m := range o.files {
		for _, after := range m.After {
			j := slices.IndexFunc(o.files, func(other Migration) bool { return other.Name == after.Name })
			if j < 0 {
				o.unknown(m, after)
				continue
			}
			o.edges[[2]int{i, j}] = annotated
			if o.edges[[2]int{j, i}] < annotated {
				delete(o.edges, [2]int{j, i})
			}
		}
	}
}

func (o *orderer) unknown(m Migration, after After) {
	var names []string
	for _, other := range o.files {
		names = append(names, other.Name)
	}
	remedy := "name a repeatable migration, without R__ and .sql"
	if near := plaintext.Nearest(after.Name, names); near != "" {
		remedy = fmt.Sprintf("did you mean %s?", near)
	}
	o.problems = append(o.problems, &Error{Code: CodeBadAnnotation, Path: m.Path, Position: after.Position,
		Message: fmt.Sprintf("no repeatable migration %q", after.Name), Remedy: remedy})
}

// sort takes, again and again, the first migration that waits for nobody.
func (o *orderer) sort() (Repeatables, error) {
	r := Repeatables{needs: map[Version][]Version{}, drops: map[Version]bool{}}
	done := make([]bool, len(o.files))
	least := mentionedLater // what is weaker does not count any more
	waits := func(i int) bool {
		for edge, how := range o.edges {
			if edge[0] == i && !done[edge[1]] && how >= least {
				return true
			}
		}
		return false
	}
	for len(r.Migrations) < len(o.files) {
		next := -1
		for i := range o.files {
			if !done[i] && !waits(i) {
				next = i
				break
			}
		}
		switch {
		case next >= 0:
			done[next], least = true, mentionedLater
			r.Migrations = append(r.Migrations, o.files[next])
		case least == mentionedLater:
			least = mentioned
		default:
			return Repeatables{}, o.circle(done)
		}
	}
	for edge := range o.edges {
		dependent := o.files[edge[0]].Version
		r.needs[dependent] = append(r.needs[dependent], o.files[edge[1]].Version)
	}
	for i, m := range o.files {
		r.drops[m.Version] = o.contents[i].drops
	}
	return r, nil
}

func (o *orderer) circle(done []bool) error {
	var paths []string
	for i, m := range o.files {
		if !done[i] {
			paths = append(paths, m.Path)
		}
	}
	return &Error{Code: CodeCircle, Path: cmp.Or(paths...), Message: "these repeatable migrations need each other: " +
		strings.Join(paths, ", "),
		Remedy: "put them into one file, or say which comes later by `-- +migrate After <name>` in it"}
}

// Dependents are the migrations that may have lost what they define when one
// runs again: those that rest on it, directly or not, if it drops anything.
func (r Repeatables) Dependents(v Version) []Version {
	if !r.drops[v] {
		return nil
	}
	found := []Version{v}
	for _, m := range r.Migrations { // each comes after what it needs
		if m.Version != v && slices.ContainsFunc(r.needs[m.Version],
			func(needed Version) bool { return slices.Contains(found, needed) }) {
			found = append(found, m.Version)
		}
	}
	return found[1:]
}
