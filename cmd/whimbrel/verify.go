package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/drift"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/migration"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/project"
)

// verifyFlags are the flags of verify.
type verifyFlags struct {
	accept                  []string
	historyOnly, privileges bool
	schema, writeSchema     string
	yes                     bool
}

func newVerify(a *app) *cobra.Command {
	flags := &verifyFlags{}
	command := &cobra.Command{
		Use:   "verify",
		Short: "Compare the live schema with what its migrations make",
		Long: `Compare history and files: what is pending, missing, edited since it ran, or
half-done. Then compare the schema with what the applied migrations make when
they are run on a throw-away server: what was added, dropped or replaced by
hand is listed, object by object. Differences end in status 5. Nothing is
changed.

Where no server can be started, as in a small image, compare with a schema that
was written where there is one (--write-schema, then --schema), or compare the
history alone.

--accept says that an edited file is right as it is now: its checksum is
stored. On a protected database it asks first.`,
		Example: `  whimbrel verify
  whimbrel verify --history-only
  whimbrel verify --write-schema schema.json     # what all migrations make
  whimbrel verify --schema schema.json --env production
  whimbrel verify --accept 20240115120000
  whimbrel verify --json`,
		Args: arguments(0, 0, ""),
		RunE: func(command *cobra.Command, _ []string) error {
			if flags.writeSchema != "" {
				return a.writeSchema(command.Context(), flags.writeSchema)
			}
			return a.verify(command.Context(), flags)
		},
	}
	set := command.Flags()
	set.StringSliceVar(&flags.accept, "accept", nil,
		"store the checksum of the edited file of `VERSION`; may be given several times")
	set.BoolVar(&flags.yes, "yes", false, "with --accept on a protected database, do it without asking")
	set.BoolVar(&flags.historyOnly, "history-only", false, "leave the schema out")
	set.StringVar(&flags.schema, "schema", "", "compare the schema with the one in `FILE`, and start no server")
	set.StringVar(&flags.writeSchema, "write-schema", "", "write what all migrations make to `FILE`, and compare nothing")
	set.BoolVar(&flags.privileges, "privileges", false, "compare owners and granted privileges too")
	return command
}

// verify compares history and schema, and shows what differs.
func (a *app) verify(ctx context.Context, flags *verifyFlags) error {
	if flags.historyOnly && flags.schema != "" {
		return usage("use only one of them", "--history-only and --schema contradict each other")
	}
	expected, err := a.expectedSchema(flags.schema)
	if err != nil {
		return err
	}
	p, err := a.open(ctx)
	if err != nil {
		return err
	}
	if err := a.accept(ctx, p, flags.accept, flags.yes); err != nil {
		return err
	}
	furnishing, err := a.sandbox(p)
	if err != nil {
		return err
	}
	v, err := a.verified(ctx, p, drift.Options{
		Project: p.Project, Target: p.Target, Policy: p.Policy, Sandbox: furnishing, Expected: expected,
		Privileges: flags.privileges,
		Progress:   func(message string) { a.note("%s", a.errStyle.Faint(message)) },
	}, !flags.historyOnly)
	if err != nil {
		return err
	}
	if a.flags.json {
		a.object(v)
	} else {
		a.say("%s", strings.TrimRight(v.text(a.style, v.agrees()), "\n"))
	}
	if v.differs() {
		return differenceError{}
	}
	return nil
}

// verified is what verify found.
type verified struct {
	whimbrel.Verification
	Schema *drift.Report `json:"schema,omitempty"`
	// NotCompared is why the schema was not compared, though that was wanted.
	NotCompared string `json:"schema_not_compared,omitempty"`
}

func (v verified) differs() bool {
	return len(v.Differences) > 0 || v.Schema != nil && len(v.Schema.Differences) > 0
}

// verified compares a project's history, and its schema where that is wanted.
func (a *app) verified(ctx context.Context, p *project.Project, options drift.Options,
	withSchema bool) (v verified, err error) {
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		return v, err
	}
	v.Verification, err = migrator.Verify(ctx)
	for i := range v.Differences {
		v.Differences[i].Remedy = commandLine(v.Differences[i].Remedy)
	}
	if err != nil || !withSchema {
		return v, err
	}
	report, err := drift.Compare(ctx, options)
	var own *whimbrel.Error
	switch {
	case errors.As(err, &own) && own.Code == whimbrel.CodeMissingFile:
		v.NotCompared = own.Message // the missing file is itself among the differences
		return v, nil
	case err != nil: // what it has until then is no result
		v.NotCompared = "the schema was not compared"
		return v, err
	}
	v.Schema = &report
	return v, nil
}

// expectedSchema reads a schema that --write-schema wrote; nil where no file is named.
func (a *app) expectedSchema(name string) (*drift.Expected, error) {
	if name == "" {
		return nil, nil
	}
	text, err := files.Read(a.absolute(name), files.MostMade)
	if err != nil {
		return nil, usage("write it with whimbrel verify --write-schema "+name, "the schema cannot be read: %s: %v", name,
			files.Reason(err))
	}
	var s drift.Expected
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, usage("rewrite it with whimbrel verify --write-schema "+name, "%s is not a schema: %v", name, err)
	}
	return &s, nil
}

