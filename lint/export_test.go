package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/migration"
)

// UnknownType ends the line of a column whose type no text tells.
const UnknownType = "has a type that is not known"

// Modelled gives the schema that migrations make, as the rules know it: a line for each
// thing in it. A catalog is what was there before.
func Modelled(before *Catalog, migrations ...migration.Migration) ([]string, error) {
	l, err := New(Options{Catalog: before})
	if err != nil {
		return nil, err
	}
	m := newModel(l.options.Parser)
	if before != nil {
		if err := m.load(*before); err != nil {
			return nil, err
		}
	}
	for _, mig := range migrations {
		m.now++
		l.file(m, mig, mig.Up, func() []migration.Statement { return nil })
	}
	var all []string
	say := func(format string, values ...any) { all = append(all, fmt.Sprintf(format, values...)) }
	for _, r := range m.sorted() {
		if r.ofCatalog() || r.kind == sequence || r.temporary {
			continue
		}
		say("%s is a %d, assumed %t, partitioned %t, unlogged %t, secured %t, replicated by %s", r.name, r.kind, r.assumed,
			r.partitioned, r.unlogged, r.rowSecurity, r.identity)
		if r.parent != nil {
			say("%s is a part of %s", r.name, r.parent.name)
		}
		for _, kind := range slices.Sorted(maps.Keys(r.attached)) {
			for _, name := range slices.Sorted(slices.Values(r.attached[kind])) {
				say("%s has the %s %s", r.name, kind, name)
			}
		}
		for _, c := range r.columns {
			if number := (Name{catalogSchema, "numeric"}); c.typ.Name == number && len(c.typ.Mods) == 1 {
				c.typ.Mods = append(c.typ.Mods, 0) // as the server writes it
			}
			switch {
			case r.kind == table && c.typ.Name.Object == "":
				say("%s.%s %s", r.name, c.name, UnknownType)
			case r.kind == table:
				say("%s.%s %s, NOT NULL %t, default %t, identity %q, generated %t", r.name, c.name, c.typ, c.notNull,
					c.value != nil, c.identity, c.generated)
			default:
				say("%s.%s", r.name, c.name)
			}
		}
		for _, c := range r.constraints {
			to := ""
			if c.to != nil {
				to = c.to.name.String()
			}
			say("%s has the %s %s on %v, valid %t, to %s%v", r.name, c.kind, c.name, c.columns, c.valid, to, c.toColumns)
		}
		for _, i := range m.indexesOf(r) {
			say("%s has the index %s on %v and %v, unique %t, partial %t, valid %t", r.name, i.name, i.columns, i.include,
				i.unique, i.where != nil, i.valid)
		}
	}
	for name, t := range m.types {
		if t.kind == "enum" || t.kind == "domain" {
			say("type %s %s of %s%v, NOT NULL %t, %d checks", t.kind, name, t.base, slices.Sorted(maps.Keys(t.added)),
				t.notNull, len(t.checks))
		}
	}
	for name, overloads := range m.functions {
		for _, f := range overloads {
			say("function %s(%s) in %s, %s", name, strings.Join(f.args, ", "), f.language, f.volatility)
		}
	}
	slices.Sort(all)
	return all, nil
}
