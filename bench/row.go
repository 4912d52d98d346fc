package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Row is one line of the table: what whimbrel took, and what another program
// took that was measured in turns with it.
type Row struct {
	Name string `json:"name"`
	// Against is the comparator; empty for a figure that is by itself.
	Against    string  `json:"against,omitempty"`
	Unit       string  `json:"unit"`
	Ours       float64 `json:"ours"`                 // the median
	Comparator float64 `json:"comparator,omitempty"` // the median
	Ratio      float64 `json:"ratio,omitempty"`      // the median of the rounds' ratios
	// Least and Most are the spread of the ratio, or of our figure where there
	// is no ratio.
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	Rounds int     `json:"rounds"`
	// Bound and Limit are what is promised of the ratio, or of our figure where
	// there is no ratio: "≤" or "≥", and how much. Bound is empty where nothing is.
	Bound string  `json:"bound,omitempty"`
	Limit float64 `json:"limit"`
}

// Kept reports whether the promise, if there is one, was kept.
func (r Row) Kept() bool {
	figure := r.Ours
	if r.Against != "" {
		figure = r.Ratio
	}
	switch r.Bound {
	case "≤":
		return figure <= r.Limit
	case "≥":
		return figure >= r.Limit
	}
	return true
}

func (r Row) promise() string {
	if r.Bound == "" {
		return ""
	}
	outcome := "MISSED"
	if r.Kept() {
		outcome = "KEPT"
	}
	return fmt.Sprintf("%s %g %s", r.Bound, r.Limit, outcome)
}

func (r Row) cells() []string {
	comparator, ratio, spread := "", "", fmt.Sprintf("%.4g–%.4g", r.Least, r.Most)
	if r.Against != "" {
		comparator, ratio = fmt.Sprintf("%.4g %s", r.Comparator, r.Unit), fmt.Sprintf("%.3f", r.Ratio)
		spread = fmt.Sprintf("%.3f–%.3f", r.Least, r.Most)
	}
	return []string{r.Name, r.Against, fmt.Sprintf("%.4g %s", r.Ours, r.Unit), comparator, ratio, spread,
		strconv.Itoa(r.Rounds), r.promise()}
}

// Stall is one line of the second table: a statement that somebody is in
// the way of, and what live traffic had to wait for meanwhile.
type Stall struct {
	Statement string `json:"statement"`
	Blocker   string `json:"blocker"`
	By        string `json:"by"` // who sent the statement: whimbrel, or a bare connection
	Runs      int    `json:"runs"`
	// Before is the slowest request before the statement was sent, in
	// milliseconds: what the machine itself makes requests wait.
	Before float64 `json:"before_ms"`
	// Slowest is the slowest request from then on: the median of the runs, and
	// the worst of all.
	Slowest float64 `json:"slowest_ms"`
	Worst   float64 `json:"worst_ms"`
	// Done is how long after the blocker had left the statement was done: the
	// median, and the latest. 0 where the blocker was not in its way.
	Done   float64 `json:"done_after_ms"`
	Latest float64 `json:"latest_ms"`
	// Kept is in how many runs no request waited longer than the budget and
	// 25 ms, none failed, and the statement was done in time.
	Kept int `json:"kept"`
	// Failed is how many requests of the load failed.
	Failed int `json:"failed"`
}

// inTime is when a statement is to be done after its blocker has left, and
// tolerance what may be added to the stall budget.
const (
	inTime    = 2 * time.Second
	tolerance = 25 * time.Millisecond
)

func (s Stall) cells() []string {
	cells := []string{s.Statement, s.Blocker, s.By}
	for _, ms := range []float64{s.Before, s.Slowest, s.Worst} {
		cells = append(cells, fmt.Sprintf("%.1f", ms))
	}
	return append(cells, fmt.Sprintf("%.0f", s.Done), fmt.Sprintf("%.0f", s.Latest), strconv.Itoa(s.Failed),
		fmt.Sprintf("%d of %d", s.Kept, s.Runs))
}

// print writes the tables for people.
func (r report) print(out io.Writer) error {
	text := "PostgreSQL " + r.PostgreSQL + "\n" + table(r.Rows, "WHAT", "AGAINST", "WHIMBREL", "OTHER", "RATIO", "SPREAD",
		"ROUNDS", "PROMISED") + table(r.Stalls, "STATEMENT", "BLOCKER", "BY", "BEFORE ms", "SLOWEST ms", "WORST ms",
		"DONE AFTER ms", "LATEST ms", "FAILED", "KEPT")
	if len(r.Backfills) > 0 {
		text += "\nBackfills\n" + strings.Join(r.Servers, "\n") + "\n" + table(r.Backfills, "WHAT", "AGAINST", "WHIMBREL",
			"OTHER", "RATIO", "SPREAD", "ROUNDS", "PROMISED")
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

func table[R interface{ cells() []string }](of []R, head ...string) string {
	var rows [][]string
	for _, row := range of {
		rows = append(rows, row.cells())
	}
	return "\n" + present.Table(present.Style{}, head, rows)
}
