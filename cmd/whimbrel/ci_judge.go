//go:build !lean

package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/pipeline"
	"github.com/whimbrel-db/whimbrel/project"
	"github.com/whimbrel-db/whimbrel/trial"
)

// ci judges a change and reports.
func (a *app) ci(ctx context.Context, flags *ciFlags) error {
	a.needsWalls = !flags.unsandboxed
	options, err := a.ciOptions(ctx, flags)
	if err != nil {
		return err
	}
	report, err := pipeline.Run(ctx, options)
	report = spokenReport(report)
	if err != nil {
		return err
	}
	if err := a.reportCI(report, flags); err != nil {
		return err
	}
	switch failed := report.Failed(); {
	case failed == "":
		return nil
	case failed == pipeline.Files, failed == pipeline.Lint && report.Lint != nil && report.Lint.Malformed():
		return malformedError{}
	case failed == pipeline.Lint, failed == pipeline.Settings:
		return refusedError{}
	case failed == pipeline.Merged, failed == pipeline.Applied:
		return differenceError{}
	}
	return failedTestError{}
}

// ciOptions says what is to be judged.
func (a *app) ciOptions(ctx context.Context, flags *ciFlags) (options pipeline.Options, err error) {
	p, err := a.project()
	if err != nil {
		return options, err
	}
	options = pipeline.Options{Base: a.base(flags.base), Accepted: flags.acceptConfig}
	if options.Altered, err = p.Altered(ctx, options.Base); err != nil || len(options.Altered) > 0 &&
		!options.Accepted {
		return options, err
	}
	loading := a.load(p)
	if err := a.withhold(p, flags.scriptEnv); err != nil {
		return options, err
	}
	if loading != nil && len(migration.Problems(loading)) == 0 {
		return options, loading
	}
	if loading == nil {
		if err := a.checkSet(p); err != nil {
			return options, err
		}
		loading = compileScripts(ctx, p.Scripts, p.Migrations)
	}
	options.Config, options.Loading = p.Config, loading
	options.Lint = lint.Options{Severities: ofHazards(p), Major: p.File.Lint.PGVersion}
	options.Rehearse = !flags.noRehearsal && (p.File.Lint.Rehearsal == nil || *p.File.Lint.Rehearsal)
	options.Timeout = flags.timeout
	options.Target = a.flags.env != "" || a.flags.databaseURL != "" || a.flags.dev
	options.Progress = func(message string) { a.note("%s", a.errStyle.Faint(message)) }
	for _, folder := range p.Folders() {
		options.Folders, options.Labels = append(options.Folders, a.absolute(folder)), append(options.Labels,
			filepath.ToSlash(folder))
	}
	if options.Target && loading == nil {
		target, err := a.open(ctx)
		if err != nil {
			return options, err
		}
		options.Config = target.Config
		options.Config.Scripts = p.Scripts // which see less here
	}
	if options.Sandbox, err = a.sandbox(p); err != nil {
		return options, err
	}
	options.Sandbox.Missing = nil // the report says it
	if !flags.noTest {
		options.Trial = &trial.Options{Jobs: 1, Major: p.File.Lint.PGVersion, Progress: options.Progress}
		if options.Trial.Connection, err = a.rehearsalServer(ctx); err != nil {
			return options, err
		}
		err = a.findTests(options.Trial, flags.tests, p)
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
	switch {
	case a.flags.json:
		a.object(struct {
			Passed bool `json:"passed"`
			pipeline.Report
		}{report.Passed(), report})
	default:
		a.say("%s", strings.TrimRight(report.Text(a.style), "\n"))
		if inGitHub { // whatever is quiet: the platform reads it
			if _, err := a.out.Write([]byte(present.GitHub(report.Notes()))); err != nil {
				return err
			}
		}
	}
	for _, wanted := range []struct {
		name string
		text func() ([]byte, error)
	}{
		{flags.junit, report.JUnit},
		{flags.codeQuality, func() ([]byte, error) { return present.GitLab(report.Notes()) }},
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
			err = a.writeReport(wanted.name, string(text))
		}
		if err != nil {
			return files.CannotWrite(wanted.name, err)
		}
	}
	return a.stepSummary(report.Markdown())
}

// spokenReport is a report for a pull request in the words of the command line.
func spokenReport(r pipeline.Report) pipeline.Report {
	for i := range r.Steps {
		r.Steps[i].Message = commandLine(r.Steps[i].Message)
		for j := range r.Steps[i].Notes {
			r.Steps[i].Notes[j].Message = commandLine(r.Steps[i].Notes[j].Message)
		}
	}
	return r
}

// withhold leaves scripts only those variables of the environment that the caller names:
// the change wrote them, and says what they print.
func (a *app) withhold(p *project.Project, named []string) error {
	var unseen []string
	for _, name := range p.File.Scripts.Environment {
		if _, set := a.lookup(name); set && !slices.Contains(named, name) {
			unseen = append(unseen, name)
		}
	}
	for _, name := range named {
		if !slices.Contains(p.File.Scripts.Environment, name) {
			return usage("add it to scripts.environment in whimbrel.yaml", "--script-env: scripts may not see %s", name)
		}
	}
	p.File.Scripts.Environment = named
	p.Scripts = scriptRuntime(p.File.Scripts)
	if len(unseen) > 0 && slices.ContainsFunc(p.Migrations,
		func(m migration.Migration) bool { return m.Kind == migration.Script }) {
		a.note("%s scripts see no variable of the environment here (%s): --script-env NAME lets them see one",
			a.errStyle.Warning("!"), strings.Join(unseen, ", "))
	}
	return nil
}
