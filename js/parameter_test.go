package js

import (
	"strings"
	"testing"
	"time"

	"github.com/dop251/goja"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

// newMachine makes a machine for values alone.
func newMachine(t testing.TB) *machine {
	t.Helper()
	m, err := boot(t.Context(), &bundle{}, New(Options{}).options, nil)
	require.NoError(t, err)
	t.Cleanup(m.close)
	return m
}

func TestDatesOfLongAgoKeepTheirSeconds(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for want, at := range map[string]time.Time{
		"2024-07-01T02:00:00.000+02:00":       time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC),
		"1850-01-01T00:53:28.000+00:53:28":    time.Date(1850, 1, 1, 0, 0, 0, 0, time.UTC),
		"0044-03-15T00:53:28.007+00:53:28 BC": time.Date(-43, 3, 15, 0, 0, 0, 7_000_000, time.UTC),
		"0001-06-01T00:53:28.000+00:53:28 BC": time.Date(0, 6, 1, 0, 0, 0, 0, time.UTC),
		"12024-01-01T01:00:00.000+01:00":      time.Date(12024, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		require.Equal(t, want, dateLiteral(at.In(zone)))
	}
}

func TestLocalTimesAreThoseOfJavaScript(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ zone, shown, want string }{
		{"Europe/Berlin", "2024-01-15 12:00:00", "2024-01-15T11:00:00Z"},
		{"Europe/Berlin", "2024-03-31 01:59:59", "2024-03-31T00:59:59Z"},
		{"Europe/Berlin", "2024-03-31 02:30:00", "2024-03-31T01:30:00Z"}, // skipped
		{"Europe/Berlin", "2024-03-31 03:00:00", "2024-03-31T01:00:00Z"},
		{"Europe/Berlin", "2024-10-27 02:30:00", "2024-10-27T00:30:00Z"}, // twice
		{"Europe/Berlin", "2024-10-27 03:00:00", "2024-10-27T02:00:00Z"},
		{"America/New_York", "2024-03-10 02:30:00", "2024-03-10T07:30:00Z"},
		{"America/New_York", "2024-11-03 01:30:00", "2024-11-03T05:30:00Z"},
		{"America/New_York", "2024-11-03 02:00:00", "2024-11-03T07:00:00Z"},
		{"Pacific/Apia", "2011-12-29 12:00:00", "2011-12-29T22:00:00Z"},
		{"Pacific/Apia", "2011-12-31 12:00:00", "2011-12-30T22:00:00Z"}, // the day before was left out
		{"UTC", "2024-01-15 12:00:00", "2024-01-15T12:00:00Z"},
	} {
		zone, err := time.LoadLocation(test.zone)
		require.NoError(t, err)
		shown, err := time.Parse(time.DateTime, test.shown)
		require.NoError(t, err)
		require.Equal(t, test.want, time.UnixMilli(localTime(shown.UnixMilli(), zone)).UTC().Format(time.RFC3339),
			test.zone+" "+test.shown)
	}
}

// FuzzParameters sends texts and arrays of them there and back: what a script
// gives must be what PostgreSQL reads, and what that writes what a script gets.
func FuzzParameters(f *testing.F) {
	for _, seed := range [][2]string{{"", "a"}, {`"`, `\`}, {"NULL", "{},"}, {"é🐦", "a\nb\x00"}, {" ", "'"},
		{`\"`, `","`}} {
		f.Add(seed[0], seed[1])
	}
	m := newMachine(f)
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = strings.ToValidUTF8(a, "?"), strings.ToValidUTF8(b, "?")
		require.Equal(t, a, string(m.parameter(m.vm.ToValue(a), 0).data))
		for _, items := range [][]any{{}, {a}, {a, goja.Null(), b}, {goja.Undefined(), b}} {
			inner := m.vm.NewArray(items...)
			for _, array := range []*goja.Object{inner, m.vm.NewArray(inner, inner)} {
				sent := m.parameter(array, 0)
				require.False(t, sent.binary)
				got := conversionOf(pgtype.TextArrayOID)(m, string(sent.data))
				require.Equal(t, m.json(t, array), m.json(t, got))
			}
		}
		object := m.object(a, b, "list", m.vm.NewArray(a, b))
		got := conversionOf(pgtype.JSONBOID)(m, string(m.parameter(object, 0).data))
		require.Equal(t, m.json(t, object), m.json(t, got))
		data := m.buffer([]byte(a))
		require.Equal(t, parameter{data: []byte(a), binary: true}, m.parameter(data, 0))
	})
}

func (m *machine) json(t *testing.T, value goja.Value) string {
	t.Helper()
	text, err := m.natives.stringify(goja.Undefined(), value)
	require.NoError(t, err)
	return text.String()
}

func FuzzConversions(f *testing.F) {
	oids := []uint32{}
	for oid := range scalars {
		oids = append(oids, oid)
	}
	for oid := range arrays {
		oids = append(oids, oid)
	}
	for _, seed := range []string{"", "t", "1", "-1.5e400", "NaN", "2024-01-15 12:34:56.789+05:30:15 BC", "infinity",
		"1 year -2 mons 03:04:05.6", "(1,2)", "<(1,2),3>", `\xdead`, `\\00\1`, `{"a":[1,null]}`, `{1,"2",NULL}`, "{", "[1,",
		`"\ud800"`} {
		f.Add(seed)
	}
	m := newMachine(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, oid := range oids {
			// Whatever the server writes, it is a value or an Error.
			var value goja.Value
			if exception := m.vm.Try(func() { value = conversionOf(oid)(m, text) }); exception == nil {
				require.NotNil(t, value)
			}
		}
	})
}
