package devdb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/devdb"
)

func TestTmp(t *testing.T) {
	for _, m := range []int{18, 0} {
		b, err := devdb.Find(t.Context(), devdb.FindOptions{Major: m, Progress: func(m string) { t.Log(m) }})
		require.NoError(t, err)
		t.Log(b)
		s, err := devdb.Start(t.Context(), devdb.Options{Major: m, TCP: true})
		require.NoError(t, err)
		t.Log(s.URL("x"), s.Port())
		require.NoError(t, s.Restart(t.Context(), true))
		require.NoError(t, s.Stop())
	}
}
