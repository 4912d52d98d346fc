package preflight

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whimbrel-db/whimbrel/internal/present"
)

// Window is a time of the week, by the clock on the wall. Where To is not after
// From it ends on the next day; Days are those on which it begins.
type Window struct {
	Days     []time.Weekday
	From, To time.Duration // since midnight
}

// ParseWindow reads "Sat,Sun 02:00-06:00", "Mon-Fri 22:00-04:00" or, for every
// day, "01:00-03:00".
func ParseWindow(text string) (Window, error) {
	wrong := func(what string) error {
		return fmt.Errorf(`invalid window %q: %s; write it as "Mon-Fri 22:00-04:00"`, text, what)
	}
	fields := strings.Fields(text)
	var w Window
	switch len(fields) {
	case 1:
		w.Days = []time.Weekday{time.Sunday, time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday,
			time.Saturday}
	case 2:
		for part := range strings.SplitSeq(fields[0], ",") {
			days, ok := parseDays(part)
			if !ok {
				return Window{}, wrong(fmt.Sprintf("invalid day %q", part))
			}
			w.Days = append(w.Days, days...)
		}
	default:
		return Window{}, wrong("days and hours are expected")
	}
	from, to, found := strings.Cut(fields[len(fields)-1], "-")
	var fromOK, toOK bool
	w.From, fromOK = parseClock(from)
	w.To, toOK = parseClock(to)
	if !found || !fromOK || !toOK {
		return Window{}, wrong("hours are expected, as in 02:00-06:00")
	}
	slices.Sort(w.Days)
	w.Days = slices.Compact(w.Days)
	if err := w.check(); err != nil {
		return Window{}, err
	}
	return w, nil
}

// parseDays reads "Mon" or "Mon-Fri".
func parseDays(text string) (days []time.Weekday, ok bool) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, firstOK := parseDay(from)
	last, lastOK := parseDay(to)
	if !firstOK || !lastOK {
		return nil, false
	}
	for day := first; ; day = (day + 1) % 7 {
		days = append(days, day)
		if day == last {
			return days, true
		}
	}
}

func parseDay(text string) (time.Weekday, bool) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if len(text) >= 3 && strings.HasPrefix(strings.ToLower(day.String()), strings.ToLower(text)) {
			return day, true
		}
	}
	return 0, false
}

// parseClock reads "02:00" or "2"; 24:00 is the end of the day.
func parseClock(text string) (time.Duration, bool) {
	hours, minutes, _ := strings.Cut(text, ":")
	h, err := strconv.ParseUint(hours, 10, 8)
	if err != nil {
		return 0, false
	}
	var m uint64
	if minutes != "" || strings.Contains(text, ":") {
		if m, err = strconv.ParseUint(minutes, 10, 8); err != nil || m > 59 {
			return 0, false
		}
	}
	clock := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	return clock, clock <= day
}

const day = 24 * time.Hour

func (w Window) check() error {
	switch {
	case len(w.Days) == 0:
		return fmt.Errorf("a window without a day")
	case w.From < 0 || w.From >= day || w.To < 0 || w.To > day:
		return fmt.Errorf("%s: hours are from 00:00 to 24:00", w)
	case w.From == w.To:
		return fmt.Errorf("%s: it has no length; the whole day is 00:00-24:00", w)
	}
	return nil
}

// String writes the window as ParseWindow reads it.
func (w Window) String() string {
	clock := func(d time.Duration) string { return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60) }
	text := clock(w.From) + "-" + clock(w.To)
	if len(w.Days) == 7 {
		return text
	}
	return daysText(w.Days) + " " + text
}

// daysText writes days from Monday to Sunday, three or more in a row as Mon-Fri.
func daysText(days []time.Weekday) string {
	var parts []string
	var row []string
	for n := range 8 {
		d := time.Weekday((n + 1) % 7)
		if n < 7 && slices.Contains(days, d) {
			row = append(row, d.String()[:3])
			continue
		}
		if len(row) > 2 {
			row = []string{row[0] + "-" + row[len(row)-1]}
		}
		parts, row = append(parts, row...), nil
	}
	return strings.Join(parts, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (w Window) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *Window) UnmarshalText(text []byte) error {
	parsed, err := ParseWindow(string(text))
	*w = parsed
	return err
}

// on gives the window that begins on the day of a time, in the time's zone; open
// is not set where none does. Where the clock is put forward over its beginning
// or end, that is the moment that Go's time.Date takes for it.
func (w Window) on(t time.Time) (from, to time.Time, open bool) {
	if !slices.Contains(w.Days, t.Weekday()) {
		return time.Time{}, time.Time{}, false
	}
	at := func(days int, clock time.Duration) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day()+days, int(clock.Hours()), int(clock.Minutes())%60, 0, 0, t.Location())
	}
	later := 0
	if w.To <= w.From {
		later = 1
	}
	return at(0, w.From), at(later, w.To), true
}

// Hours are the details of maintenance_window.
type Hours struct {
	Now      time.Time `json:"now"`
	TimeZone string    `json:"time_zone"`
	Windows  []Window  `json:"windows"`
	// Closes is when the window that is open ends, Opens when the next one begins.
	Closes *time.Time `json:"closes,omitempty"`
	Opens  *time.Time `json:"opens,omitempty"`
}

// Lines gives the windows.
func (h Hours) Lines() []string {
	var out []string
	for _, w := range h.Windows {
		out = append(out, fmt.Sprintf("%s %s", w, h.TimeZone))
	}
	return out
}

func lookWindow(_ context.Context, v *visit) (finding, error) {
	return judgeWindow(v.options.Now, v.options.Settings), nil
}

// judgeWindow passes where the time is in one of the windows; the end is not.
func judgeWindow(now time.Time, settings Settings) finding {
	zone, err := time.LoadLocation(settings.TimeZone)
	if err != nil {
		return finding{unknown: true, message: "no time zone " + settings.TimeZone}
	}
	now = now.In(zone)
	details := Hours{Now: now, TimeZone: settings.TimeZone, Windows: settings.Windows}
	for _, w := range settings.Windows {
		for days := -1; days <= 7; days++ {
			from, to, open := w.on(time.Date(now.Year(), now.Month(), now.Day()+days, 12, 0, 0, 0, zone))
			switch {
			case !open:
			case from.After(now):
				if details.Opens == nil || from.Before(*details.Opens) {
					details.Opens = &from
				}
			case to.After(now):
				if details.Closes == nil || to.After(*details.Closes) {
					details.Closes = &to
				}
			}
		}
	}
	const clock = "Mon 15:04 MST"
	f := finding{passed: details.Closes != nil, details: details}
	if f.passed {
		f.message = fmt.Sprintf("it is %s, and the window is open until %s", now.Format(clock), details.Closes.Format(clock))
		return f
	}
	f.message = fmt.Sprintf("it is %s, and no window is open", now.Format(clock))
	if details.Opens != nil {
		f.remedy = fmt.Sprintf("wait until %s, in %s", details.Opens.Format(clock), present.Duration(details.Opens.Sub(now)))
	}
	return f
}
