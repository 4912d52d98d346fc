package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/drift"
	"github.com/whimbrel-db/whimbrel/internal/files"
	"github.com/whimbrel-db/whimbrel/internal/present"
	"github.com/whimbrel-db/whimbrel/preflight"
	"github.com/whimbrel-db/whimbrel/project"
)

// deployFlags are the flags of deploy.
type deployFlags struct {
	runFlags
	wait, grace    time.Duration
	report, schema string
	replay         bool
}

// defaultDeployGrace is how long a deployment goes on after a signal. Kubernetes
// kills after 30 seconds.
const defaultDeployGrace = 20 * time.Second

func newDeploy(a *app) *cobra.Command {
	flags := &deployFlags{}
	command := &cobra.Command{
		Use:   "deploy",
		Short: "Check, apply pending migrations and verify, with one report",
		Long: `Wait for the database, make the checks if anything is pending, run it, and
verify that history and files agree. It asks nobody, and any number may run at
once: one migrates, the others wait for it and find nothing left to do.

A signal (SIGTERM, Ctrl-C) ends it after the current step, and after --grace
cancels the step, which is rolled back: keep --grace below the time after which
the process is killed (terminationGracePeriodSeconds). The next run goes on.

The report goes to --report as Markdown, and to $GITHUB_STEP_SUMMARY where that
is set.`,
		Example: `  whimbrel deploy --env production
  whimbrel deploy --wait 2m                          # in an init container: the database may be late
  whimbrel deploy --skip-check backup_status --report deploy.md
  whimbrel deploy --schema schema.json               # verify the schema, too
  whimbrel deploy --json`,
		Args:        arguments(0, 0, ""),
		Annotations: streams,
		RunE:        func(command *cobra.Command, _ []string) error { return a.deploy(command.Context(), flags) },
	}
	flags.addRun(command)
	flags.addTags(command)
	set := command.Flags()
	set.StringSliceVar(&flags.skipChecks, "skip-check", nil, "leave out the check `NAME`; all leaves out all")
	_ = command.RegisterFlagCompletionFunc("skip-check", completeChecks)
	set.DurationVar(&flags.wait, "wait", 0, "how long to wait for the database to come up")
	set.DurationVar(&flags.grace, "grace", defaultDeployGrace, "how long after a signal the current step may still take")
	set.StringVar(&flags.report, "report", "", "write a report in Markdown to `FILE`")
	set.StringVar(&flags.schema, "schema", "", "also verify the schema, against the one in `FILE` (see whimbrel verify)")
	set.BoolVar(&flags.replay, "replay", false, "also verify the schema, by running the migrations on a throw-away server")
	return command
}

// deploy checks, runs and verifies, and writes the report however it ends.
func (a *app) deploy(ctx context.Context, flags *deployFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	if flags.wait < 0 || flags.grace < 0 {
		return usage("write 0s or more", "--wait and --grace must not be negative")
	}
	if err := a.meantForDeployment(); err != nil {
		return err
	}
	expected, err := a.expectedSchema(flags.schema)
	if err != nil {
		return err
	}
	p, err := a.open(ctx)
	if err != nil {
		return err
	}
	flags.apply(&p.Config)
	p.Stop, p.Protect = a.interruption.gently(), p.ProtectedAs(ctx)
	ctx, release := withGrace(ctx, p.Stop, flags.grace)
	defer release()
	finish, err := a.listen(ctx, p)
	if err != nil {
		return err
	}
	a.command = "deploy"
	began := time.Now()
	d := &deployment{}
	err = a.deploySteps(ctx, p, flags, d, func(v *drift.Options) { v.Expected = expected })
	finish()
	d.Took = time.Since(began)
	d.conclude(err)
	if err == nil && d.Outcome == differing {
		err = differenceError{}
	}
	a.showDeployment(d)
	return errors.Join(err, a.writeReports(d, flags.report))
}

// meantForDeployment refuses the development server where only default_environment
// names it: a pipeline that forgets --env would start one, and report a deployment.
func (a *app) meantForDeployment() error {
	p, err := a.openFile()
	if err == nil && p.Database.Embedded && !a.flags.dev && a.flags.env == "" {
		err = usage("name the database with --env; --dev deploys to the development server",
			"default_environment is %q, the development server", p.Database.Environment)
	}
	return err
}

