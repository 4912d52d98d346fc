package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/whimbrel-db/whimbrel"
)

// The comparators' names in the table.
const (
	bareAwaited   = "(a) a message per migration, awaited"
	barePipelined = "(b) a pipeline that records too"
	bareGuarded   = "(c) as (b), with a lock and a look"
	bareRead      = "connect and read the table"
)

// contests lists everything that is compared or counted, in the table's order.
func (l *lab) contests(s sizes) []contest {
	return slices.Concat(l.ups(s), l.links(s), l.nothingToDo(s), l.downs(s), l.processes(s), l.listeners(s),
		l.roundTrips(s), l.verdicts(s))
}

// call makes a side of a Migrator's method.
func call(noPipeline bool, do func(context.Context, *whimbrel.Migrator) error) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		m, err := whimbrel.New(whimbrel.Config{Target: whimbrel.Target{DatabaseURL: url},
			Project: whimbrel.Project{Migrations: h.migrations}, Policy: whimbrel.Policy{NoPipeline: noPipeline}})
		if err != nil {
			return 0, err
		}
		return timed(func() error { return do(ctx, m) })
	}
}

func up(ctx context.Context, m *whimbrel.Migrator) error {
	_, err := m.Up(ctx, whimbrel.UpOptions{})
	return err
}

func status(ctx context.Context, m *whimbrel.Migrator) error {
	_, err := m.Status(ctx)
	return err
}

// ups are runs of small migrations on this machine.
func (l *lab) ups(s sizes) (all []contest) {
	for _, n := range s.counts {
		ahead, alone := l.onFresh("whimbrel", n, call(false, up)), l.onFresh("whimbrel without pipeline", n, call(true, up))
		a, b := l.onFresh(bareAwaited, n, awaitedUp), l.onFresh(barePipelined, n, pipelinedUp)
		name := fmt.Sprintf("up of %d, local", n)
		all = append(all, contest{"ms", []pair{
			{name, ahead, a, only(n == 1000, atMost(1.15))},
			{name, ahead, b, only(n == 1000, atMost(1.15))},
			{name, ahead, l.onFresh(bareGuarded, n, guarded), nothing},
			{name + ", no pipeline", alone, a, nothing},
		}})
	}
	return all
}

// links are the same over slow links.
func (l *lab) links(s sizes) (all []contest) {
	for _, link := range s.links {
		side := func(name string, do work) *side { return l.onFresh(name, link.count, over(link.roundTrip, do)) }
		name := fmt.Sprintf("up of %d, %d ms link", link.count, link.roundTrip.Milliseconds())
		tenth := link.roundTrip.Milliseconds() == 10
		ahead := side("whimbrel", call(false, up))
		all = append(all, contest{"ms", []pair{
			{name, ahead, side(barePipelined, pipelinedUp), nothing},
			{name, ahead, side(bareGuarded, guarded), only(tenth && link.count == 100, atMost(1.15))},
			{name + ", no pipeline", side("whimbrel without pipeline", call(true, up)), side(bareAwaited, awaitedUp),
				only(tenth, atMost(1.1))},
		}})
	}
	return all
}

// nothingToDo are runs that find everything applied, and the status.
func (l *lab) nothingToDo(s sizes) []contest {
	reading := func(name string, do work) *side { return l.onMigrated(name, s.many, true, do) }
	read, process := reading(bareRead, readTable), reading("a program that does: "+bareRead, l.connectOnly)
	whole := fmt.Sprintf("nothing to do, %d applied, whole process", s.many)
	return []contest{
		{"ms", []pair{
			{fmt.Sprintf("nothing to do, %d applied, in process", s.many), reading("whimbrel", call(false, up)), read, nothing},
			{fmt.Sprintf("status of %d, in process", s.many), reading("whimbrel", call(false, status)), read, nothing},
		}},
		{"ms", []pair{
			{whole, reading("whimbrel", l.command("up")), process, atMost(1.5)},
			{whole + ", lean build", reading("whimbrel", l.commandOf(lean, "up")), process, atMost(1.5)},
		}},
	}
}

