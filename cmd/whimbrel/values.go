package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"

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

// values gathers those of the file, of the chosen environment in it, and of
// --set, of which the later win, over what another tool would give them. One that needs a variable of the environment
// which is not set is none: the migration that asks for it says so.
func (a *app) values(file config) map[string]string {
	all := map[string]string{}
	maps.Copy(all, a.defaults)
	for _, given := range []values{file.Variables,
		file.Environments[cmp.Or(a.flags.env, file.DefaultEnvironment)].Variables} {
		for name, template := range given {
			delete(all, name)
			if value, err := expand(template, a.lookup); err == nil {
				all[name] = value
			}
		}
	}
	for _, pair := range a.flags.set {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = value
	}
	return all
}

// checkSet refuses a --set that no migration asks for: a slip.
func (a *app) checkSet(sets ...[]migration.Migration) error {
	var known []string
	for _, migrations := range sets {
		for _, m := range migrations {
			for _, v := range m.Variables {
				known = append(known, v.Name)
			}
		}
	}
	for _, pair := range a.flags.set {
		name, _, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return usage("write it as --set NAME=VALUE", "--set %s has no name or no value", pair)
		}
		if slices.Contains(known, name) {
			continue
		}
		remedy := "list it in the migration that is to have it: -- +migrate Variables " + name
		if near := didYouMean("--set ", name, known); near != "" {
			remedy = near
		}
		return usage(remedy, "no migration has a variable %q", name)
	}
	return nil
}
