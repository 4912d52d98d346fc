package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/squash"
)

// archiveName is the folder, in that of the migrations, for files that were
// squashed. Its first character makes Load leave it alone.
const archiveName = "_squashed"

// squashFlags are the flags of squash that Options does not have as they are.
type squashFlags struct {
	options             squash.Options
	to                  string
	dryRun, delete, yes bool
}

func newSquash(a *app) *cobra.Command {
	flags := &squashFlags{}
	command := &cobra.Command{
		Use:   "squash --to VERSION",
		Short: "Squash the oldest migrations into one, and prove it equivalent",
		Long: `Make one migration of all those up to VERSION: a baseline, written by pg_dump
from the schema that they make. It is proved on throw-away servers, by the
schema and the kept rows, also together with the newer migrations. No other
database is touched.

A new database runs the baseline in place of them. A database that has them all
goes on without running it; one that has only some is refused until it has the
rest. A baseline cannot be rolled back.

Rows that the migrations put into tables are kept where --keep-data names the
table. The old files are moved into the folder _squashed beside them, which is
left alone, or deleted with --delete.`,
		Example: `  whimbrel squash --to 20240115120000 --dry-run > baseline.sql
  whimbrel squash --to 20240115120000 --keep-data countries --keep-data currencies
  whimbrel squash --to 20240115120000 --drop-data --delete --yes`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.squash(command.Context(), flags)
		},
	}
	o, set := &flags.options, command.Flags()
	set.StringVar(&flags.to, "to", "", "the `VERSION` of the newest migration to be squashed")
	set.StringSliceVar(&o.KeepData, "keep-data", nil, "keep the rows of `TABLE`; may be given several times")
	set.BoolVar(&o.DropData, "drop-data", false, "let the rows of all other tables go")
	set.IntVar(&o.Major, "pg-version", 0, "the `MAJOR` version of PostgreSQL (default the newest that the machine has)")
	set.BoolVar(&flags.dryRun, "dry-run", false, "print the baseline, and leave the files as they are")
	set.BoolVar(&flags.delete, "delete", false, "delete the old files; by default they are moved into "+archiveName)
	set.BoolVarP(&flags.yes, "yes", "y", false, "do not ask")
	_ = command.MarkFlagRequired("to")
	return command
}

// squashed is what squash prints with --json.
type squashed struct {
	squash.Baseline
	Path    string   `json:"path"`
	Members []string `json:"members"`           // the old files
	Archive string   `json:"archive,omitempty"` // the folder to which they were moved
	Deleted bool     `json:"deleted"`
	DryRun  bool     `json:"dry_run"`
}

// MarshalJSON writes durations in milliseconds.
func (s squashed) MarshalJSON() ([]byte, error) { return millis.Marshal(&s) }

// squash makes a baseline and puts it in the place of its members.
func (a *app) squash(ctx context.Context, flags *squashFlags) error {
	a.needsServers = true
	version, err := versionOf(flags.to)
	if err != nil {
		return err
	}
	p, err := a.openFolder()
	if err != nil {
		return err
	}
	options := flags.options
	if options.Sandbox, err = a.sandbox(p); err != nil {
		return err
	}
	options.To, options.Project, options.Policy = version, p.Project, p.Policy
	options.Stop = a.interruption.gently()
	if a.errTerminal && !a.flags.json {
		options.Progress = func(message string) { a.note("%s", a.errStyle.Faint(message)) }
	}
	baseline, err := squash.Run(ctx, options)
	if err != nil {
		return err
	}
	done := squashed{Baseline: baseline, DryRun: flags.dryRun, Deleted: flags.delete && !flags.dryRun}
	for _, m := range baseline.Members {
		done.Members = append(done.Members, m.Path)
	}
	folder := filepath.Dir(filepath.FromSlash(baseline.Members[len(baseline.Members)-1].Path))
	done.Path = filepath.ToSlash(filepath.Join(folder, baseline.File))
	if !flags.dryRun {
		if err := a.agreed(ctx, flags, done); err != nil {
			return err
		}
		if err := a.replaceSquashed(&done); err != nil {
			return err
		}
	}
	a.reportSquashed(done)
	return nil
}

// agreed shows what was proved and asks whether to go on.
func (a *app) agreed(ctx context.Context, flags *squashFlags, done squashed) error {
	if !flags.yes {
		a.note("%s", provedText(done))
	}
	what := "moved into " + archiveName
	if flags.delete {
		what = "deleted"
	}
	return a.sure(ctx, fmt.Sprintf("Write %s? The %d old files are %s.", done.Path, len(done.Members), what), flags.yes)
}

// replaceSquashed writes the baseline and takes the old files away. The baseline
// is written first, under a name that is left alone, and gets its own when the
// last of them is gone: whatever happens, nothing is lost, and no command runs
// both.
func (a *app) replaceSquashed(done *squashed) error {
	path := a.absolute(filepath.FromSlash(done.Path))
	draft := filepath.Join(filepath.Dir(path), "_"+filepath.Base(path))
	if err := files.Overwrite(draft, []byte(done.Text)); err != nil {
		return files.CannotWrite(done.Path, err)
	}
	for _, member := range done.Members {
		old := a.absolute(filepath.FromSlash(member))
		if done.Deleted {
			if err := os.Remove(old); err != nil {
				return files.CannotWrite(member, err)
			}
			continue
		}
		archive := filepath.Join(filepath.Dir(old), archiveName)
		done.Archive = filepath.ToSlash(files.Shown(a.folder, archive))
		if err := moveInto(archive, old); err != nil {
			return files.CannotWrite(member, err)
		}
	}
	if err := os.Rename(draft, path); err != nil {
		return files.CannotWrite(done.Path, err)
	}
	return nil
}

// moveInto moves a file into a folder, where nothing is overwritten: of a file
// that is there already, the new one gets another name.
func moveInto(folder, file string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	to := filepath.Join(folder, filepath.Base(file))
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); err != nil {
			break
		}
		to = filepath.Join(folder, fmt.Sprintf("%s.%d", filepath.Base(file), n))
	}
	return os.Rename(file, to)
}

func (a *app) reportSquashed(done squashed) {
	switch {
	case a.flags.json:
		a.object(done)
	case done.DryRun:
		_, _ = fmt.Fprint(a.out, done.Text)
		a.note("%s", provedText(done))
	default:
		old := "The old files are deleted."
		if !done.Deleted {
			old = "The old files are in " + done.Archive + "."
		}
		a.say("%s %s replaces %s. %s", a.style.Good("✓"), done.Path, present.Plural(len(done.Members), "migration"), old)
		if len(done.Members) > 0 {
			a.say("%s", provedText(done))
		}
	}
}

// provedText says what the baseline is and what was proved of it.
func provedText(done squashed) string {
	text := fmt.Sprintf("%s in %s; proved on PostgreSQL %s: the same schema", present.Plural(done.Statements, "statement"),
		done.File, done.Server)
	if len(done.Kept) > 0 {
		text += " and the same rows in " + rowsText(done.Kept)
	}
	if done.Rest > 0 {
		text += ", also with the " + present.Plural(done.Rest, "newer migration")
	}
	if len(done.Dropped) > 0 {
		text += "\nnot in it are the rows of " + rowsText(done.Dropped)
	}
	return text
}

func rowsText(tables []squash.Rows) string {
	var all []string
	for _, t := range tables {
		all = append(all, fmt.Sprintf("%s (%d)", t.Table, t.Count))
	}
	return strings.Join(all, ", ")
}
