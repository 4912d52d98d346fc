package project

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
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/migration"
)

// NamedFormat is the format that the options or the file name; "" for none.
func (p *Project) NamedFormat() string { return cmp.Or(p.options.Format, p.File.Format) }

// ReadMigrations reads the migrations in the format that the options or the file name;
// else in whimbrel's own, or, where the files are not in that, in the one that they look
// like.
func (p *Project) ReadMigrations() error {
	named, sources := p.NamedFormat(), p.Sources()
	if err := KnownFormat(named); err != nil {
		return err
	}
	if named != "" && named != format.Own {
		f, _ := format.Named(named)
		return p.read(f, sources)
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
			return ambiguous(sources, detected)
		case len(detected) == 1:
			return p.readDetected(detected[0], sources)
		}
	}
	if len(below) > 0 && err == nil {
		p.options.notify(AboutUnread, "SQL below "+strings.Join(below, ", ")+
			" is not read: Options.Subfolders reads it, and a name that begins with _ is left alone")
	}
	if named == "" && err != nil && format.LooksLikeSQLMigrate(sources...) {
		err = mayBeSQLMigrate(err)
	}
	p.Migrations = own
	return err
}

// mayBeSQLMigrate says of names that whimbrel refuses that sql-migrate has them.
func mayBeSQLMigrate(err error) error {
	var all []error
	for _, problem := range migration.Problems(err) {
		if problem.Code == migration.CodeBadName || problem.Code == migration.CodeDuplicateVersion {
			p := *problem
			p.Remedy += "; or set Options.Format to sql-migrate, if that tool has run them, " +
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
func (p *Project) readDetected(f format.Format, sources []migration.Source) error {
	err := p.read(f, sources)
	if err == nil {
		p.options.notify(AboutFormat, fmt.Sprintf("%s: read as migrations of %s (settle it with \"format: %s\" in %s)",
			Labels(sources), f.Tool, f.Name, Name))
	}
	return err
}

// read reads another tool's migrations. What that would pass over, and nobody would miss, is
// an error.
func (p *Project) read(f format.Format, sources []migration.Source) error {
	theirs, err := f.Read(sources...)
	switch {
	case err != nil:
		return err
	case len(theirs.PassedOver) > 0:
		return usage("keep the migrations of one tool in a folder: move the others away, rename them, or begin their "+
			"names with _; "+
			"if none is "+f.Tool+"'s, set Options.Format to whimbrel",
			"%s: read as migrations of %s, which would pass over %s", Labels(sources), f.Tool,
			strings.Join(theirs.PassedOver, ", "))
	case len(theirs.Files) == 0 && len(theirs.Remarks) > 0:
		return usage("name the tool that they belong to with Options.Format, or omit it",
			"%s: no migration of %s in it. %s", Labels(sources), f.Tool, strings.Join(theirs.Remarks, "; "))
	}
	p.Tool = f.Tool
	p.Take(theirs)
	return nil
}

// Take makes another tool's migrations those of the project, with the values that the tool
// gives to variables by itself: goose takes them from the environment.
func (p *Project) Take(theirs format.Project) {
	p.defaults = theirs.Variables
	if theirs.Format.Name == "goose" {
		for _, f := range theirs.Files {
			for _, v := range f.Migration.Variables {
				if value := p.options.variable(v.Name); value != "" {
					p.defaults[v.Name] = value
				}
			}
		}
	}
	p.Migrations, p.Variables = theirs.Migrations(), p.values()
}

// KnownFormat refuses a name that no format has.
func KnownFormat(name string) *whimbrel.Error {
	if _, known := format.Named(name); known || name == "" {
		return nil
	}
	return UnknownFormat(name, format.Names(func(format.Format) bool { return true }))
}

// UnknownFormat says that a name is none of those, and which may be meant.
func UnknownFormat(name string, names []string) *whimbrel.Error {
	remedy := "use one of " + strings.Join(names, ", ")
	if near := plaintext.DidYouMean("", name, names); near != "" {
		remedy = near
	}
	return &whimbrel.Error{Code: CodeUsage, Message: fmt.Sprintf("unknown format %q", name), Remedy: remedy}
}

func ambiguous(sources []migration.Source, candidates []format.Format) error {
	var names []string
	for _, f := range candidates {
		names = append(names, f.Name)
	}
	return usage(fmt.Sprintf("say which by Options.Format, as %s, or by \"format: %s\" in %s", names[0], names[0], Name),
		"%s: the files may be those of %s", Labels(sources), strings.Join(names, " or of "))
}

// Labels are the names of folders, for people.
func Labels(sources []migration.Source) string {
	var all []string
	for _, source := range sources {
		all = append(all, source.Label)
	}
	return strings.Join(all, ", ")
}
