package stall

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scene is a server whose queues a test sets.
type scene struct {
	mutex     sync.Mutex
	now       []queue
	looks     []time.Time
	cancelled []int
	worker    string // that was asked for last
	lost      bool
	named     string // the session at work
}

func (s *scene) set(queues ...queue) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.now, s.looks = queues, nil
}

func (s *scene) queues(_ context.Context, worker string) ([]queue, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.worker, s.looks = worker, append(s.looks, time.Now())
	if s.lost {
		return nil, errors.New("lost")
	}
	return s.now, nil
}

func (s *scene) cancel(_ context.Context, pid int, _ string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.cancelled = append(s.cancelled, pid)
}

func (s *scene) close() {}

// heard is what was told of a step.
type heard struct {
	waited           time.Duration
	blocked, stalled int
}

func (h *heard) step() Step {
	return Step{Notify: func(s Sight) {
		h.waited += s.Waited
		if s.Blocked {
			h.blocked++
		}
		if s.Stalled {
			h.stalled++
		}
	}}
}

func ignore(Sight) {}

func nobody() string { return "worker" }

// watched runs a test with a monitor of a scene, in a bubble with a clock of its own.
func watched(t *testing.T, test func(*testing.T, *Monitor, *scene)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{named: "worker"}
		m := start(t.Context(), Config{
			Budget: 100 * time.Millisecond, Patience: time.Minute, Worker: func() string { return s.named },
		}, func(context.Context) (server, error) { return s, nil })
		defer m.Stop()
		test(t, m, s)
	})
}

// after lets the clock go on, to between two looks.
func after(d time.Duration) {
	time.Sleep(d + time.Millisecond)
	synctest.Wait()
}

func TestNobodyLooksWhileNothingRuns(t *testing.T) {
	watched(t, func(t *testing.T, m *Monitor, s *scene) {
		after(time.Hour)
		require.Empty(t, s.looks)
		require.NoError(t, m.Begin(t.Context(), Step{Notify: ignore}))
		after(time.Second)
		require.InDelta(t, 50, len(s.looks), 2)
		require.Equal(t, "worker", s.worker)
		s.named = "another"
		after(time.Second)
		require.Equal(t, "another", s.worker)
		m.End()
		s.set()
		after(time.Hour)
		require.Empty(t, s.looks)
	})
}

func TestABatchIsLookedAtLessOftenAndAQueueMoreOften(t *testing.T) {
	watched(t, func(t *testing.T, m *Monitor, s *scene) {
		require.NoError(t, m.Begin(t.Context(), Step{Mode: Batches, Notify: ignore}))
		after(2 * time.Second)
		s.set()
		after(2 * time.Second)
		require.Len(t, s.looks, 10)
		s.set(queue{worker: 7, Sight: Sight{Behind: []Session{{PID: 8}}}})
		after(2 * time.Second)
		require.Greater(t, len(s.looks), 350)
		require.True(t, m.Queued())
		s.set()
		after(time.Second)
		m.Queued()
		require.False(t, m.Queued(), "it is asked since when it was last asked")
	})
}

func TestWhoIsCancelled(t *testing.T) {
	t.Parallel()
	const budget = 100 * time.Millisecond
	for name, test := range map[string]struct {
		step    Step
		waiting bool
		behind  time.Duration
		want    bool
	}{
		"a transaction that waits, and makes others wait for the budget": {Step{}, true, budget, true},
		"the time to notice is taken off the budget":                     {Step{}, true, 80 * time.Millisecond, true},
		"not before":                        {Step{}, true, 79 * time.Millisecond, false},
		"not a transaction that is at work": {Step{}, false, time.Hour, false},
		"a batch that waits, after half the budget at the earliest":    {Step{Mode: Batches}, true, budget / 2, true},
		"a statement outside a transaction, whatever it does":          {Step{Mode: NonTransactional}, false, budget, true},
		"not a statement outside a transaction behind which nobody is": {Step{Mode: NonTransactional}, true, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			watched(t, func(t *testing.T, m *Monitor, s *scene) {
				test.step.Notify = ignore
				s.set(queue{worker: 7, waiting: test.waiting, Sight: Sight{Behind: []Session{{PID: 8, Age: test.behind},
					{PID: 9}}}})
				require.NoError(t, m.Begin(t.Context(), test.step))
				after(300 * time.Millisecond)
				require.Equal(t, test.want, m.Cancelled())
				m.End()
				if !test.want {
					require.Empty(t, s.cancelled)
					return
				}
				require.Contains(t, s.cancelled, 7)
				count := len(s.cancelled)
				after(2 * time.Second)
				require.Len(t, s.cancelled, count, "nothing runs any more")
				require.False(t, m.Cancelled())
			})
		})
	}
}

