package main

import (
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/migration"
)

func newCreate(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "create NAME",
		Short: "Create an empty migration and print its path",
		Long: `Create an empty migration in the project's folder and print its path. Its version
is the time, in UTC, and comes after all others.`,
		Example: `  whimbrel create add_users
  whimbrel create "Add an index to users" --dir db/migrations`,
		Args: arguments(1, 1, "NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := a.create(args[0], time.Now())
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
}

// createJSON is what create prints with --json.
type createJSON struct {
	Path string `json:"path"`
}

// create writes a new migration and gives its path as the user would write it.
func (a *app) create(name string, now time.Time) (string, error) {
	file, err := a.config()
	if err != nil {
		return "", err
	}
	dirs := a.migrationFolders(file)
	if len(dirs) > 1 {
		return "", usage("name one with --dir", "there are several folders of migrations")
	}
	if err := os.MkdirAll(a.absolute(dirs[0]), 0o755); err != nil {
		return "", cannotWrite(dirs[0], err)
	}
	existing, err := a.load(file)
	if err != nil {
		return "", err
	}
	base, content, err := migration.Template("sql", migration.NextVersion(existing, now), name, a.author(), now)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dirs[0], base)
	return path, writeNew(a.absolute(path), path, content)
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

// writeNew writes a file that does not exist yet. It never overwrites one.
func writeNew(path, shown, content string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return cannotWrite(shown, err)
	}
	if _, err := file.WriteString(content); err != nil {
		_ = file.Close()
		return cannotWrite(shown, err)
	}
	if err := file.Close(); err != nil {
		return cannotWrite(shown, err)
	}
	return nil
}

func cannotWrite(path string, err error) error {
	return &whimbrel.Error{
		Code: whimbrel.CodeConfiguration, Path: path, Message: "cannot be written: " + reasonOf(err).Error(),
		Remedy: "check its folder and your rights", Err: err,
	}
}
