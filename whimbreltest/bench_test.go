//go:build unix

package whimbreltest

import (
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkNew measures what a test waits for New, with 100 migrations: the very
// first, for which a server is started; the first of a set of migrations; and all
// further ones. The end of the databases is not in it.
func BenchmarkNew(b *testing.B) {
	migrations := history(100)
	b.Run("first with server", func(b *testing.B) {
		measure(b, func() (sharing, fstest.MapFS) { return brief(temporaryFolder(b)), migrations })
	})
	b.Run("first with template", func(b *testing.B) {
		New(b, migrations) // keeps the server
		measure(b, func() (sharing, fstest.MapFS) {
			migrations["9999_more.sql"] = &fstest.MapFile{Data: []byte("SELECT '" + time.Now().String() + "'")}
			return everybody, migrations
		})
	})
	b.Run("further", func(b *testing.B) {
		New(b, migrations)
		measure(b, func() (sharing, fstest.MapFS) { return everybody, migrations })
	})
}

func measure(b *testing.B, prepare func() (sharing, fstest.MapFS)) {
	b.Helper()
	var times []time.Duration
	for b.Loop() {
		s, migrations := prepare()
		r := rehearse(b, func(t testing.TB) {
			began := time.Now()
			s.database(t, migrations, nil)
			times = append(times, time.Since(began))
		})
		require.False(b, r.failed, r.text())
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(times[len(times)-1].Microseconds())/1000, "ms-max")
}