// deploySteps goes through the steps, and notes in d how far it came.
func (a *app) deploySteps(ctx context.Context, p *project.Project, flags *deployFlags, d *deployment,
	verifying func(*drift.Options)) error {
	migrator, err := whimbrel.New(p.Config)
	if err != nil {
		return err
	}
	if d.Database, err = a.awaitDatabase(ctx, migrator, p.Stop, flags.wait); err != nil {
		return err
	}
	if err := a.deployChecks(ctx, p, migrator, flags, d); err != nil {
		return err
	}
	furnishing, err := a.sandbox(p) // before anything runs
	if err != nil {
		return err
	}
	result, err := migrator.Up(ctx, whimbrel.UpOptions{})
	d.Run = &result
	if err != nil {
		return err
	}
	options := drift.Options{Project: p.Project, Target: p.Target, Policy: p.Policy, Stop: p.Stop, Sandbox: furnishing,
		Progress: func(message string) { a.note("%s", a.errStyle.Faint(message)) }}
	verifying(&options)
	v, err := a.verified(ctx, p, options, flags.schema != "" || flags.replay)
	// What was left out on purpose is not missing.
	v.Differences = slices.DeleteFunc(v.Differences, func(difference whimbrel.Difference) bool {
		left := slices.ContainsFunc(result.Skipped, func(r whimbrel.Ref) bool { return r.Version.Equal(difference.Version) })
		return difference.Kind == "pending" && (left || len(flags.tags) > 0)
	})
	if v.Database != "" { // else not even the history could be compared
		d.Verified = &v
	}
	return err
}

// awaitDatabase asks until the database answers, or the patience ends. It gives its
// name.
func (a *app) awaitDatabase(ctx context.Context, m *whimbrel.Migrator, stop <-chan struct{},
	patience time.Duration) (string, error) {
	began, told := time.Now(), time.Time{}
	for {
		status, err := m.Status(ctx)
		if err == nil || !late(err) || time.Since(began) >= patience {
			return status.Database, err
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			a.note("waiting for the database: %s", present.OneLine(err.Error(), 200))
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-stop:
			return "", err
		case <-time.After(min(500*time.Millisecond, patience)):
		}
	}
}

// late reports whether an error may go away by itself while a server comes up: no
// connection, starting up, or a database that somebody is still to create. A wrong
// password is none.
func late(err error) bool {
	var own *whimbrel.Error
	return errors.As(err, &own) && own.Code == whimbrel.CodeConnection && !strings.HasPrefix(own.SQLState, "28")
}

// deployChecks makes the checks where anything is pending. While another runner is
// at work, what it has not finished is no reason to refuse: its end is awaited.
func (a *app) deployChecks(ctx context.Context, p *project.Project, m *whimbrel.Migrator, flags *deployFlags,
	d *deployment) error {
	for began := time.Now(); ; {
		plan, err := m.Plan(ctx, whimbrel.Latest())
		if err == nil && len(plan.Migrations) == 0 {
			return nil
		}
		var blocked []preflight.Result
		if err == nil {
			report, failed := a.preflight(ctx, p, m, plan, checkChoice{skip: flags.skipChecks})
			if failed != nil {
				return failed
			}
			d.Checks, blocked = &report, report.Blocked()
		}
		if err == nil && len(blocked) == 0 {
			a.tellChecks(*d.Checks)
			return nil
		}
		status, failed := m.Status(ctx)
		if failed == nil && status.Holder != nil && time.Since(began) < cmp.Or(p.LockWait, whimbrel.DefaultLockWait) {
			select {
			case <-time.After(250 * time.Millisecond):
				continue
			case <-p.Stop:
			case <-ctx.Done():
			}
		}
		if err != nil {
			return err
		}
		a.tellChecks(*d.Checks)
		a.observers.Refused("deploy", *d.Checks)
		return stopped(blocked)
	}
}

// showDeployment prints the end of a deployment. Failures are printed as those of
// every command are.
func (a *app) showDeployment(d *deployment) {
	if a.flags.json {
		if d.Error == nil {
			d.Event = "deployment"
			a.object(d)
		}
		return
	}
	if d.Run != nil && (d.worked() || len(d.Run.Done) > 0) {
		a.say("%s", summary(*d.Run))
	}
	if d.Verified != nil {
		a.say("%s", strings.TrimRight(d.Verified.text(a.style, d.Outcome == deployed), "\n"))
	}
}

// writeReports writes the report where it is wanted.
func (a *app) writeReports(d *deployment, file string) error {
	text := d.markdown()
	if file != "" {
		if err := a.writeReport(file, text); err != nil {
			return files.CannotWrite(file, err)
		}
	}
	return a.stepSummary(text)
}

// stepSummary appends to what GitHub shows of a job, if this is one. See
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary.
func (a *app) stepSummary(text string) error {
	name := a.variable("GITHUB_STEP_SUMMARY")
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(a.absolute(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return files.CannotWrite(name, err)
	}
	_, err = file.WriteString(a.redactor.Clean(text) + "\n")
	return errors.Join(err, file.Close())
}

// withGrace gives a context that ends some time after stop is closed. release must
// be called; it waits for what watches.
func withGrace(ctx context.Context, stop <-chan struct{},
	grace time.Duration) (limited context.Context, release func()) {
	limited, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-limited.Done():
			return
		case <-stop:
		}
		select {
		case <-limited.Done():
		case <-time.After(grace):
			cancel()
		}
	})
	return limited, func() { cancel(); watching.Wait() }
}
