//go:build !lean

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/devdb"
	"github.com/whimbrel-db/whimbrel/internal/dial"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/plaintext"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/internal/sandbox"
	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/trial"
)

// lint judges migrations and shows what it found.
func (a *app) lint(ctx context.Context, flags *lintFlags, files []string) error {
	if done, err := a.tellOfHazards(flags); done || err != nil {
		return err
	}
	if !slices.Contains(lintFormats, flags.format) {
		return usage("write one of "+strings.Join(lintFormats, ", "), "unknown format %q", flags.format)
	}
	l, err := a.lintee(ctx, flags, files)
	if err != nil {
		return err
	}
	if flags.fix {
		return a.fix(ctx, l, flags)
	}
	report, err := a.judge(ctx, l, flags)
	if err != nil {
		return err
	}
	if err := a.showLint(report, flags); err != nil {
		return err
	}
	switch {
	case report.Malformed():
		return malformedError{}
	case report.Count(lint.Error) > 0 || report.Stopped != "":
		return refusedError{}
	}
	return nil
}

// tellOfHazards answers --list and --explain, which judge nothing.
func (a *app) tellOfHazards(flags *lintFlags) (done bool, err error) {
	switch {
	case flags.all && a.flags.json:
		a.object(lint.Hazards())
	case flags.all:
		a.say("%s", renderHazards(a.style))
	case flags.explain != "":
		h, known := lint.Lookup(flags.explain)
		if !known {
			return false, usage("see whimbrel lint --list", "%s", unknownHazard(flags.explain))
		}
		if a.flags.json {
			a.object(h)
		} else {
			a.say("%s", strings.TrimRight(renderHazard(a.style, h), "\n"))
		}
	default:
		return false, nil
	}
	return true, nil
}

// lintee is what is judged, and how.
type lintee struct {
	migrations []migration.Migration
	options    lint.Options
	applied    map[migration.Version]bool // by the database, if one was asked
	scripts    whimbrel.Runtime
	tool       string // in whose format they are; "" for whimbrel's own
	sandbox    devdb.Furnishing
	rehearse   bool
}

// lintee finds out what is to be judged.
func (a *app) lintee(ctx context.Context, flags *lintFlags, files []string) (lintee, error) {
	p, err := a.project()
	if err != nil {
		return lintee{}, err
	}
	l := lintee{scripts: p.Scripts}
	l.options = lint.Options{Severities: ofHazards(p), Major: p.File.Lint.PGVersion, Down: flags.down}
	if flags.major != 0 {
		l.options.Major = flags.major
	}
	l.rehearse = !flags.noRehearsal && !flags.down && (p.File.Lint.Rehearsal == nil || *p.File.Lint.Rehearsal)
	if l.sandbox, err = a.sandbox(p); err != nil {
		return l, err
	}
	if err := a.load(p); err != nil {
		return l, err
	}
	if err := a.checkSet(p); err != nil {
		return l, err
	}
	if err := compileScripts(ctx, l.scripts, p.Migrations); err != nil {
		return l, err
	}
	l.tool = p.Tool
	if l.migrations, err = migration.AsRun(p.Migrations, p.Variables); err != nil {
		return l, err
	}
	chosen, err := a.chosen(ctx, flags, files, l.migrations)
	if err != nil {
		return l, err
	}
	switch {
	case flags.pending:
		err = a.askWhatIsPending(ctx, &l)
	case flags.fix:
		a.leaveApplied(ctx, &l)
	}
	l.options.Judge = func(m migration.Migration) bool {
		return (chosen == nil || chosen[m.Version]) && !l.applied[m.Version.Canonical()]
	}
	return l, err
}

