// Package pause waits: for a while, or until what it waits for has come to an end.
package pause

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits for a duration, or returns early with the cause of the context's end.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Backoff is how long to wait after the given attempt: it doubles from 20 ms
// to 2 s, and half of it is chance, so that runners do not march in step.
func Backoff(attempt int) time.Duration {
	full := min(20*time.Millisecond<<min(attempt-1, 10), 2*time.Second)
	return full/2 + rand.N(full/2)
}
