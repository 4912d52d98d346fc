package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/migration"
)

// loadFrom reads migrations in the format that --format or whimbrel.yaml says;
// else in whimbrel's own, or, where the files are not in that, in the one that
// they look like.
func (a *app) loadFrom(sources []migration.Source, file config) ([]migration.Migration, error) {
	named := cmp.Or(a.flags.files, file.Format)
	if err := knownFormat(named); err != nil {
		return nil, err
	}
	if named != "" && named != format.Own {
		f, _ := format.Named(named)
		return a.read(f, sources)
	}
	own, err := migration.Load(sources...)
	if named == format.Own || err == nil && !format.Signs(sources...) {
		return own, err
	}
	detected := slices.DeleteFunc(format.Detect(sources...), func(f format.Format) bool { return f.Name == "sql-migrate" }) // which is our own
	switch {
	case len(detected) == 0:
		return own, err
	case len(detected) > 1:
		return nil, ambiguous(sources, detected)
	}
	migrations, err := a.read(detected[0], sources)
	if err == nil && !a.flags.json {
		a.note("%s", a.errPalette.faint(fmt.Sprintf("%s: read as migrations of %s (settle it with \"format: %s\" in %s)",
			labelsOf(sources), detected[0].Tool, detected[0].Name, configName)))
	}
	return migrations, err
}

// read reads another tool's migrations, and remembers what values that tool
// would give their variables.
func (a *app) read(f format.Format, sources []migration.Source) ([]migration.Migration, error) {
	project, err := f.Read(sources...)
	if err != nil {
		return nil, err
	}
	a.foreign = f.Tool
	a.remember(project)
	return project.Migrations(), nil
}

// remember keeps the values that a tool gives to variables by itself: goose
// takes them from the environment.
func (a *app) remember(project format.Project) {
	a.defaults = project.Variables
	if project.Format.Name != "goose" {
		return
	}
	for _, f := range project.Files {
		for _, v := range f.Migration.Variables {
			if value := a.variable(v.Name); value != "" {
				a.defaults[v.Name] = value
			}
		}
	}
}

// knownFormat refuses a name that no format has.
func knownFormat(name string) *whimbrel.Error {
	if _, known := format.Named(name); known || name == "" {
		return nil
	}
	return unknownFormat(name, format.Names(func(format.Format) bool { return true }))
}

func unknownFormat(name string, names []string) *whimbrel.Error {
	remedy := "use one of " + strings.Join(names, ", ")
	if near := didYouMean("", name, names); near != "" {
		remedy = near
	}
	return &whimbrel.Error{Code: codeUsage, Message: fmt.Sprintf("there is no format %q", name), Remedy: remedy}
}

func ambiguous(sources []migration.Source, candidates []format.Format) error {
	var names []string
	for _, f := range candidates {
		names = append(names, f.Name)
	}
	return usage(fmt.Sprintf("say which by --format %s, or by \"format: %s\" in %s", names[0], names[0], configName),
		"%s: the files may be those of %s", labelsOf(sources), strings.Join(names, " or of "))
}

func labelsOf(sources []migration.Source) string {
	var all []string
	for _, source := range sources {
		all = append(all, source.Label)
	}
	return strings.Join(all, ", ")
}