// writeSchema writes what all migrations make to a file.
func (a *app) writeSchema(ctx context.Context, name string) error {
	p, err := a.openFolder()
	if err != nil {
		return err
	}
	furnishing, err := a.sandbox(p)
	if err != nil {
		return err
	}
	made, err := drift.Expect(ctx, drift.Options{
		Project: p.Project, Target: p.Target, Policy: p.Policy, Sandbox: furnishing,
		Progress: func(message string) { a.note("%s", a.errStyle.Faint(message)) },
	}, p.File.Lint.PGVersion)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(made, "", " ")
	if err == nil {
		err = a.writeReport(name, string(text)+"\n")
	}
	if err != nil {
		return files.CannotWrite(name, err)
	}
	a.say("%s of %s, written to %s", present.Plural(len(made.Objects), "object"), present.Plural(len(p.Migrations),
		"migration"), name)
	return nil
}

// accept stores the checksums of edited files. Who is told of runs is told of it.
func (a *app) accept(ctx context.Context, p *project.Project, texts []string, yes bool) error {
	var versions []migration.Version
	for _, text := range texts {
		version, err := versionOf(text)
		if err != nil {
			return err
		}
		versions = append(versions, version)
	}
	if len(versions) == 0 {
		return nil
	}
	defer a.endObserving()
	if err := a.observe(ctx, p); err != nil {
		return err
	}
	heard := *p
	heard.Listener = monitor.Listen(a.observers.All()...)
	migrator, err := a.askingMigrator(ctx, &heard, recording(yes))
	if err != nil {
		return err
	}
	result, err := migrator.Accept(ctx, versions...)
	if err != nil {
		return err
	}
	for _, outcome := range result.Done {
		a.say("%s %s %s is accepted as it is now", a.style.Good("✓"), outcome.Version, outcome.Name)
	}
	return nil
}

// agrees reports whether all was compared that was to be, and nothing differs.
func (v verified) agrees() bool { return !v.differs() && v.NotCompared == "" }

// text shows what was compared and what differs. What agrees gets a tick only where it
// is the whole answer: beside a failure it is a remark.
func (v verified) text(p present.Style, whole bool) string {
	tick := p.Faint("·")
	if whole {
		tick = p.Good("✓")
	}
	text := renderVerification(p, tick, v.Verification)
	switch {
	case v.NotCompared != "":
		text += fmt.Sprintf("%s %s\n", p.Warning("!"), v.NotCompared)
	case v.Schema != nil:
		text += renderDrift(p, tick, *v.Schema)
	}
	return text
}

// renderDrift lists what differs in the schema.
func renderDrift(p present.Style, tick string, report drift.Report) string {
	against := "the schema in the file"
	if report.Replayed != "" {
		against = "what the migrations make on PostgreSQL " + report.Replayed
	}
	var b strings.Builder
	if len(report.Differences) == 0 {
		fmt.Fprintf(&b, "%s %s in the schema, the same as %s\n", tick, present.Plural(report.Objects, "object"), against)
	} else {
		fmt.Fprintf(&b, "%s the schema differs from %s: %s\n", p.Bad("✗"), against, present.Plural(len(report.Differences),
			"difference"))
	}
	for _, d := range report.Differences {
		fmt.Fprintf(&b, "  %s\n", indented(d.String(), "    "))
	}
	if report.Note != "" {
		fmt.Fprintf(&b, "  %s\n", p.Faint(report.Note))
	}
	if len(report.Differences) > 0 {
		fmt.Fprintf(&b, "    %s %s\n", p.Faint("remedy:"),
			"undo it by hand, or write a migration that does it and record it alone with whimbrel baseline --only VERSION")
	}
	return b.String()
}

// renderVerification lists the differences with what to do about each.
func renderVerification(p present.Style, tick string, v whimbrel.Verification) string {
	var b strings.Builder
	if len(v.Differences) == 0 {
		fmt.Fprintf(&b, "%s %s: %s applied, and the files agree\n", tick, v.Database, are(v.Applied, "migration"))
	} else {
		fmt.Fprintf(&b, "%s %s: %s\n", p.Bad("✗"), v.Database, present.Plural(len(v.Differences), "difference"))
	}
	for _, d := range slices.Concat(v.Differences, v.Warnings) {
		name := title(d.Version, d.Name)
		fmt.Fprintf(&b, "\n  %s  %s\n", p.Strong(name), p.Warning(strings.ReplaceAll(d.Kind, "_", " ")))
		fmt.Fprintf(&b, "    %s\n", indented(d.Message, "    "))
		if d.Remedy != "" {
			fmt.Fprintf(&b, "    %s %s\n", p.Faint("remedy:"), indented(d.Remedy, "            "))
		}
	}
	return b.String()
}
