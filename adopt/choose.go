package adopt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt/format"
)

// CodeNotFound says that there is no table of another tool, or it is not clear which.
const CodeNotFound whimbrel.Code = "not_found"

// Tools are the names of the tools that can be adopted, sorted.
func Tools() []string {
	var names []string
	for _, t := range tools() {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	return names
}

// Choose says which of the tables that Find found is meant: that of the tool
// from, if that is given, or of the tool that the files look like, or the only
// one there is. It is pure.
func Choose(tables []Table, from, named string, looksLike []format.Format) (Table, error) {
	tables, others := adoptable(tables)
	candidates := tables
	if from != "" {
		candidates = of(tables, from)
	} else if len(looksLike) > 0 {
		var likely []Table
		for _, f := range looksLike {
			likely = append(likely, of(tables, f.Name)...)
		}
		if len(likely) > 0 || len(tables) > 1 {
			candidates = likely
		}
	}
	switch {
	case len(candidates) == 1:
		return candidates[0], nil
	case len(tables) == 0 && len(others) > 0:
		return Table{}, cannotAdopt(others)
	case len(candidates) == 0:
		return Table{}, nothingFound(tables, from, named)
	}
	var shown []string
	for _, t := range candidates {
		shown = append(shown, t.String()+" ("+t.Tool+")")
	}
	remedy := "choose by named: " + candidates[0].String()
	if candidates[0].Tool != candidates[1].Tool {
		remedy = "choose by from: " + candidates[0].Tool
	}
	return Table{}, &whimbrel.Error{Code: CodeNotFound, Message: "there are several tables of other tools: " +
		strings.Join(shown, ", "), Remedy: remedy}
}

// adoptable parts the tables that can be adopted from those that are known and cannot.
func adoptable(tables []Table) (those, others []Table) {
	known := Tools()
	for _, t := range tables {
		if slices.Contains(known, t.Tool) {
			those = append(those, t)
		} else {
			others = append(others, t)
		}
	}
	return those, others
}

// cannotAdopt says what to do with the histories of tools that cannot be adopted.
func cannotAdopt(tables []Table) error {
	var shown []string
	for _, t := range tables {
		shown = append(shown, fmt.Sprintf("%s is the history of %s", t, t.tool.Title))
	}
	return &whimbrel.Error{
		Code: CodeNotFound, Message: strings.Join(shown, ", and ") + ": adopt can tell, and cannot take it over",
		Remedy: "have the files in a format that whimbrel reads, then record the newest that is applied, and all before " +
			"it, with Migrator.Baseline(VERSION); " +
			"if the files have nothing to do with that tool, begin with Migrator.Up",
	}
}

func of(tables []Table, tool string) (those []Table) {
	for _, t := range tables {
		if t.Tool == tool {
			those = append(those, t)
		}
	}
	return those
}

func nothingFound(tables []Table, from, named string) error {
	e := &whimbrel.Error{Code: CodeNotFound, Message: "no table of another migration tool in this database",
		Remedy: "check that it is the right database; where the table has a name of its own, give it to Find as named; " +
			"what a database without one has, Migrator.Baseline(VERSION) records"}
	if named != "" {
		e.Message = fmt.Sprintf("no table %s that looks like the history of a tool", named)
	}
	if from != "" {
		e.Message = fmt.Sprintf("no table of %s in this database", from)
		if t := toolOf(from); t.Table != "" && named == "" {
			e.Message = fmt.Sprintf("no table %s of %s in this database", t.Table, from)
		}
	}
	var others []string
	for _, t := range tables {
		others = append(others, t.String()+" ("+t.Tool+")")
	}
	if len(others) > 0 {
		e.Remedy = "there are tables of other tools: " + strings.Join(others, ", ") +
			"; choose by from and named which is meant"
	}
	return e
}

func toolOf(name string) tool {
	all := tools()
	if i := slices.IndexFunc(all, func(t tool) bool { return t.Name == name }); i >= 0 {
		return all[i]
	}
	return tool{}
}
