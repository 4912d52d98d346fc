package main

import "time"

// sizes are how large the measurements are.
type sizes struct {
	counts []int  // migrations of a local up
	links  []link // of an up over a slow link
	many   int    // migrations applied where there is nothing to do, of status, down and memory
	files  int    // of a plan
	proved int    // migrations of a trial
	linted int    // files of a judgement
	judged int    // labelled cases that lint judges
	rows   int    // of the one file whose memory is measured

	warmUp     time.Duration // how long traffic runs before a statement is sent
	reader     time.Duration // how long the reader of the headline stall stays
	readerRuns int
	hold       time.Duration // how long a blocker of the stall table stays
	statements []statement
	blockers   []blocker

	users  int           // of a backfill
	sample int           // of them that are done a row at a time
	quiet  time.Duration // how long traffic is looked at without a backfill
}

// link is a network with a round-trip time, and how many migrations go over it.
type link struct {
	roundTrip time.Duration
	count     int
}

// full is what is claimed.
var full = sizes{
	counts: []int{1, 100, 1000, 5000},
	links: []link{{time.Millisecond, 100}, {10 * time.Millisecond, 100}, {10 * time.Millisecond, 1000},
		{50 * time.Millisecond, 100}},
	many: 1000, files: 10000, proved: 200, linted: 200, judged: 10_000, rows: 600_000,
	warmUp: 200 * time.Millisecond,
	reader: 2 * time.Second, readerRuns: 5,
	hold: 1500 * time.Millisecond, statements: statements, blockers: blockers,
	users: 1_000_000, sample: 20_000, quiet: 6 * time.Second,
}

// small is a look at the same in a tenth of the time.
var small = sizes{
	counts: []int{1, 100, 1000},
	links:  []link{{10 * time.Millisecond, 100}},
	many:   1000, files: 10000, proved: 10, linted: 50, judged: 100, rows: 100_000,
	warmUp: 200 * time.Millisecond,
	reader: time.Second, readerRuns: 2,
	hold: 500 * time.Millisecond, statements: statements[:4], blockers: blockers,
	users: 50_000, sample: 5_000, quiet: time.Second,
}