func TestWhatIsSeenIsToldButNotAtEveryLook(t *testing.T) {
	watched(t, func(t *testing.T, m *Monitor, s *scene) {
		var h heard
		blocker := []Session{{PID: 5}}
		s.set(queue{worker: 7, waiting: true, Sight: Sight{Ahead: blocker}})
		require.NoError(t, m.Begin(t.Context(), h.step()))
		after(4 * time.Second)
		require.Equal(t, 1, h.blocked)
		require.InDelta(t, 4*time.Second, h.waited, float64(interval))
		s.set(queue{worker: 7, waiting: true, Sight: Sight{Ahead: []Session{{PID: 6}}}})
		after(time.Second)
		require.Equal(t, 2, h.blocked, "another blocker is told at once")
		after(5 * time.Second)
		require.Equal(t, 3, h.blocked, "and the same again after a while")
		require.Zero(t, h.stalled)
		m.End()

		waited := h.waited
		s.set(queue{worker: 7, Sight: Sight{Behind: []Session{{PID: 8, Age: time.Second}}}})
		require.NoError(t, m.Begin(t.Context(), h.step()))
		after(4 * time.Second)
		require.Equal(t, 1, h.stalled)
		require.Equal(t, waited, h.waited, "who is at work does not wait")
	})
}

func TestOfSeveralBatchesTheOldestCounts(t *testing.T) {
	watched(t, func(t *testing.T, m *Monitor, s *scene) {
		for range 2 {
			require.NoError(t, m.Begin(t.Context(), Step{Mode: Batches, Notify: ignore}))
			after(10 * time.Millisecond)
		}
		m.End()
		after(time.Second)
		require.NotEmpty(t, s.looks, "one of them still runs")
	})
}

func TestAStatementOutsideATransactionWaitsUntilItsQueueCanBeSeen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		refusals int // of connections
		want     error
	}{
		"and runs once there is a connection": {3, nil},
		"and gives up in the end":             {1000, ErrBlind},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				left := test.refusals
				m := start(t.Context(), Config{Patience: 30 * time.Second, Worker: nobody}, func(context.Context) (server, error) {
					if left--; left < 0 {
						return &scene{}, nil
					}
					return nil, errors.New("too many connections")
				})
				defer m.Stop()
				require.NoError(t, m.Begin(t.Context(), Step{Notify: ignore}), "a transaction does not wait")
				began := time.Now()
				require.ErrorIs(t, m.Begin(t.Context(), Step{Mode: NonTransactional, Notify: ignore}), test.want)
				if test.want != nil {
					require.Equal(t, 30*time.Second, time.Since(began))
				}
			})
		})
	}
}

func TestALostConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		servers := []*scene{{}, {}}
		opened := 0
		m := start(t.Context(), Config{Worker: nobody}, func(context.Context) (server, error) {
			opened++
			return servers[opened-1], nil
		})
		defer m.Stop()
		require.NoError(t, m.Begin(t.Context(), Step{Notify: ignore}))
		after(time.Second)
		servers[0].mutex.Lock()
		servers[0].lost = true
		servers[0].mutex.Unlock()
		after(time.Second)
		require.Equal(t, 2, opened)
		require.NotEmpty(t, servers[1].looks)
	})
}
