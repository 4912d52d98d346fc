package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
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
	var below []string
	for i, source := range sources {
		sources[i].Below = func(folder string) {
			if holdsSQL(source.FS, path.Join(source.Dir, folder)) {
				below = append(below, strings.TrimSuffix(source.Label, "/")+"/"+folder)
			}
		}
	}
	own, err := migration.Load(sources...)
	if named != format.Own && (err != nil || len(own) == 0 || format.Signs(sources...)) {
		detected := format.Detect(sources...)
		if err == nil || !format.OnlySQLMigrate(sources...) { // else it is our own
			detected = slices.DeleteFunc(detected, func(f format.Format) bool { return f.Name == "sql-migrate" })
		}
		switch {
		case len(detected) > 1:
			return nil, ambiguous(sources, detected)
		case len(detected) == 1:
			return a.readDetected(detected[0], sources)
		}
	}
	if len(below) > 0 && err == nil && !a.flags.json {
		a.note("%s SQL below %s is not read: --subfolders reads it, and a name that begins with _ is left alone",
			a.errStyle.Warning("!"), strings.Join(below, ", "))
	}
	if named == "" && err != nil && format.LooksLikeSQLMigrate(sources...) {
		err = mayBeSQLMigrate(err)
	}
	return own, err
}

// mayBeSQLMigrate says of names that whimbrel refuses that sql-migrate has them.
func mayBeSQLMigrate(err error) error {
	var all []error
	for _, problem := range migration.Problems(err) {
		if problem.Code == migration.CodeBadName || problem.Code == migration.CodeDuplicateVersion {
			p := *problem
			p.Remedy += "; or say --format sql-migrate, if that tool has run them, " +
				"which knows a migration by its file's whole name"
			problem = &p
		}
		all = append(all, problem)
	}
	return errors.Join(all...)
}

// holdsSQL reports whether a file of SQL is in a folder or below it. What cannot be looked
// into holds none.
func holdsSQL(fsys fs.FS, folder string) bool {
	found := false
	_ = fs.WalkDir(fsys, folder, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fs.SkipDir
		case !entry.IsDir() && strings.EqualFold(path.Ext(name), ".sql"):
			found = true
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// readDetected reads what the files look like, and says so.
func (a *app) readDetected(f format.Format, sources []migration.Source) ([]migration.Migration, error) {
	migrations, err := a.read(f, sources)
	if err == nil && !a.flags.json {
		a.note("%s", a.errStyle.Faint(fmt.Sprintf("%s: read as migrations of %s (settle it with \"format: %s\" in %s)",
			labelsOf(sources), f.Tool, f.Name, configName)))
	}
	return migrations, err
}

// read reads another tool's migrations, and remembers what values that tool would give
// their variables. What it would pass over, and nobody would miss, is an error.
func (a *app) read(f format.Format, sources []migration.Source) ([]migration.Migration, error) {
	project, err := f.Read(sources...)
	switch {
	case err != nil:
		return nil, err
	case len(project.PassedOver) > 0:
		return nil, usage("keep the migrations of one tool in a folder: move the others away, rename them, or begin their "+
			"names with _; "+
			"if none is "+f.Tool+"'s, say --format whimbrel",
			"%s: read as migrations of %s, which would pass over %s", labelsOf(sources), f.Tool,
			strings.Join(project.PassedOver, ", "))
	case len(project.Files) == 0 && len(project.Remarks) > 0:
		return nil, usage("name the tool that they belong to with --format, or omit it",
			"%s: no migration of %s in it. %s", labelsOf(sources), f.Tool, strings.Join(project.Remarks, "; "))
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
	return &whimbrel.Error{Code: codeUsage, Message: fmt.Sprintf("unknown format %q", name), Remedy: remedy}
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
