package main

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/migration"
)

func newCreate(a *app) *cobra.Command {
	kind := templateFlags{}
	command := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a new migration and print its path",
		Long: `Create a new migration in the project's folder and print its path. Its version
is the time, in UTC, and comes after all others.

It is SQL, or a script with --js, --mjs or --ts. The first script gets
whimbrel.d.ts beside it, with the types of what a script is given, for editors.

With --backfill it changes the rows of a table that is in use, in batches by
--key, with an assertion and a down section: in place, with a backup of what
was there, or, with --into, moving them to a new table. What is to be edited is
named at its head.`,
		Example: `  whimbrel create add_users
  whimbrel create "Add an index to users" --dir db/migrations
  whimbrel create split_settings --ts
  whimbrel create lower_case_emails --backfill users --key id
  whimbrel create move_settings --backfill users --key id --into user_settings`,
		Args: arguments(1, 1, "NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			draft, err := kind.draft()
			if err != nil {
				return err
			}
			draft.Title, draft.Date = args[0], time.Now()
			path, err := a.create(draft)
			if err != nil {
				return err
			}
			if a.flags.json {
				a.object(createJSON{Path: path})
				return nil
			}
			a.say("%s", path)
			return nil
		},
	}
	kind.add(command)
	return command
}

// templateFlags say what kind of migration is created.
type templateFlags struct {
	js, mjs, ts         bool
	backfill, key, into string
	changed             func(name string) bool
}

func (f *templateFlags) add(command *cobra.Command) {
	flags := command.Flags()
	f.changed = flags.Changed
	flags.BoolVar(&f.js, "js", false, "a script in JavaScript, as Node.js runners have them")
	flags.BoolVar(&f.mjs, "mjs", false, "a script in JavaScript, as an ES module")
	flags.BoolVar(&f.ts, "ts", false, "a script in TypeScript")
	flags.StringVar(&f.backfill, "backfill", "", "change the rows of `TABLE` in batches")
	flags.StringVar(&f.key, "key", "id", "the columns by which a backfill goes, `COLUMN[,COLUMN]`; best the primary key")
	flags.StringVar(&f.into, "into", "", "the new `TABLE` to which a backfill moves values")
}

func (f *templateFlags) draft() (migration.Draft, error) {
	draft := migration.Draft{Extension: "sql"}
	kinds := 0
	for extension, wanted := range map[string]bool{"js": f.js, "mjs": f.mjs, "ts": f.ts} {
		if wanted {
			draft.Extension = extension
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return draft, usage("use only one of them", "--js, --mjs and --ts exclude each other")
	case kinds > 0 && f.changed("backfill"):
		return draft, usage("omit one of them; in a script, client.batch goes through a table",
			"the template of a backfill is SQL")
	case !f.changed("backfill") && (f.changed("key") || f.changed("into")):
		return draft, usage("add --backfill TABLE", "--key and --into belong to --backfill")
	case f.changed("backfill"):
		draft.Backfill = &migration.Backfill{Table: f.backfill, Key: f.key, Into: f.into}
	}
	return draft, nil
}

// createJSON is what create prints with --json.
type createJSON struct {
	Path string `json:"path"`
}

// create writes a new migration and gives its path as the user would write it.
func (a *app) create(draft migration.Draft) (string, error) {
	script := draft.Extension != "sql"
	types := ""
	if script {
		var err error
		if types, err = declarations(); err != nil {
			return "", err
		}
	}
	p, err := a.project()
	if err != nil {
		return "", err
	}
	dirs := p.Folders()
	if len(dirs) > 1 {
		return "", usage("name one with --dir", "there are several folders of migrations")
	}
	if err := os.MkdirAll(a.absolute(dirs[0]), 0o755); err != nil {
		return "", files.CannotWrite(dirs[0], err)
	}
	if err := a.load(p); err != nil {
		return "", err
	}
	if p.Tool != "" {
		return "", usage("write the file as "+p.Tool+" has it, or convert the folder with `whimbrel adopt --convert "+
			"FOLDER`",
			"the migrations in %s are in the format of %s, and create writes whimbrel's own", dirs[0], p.Tool)
	}
	draft.Version, draft.Author = migration.NextVersion(p.Migrations, draft.Date), a.author()
	base, content, err := migration.Template(draft)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dirs[0], base)
	if err := files.WriteNew(a.absolute(path), path, content); err != nil {
		return "", err
	}
	if script {
		err = a.declare(dirs[0], types)
	}
	return path, err
}

// declarationsName is the file with the types of what scripts get.
const declarationsName = "whimbrel.d.ts"

// declare writes it into a folder of migrations, unless it is there.
func (a *app) declare(dir, types string) error {
	path := filepath.Join(dir, declarationsName)
	err := files.WriteNew(a.absolute(path), path, types)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// author is who writes the migration, as git and the system know him.
func (a *app) author() string {
	if name := a.variable("GIT_AUTHOR_NAME"); name != "" {
		return name
	}
	who, err := user.Current()
	if err != nil {
		return ""
	}
	if who.Name != "" {
		return who.Name
	}
	return who.Username
}
