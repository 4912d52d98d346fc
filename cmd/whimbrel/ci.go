package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel/annotation"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/pipeline"
	"github.com/whimbrel-db/whimbrel/trial"
)

// ciFlags are the flags of ci.
type ciFlags struct {
	base, sarif, junit, codeQuality, comment, tests string
	noRehearsal, noTest                             bool
}

func newCI(a *app) *cobra.Command {
	flags := &ciFlags{}
	command := &cobra.Command{
		Use:   "ci",
		Short: "All that a pull request with migrations needs: one command, one status, the platform's annotations",
		Long: `Judge a change of migrations, step by step:

  files     they can be read, and are in order
  merged    those that are merged into --base are as they were; new ones are newer
  applied   what the target has run is what the files say (with --env or --database-url)
  lint      what is new harms no database in use; rehearsed on a throw-away server
  test      what is new goes up, down and up again
  plan      what would run on the target

In GitHub Actions it annotates the changed lines and writes the job's summary; for
others there are reports. It ends in 2 for malformed files, 5 where merged or applied
migrations were changed, 3 for a hazard, 1 for a failed test: the first that is so.

The base is, unless it is given, that of the pull request (GITHUB_BASE_REF,
CI_MERGE_REQUEST_DIFF_BASE_SHA). Without one every migration counts as new.`,
		Example: `  whimbrel ci --base origin/main
  whimbrel ci --junit report.xml --code-quality gl-code-quality-report.json
  whimbrel ci --sarif whimbrel.sarif --comment comment.md
  whimbrel ci --env staging         # also against what is there`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error { return a.ci(command.Context(), flags) },
	}
	set := command.Flags()
	set.StringVar(&flags.base, "base", "", "the `REVISION` of git that the change is to go into")
	set.StringVar(&flags.sarif, "sarif", "", "write what lint found to `FILE`, as SARIF")
	set.StringVar(&flags.junit, "junit", "", "write a report in JUnit's format to `FILE`")
	set.StringVar(&flags.codeQuality, "code-quality", "", "write a report for GitLab to `FILE`")
	set.StringVar(&flags.comment, "comment", "", "write a comment in Markdown to `FILE`")
	set.StringVar(&flags.tests, "tests", "", "the `FOLDER` of rows and queries for the tests (default \"tests\" beside whimbrel.yaml, if it is there)")
	set.BoolVar(&flags.noRehearsal, "no-rehearsal", false, "judge by the text alone")
	set.BoolVar(&flags.noTest, "no-test", false, "test nothing")
	return command
}

// ci judges a change and reports.
func (a *app) ci(ctx context.Context, flags *ciFlags) error {
	options, err := a.ciOptions(ctx, flags)
	if err != nil {
		return err
	}
	report, err := pipeline.Run(ctx, options)
	if err != nil {
		return err
	}
	if err := a.reportCI(report, flags); err != nil {
		return err
	}
	switch report.Failed() {
	case "":
		return nil
	case pipeline.Files:
		return malformedError{}
	case pipeline.Lint:
		return refusedError{}
	case pipeline.Merged, pipeline.Applied:
		return differenceError{}
	}
	return failedTestError{}
}

// ciOptions says what is to be judged.
func (a *app) ciOptions(ctx context.Context, flags *ciFlags) (options pipeline.Options, err error) {
	file, err := a.config()
	if err != nil {
		return options, err
	}
	migrations, loading := a.load(file)
	if loading != nil && len(migration.Problems(loading)) == 0 {
		return options, loading
	}
	if loading == nil {
		if err := a.checkSet(migrations); err != nil {
			return options, err
		}
	}
	options = pipeline.Options{
		Config: a.settings(file, migrations), Loading: loading, Base: a.base(flags.base),
		Lint:     lint.Options{Severities: lint.Severities(file.Lint.Hazards), Major: file.Lint.PGVersion},
		Rehearse: !flags.noRehearsal && (file.Lint.Rehearsal == nil || *file.Lint.Rehearsal),
		Target:   a.flags.env != "" || a.flags.databaseURL != "" || a.flags.dev,
		Progress: func(message string) { a.note("%s", a.errPalette.faint(message)) },
	}
	for _, folder := range a.migrationFolders(file) {
		options.Folders, options.Labels = append(options.Folders, a.absolute(folder)), append(options.Labels, filepath.ToSlash(folder))
	}
	if options.Target && loading == nil {
		p, err := a.open(ctx)
		if err != nil {
			return options, err
		}
		options.Config = p.config
	}
	if !flags.noTest {
		options.Trial = &trial.Options{Jobs: 1, Major: file.Lint.PGVersion, Progress: options.Progress}
		err = a.findTests(options.Trial, flags.tests, file)
	}
	return options, err
}

// base is the revision that a change is to go into: as it was given, or as the
// platform says. GitHub writes the first push to a branch as nothing but zeros.
func (a *app) base(given string) string {
	switch {
	case given != "":
		if strings.Trim(given, "0") == "" {
			return ""
		}
		return given
	case a.variable("GITHUB_BASE_REF") != "":
		return "origin/" + a.variable("GITHUB_BASE_REF")
	}
	return a.variable("CI_MERGE_REQUEST_DIFF_BASE_SHA")
}

// reportCI shows the report, and writes it to the files that were named.
func (a *app) reportCI(report pipeline.Report, flags *ciFlags) error {
	inGitHub := a.variable("GITHUB_ACTIONS") == "true"
	switch p := a.palette; {
	case a.flags.json:
		a.object(struct {
			Passed bool `json:"passed"`
			pipeline.Report
		}{report.Passed(), report})
	default:
		a.say("%s", strings.TrimRight(report.Text(pipeline.Style{Good: p.good, Warning: p.warn, Error: p.bad, Faint: p.faint, Strong: p.strong}), "\n"))
		if inGitHub { // whatever is quiet: the platform reads it
			if _, err := a.out.Write([]byte(annotation.GitHub(report.Notes()))); err != nil {
				return err
			}
		}
	}
	for _, wanted := range []struct {
		name string
		text func() ([]byte, error)
	}{
		{flags.junit, report.JUnit},
		{flags.codeQuality, func() ([]byte, error) { return annotation.GitLab(report.Notes()) }},
		{flags.comment, func() ([]byte, error) { return []byte(report.Markdown()), nil }},
		{flags.sarif, func() ([]byte, error) {
			found := lint.Report{}
			if report.Lint != nil {
				found = *report.Lint
			}
			return found.SARIF(build().Version)
		}},
	} {
		if wanted.name == "" {
			continue
		}
		text, err := wanted.text()
		if err == nil {
			err = os.WriteFile(a.absolute(wanted.name), []byte(a.redactor.clean(string(text))), 0o644)
		}
		if err != nil {
			return cannotWrite(wanted.name, err)
		}
	}
	return a.stepSummary(report.Markdown())
}
