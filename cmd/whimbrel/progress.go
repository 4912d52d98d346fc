package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel"
	"github.com/whimbrel-db/whimbrel/internal/present"
)

// filling is how far the backfill is that runs at the moment.
type filling struct {
	progress whimbrel.BatchProgress
	told     time.Time // when a line was printed about it, or it began
	retried  time.Time // when a line was printed about a batch that backed off
	paused   string    // why it waits; "" while it does not
	pausedAt time.Time
}

// tellEvery is how often a line is printed about a backfill where no live line
// can be shown.
const tellEvery = 10 * time.Second

// hearFilling is about the backfill that runs.
func (p *presenter) hearFilling(record whimbrel.Record) []string {
	current := p.current
	if current.filling == nil {
		current.filling = &filling{told: current.stepAt}
	}
	f := current.filling
	switch event := record.Event.(type) {
	case whimbrel.BatchProgress:
		f.progress, f.paused, current.attempt = event, "", 0
		if !p.terminal && record.Time.Sub(f.told) >= tellEvery {
			f.told = record.Time
			return []string{"  " + strings.Join(f.about(true, true), ", ")}
		}
	case whimbrel.BatchPaused:
		// The reason comes again with every change of its figures.
		before := f.paused
		f.paused = event.Reason
		if before == "" {
			f.pausedAt = record.Time
		}
		if withoutFigures(before) != withoutFigures(event.Reason) {
			return []string{p.style.Warning("  ‖ pauses: " + event.Reason)}
		}
	case whimbrel.BatchResumed:
		f.paused = ""
		return []string{p.style.Warning("  ▸ goes on after " + present.Duration(event.Paused))}
	}
	return nil
}

// withoutFigures is a text without its digits.
func withoutFigures(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// retryIsNews reports whether a batch that backed off is worth a line. A busy
// table makes many of them back off once.
func (f *filling) retryIsNews(at time.Time) bool {
	if f == nil {
		return true
	}
	news := at.Sub(f.retried) >= tellEvery
	if news {
		f.retried = at
	}
	return news
}

// about lists how far it is: rows of how many, rows per second, time left, pass.
func (f *filling) about(counts, rate bool) []string {
	var parts []string
	percent := ""
	if n := f.percent(); n >= 0 {
		percent = fmt.Sprintf("%d %%", n)
	}
	switch {
	case counts && f.progress.Total > 0:
		parts = append(parts, percent, f.reached())
	case counts || percent == "":
		parts = append(parts, present.Count(f.progress.Keys)+" rows")
	default:
		parts = append(parts, percent)
	}
	if rate && f.progress.PerSecond > 0 {
		parts = append(parts, present.Count(f.progress.PerSecond)+" rows/s")
	}
	if left := f.progress.Left; left > 0 {
		parts = append(parts, present.Duration(max(left.Round(time.Second), time.Second))+" left")
	}
	if f.progress.Pass > 1 {
		parts = append(parts, fmt.Sprintf("pass %d", f.progress.Pass))
	}
	return parts
}

// reached is how many rows it has gone through, of how many.
func (f *filling) reached() string { return ofRows(f.progress.Keys, f.progress.Total) }

// ofRows is "12,000 of about 20,000 rows".
func ofRows(keys, total int64) string {
	if total == 0 {
		return present.Count(keys) + " rows"
	}
	return fmt.Sprintf("%s of about %s rows", present.Count(keys), present.Count(total))
}

// percent is how much is done, -1 where nobody knows. The total is an estimate,
// so it is never 100 before the end is reached.
func (f *filling) percent() int {
	done, total := f.progress.Keys, f.progress.Total
	switch {
	case total <= 0:
		return -1
	case done == total:
		return 100
	}
	return int(min(done*100/total, 99))
}

// The width of the bar, in columns.
const shortestBar, longestBar = 10, 40

// line is the live line of a backfill: as much as fits beside the label, and a
// bar in the room that is left.
func (f *filling) line(p present.Style, ref whimbrel.Ref, columns int, now time.Time) string {
	if f.paused != "" {
		return fmt.Sprintf("%s  %s", title(ref.Version, ref.Name),
			p.Warning(fmt.Sprintf("pauses for %s: %s", present.Duration(now.Sub(f.pausedAt).Truncate(time.Second)), f.paused)))
	}
	full := string(ref.Version) + " " + ref.Name
	var label, rest string
	for _, form := range []struct {
		label        string
		counts, rate bool
	}{{full, true, true}, {ref.Name, true, true}, {ref.Name, true, false}, {ref.Name, false, false}} {
		label, rest = form.label, strings.Join(f.about(form.counts, form.rate), "  ")
		room := columns - present.Width(label) - present.Width(rest) - 4
		if f.percent() < 0 && room >= -2 {
			break
		}
		if f.percent() >= 0 && room >= shortestBar {
			return label + "  " + f.bar(p, min(room, longestBar)) + "  " + rest
		}
	}
	return label + "  " + rest
}

func (f *filling) bar(p present.Style, width int) string {
	done := width * f.percent() / 100
	return p.Good(strings.Repeat("━", done)) + p.Faint(strings.Repeat("─", width-done))
}
