package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/adopt"
	"github.com/whimbrel-db/whimbrel/adopt/format"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/project"
)

// exportFlags are those of export.
type exportFlags struct {
	to, theirTable string
	history        bool
}

func newExport(a *app) *cobra.Command {
	flags := &exportFlags{}
	command := &cobra.Command{
		Use:   "export --to TOOL FOLDER",
		Short: "Write the migrations in the format of another tool",
		Long: `Write the migrations in the format of another tool, so that nobody is bound to
whimbrel: ` + strings.Join(exportFormats(), ", ") + `.

With --history that tool's own table is created too, with what is applied, so
that the tool goes on where whimbrel stopped. Whimbrel's history stays.

What a format cannot hold (scripts, backfills, variables, …) is an error; nothing
is written then.`,
		Example: `  whimbrel export --to goose exported
  whimbrel export --to flyway --history exported
  whimbrel export --to golang-migrate --history --their-table migrate_versions exported`,
		Args: arguments(1, 1, "--to TOOL FOLDER"),
		RunE: func(command *cobra.Command, args []string) error {
			return a.export(command.Context(), flags, args[0])
		},
	}
	set := command.Flags()
	set.StringVar(&flags.to, "to", "", "the `TOOL`")
	set.BoolVar(&flags.history, "history", false, "create that tool's table, too, with what is applied")
	set.StringVar(&flags.theirTable, "their-table", "",
		"the name of that table, `[SCHEMA.]NAME`, where it is not to be the usual one")
	_ = command.RegisterFlagCompletionFunc("to", cobra.FixedCompletions(exportFormats(),
		cobra.ShellCompDirectiveNoFileComp))
	return command
}

// exportFormats are the formats that can be written.
func exportFormats() []string {
	return format.Names(func(f format.Format) bool { return f.Writes() && f.Name != format.Own })
}

// exportJSON is what export prints with --json.
type exportJSON struct {
	Format string   `json:"format"`
	Folder string   `json:"folder"`
	Files  []string `json:"files"`
	Table  string   `json:"table,omitempty"`
	Rows   int      `json:"rows"`
}

func (f *exportFlags) check() error {
	switch {
	case f.to == "":
		return usage("say which by --to "+exportFormats()[0], "which tool is it for?")
	case !slices.Contains(exportFormats(), f.to):
		return project.UnknownFormat(f.to, exportFormats())
	case f.theirTable != "" && !f.history:
		return usage("add --history", "--their-table is for --history")
	}
	return nil
}

func (a *app) export(ctx context.Context, flags *exportFlags, dir string) error {
	if err := flags.check(); err != nil {
		return err
	}
	if err := a.vacant(dir); err != nil {
		return err
	}
	to, _ := format.Named(flags.to)
	out := exportJSON{Format: to.Name, Folder: dir, Files: []string{}}
	var err error
	if flags.history {
		err = a.exportWithHistory(ctx, flags, to, &out)
	} else {
		err = a.exportFiles(to, &out)
	}
	if err != nil {
		return err
	}
	if a.flags.json {
		a.object(out)
		return nil
	}
	a.say("%s %s in the format of %s written to %s", a.style.Good("✓"), present.Plural(len(out.Files), "file"), to.Tool,
		dir)
	if flags.history {
		a.say("%s %s written to %s, which is new", a.style.Good("✓"), present.Plural(out.Rows, "row"), out.Table)
		a.say("\n%s", a.style.Faint("Do not run whimbrel on this database any more: it would not see what "+to.Tool+
			" does."))
	}
	return nil
}

// exportFiles needs no database.
func (a *app) exportFiles(to format.Format, out *exportJSON) error {
	p, err := a.project()
	if err != nil {
		return err
	}
	if err := a.load(p); err != nil {
		return err
	}
	exported, err := adopt.Export(to, p.Migrations, nil)
	if err != nil {
		return err
	}
	return a.writeExported(exported, out, func() error { return nil })
}

// writeExported writes files, and before they are in their place what goes with them.
func (a *app) writeExported(exported []adopt.Exported, out *exportJSON, history func() error) error {
	var files []format.Written
	for _, e := range exported {
		files = append(files, e.Files...)
	}
	for _, file := range files {
		out.Files = append(out.Files, file.Name)
	}
	return a.beside(history, out.Folder, files)
}

func (a *app) exportWithHistory(ctx context.Context, flags *exportFlags, to format.Format, out *exportJSON) error {
	p, err := a.open(ctx)
	if err != nil {
		return err
	}
	m, err := whimbrel.New(p.Config)
	if err != nil {
		return err
	}
	status, err := m.Status(ctx)
	if err != nil {
		return err
	}
	if status.Holder != nil {
		return &whimbrel.Error{Code: whimbrel.CodeLeaseHeld, Message: holderText(*status.Holder),
			Remedy: "wait until that run is over, and export again"}
	}
	for _, applied := range status.Applied {
		if applied.Missing {
			return &whimbrel.Error{Code: whimbrel.CodeMissingFile, Version: applied.Version, Name: applied.Name,
				Message: fmt.Sprintf("%s is applied, and has no file that could be exported", applied.Version),
				Remedy:  "use the checkout that has it"}
		}
	}
	exported, err := adopt.Export(to, p.Migrations, status.Applied)
	if err != nil {
		return err
	}
	conn, err := connectTo(ctx, m)
	if err != nil {
		return err
	}
	defer dial.Close(conn)
	return a.writeExported(exported, out, func() error {
		out.Table, out.Rows, err = adopt.WriteHistory(ctx, conn, to, flags.theirTable, exported)
		return err
	})
}
