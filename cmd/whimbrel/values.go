package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/whimbrel-db/whimbrel/migration"
)

// values are those of the migrations' variables, as whimbrel.yaml has them: a
// text, or one with references to the environment, as in a url.
type values map[string]string

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (v *values) UnmarshalYAML(node ast.Node) error {
	var pairs []*ast.MappingValueNode
	switch node := node.(type) {
	case *ast.MappingNode:
		pairs = node.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{node}
	default:
		return &yaml.SyntaxError{Message: "variables: write names and values, as in REGION: eu-west-1",
			Token: node.GetToken()}
	}
	*v = values{}
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		if !migration.IsVariable(name) {
			return &yaml.SyntaxError{Message: fmt.Sprintf("variables: invalid variable name %q", name),
				Token: pair.Key.GetToken()}
		}
		switch value := pair.Value.(type) {
		case *ast.LiteralNode:
			(*v)[name] = value.Value.Value
		case *ast.StringNode:
			(*v)[name] = value.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			(*v)[name] = value.GetToken().Value // as it is written
		default:
			return &yaml.SyntaxError{Message: fmt.Sprintf("variables: %s is not text; put it between quotes", name),
				Token: pair.Value.GetToken()}
		}
	}
	return nil
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
