package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt"
	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/project"
)

// besideTheirs is the history's name where the other tool's table has the usual
// one.
const besideTheirs = "whimbrel_migrations"

func newAdopt(a *app) *cobra.Command {
	flags := &adoptFlags{}
	command := &cobra.Command{
		Use:   "adopt",
		Short: "Take over a project from another migration tool",
		Long: `Take a project over from another migration tool: read its files and its own
table together, show what is applied and what is pending, and record in
whimbrel's history what is applied. From then on whimbrel up, status and plan
work on the files as they lie there; --convert writes them in whimbrel's own
format instead.

The tools: ` + strings.Join(adopt.Tools(), ", ") + `.

The other tool's table is read and never changed. Meanwhile its own lock is held.
Nothing is recorded where table and files contradict each other: the message says
what to do. What has to be remembered is written to whimbrel.yaml.`,
		Example: `  whimbrel adopt --dry-run
  whimbrel adopt --from goose --dir db/migrations
  whimbrel adopt --from golang-migrate --table whimbrel_migrations
  whimbrel adopt --from flyway --their-table app.flyway_schema_history
  whimbrel adopt --convert migrations --dir old/migrations`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.adopt(command.Context(), flags)
		},
	}
	flags.add(command)
	return command
}

// adoptFlags are those of adopt.
type adoptFlags struct {
	from, theirTable, convert, unfinished string
	dryRun, allowMissing, acceptEdited    bool
	lockWait                              time.Duration
}

func (f *adoptFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.from, "from", "", "the other `TOOL` (default: what table and files look like)")
	flags.StringVar(&f.theirTable, "their-table", "", "that tool's table, `[SCHEMA.]NAME`, where it is not the usual one")
	flags.StringVar(&f.convert, "convert", "", "write the migrations in whimbrel's own format to `FOLDER`, and go on "+
		"with those")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what was found, and record and write nothing")
	flags.BoolVar(&f.allowMissing, "allow-missing", false, "adopt what is applied although its file is gone")
	flags.BoolVar(&f.acceptEdited, "accept-edited", false,
		"adopt files that were edited after they were applied, as they are now")
	flags.StringVar(&f.unfinished, "unfinished", "", "what a migration that stopped half-way counts as: `applied|pending`")
	flags.DurationVar(&f.lockWait, "lock-wait", 10*time.Second, "how long to wait until the other tool is done")
	_ = command.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(adopt.Tools(),
		cobra.ShellCompDirectiveNoFileComp))
	_ = command.RegisterFlagCompletionFunc("unfinished", cobra.FixedCompletions([]string{"applied", "pending"},
		cobra.ShellCompDirectiveNoFileComp))
}

func (f *adoptFlags) check() error {
	if f.from != "" && !slices.Contains(adopt.Tools(), f.from) {
		return project.UnknownFormat(f.from, adopt.Tools())
	}
	if !slices.Contains([]string{"", string(adopt.Applied), string(adopt.Pending)}, f.unfinished) {
		return usage("write applied or pending", "--unfinished: %q is neither", f.unfinished)
	}
	return nil
}

func (f *adoptFlags) options() adopt.Options {
	return adopt.Options{AllowMissing: f.allowMissing, AcceptEdited: f.acceptEdited,
		Unfinished: adopt.State(f.unfinished), Wait: f.lockWait}
}

// adoption is one adopt at work.
type adoption struct {
	*project.Project
	app     *app
	flags   *adoptFlags
	sources []migration.Source
	table   adopt.Table    // the other tool's
	theirs  format.Project // its files
	report  adopt.Report
	written []string     // by --convert
	kept    project.Edit // in whimbrel.yaml
}

func (a *app) adopt(ctx context.Context, flags *adoptFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	p, err := a.openFile()
	if err != nil {
		return err
	}
	d := &adoption{Project: p, app: a, flags: flags, sources: p.SourcesToAdopt()}
	if err := p.Reach(ctx); err != nil {
		return err
	}
	m, err := whimbrel.New(p.Config)
	if err != nil {
		return err
	}
	conn, err := connectTo(ctx, m)
	if err != nil {
		return err
	}
	defer dial.Close(conn)
	if err := d.find(ctx, conn); err != nil {
		return err
	}
	if err := d.chooseHistory(); err != nil {
		return err
	}
	return d.finish(d.record(ctx, conn))
}

