package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/millis"
	"github.com/whimbrel-db/whimbrel/monitor"
	"github.com/whimbrel-db/whimbrel/project"
)

// streams marks the commands whose --json output is a stream of events.
var streams = map[string]string{"output": "events"}

// runFlags are the flags of the commands that change the database.
type runFlags struct {
	dryRun, allowMissing, noPipeline, ignoreReplicas bool
	outOfOrder                                       string
	tags, skipChecks                                 []string
	yes                                              bool
	maxStall, retryBudget, lockWait, maxReplicaLag   time.Duration
	changed                                          func(name string) bool
}

// add declares them on a command.
func (f *runFlags) add(command *cobra.Command) {
	flags := command.Flags()
	f.changed = flags.Changed
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what would run, and run nothing")
	flags.BoolVar(&f.yes, "yes", false, "on a protected database, run without asking")
	flags.StringSliceVar(&f.skipChecks, "skip-check", nil,
		"on a protected database, leave out the check `NAME`; all leaves out all")
	_ = command.RegisterFlagCompletionFunc("skip-check", completeChecks)
	f.addRun(command)
}

// addRun declares those that say how to run.
func (f *runFlags) addRun(command *cobra.Command) {
	flags := command.Flags()
	f.addOrder(command)
	flags.DurationVar(&f.maxStall, "max-stall", whimbrel.DefaultMaxStall,
		"how long live traffic may be made to wait for a lock of ours")
	flags.DurationVar(&f.retryBudget, "retry-budget", whimbrel.DefaultRetryBudget,
		"how long a step is retried after a lock timeout or a deadlock")
	flags.DurationVar(&f.lockWait, "lock-wait", whimbrel.DefaultLockWait,
		"how long to wait for another runner; 0: not at all")
	flags.DurationVar(&f.maxReplicaLag, "max-replica-lag", 0, "how far replicas may be behind a backfill before it "+
		"waits for them;\n0: they must have what was there before its last batch")
	flags.BoolVar(&f.ignoreReplicas, "ignore-replicas", false, "let a backfill run however far replicas are behind")
	flags.BoolVar(&f.noPipeline, "no-pipeline", false, "wait for the answer to each migration before the next is sent")
}

// addOrder declares those that matter to a plan.
func (f *runFlags) addOrder(command *cobra.Command) {
	flags := command.Flags()
	f.changed = flags.Changed
	flags.StringVar(&f.outOfOrder, "out-of-order", "refuse",
		"pending versions older than the newest applied one: `refuse|apply|skip`")
	flags.BoolVar(&f.allowMissing, "allow-missing", false, "go on although applied versions have no file")
	_ = command.RegisterFlagCompletionFunc("out-of-order", cobra.FixedCompletions([]string{"refuse", "apply", "skip"},
		cobra.ShellCompDirectiveNoFileComp))
}

// addTags declares the flag that narrows what is pending.
func (f *runFlags) addTags(command *cobra.Command) {
	command.Flags().StringSliceVar(&f.tags, "tag", nil,
		"only migrations with one of these tags, `NAME[,NAME]`; the others stay pending")
}

// check refuses flags that contradict each other or make no sense.
func (f *runFlags) check() error {
	if f.maxReplicaLag < 0 {
		return usage("write 0s or more, or --ignore-replicas", "--max-replica-lag must not be negative")
	}
	if f.ignoreReplicas && f.changed("max-replica-lag") {
		return usage("use only one of them", "--ignore-replicas and --max-replica-lag contradict each other")
	}
	return checkChoice{skip: f.skipChecks}.check()
}

// recording are the flags of a command that only changes the history.
func recording(yes bool) *runFlags {
	return &runFlags{yes: yes, changed: func(string) bool { return false }}
}

// apply puts the flags that were given into a Config.
func (f *runFlags) apply(c *whimbrel.Config) {
	c.AllowMissing, c.NoPipeline, c.Tags = f.allowMissing, f.noPipeline, f.tags
	if f.changed("out-of-order") {
		c.OutOfOrder = whimbrel.OutOfOrder(f.outOfOrder)
	}
	if f.changed("max-stall") {
		c.MaxStall = max(f.maxStall, time.Nanosecond) // the engine refuses what is too little
	}
	if f.changed("retry-budget") {
		c.RetryBudget = max(f.retryBudget, whimbrel.NoRetry) // 0 would mean the default
	}
	if f.changed("max-replica-lag") {
		c.MaxReplicaLag = f.maxReplicaLag
	}
	if f.ignoreReplicas {
		c.MaxReplicaLag = whimbrel.IgnoreReplicas
	}
	if f.changed("lock-wait") {
		c.LockWait = f.lockWait
		if f.lockWait == 0 {
			c.LockWait = whimbrel.NoWait // 0 would mean the default
		}
	}
}

