package js

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/whimbrel-db/whimbrel/internal/plaintext"
)

// conversion makes a JavaScript value of what the server writes for one that is
// not NULL. It panics with a JavaScript Error where the text is not what it
// should be.
type conversion func(m *machine, text string) goja.Value

// conversionOf gives the conversion for a type as Node's package pg-types has
// them. What is in no list stays text: numeric and int8 too, whose values a
// JavaScript number does not hold.
func conversionOf(oid uint32) conversion {
	if c, ok := scalars[oid]; ok {
		return c
	}
	if c, ok := arrays[oid]; ok {
		return func(m *machine, text string) goja.Value {
			array, err := parseArray(text)
			if err != nil {
				panic(m.goError(&refusal{err.Error() + " from the server: " + text}))
			}
			return m.arrayValue(array, c)
		}
	}
	return asText
}

// Types that pgtype has no name for.
const (
	moneyArray   = 791
	regprocArray = 1008
)

var scalars = map[uint32]conversion{
	pgtype.BoolOID:        asBoolean,
	pgtype.Int2OID:        asInteger,
	pgtype.Int4OID:        asInteger,
	pgtype.OIDOID:         asInteger,
	pgtype.Float4OID:      asFloat,
	pgtype.Float8OID:      asFloat,
	pgtype.DateOID:        asDate,
	pgtype.TimestampOID:   asDate,
	pgtype.TimestamptzOID: asDate,
	pgtype.IntervalOID:    asInterval,
	pgtype.PointOID:       asPoint,
	pgtype.CircleOID:      asCircle,
	pgtype.ByteaOID:       asBuffer,
	pgtype.JSONOID:        asJSON,
	pgtype.JSONBOID:       asJSON,
}

var arrays = map[uint32]conversion{
	pgtype.BoolArrayOID:        asBoolean,
	pgtype.ByteaArrayOID:       asBuffer,
	pgtype.Int2ArrayOID:        asInteger,
	pgtype.Int4ArrayOID:        asInteger,
	pgtype.OIDArrayOID:         asInteger,
	pgtype.Int8ArrayOID:        asText,
	pgtype.PointArrayOID:       asPoint,
	pgtype.Float4ArrayOID:      asFloat,
	pgtype.Float8ArrayOID:      asFloat,
	pgtype.NumericArrayOID:     asFloat, // sic: a numeric alone is text
	pgtype.BPCharArrayOID:      asText,
	pgtype.VarcharArrayOID:     asText,
	regprocArray:               asText,
	pgtype.TextArrayOID:        asText,
	pgtype.CIDRArrayOID:        asText,
	pgtype.MacaddrArrayOID:     asText,
	pgtype.InetArrayOID:        asText,
	pgtype.TimestampArrayOID:   asDate,
	pgtype.DateArrayOID:        asDate,
	pgtype.TimestamptzArrayOID: asDate,
	pgtype.IntervalArrayOID:    asInterval,
	pgtype.JSONArrayOID:        asJSON,
	pgtype.JSONBArrayOID:       asJSON,
	pgtype.UUIDArrayOID:        asText,
	pgtype.TimeArrayOID:        asText,
	pgtype.TimetzArrayOID:      asText,
	pgtype.NumrangeArrayOID:    asText,
	moneyArray:                 asText,
}

func asText(m *machine, text string) goja.Value { return m.vm.ToValue(text) }

func asBoolean(m *machine, text string) goja.Value { return m.vm.ToValue(text == "t") }

func asInteger(m *machine, text string) goja.Value {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return goja.NaN()
	}
	return m.vm.ToValue(n)
}

func asFloat(m *machine, text string) goja.Value {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && f == 0 {
		return goja.NaN()
	}
	return m.vm.ToValue(f)
}

func asBuffer(m *machine, text string) goja.Value {
	data, err := hex.DecodeString(strings.TrimPrefix(text, `\x`))
	if !strings.HasPrefix(text, `\x`) || err != nil {
		data = unescapeBytes(text)
	}
	return m.buffer(data)
}

// unescapeBytes reads a bytea as bytea_output = escape writes it.
func unescapeBytes(text string) []byte {
	data := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			data = append(data, text[i])
			continue
		}
		if i+3 < len(text) {
			if octal, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				data = append(data, byte(octal))
				i += 3
				continue
			}
		}
		i++
		data = append(data, text[i])
	}
	return data
}

func (m *machine) arrayValue(array element, convert conversion) goja.Value {
	values := make([]any, len(array.elements))
	for i, e := range array.elements {
		switch {
		case e.null:
			values[i] = goja.Null()
		case e.elements != nil:
			values[i] = m.arrayValue(e, convert)
		default:
			values[i] = convert(m, e.text)
		}
	}
	return m.vm.NewArray(values...)
}

