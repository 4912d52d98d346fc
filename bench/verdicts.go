package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/whimbrel-db/whimbrel/lint"
	"github.com/whimbrel-db/whimbrel/lint/corpus"
	"github.com/whimbrel-db/whimbrel/lint/rehearsal"
)

// verdicts lists what is promised of lint: how well it judges the labelled cases,
// and how long it takes. The rates are on cases that the rules have seen; they say
// that nothing got worse, not how well it judges others'.
func (l *lab) verdicts(s sizes) []contest {
	text, rehearsed := &verdict{judge: byText, most: s.judged}, &verdict{judge: l.byRehearsal, most: s.judged}
	rate := func(name string, v *verdict, of func(*corpus.Score) float64) *side {
		return &side{name: name, measure: func(ctx context.Context) (float64, error) {
			score, err := v.take(ctx)
			if err != nil {
				return 0, err
			}
			return of(score), nil
		}}
	}
	found := func(s *corpus.Score) float64 { found, _ := s.Rates(); return found }
	alarms := func(s *corpus.Score) float64 { _, alarms := s.Rates(); return alarms }
	safe := func(s *corpus.Score) float64 { return float64(s.CalledSafe) }
	took := func(files int, args ...string) *side {
		return &side{name: "whimbrel", measure: func(ctx context.Context) (float64, error) {
			folder, err := l.changes(files)
			if err != nil {
				return 0, err
			}
			u, err := l.process(ctx, "", "cmd/whimbrel", append(append([]string{"lint"}, args...), "--dir", folder)...)
			return u.Milliseconds, err
		}}
	}
	many := s.linted
	return []contest{
		{"%", []pair{
			{"lint: hazards found, by text and history", rate("text", text, found), nil, atLeast(85)},
			{"lint: false alarms, by text and history", rate("text", text, alarms), nil, atMost(8)},
			{"lint: hazards found, with a rehearsal", rate("rehearsal", rehearsed, found), nil, atLeast(95)},
			{"lint: false alarms, with a rehearsal", rate("rehearsal", rehearsed, alarms), nil, atMost(3)},
		}},
		{"cases", []pair{{"lint: hazards called safe, with a rehearsal", rate("rehearsal", rehearsed, safe), nil,
			atMost(0)}}},
		{"ms", []pair{
			{"lint of a file, by text, with starting", took(1, "--no-rehearsal"), nil, nothing},
			{fmt.Sprintf("lint of %d files, by text, with starting", many), took(many, "--no-rehearsal"), nil, nothing},
			{"lint of a file, with a rehearsal and its server", took(1), nil, atMost(3000)},
			{fmt.Sprintf("lint of %d files, with a rehearsal and its server", many), took(many), nil, atMost(30_000)},
		}},
	}
}

// verdict is a judgement of the whole corpus, made once for all rows that want it.
type verdict struct {
	judge func(context.Context, corpus.Case) (lint.Report, error)
	most  int // so many of the cases, taken evenly
	score *corpus.Score
}

func (v *verdict) take(ctx context.Context) (*corpus.Score, error) {
	if v.score != nil {
		return v.score, nil
	}
	all, err := corpus.Cases(0)
	if err != nil {
		return nil, err
	}
	score, count := &corpus.Score{}, min(v.most, len(all))
	for i := range count {
		c := all[i*len(all)/count]
		report, err := v.judge(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Where, err)
		}
		score.Mark(c, report)
	}
	v.score = score
	return score, nil
}

func byText(_ context.Context, c corpus.Case) (lint.Report, error) { return c.ByText() }

func (l *lab) byRehearsal(ctx context.Context, c corpus.Case) (lint.Report, error) {
	migrations, judge, err := c.Migrations()
	if err != nil {
		return lint.Report{}, err
	}
	result, err := rehearsal.Run(ctx, migrations, rehearsal.Options{Server: l.server, Lint: lint.Options{Judge: judge}})
	return result.Report, err
}

// changes writes migrations of usual kinds, none of which is a hazard.
func (l *lab) changes(files int) (string, error) {
	folder, err := os.MkdirTemp(l.folder, "changes-")
	if err != nil {
		return "", fmt.Errorf("writing migrations: %w", err)
	}
	for i := range files {
		var text strings.Builder
		fmt.Fprintf(&text, "CREATE TABLE table_%d (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, "+
			"at timestamptz DEFAULT now());\n", i)
		if i > 0 {
			fmt.Fprintf(&text, "ALTER TABLE table_%d ADD COLUMN note text;\n"+
				"CREATE INDEX CONCURRENTLY table_%d_name ON table_%d (name);\n", i-1, i-1, i-1)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%06d_change.sql", i+1)), []byte(text.String()),
			0o644); err != nil {
			return "", fmt.Errorf("writing migrations: %w", err)
		}
	}
	return folder, nil
}
