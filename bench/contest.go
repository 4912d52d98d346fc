package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// side is a program whose figure is taken: milliseconds, megabytes or a count.
type side struct {
	name    string
	measure func(context.Context) (float64, error)
}

// pair makes a row of two sides, or of ours alone.
type pair struct {
	name    string
	ours    *side
	against *side // nil: our figure stands by itself
	limit   limit
}

// limit is what is promised of a ratio, or of a figure where there is no ratio.
type limit struct {
	bound  string
	figure float64
}

// nothing is promised of what is there for comparison only.
var nothing limit

func atMost(figure float64) limit  { return limit{"≤", figure} }
func atLeast(figure float64) limit { return limit{"≥", figure} }

// contest measures sides in turns: each of them once in every round, so that
// what disturbs the machine disturbs all of them.
type contest struct {
	unit  string
	pairs []pair
}

// run measures what the rows that are asked for need, and nothing else.
func (c contest) run(ctx context.Context, s settings) ([]Row, error) {
	pairs := slices.DeleteFunc(slices.Clone(c.pairs), func(p pair) bool { return !s.only.MatchString(p.name) })
	var sides []*side
	for _, p := range pairs {
		for _, each := range []*side{p.ours, p.against} {
			if each != nil && !slices.Contains(sides, each) {
				sides = append(sides, each)
			}
		}
	}
	figures := map[*side][]float64{}
	for range s.rounds {
		for _, each := range sides {
			runtime.GC() // one side's garbage is not to be the other's work
			figure, err := each.measure(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", pairs[0].name, each.name, err)
			}
			figures[each] = append(figures[each], figure)
		}
	}
	var rows []Row
	for _, p := range pairs {
		row := p.row(c.unit, figures)
		fmt.Fprintln(s.progress, strings.Join(row.cells(), "  "))
		rows = append(rows, row)
	}
	return rows, nil
}

func (p pair) row(unit string, figures map[*side][]float64) Row {
	ours := figures[p.ours]
	row := Row{
		Name: p.name, Unit: unit, Ours: median(ours), Bound: p.limit.bound, Limit: p.limit.figure, Rounds: len(ours),
		Least: slices.Min(ours), Most: slices.Max(ours),
	}
	if p.against == nil {
		return row
	}
	theirs := figures[p.against]
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / cmp.Or(theirs[i], 1) // a count of nothing compares as one
	}
	row.Against, row.Comparator, row.Ratio = p.against.name, median(theirs), median(ratios)
	row.Least, row.Most = slices.Min(ratios), slices.Max(ratios)
	return row
}

func median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}
