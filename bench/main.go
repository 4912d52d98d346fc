// Command bench measures what is claimed about whimbrel's speed and its manners
// beside live traffic, and prints a table. README.md says what the figures mean.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings say what is measured and how often.
type settings struct {
	sizes
	rounds    int
	stallRuns int
	only      *regexp.Regexp
	json      bool
	progress  io.Writer
}

// report is everything that was measured, as --json prints it.
type report struct {
	PostgreSQL string  `json:"postgresql"`
	Rows       []Row   `json:"rows"`
	Stalls     []Stall `json:"stalls"`
	Backfills  []Row   `json:"backfills"`
	// Servers are the settings of those that the backfills ran on.
	Servers []string `json:"servers,omitempty"`
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	s, err := parse(args, progress)
	if err != nil {
		return err
	}
	r, err := measure(ctx, s)
	if err != nil {
		return err
	}
	if s.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	return r.print(out)
}

func parse(args []string, progress io.Writer) (settings, error) {
	s := settings{sizes: full, progress: progress}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.IntVar(&s.rounds, "rounds", 5, "measure each side so many times, in turns")
	flags.IntVar(&s.stallRuns, "stall-runs", 1, "run each statement beside each blocker so many times")
	only := flags.String("only", "", "only rows whose name matches the regular `expression`")
	quick := flags.Bool("quick", false, "smaller sizes and two rounds: for a look, not for a claim")
	flags.BoolVar(&s.json, "json", false, "machine-readable output")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if *quick {
		s.sizes, s.rounds = small, 2
	}
	if flags.NArg() > 0 || s.rounds < 1 || s.stallRuns < 0 {
		return s, errors.New("give flags only, at least one round, and no negative number of runs; see -help")
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return s, fmt.Errorf("-only: %w", err)
	}
	return s, nil
}

// measure takes all the rows that are asked for, one after the other. It leaves
// nothing running.
func measure(ctx context.Context, s settings) (r report, err error) {
	l, err := open(ctx)
	if err != nil {
		return report{}, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r = report{PostgreSQL: l.server.Version().Version, Rows: []Row{}, Stalls: []Stall{}, Backfills: []Row{}}
	for _, c := range l.contests(s.sizes) {
		rows, err := c.run(ctx, s)
		if err != nil {
			return r, err
		}
		r.Rows = append(r.Rows, rows...)
	}
	if r.Stalls, err = l.stalls(ctx, s); err != nil {
		return r, err
	}
	for _, on := range l.stocks {
		if err := r.backfills(ctx, l, s, on); err != nil {
			return r, err
		}
	}
	return r, nil
}

// backfills takes the rows of the third table that are measured on one server.
func (r *report) backfills(ctx context.Context, l *lab, s settings, on *stock) error {
	for _, c := range l.backfills(s.sizes, on) {
		rows, err := c.run(ctx, s)
		if err != nil {
			return err
		}
		r.Backfills = append(r.Backfills, rows...)
	}
	if on.server == nil {
		return nil // nothing was asked for
	}
	set, err := on.settings(ctx)
	r.Servers = append(r.Servers, set)
	return errors.Join(err, on.close())
}