// chosen are the migrations that arguments and --changed-since name; nil for all.
func (a *app) chosen(ctx context.Context, flags *lintFlags, files []string,
	migrations []migration.Migration) (map[migration.Version]bool, error) {
	if len(files) == 0 && flags.changedSince == "" {
		return nil, nil
	}
	names := map[string]bool{}
	for _, file := range files {
		name := filepath.Base(file)
		if !slices.ContainsFunc(migrations, func(m migration.Migration) bool { return path.Base(m.Path) == name }) {
			return nil, usage("name a file of the folder of migrations; --dir names the folder", "%s is none of the migrations",
				file)
		}
		names[name] = true
	}
	if flags.changedSince != "" {
		changed, err := trial.ChangedFiles(ctx, a.folder, flags.changedSince)
		if err != nil {
			return nil, err
		}
		for name := range changed {
			names[name] = true
		}
	}
	chosen := map[migration.Version]bool{}
	for _, m := range migrations {
		chosen[m.Version] = names[path.Base(m.Path)]
	}
	return chosen, nil
}

// leaveApplied asks the database, if one is configured, which files have run there and
// must not be rewritten. One that cannot be asked is no reason not to work offline.
func (a *app) leaveApplied(ctx context.Context, l *lintee) {
	if p, err := a.openFile(); err != nil || p.Database.URL == "" {
		return
	}
	if _, err := a.askWhatIsApplied(ctx, l); err != nil {
		a.note("%s the database could not be asked which files have run there: %s", a.errStyle.Warning("!"), err)
	}
}

// askWhatIsApplied asks the database for its history.
func (a *app) askWhatIsApplied(ctx context.Context, l *lintee) (*whimbrel.Migrator, error) {
	p, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		return nil, err
	}
	status, err := migrator.Status(ctx)
	if err != nil {
		return nil, err
	}
	l.applied = map[migration.Version]bool{}
	for _, applied := range status.Applied {
		l.applied[applied.Version.Canonical()] = true
	}
	l.migrations = whimbrel.Recognised(l.migrations, status.Applied)
	return migrator, nil
}

// askWhatIsPending asks the database for its history and its schema.
func (a *app) askWhatIsPending(ctx context.Context, l *lintee) error {
	migrator, err := a.askWhatIsApplied(ctx, l)
	if err != nil {
		return err
	}
	conn, err := dial.Open(ctx, migrator.Connection())
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	defer dial.Close(conn)
	catalog, err := rehearsal.ReadCatalog(ctx, conn)
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	if l.sandbox, err = sandbox.Like(ctx, conn, l.sandbox); err != nil {
		return err
	}
	l.options.Catalog = &catalog
	if l.options.Major == 0 {
		l.options.Major = catalog.Major
	}
	return nil
}

// judge judges by the text, and by a rehearsal where that is wanted. On the schema
// of a database only what is pending there is read; a rehearsal runs everything.
func (a *app) judge(ctx context.Context, l lintee, flags *lintFlags) (lint.Report, error) {
	linter, err := lint.New(l.options)
	if err != nil {
		return lint.Report{}, err
	}
	read := l.migrations
	if l.options.Catalog != nil {
		read = slices.DeleteFunc(slices.Clone(read),
			func(m migration.Migration) bool { return l.applied[m.Version.Canonical()] })
	}
	if !l.rehearse || !slices.ContainsFunc(l.migrations, l.options.Judge) {
		return linter.Check(read)
	}
	result, err := rehearsal.Run(ctx, l.migrations, rehearsal.Options{
		Lint: l.options, Major: flags.major, Scripts: l.scripts, Sandbox: l.sandbox,
		Progress: func(message string) { a.note("%s", a.errStyle.Faint(message)) },
	})
	if err != nil {
		return lint.Report{}, err
	}
	if result.Stopped != "" && (flags.output != "" || a.flags.json || flags.format != "text") { // else the text says it
		a.note("%s %s", a.errStyle.Warning("!"), result.Stopped)
	}
	if l.options.Catalog == nil {
		return result.Report, nil
	}
	report, err := linter.Check(read)
	if err != nil {
		return lint.Report{}, err
	}
	return linter.Merge(report, result.Run()), nil
}

