package present

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

const day = 24 * time.Hour

// Duration is a duration as precise as it is interesting: "3.4 ms", "850 ms", "1.2 s",
// "1 min 5 s", "2 h 3 min", "3 days 4 h". What is known less precisely is rounded first.
func Duration[D ~int64](of D) string {
	d := time.Duration(of)
	switch {
	case d < 0:
		return "0 ms"
	case d < 10*time.Millisecond:
		return decimal(float64(d.Microseconds())/1000) + " ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return decimal(d.Seconds()) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return twoUnits(d, time.Minute, "min", time.Second, "s")
	case d < 2*day:
		return twoUnits(d, time.Hour, "h", time.Minute, "min")
	}
	return twoUnits(d, day, "days", time.Hour, "h")
}

// twoUnits omits the lower one where there is none of it.
func twoUnits(d, high time.Duration, highName string, low time.Duration, lowName string) string {
	text := fmt.Sprintf("%d %s", d/high, highName)
	if rest := d % high / low; rest > 0 {
		text += fmt.Sprintf(" %d %s", rest, lowName)
	}
	return text
}

// decimal is a number with one digit behind the point, unless that is a zero.
func decimal(value float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") }

// Ago is how long before now t was, roughly.
func Ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < 2*time.Second:
		return "just now"
	case d < time.Minute:
		return Plural(int(d.Seconds()), "second") + " ago"
	case d < time.Hour:
		return Plural(int(d.Minutes()), "minute") + " ago"
	case d < 2*day:
		return Plural(int(d.Hours()), "hour") + " ago"
	}
	return Plural(int(d/day), "day") + " ago"
}

type integer interface{ ~int | ~int32 | ~int64 }

// Count is a number with its digits in groups of three: "1,234,567".
func Count[N integer](n N) string {
	digits := fmt.Sprintf("%d", n)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Plural is "1 migration", "2 migrations", "3 indexes", "4 retries".
func Plural[N integer](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	stem, ending := noun, "s"
	switch {
	case strings.HasSuffix(noun, "x"), strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "ch"):
		ending = "es"
	case strings.HasSuffix(noun, "y") && !strings.ContainsAny(noun[max(0, len(noun)-2):], "aeou"):
		stem, ending = strings.TrimSuffix(noun, "y"), "ies"
	}
	return Count(n) + " " + stem + ending
}

// Bytes is a size in powers of 1024, as PostgreSQL names them: "1 byte", "8 kB", "1.5 GB", "120 GB".
func Bytes(n int64) string {
	const step = 1024
	if n < step {
		return Plural(n, "byte")
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB"} {
		if value /= step; value < step {
			break
		}
	}
	if value < 100 {
		return decimal(value) + " " + unit
	}
	return fmt.Sprintf("%.0f %s", value, unit)
}

// OneLine is a text without line breaks and doubled blanks, cut to a length in characters.
func OneLine(text string, length int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > length {
		return string(runes[:length-1]) + "…"
	}
	return text
}

// List is the first few of a list, and how many more there are.
func List(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Printable keeps what others wrote (names of applications, queries, the output of
// commands) from steering the terminal.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