// downs roll everything back.
func (l *lab) downs(s sizes) []contest {
	side := func(name string, do work) *side { return l.onMigrated(name, s.many, false, do) }
	down := func(ctx context.Context, m *whimbrel.Migrator) error {
		_, err := m.Down(ctx, whimbrel.DownOptions{Steps: s.many})
		return err
	}
	name := fmt.Sprintf("down of %d, local", s.many)
	return []contest{{"ms", []pair{
		{name, side("whimbrel", call(false, down)), side(barePipelined, pipelineDown), nothing},
		{name + ", no pipeline", side("whimbrel without pipeline", call(true, down)), side(bareAwaited, awaitedDown),
			nothing},
	}}}
}

// processes are figures of whole processes that stand by themselves.
func (l *lab) processes(s sizes) []contest {
	plan := fmt.Sprintf("plan of %d files, whole process", s.files)
	return []contest{
		{"ms", []pair{{plan, l.onFresh("whimbrel", s.files, l.command("plan", "--brief", "--json")), nil, atMost(300)}}},
		{"MB", []pair{{plan + ", peak memory", l.onFresh("whimbrel", s.files, l.megabytes("cmd/whimbrel", "plan", "--brief",
			"--json")), nil, atMost(150)}}},
		{"MB", []pair{{fmt.Sprintf("up of %d, peak memory", s.many), l.onFresh("whimbrel", s.many,
			l.megabytes("cmd/whimbrel", "up")), nil, atMost(25)}}},
		{"MB", []pair{{fmt.Sprintf("up of %d, peak memory, lean build", s.many), l.onFresh("whimbrel", s.many,
			l.megabytes(lean, "up")), nil, atMost(25)}}},
		{"MB", []pair{{fmt.Sprintf("up of %d without pipeline, peak memory", s.many), l.onFresh("whimbrel", s.many,
			l.megabytes("cmd/whimbrel", "up", "--no-pipeline")), nil, nothing}}},
		{"×", []pair{
			{fmt.Sprintf("up of one file, %d INSERTs, peak memory beyond that of version, by the file's size", s.rows),
				l.onLargeFile(s.rows, inserts), nil, atMost(3)},
			{fmt.Sprintf("up of one file, COPY of %d rows, peak memory beyond that of version, by the file's size", s.rows),
				l.onLargeFile(s.rows, copied), nil, atMost(3)},
		}},
		{"ms", []pair{{fmt.Sprintf("test of %d migrations with 2 jobs, each", s.proved), l.onFresh("whimbrel", s.proved,
			each(l.command("test", "--jobs", "2", "--json"))), nil, atMost(300)}}},
	}
}

// each shares the figure of a whole among its migrations.
func each(do work) work {
	return func(ctx context.Context, url string, h history) (float64, error) {
		figure, err := do(ctx, url, h)
		return figure / float64(len(h.migrations)), err
	}
}

// roundTrips are counted after connecting.
func (l *lab) roundTrips(s sizes) []contest {
	count := "round trips after connecting: "
	return []contest{{"", []pair{
		{fmt.Sprintf("%snothing to do, %d applied", count, s.many), l.onMigrated("whimbrel", s.many, true, trips(up)), nil,
			atMost(3)},
		{fmt.Sprintf("%sstatus of %d", count, s.many), l.onMigrated("whimbrel", s.many, true, trips(status)), nil, nothing},
		{count + "up of 1, empty database", l.onFresh("whimbrel", 1, trips(up)), nil, nothing},
		{count + "up of 100 in a pipeline, empty database", l.onFresh("whimbrel", 100, trips(up)), nil, nothing},
	}}}
}

// only is the limit where it was promised, and none elsewhere.
func only(promised bool, l limit) limit {
	if promised {
		return l
	}
	return nothing
}