// showLint writes the report where and how it is wanted.
func (a *app) showLint(report lint.Report, flags *lintFlags) error {
	format := flags.format
	if a.flags.json {
		format = "json"
	}
	p := a.style
	if flags.output != "" {
		p = present.Style{}
	}
	var text []byte
	var err error
	switch format {
	case "json":
		text, err = json.Marshal(report)
		text = a.withWalls(text)
	case "sarif":
		text, err = report.SARIF(build().Version)
	case "gitlab":
		text, err = report.GitLab()
	case "github":
		text = []byte(report.GitHub())
	default:
		text = []byte(report.Text(p, flags.details || a.flags.verbose))
	}
	if err != nil {
		return err
	}
	text = append([]byte(strings.TrimRight(string(text), "\n")), '\n')
	if flags.output != "" {
		if err := a.writeReport(flags.output, string(text)); err != nil {
			return files.CannotWrite(flags.output, err)
		}
		a.note("%s and %s, written to %s", present.Plural(report.Count(lint.Error), "error"),
			present.Plural(report.Count(lint.Warn),
				"warning"),
			flags.output)
		return nil
	}
	if !a.flags.quiet || format != "text" {
		_, err = a.out.Write(text)
	}
	return err
}

// fix rewrites files, after having shown what would change.
func (a *app) fix(ctx context.Context, l lintee, flags *lintFlags) error {
	if l.tool != "" {
		return usage("convert the folder with `whimbrel adopt --convert FOLDER`",
			"the migrations are in the format of %s, and --fix writes whimbrel's own", l.tool)
	}
	linter, err := lint.New(l.options)
	if err != nil {
		return err
	}
	all, err := linter.Fix(l.migrations)
	if err != nil {
		return err
	}
	var changed []lint.Fixed
	left := 0
	for _, f := range all {
		left += len(f.Left)
		if f.Changed() {
			changed = append(changed, f)
			a.say("%s", strings.TrimRight(f.Diff(), "\n"))
		}
	}
	a.sayNotFixed(all)
	if len(changed) == 0 {
		a.say("Nothing here has a mechanical safe form.%s", leftToPeople(left))
		return nil
	}
	question := fmt.Sprintf("Write %s? A file that has run somewhere must not be changed.", present.Plural(len(changed),
		"file"))
	if err := a.sure(ctx, question, flags.yes); err != nil {
		return err
	}
	for _, f := range changed {
		if err := replaceFile(a.absolute(filepath.FromSlash(f.Path)), f.Before, f.After); err != nil {
			return files.CannotWrite(f.Path, err)
		}
	}
	a.say("%s rewritten.%s", present.Plural(len(changed), "file"), leftToPeople(left))
	return nil
}

// sayNotFixed says why mechanical rewrites were not done.
func (a *app) sayNotFixed(all []lint.Fixed) {
	for _, f := range all {
		for _, finding := range f.Left {
			if finding.NotFixed != "" {
				a.say("%s:%d:%d: left as it is (%s): %s", f.Path, finding.Start.Line, finding.Start.Column, finding.Hazard,
					finding.NotFixed)
			}
		}
	}
}

func leftToPeople(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %s left that a person has to see to: whimbrel lint shows them.", are(n, "finding"))
}

// replaceFile puts a text in the place of another, whole or not at all. A byte-order
// mark stays, and so do line ends.
func replaceFile(name, before, after string) error {
	text, err := files.Read(name, migration.MaxSize)
	if err != nil {
		return err
	}
	content, marked := strings.CutPrefix(string(text), files.ByteOrderMark)
	if plaintext.LF(content) != before {
		return errors.New("it was edited meanwhile")
	}
	after = plaintext.Like(after, content)
	if marked {
		after = files.ByteOrderMark + after
	}
	return files.Overwrite(name, []byte(after))
}
