package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/project"
	"github.com/whimbrel-db/whimbrel/trial"
)

// testFlags are the flags of test that Options does not have as they are.
type testFlags struct {
	options         trial.Options
	tests           string
	junit, markdown string
}

func newTest(a *app) *cobra.Command {
	flags := &testFlags{}
	command := &cobra.Command{
		Use:   "test",
		Short: "Prove that migrations go up, down and up again",
		Long: `Take every migration up, down and up again on a throw-away database, and
compare: what is there after the down is what was there before, and what is
there after the second up is what was there after the first. Rows and queries
in the folder of tests are looked after as well. Measured are times, locks,
rewrites and scans.

The server is one of its own, or that of TEST_DB_HOST, TEST_DB_PORT,
TEST_DB_NAME, TEST_DB_USER and TEST_DB_PASSWORD, where it makes databases of
its own and touches no other. A failure ends in status 1.`,
		Example: `  whimbrel test
  whimbrel test --only add_emails --keep
  whimbrel test --changed-since origin/main --junit report.xml
  whimbrel test --at-scale 100000 --jobs 2`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			return a.test(command.Context(), flags)
		},
	}
	o, set := &flags.options, command.Flags()
	set.StringVar(&flags.tests, "tests", "", "the `FOLDER` of rows and queries (default \"tests\" beside whimbrel.yaml, "+
		"if it is there)")
	set.StringSliceVar(&o.Only, "only", nil, "test these migrations, by `VERSION` or name, and just apply the others")
	set.StringVar(&o.From, "from", "", "test from the migration of this `VERSION` or name on")
	set.StringVar(&o.ChangedSince, "changed-since", "",
		"test the migrations whose files were changed in git since `REVISION`")
	set.IntVar(&o.AtScale, "at-scale", 0, "fill every table with `N` generated rows before a migration is tested")
	set.IntVar(&o.Jobs, "jobs", 1, "work on `N` databases at once")
	set.IntVar(&o.Major, "pg-version", 0, "the `MAJOR` version of PostgreSQL (default what the machine has)")
	set.BoolVar(&o.Keep, "keep", false, "keep the databases for a look, and say how to connect")
	set.StringVar(&flags.junit, "junit", "", "write a report in JUnit's format to `FILE`")
	set.StringVar(&flags.markdown, "markdown", "", "write a report in Markdown to `FILE`")
	return command
}

// test runs the tester and shows its report.
func (a *app) test(ctx context.Context, flags *testFlags) error {
	options := flags.options
	p, err := a.openFolder()
	if err != nil {
		return err
	}
	if err := compileScripts(ctx, p.Scripts, p.Migrations); err != nil {
		return err
	}
	options.Project, options.Policy, options.Table = p.Project, p.Policy, p.Table
	options.Stop = a.interruption.gently()
	if options.Sandbox, err = a.sandbox(p); err != nil {
		return err
	}
	if options.Connection, err = a.rehearsalServer(ctx); err != nil {
		return err
	}
	if options.Connection == nil && options.Keep {
		a.tellOfWalls(onDevelopmentServer)
	}
	if err := a.findTests(&options, flags.tests, p); err != nil {
		return err
	}
	options.Repository, options.KeepIn = a.folder, filepath.Join(p.File.Place, ".whimbrel")
	options.Progress = func(message string) { a.note("%s", message) }
	options.Listener = a.testing()
	report, err := trial.Run(ctx, options)
	if written := a.reportTests(flags, report); err == nil {
		err = written
	}
	if err == nil && !report.OK() {
		return failedTestError{}
	}
	return err
}

// testServer is the server that TEST_DB_* names; nil where none is named.
func (a *app) testServer() (*pgx.ConnConfig, error) {
	if err := a.unwrapPG(); err != nil {
		return nil, err
	}
	var remarks []string
	connection, err := trial.FromEnvironment(dial.Unwrapping(a.lookup, dial.UnwrapVariable, &remarks))
	for _, remark := range remarks {
		a.remark(remark)
	}
	if err != nil || connection == nil {
		return nil, err
	}
	a.redactor.Password(connection.Password)
	return connection, nil
}

// findTests opens the folder of rows and queries: the one that was named, or
// the usual one if it is there.
func (a *app) findTests(options *trial.Options, named string, p *project.Project) error {
	folder := named
	if folder == "" {
		folder = files.Shown(a.folder, filepath.Join(p.File.Place, "tests"))
	}
	info, err := os.Stat(a.absolute(folder))
	if err == nil && info.IsDir() {
		options.Tests, options.TestsLabel = migration.Folder(a.absolute(folder)), filepath.ToSlash(folder)
		return nil
	}
	if named == "" {
		return nil
	}
	return usage("name the folder of the tests with --tests", "folder %s does not exist", named)
}

// testing says on a terminal, where a test takes its time, how far it is.
func (a *app) testing() trial.Listener {
	if a.flags.json || a.flags.quiet || !a.errTerminal {
		return nil
	}
	return func(event trial.Event) {
		if tested, ok := event.(trial.Tested); ok {
			a.note("%s", a.errStyle.Faint(present.OneLine(fmt.Sprintf("%d of %d  %s", tested.Done, tested.Total,
				tested.Result.Line()), 100)))
		}
	}
}

// reportTests shows the report, and writes it to the files that were named.
func (a *app) reportTests(flags *testFlags, report trial.Report) error {
	if len(report.Migrations) == 0 && report.Server == "" {
		return nil // it did not come to a test
	}
	if a.flags.json {
		a.object(report)
	} else {
		a.say("%s", strings.TrimRight(report.Text(a.style, a.flags.verbose), "\n"))
	}
	if flags.markdown != "" {
		if err := a.writeReport(flags.markdown, report.Markdown()); err != nil {
			return files.CannotWrite(flags.markdown, err)
		}
	}
	if flags.junit == "" {
		return nil
	}
	text, err := report.JUnit()
	if err == nil {
		err = a.writeReport(flags.junit, string(text))
	}
	if err != nil {
		return files.CannotWrite(flags.junit, err)
	}
	return nil
}
