package project

import (
	"maps"
	"slices"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/yamlpos"
	"github.com/whimbrel-db/whimbrel/migration"
)

// values are those of the migrations' variables, as whimbrel.yaml has them: a
// text, or one with references to the environment, as in a url.
type values map[string]string

// ReadYAML implements yamlpos.Unmarshaler.
func (v *values) ReadYAML(r *yamlpos.Reader, n yamlpos.Node) {
	entries, ok := r.Entries(n)
	if !ok {
		r.Wrong(n, "write names and values, as in REGION: eu-west-1", "a mapping is expected here")
	}
	*v = values{}
	for _, e := range entries {
		if !migration.IsVariable(e.Name) {
			r.Wrong(e.Key, "", "invalid variable name %q", e.Name)
		}
		if (*v)[e.Name], ok = r.Scalar(e.Value); !ok {
			r.Wrong(e.Value, "put it between quotes", "%s is not text", e.Name)
		}
	}
}

// values gathers those of the file, of the chosen environment in it, and of the
// options, of which the later win, over what another tool would give them. One that needs a
// variable of the environment which is not set is none: the migration that asks for it says so.
func (p *Project) values() map[string]string {
	all := map[string]string{}
	maps.Copy(all, p.defaults)
	for _, given := range []values{p.File.Variables, p.environment().Variables} {
		for name, template := range given {
			delete(all, name)
			if value, err := expand(template, p.options.Lookup); err == nil {
				all[name] = value
			}
		}
	}
	maps.Copy(all, p.options.Variables)
	return all
}

// CheckVariables refuses one of Options.Variables that neither a migration nor a hook asks
// for: a slip.
func (p *Project) CheckVariables() error {
	var known []string
	for _, m := range slices.Concat(p.Hooks.All(), p.Migrations) {
		for _, v := range m.Variables {
			known = append(known, v.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.options.Variables)) {
		if slices.Contains(known, name) {
			continue
		}
		remedy := "list it in the migration that is to have it: -- +migrate Variables " + name
		if near := plaintext.Nearest(name, known); near != "" {
			remedy = "did you mean Options.Variables[" + near + "]?"
		}
		return usage(remedy, "no migration has a variable %q", name)
	}
	return nil
}
