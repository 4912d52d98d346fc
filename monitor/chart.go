package monitor

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// ChartOptions say how large a chart may be.
type ChartOptions struct {
	Width  int // characters; 80 where it is not positive
	Height int // lines of bars, at most 1000; 8 where it is not positive
	// ASCII is for terminals that have no block characters.
	ASCII bool
}

// mostHeight is more lines than any terminal has.
const mostHeight = 1000

// Chart draws how long attempts took, the oldest to the left: a column for each
// of the newest that fit. Failed ones are marked with an x at their foot.
func Chart(attempts []Attempt, options ChartOptions) string {
	ran := slices.DeleteFunc(slices.Clone(attempts), func(a Attempt) bool { return !a.Ran() })
	if len(ran) == 0 {
		return "No migration has run yet.\n"
	}
	if options.Width <= 0 {
		options.Width = 80
	}
	if options.Height <= 0 || options.Height > mostHeight {
		options.Height = 8
	}
	// The longest of all decides how wide the scale is, and that how many fit.
	gutter := utf8.RuneCountInString(present.Duration(longest(ran))) + 2
	ran = ran[max(0, len(ran)-max(1, options.Width-gutter)):]
	var b strings.Builder
	top := longest(ran)
	for row := options.Height; row >= 1; row-- {
		var bars strings.Builder
		for _, a := range ran {
			bars.WriteRune(options.block(a.Duration, top, row))
		}
		fmt.Fprintf(&b, "%*s %s\n", gutter-2, options.scale(top, row), strings.TrimRight(options.axis()+bars.String(), " "))
	}
	var feet strings.Builder
	for _, a := range ran {
		if a.Failed() {
			feet.WriteByte('x')
		} else {
			feet.WriteByte(' ')
		}
	}
	if marks := strings.TrimRight(feet.String(), " "); marks != "" {
		fmt.Fprintf(&b, "%*s%s\n", gutter, "", marks)
	}
	fmt.Fprintf(&b, "%*s%s\n", gutter, "", span(ran))
	return b.String()
}

func longest(attempts []Attempt) time.Duration {
	var most time.Duration
	for _, a := range attempts {
		most = max(most, a.Duration)
	}
	return most
}

// span says what the chart shows: how many attempts, from when to when.
func span(ran []Attempt) string {
	failed := 0
	for _, a := range ran {
		if a.Failed() {
			failed++
		}
	}
	text := fmt.Sprintf("%d attempts, %s to %s", len(ran), stamp(ran[0].At), stamp(ran[len(ran)-1].At))
	if failed > 0 {
		text += fmt.Sprintf("; x: %d failed", failed)
	}
	return text
}

func (o ChartOptions) axis() string {
	if o.ASCII {
		return "|"
	}
	return "│"
}

// scale labels the top and the middle line.
func (o ChartOptions) scale(top time.Duration, row int) string {
	switch {
	case row == o.Height:
		return present.Duration(top)
	case o.Height >= 4 && row == o.Height/2:
		return present.Duration(top * time.Duration(row) / time.Duration(o.Height))
	}
	return ""
}

// block is what one bar has in one row, of which the lowest is 1. Whatever ran
// at all shows as a sliver.
func (o ChartOptions) block(d, top time.Duration, row int) rune {
	blocks := []rune(" ▁▂▃▄▅▆▇█")
	if o.ASCII {
		blocks = []rune(" .:#")
	}
	levels := len(blocks) - 1
	filled := 1
	if top > 0 {
		filled = max(1, int(float64(d)/float64(top)*float64(o.Height*levels)+0.5))
	}
	return blocks[min(max(filled-(row-1)*levels, 0), levels)]
}