// find finds out which tool it is, where its table is, and reads its files.
func (d *adoption) find(ctx context.Context, conn *pgx.Conn) error {
	tables, err := adopt.Find(ctx, conn, d.flags.theirTable)
	if err != nil {
		return err
	}
	looksLike := format.Detect(d.sources...)
	if named := d.NamedFormat(); named != "" {
		if err := project.KnownFormat(named); err != nil {
			return err
		}
		f, _ := format.Named(named)
		looksLike = []format.Format{f}
	}
	if d.table, err = adopt.Choose(tables, d.flags.from, d.flags.theirTable, looksLike); err != nil {
		return err
	}
	f, _ := format.Named(cmp.Or(d.NamedFormat(), d.table.Tool))
	if d.theirs, err = f.Read(d.sources...); err != nil {
		return err
	}
	d.Take(d.theirs)
	return nil
}

// chooseHistory keeps whimbrel's history apart from the other tool's table.
func (d *adoption) chooseHistory() error {
	name := cmp.Or(d.Table, whimbrel.DefaultTable)
	if name != d.table.Name && name != d.table.String() {
		return nil
	}
	if d.Table != "" {
		return usage("give it another name, as in --table "+besideTheirs,
			"%s is the table of %s: whimbrel's history cannot be in it", d.Table, d.theirs.Format.Tool)
	}
	d.Table = besideTheirs
	return nil
}

// record writes what --convert asks for, and the history.
func (d *adoption) record(ctx context.Context, conn *pgx.Conn) error {
	files, err := d.converted()
	if err != nil {
		return err
	}
	m, err := whimbrel.New(d.Config)
	if err != nil {
		return err
	}
	if d.flags.dryRun {
		if d.report, err = adopt.Preview(ctx, conn, d.table, d.theirs, d.flags.options()); err == nil &&
			d.flags.convert != "" {
			err = d.app.vacantBut(d.flags.convert, files)
		}
		return err
	}
	err = d.app.beside(func() error {
		d.report, err = adopt.Adopt(ctx, conn, d.table, d.theirs, m, d.flags.options())
		return err
	}, d.flags.convert, files)
	if err != nil {
		return err
	}
	for _, file := range files {
		d.written = append(d.written, file.Name)
	}
	d.kept, err = d.File.Add(d.toSettle())
	return err
}

// converted are the files that --convert is to write. Each is read again
// beforehand: it must be the same migration to the history.
func (d *adoption) converted() (files []format.Written, err error) {
	if d.flags.convert == "" {
		return nil, nil
	}
	own, _ := format.Named(format.Own)
	for _, m := range d.Migrations {
		if m.Unfit != nil {
			problem := *m.Unfit
			problem.Remedy = "adopt the folder without --convert, or: " + problem.Remedy
			return nil, &problem
		}
		written, err := own.Write(m)
		if err != nil {
			return nil, err
		}
		again, err := migration.Parse(written[0].Name, written[0].Text)
		if err != nil {
			return nil, err
		}
		if again.Checksum != m.Checksum || !again.Version.Equal(m.Version) {
			return nil, &whimbrel.Error{Code: whimbrel.CodeInternal, Path: m.Path,
				Message: "it would be another migration in whimbrel's own format",
				Remedy:  "adopt the folder without --convert, and report this as a fault of whimbrel's"}
		}
		files = append(files, written...)
	}
	return files, nil
}

// toSettle are the lines of whimbrel.yaml without which the next command would
// not find what this one found.
func (d *adoption) toSettle() []project.Setting {
	var lines []project.Setting
	dirs := d.flags.convert
	if dirs == "" && len(d.sources) == 1 {
		dirs = d.sources[0].Label
	}
	if dirs != "" {
		lines = append(lines, project.Setting{Key: "migrations", Value: d.BesideFile(dirs)})
	}
	if d.flags.convert == "" {
		lines = append(lines, project.Setting{Key: "format", Value: d.theirs.Format.Name})
	}
	if d.Table != "" && d.Table != d.Database.Table {
		lines = append(lines, project.Setting{Key: "table", Value: d.Table})
	}
	return lines
}

// finish shows what was found and what was done, also where that failed.
func (d *adoption) finish(err error) error {
	if d.app.flags.json {
		if err == nil {
			d.app.object(d.describe())
		}
		return err
	}
	if text := d.render(); text != "" {
		d.app.say("%s", strings.TrimRight(text, "\n"))
	}
	return err
}

// connectTo opens a connection as the engine's are opened, which has the words for what is
// refused.
func connectTo(ctx context.Context, m *whimbrel.Migrator) (*pgx.Conn, error) {
	connection := m.Connection()
	connection.RuntimeParams["application_name"] = "whimbrel adopt"
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := dial.Open(ctx, connection)
	if err == nil {
		return conn, nil
	}
	if _, refused := m.Status(ctx); refused != nil {
		return nil, refused
	}
	return nil, &whimbrel.Error{Code: whimbrel.CodeConnection, Message: fmt.Sprintf("cannot connect to %s:%d: %v",
		connection.Host, connection.Port, err),
		Remedy: "check that the server runs there, and that user, password and database are right", Err: err}
}