var (
	datePattern = plaintext.Pattern(
		`^(\d+)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(\.\d+)?([+-]\d\d(?::\d\d){0,2})?)?( BC)?$`)
	pointPattern  = plaintext.Pattern(`^\(([^,()]+),([^,()]+)\)$`)
	circlePattern = plaintext.Pattern(`^<\(([^,()]+),([^,()]+)\),([^,<>]+)>$`)
)

// asDate makes a Date; what has no time zone is local. Infinity is a number, and
// what is not written in the ISO style null, as they are in Node's pg.
func asDate(m *machine, text string) goja.Value {
	switch text {
	case "infinity":
		return goja.PositiveInf()
	case "-infinity":
		return goja.NegativeInf()
	}
	part := datePattern().FindStringSubmatch(text)
	if part == nil {
		return goja.Null()
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(part[i]) // digits; nothing is 0
		return n
	}
	year := number(1)
	if part[9] != "" {
		year = 1 - year
	}
	var milliseconds int
	if part[7] != "" {
		fraction, _ := strconv.ParseFloat(part[7], 64)
		milliseconds = int(1000 * fraction)
	}
	at := time.Date(year, time.Month(number(2)), number(3), number(4), number(5), number(6),
		milliseconds*int(time.Millisecond), time.UTC).UnixMilli()
	if part[8] == "" {
		at = localTime(at, time.Local)
	} else {
		at -= offsetOf(part[8]).Milliseconds()
	}
	return m.date(at)
}

// offsetOf reads an offset like +05:30.
func offsetOf(text string) time.Duration {
	var offset time.Duration
	for i, unit := range strings.Split(text[1:], ":") {
		n, _ := strconv.Atoi(unit)
		offset += time.Duration(n) * [...]time.Duration{time.Hour, time.Minute, time.Second}[i]
	}
	if text[0] == '-' {
		return -offset
	}
	return offset
}

// localTime gives the moment at which clocks of a zone show a time, which is
// given as if it were UTC. Of two, and where there is none, JavaScript counts
// with the offset that was in force before the clocks were changed.
func localTime(shown int64, zone *time.Location) int64 {
	const day = 24 * 60 * 60 * 1000
	offset := func(at int64) int64 {
		_, seconds := time.UnixMilli(at).In(zone).Zone()
		return int64(seconds) * 1000
	}
	before, after := offset(shown-day), offset(shown+day)
	if offset(shown-before) != before && offset(shown-after) == after {
		return shown - after
	}
	return shown - before
}

// latest is the last moment, in milliseconds, that a Date can hold.
const latest = 8_640_000_000_000_000

func (m *machine) date(milliseconds int64) goja.Value {
	at := m.vm.ToValue(milliseconds)
	if milliseconds > latest || milliseconds < -latest {
		at = goja.NaN()
	}
	date, err := m.vm.New(m.natives.date, at)
	if err != nil {
		panic(err)
	}
	return date
}

func asPoint(m *machine, text string) goja.Value {
	part := pointPattern().FindStringSubmatch(text)
	if part == nil {
		return goja.Null()
	}
	return m.object("x", asFloat(m, part[1]), "y", asFloat(m, part[2]))
}

func asCircle(m *machine, text string) goja.Value {
	part := circlePattern().FindStringSubmatch(text)
	if part == nil {
		return goja.Null()
	}
	return m.object("x", asFloat(m, part[1]), "y", asFloat(m, part[2]), "radius", asFloat(m, part[3]))
}

// object makes an object of names and values in turn.
func (m *machine) object(pairs ...any) *goja.Object {
	object := m.vm.NewObject()
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if err := object.Set(name, pairs[i+1]); err != nil {
			panic(err)
		}
	}
	return object
}

var intervalPattern = plaintext.Pattern(
	`^(?:([+-]?\d+) years?)? *(?:([+-]?\d+) mons?)? *(?:([+-]?\d+) days?)? *(?:([+-])?(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$`)

// asInterval makes an object with the parts that are not zero.
func asInterval(m *machine, text string) goja.Value {
	object, err := m.vm.New(m.natives.interval)
	if err != nil {
		panic(err)
	}
	part := intervalPattern().FindStringSubmatch(text)
	if part == nil {
		return object
	}
	sign := 1.0
	if part[4] == "-" {
		sign = -1
	}
	set := func(name, digits string, factor float64) {
		n, _ := strconv.ParseFloat(digits, 64)
		if n == 0 {
			return
		}
		if err := object.Set(name, n*factor); err != nil {
			panic(err)
		}
	}
	set("years", part[1], 1)
	set("months", part[2], 1)
	set("days", part[3], 1)
	set("hours", part[5], sign)
	set("minutes", part[6], sign)
	set("seconds", part[7], sign)
	if part[8] != "" {
		microseconds, _ := strconv.ParseFloat((part[8] + "00000")[:6], 64)
		if milliseconds := microseconds / 1000; milliseconds != 0 && !math.IsInf(milliseconds, 0) {
			if err := object.Set("milliseconds", sign*milliseconds); err != nil {
				panic(err)
			}
		}
	}
	return object
}
