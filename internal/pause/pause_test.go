package pause_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/whimbrel-db/whimbrel/internal/pause"
)

func TestAPauseEndsInTimeOrWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		require.NoError(t, pause.For(t.Context(), time.Minute))
		require.Equal(t, time.Minute, time.Since(began))

		reason := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		require.ErrorIs(t, pause.For(ctx, time.Hour), reason)
		require.Equal(t, time.Minute+time.Second, time.Since(began))
	})
}

func TestBackingOffDoublesUpToTwoSeconds(t *testing.T) {
	t.Parallel()
	for attempt, longest := range map[int]time.Duration{
		1: 20 * time.Millisecond, 2: 40 * time.Millisecond, 7: 1280 * time.Millisecond, 8: 2 * time.Second,
		1000: 2 * time.Second,
	} {
		for range 100 {
			wait := pause.Backoff(attempt)
			require.GreaterOrEqual(t, wait, longest/2)
			require.Less(t, wait, longest)
		}
	}
}
