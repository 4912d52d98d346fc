package main

import (
	_ "embed" // for everyKey
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/project"
)

func newInit(a *app) *cobra.Command {
	var scripts bool
	command := &cobra.Command{
		Use:   "init",
		Short: "Set up this folder: migrations, whimbrel.yaml, .gitignore",
		Long: `Create a folder for migrations and a whimbrel.yaml, and keep the development
server's files out of git. What is there already is left as it is.

With --scripts it also writes whimbrel.d.ts beside the migrations, for editors:
the types of what migrations in JavaScript and TypeScript get. It is brought up
to date where it is there. (create --js, --mjs and --ts write it by
themselves.)`,
		Example: `  whimbrel init
  whimbrel init --dir db/migrations
  whimbrel init --scripts`,
		Args: arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			created, err := a.prepare(scripts)
			if err != nil {
				return err
			}
			if a.flags.json {
				a.object(initJSON{Created: append([]string{}, created...)})
				return nil
			}
			for _, path := range created {
				a.say("%s %s", a.style.Good("✓"), path)
			}
			if len(created) == 0 {
				a.say("Everything is there already.")
			}
			a.say("\nNext:\n  whimbrel create add_users    # write a migration\n" +
				"  whimbrel up --dev            # run it on a server of your own")
			return nil
		},
	}
	command.Flags().BoolVar(&scripts, "scripts", false, "also write "+declarationsName+", the types for scripts")
	return command
}

// initJSON is what init prints with --json.
type initJSON struct {
	Created []string `json:"created"`
}

// prepare creates what is missing and gives its paths.
func (a *app) prepare(scripts bool) (created []string, err error) {
	types := ""
	if scripts {
		if types, err = declarations(); err != nil {
			return nil, err
		}
	}
	dirs, err := a.foldersToPrepare()
	if err != nil {
		return nil, err
	}
	ignored, err := ignore(a.absolute(".gitignore")) // first, since it is what may be refused: then nothing was made
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if _, err := os.Stat(a.absolute(dir)); err == nil {
			continue
		}
		if err := os.MkdirAll(a.absolute(dir), 0o755); err != nil {
			return created, files.CannotWrite(dir, err)
		}
		created = append(created, strings.TrimRight(dir, "/")+"/")
	}
	if scripts {
		if created, err = a.declareIn(dirs, created, types); err != nil {
			return created, err
		}
	}
	err = files.WriteNew(a.absolute(project.Name), project.Name, configTemplate(dirs))
	if err == nil {
		created = append(created, project.Name)
	} else if !errors.Is(err, fs.ErrExist) {
		return created, err
	}
	if ignored {
		created = append(created, ".gitignore")
	}
	return created, nil
}

// foldersToPrepare are the folders of the migrations, as the flags or the
// whimbrel.yaml of this very folder name them.
func (a *app) foldersToPrepare() ([]string, error) {
	if len(a.flags.dirs) > 0 {
		return a.flags.dirs, nil
	}
	if _, err := os.Stat(a.absolute(project.Name)); err != nil {
		return []string{"migrations"}, nil
	}
	p, err := project.Open("", project.Options{Folder: a.folder, Lookup: a.lookup, Hazard: problemOfHazard})
	if err != nil {
		return nil, err
	}
	return p.Folders(), nil
}

// declareIn writes the types for scripts into folders, also over older ones.
func (a *app) declareIn(dirs, created []string, types string) ([]string, error) {
	for _, dir := range dirs {
		path := filepath.Join(dir, declarationsName)
		if text, err := files.Read(a.absolute(path), files.MostConfig); err == nil && plaintext.LF(string(text)) == types {
			continue
		}
		if err := files.Overwrite(a.absolute(path), []byte(types)); err != nil {
			return created, files.CannotWrite(path, err)
		}
		created = append(created, path)
	}
	return created, nil
}

// ignore adds the development server's folder to a .gitignore.
func ignore(path string) (added bool, err error) {
	const entry = ".whimbrel/"
	text, err := files.Read(path, files.MostConfig)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, files.CannotWrite(filepath.Base(path), err)
	}
	with := plaintext.LF(string(text))
	for _, written := range []string{entry, "/" + entry, ".whimbrel", "/.whimbrel", "**/" + entry} {
		if slices.Contains(strings.Split(with, "\n"), written) {
			return false, nil
		}
	}
	if with != "" && !strings.HasSuffix(with, "\n") {
		with += "\n"
	}
	if err := files.Overwrite(path, []byte(plaintext.Like(with+entry+"\n", string(text)))); err != nil {
		return false, files.CannotWrite(filepath.Base(path), err)
	}
	return true, nil
}

// everyKey is a whimbrel.yaml that shows every key there is. A test holds it complete, and its
// values the defaults.
//
//go:embed project.yaml
var everyKey string

// configTemplate is a new whimbrel.yaml.
func configTemplate(dirs []string) string {
	if len(dirs) != 1 {
		return everyKey
	}
	folder, err := yaml.Marshal(dirs[0])
	if err != nil {
		return everyKey
	}
	return strings.Replace(everyKey, "\nmigrations: migrations\n", "\nmigrations: "+string(folder), 1)
}