// change opens the project and runs what a goal takes, while the terminal or, with
// --json, a stream of events shows what happens. With --dry-run it shows the plan.
func (a *app) change(command *cobra.Command, flags *runFlags, goal whimbrel.Goal) error {
	ctx := command.Context()
	if err := flags.check(); err != nil {
		return err
	}
	if flags.dryRun {
		return a.plan(ctx, flags, goal)
	}
	p, err := a.openAhead(ctx)
	if err != nil {
		return err
	}
	flags.apply(&p.Config)
	p.Stop = a.interruption.stop
	finish, err := a.listen(ctx, p)
	if err != nil {
		return err
	}
	a.command = command.Name()
	migrator, err := a.askingMigrator(ctx, p, flags)
	if err != nil {
		finish()
		return err
	}
	a.interruption.gently()
	result, err := migrator.Migrate(ctx, goal)
	finish()
	if a.flags.json {
		if err == nil {
			a.object(resultJSON{Event: "result", Result: result})
		}
		return err
	}
	for _, skipped := range result.Skipped {
		a.say("%s %s %s is out of order and stays pending", a.style.Warning("-"), skipped.Version, skipped.Name)
	}
	if err == nil || len(result.Done) > 0 {
		a.say("%s", summary(result))
	}
	return err
}

// askingMigrator gives the engine of a project, which asks before it changes a protected
// database.
func (a *app) askingMigrator(ctx context.Context, p *project.Project,
	flags *runFlags) (migrator *whimbrel.Migrator, err error) {
	config := p.Config
	config.Protect = p.ProtectedAs(ctx)
	config.OnProtected = func(ctx context.Context, by whimbrel.Protection, plan whimbrel.Plan) error {
		defer a.interruption.gently()
		return a.permit(ctx, p, migrator, flags, by, plan)
	}
	migrator, err = whimbrel.New(config)
	return migrator, err
}

// resultJSON is the last line of a stream.
type resultJSON struct {
	Event string `json:"event"`
	whimbrel.Result
}

// MarshalJSON writes durations in milliseconds.
func (r resultJSON) MarshalJSON() ([]byte, error) { return millis.Marshal(&r) }

// listen sets the Listener of a project: the terminal, or the stream of events,
// and everybody else who is to hear of the run. The function that it gives back must be
// called when the run is over.
func (a *app) listen(ctx context.Context, p *project.Project) (finish func(), err error) {
	if err := a.observe(ctx, p); err != nil {
		a.endObserving()
		return nil, err
	}
	defer func() {
		if hear := p.Listener; hear != nil {
			p.Listener = func(r whimbrel.Record) { hear(spokenRecord(r)) }
		}
	}()
	if a.flags.json {
		p.Listener = monitor.Listen(a.observers.All(func(o monitor.Observation) { a.object(o) })...)
		return a.endObserving, nil
	}
	out := a.out
	if a.flags.quiet {
		out = io.Discard
	}
	live := a.outTerminal && !a.flags.quiet && a.variable("TERM") != "dumb" && !a.logsToTerminal()
	shown := &presenter{style: a.style, verbose: a.flags.verbose, migrations: p.Migrations, terminal: live,
		columns: a.outWidth}
	screen := newScreen(shown, out, live, a.outWidth)
	p.Listener = screen.hear
	if len(a.observers.All()) > 0 { // who listens alone needs nothing of package monitor
		p.Listener = monitor.Listen(a.observers.All(func(o monitor.Observation) { screen.hear(o.Record) })...)
	}
	return func() {
		screen.close()
		a.failing = shown.failing
		a.endObserving()
	}, nil
}

// observe starts what else is configured to hear of a run of the project: alerts, metrics, traces.
func (a *app) observe(ctx context.Context, p *project.Project) (err error) {
	if a.observers, err = p.Observe(ctx, a.err); err == nil {
		startTelemetry(ctx, a.observers, p)
	}
	return err
}

// logsToTerminal reports whether a log is written there: no live line fits between.
func (a *app) logsToTerminal() bool { return a.observers.OnTerminal && a.errTerminal }

// endObserving says what could not be told. --quiet does not silence it: it is a failure, of
// another thing.
func (a *app) endObserving() {
	problems, _ := a.observers.Close().(interface{ Unwrap() []error })
	if problems == nil {
		return
	}
	for _, problem := range problems.Unwrap() {
		_, _ = fmt.Fprintln(a.err, a.errStyle.Warning("! "+problem.Error()))
	}
}
