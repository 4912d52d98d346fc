package stall

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scene is a server whose queues a test sets. The monitor looks at it in a goroutine of its own, and a
// clock that goes on orders nothing between the two: all is read and written under the mutex.
type scene struct {
	mutex     sync.Mutex
	now       []queue
	looks     int
	cancelled []int
	worker    string // that was asked for last
	lost      bool
	named     string // the session at work
}

func (s *scene) set(queues ...queue) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.now, s.looks = queues, 0
}

// at sets the session at work.
func (s *scene) at(worker string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.named = worker
}

func (s *scene) current() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.named
}

// looked gives how often it was looked at since the queues were set.
func (s *scene) looked() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.looks
}

func (s *scene) askedFor() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.worker
}

// victims gives the sessions that were cancelled.
func (s *scene) victims() []int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.cancelled)
}

func (s *scene) lose() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.lost = true
}

func (s *scene) queues(_ context.Context, worker string) ([]queue, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.worker, s.looks = worker, s.looks+1
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
	mutex            sync.Mutex
	waited           time.Duration
	blocked, stalled int
}

func (h *heard) step() Step {
	return Step{Notify: func(s Sight) {
		h.mutex.Lock()
		defer h.mutex.Unlock()
		h.waited += s.Waited
		if s.Blocked {
			h.blocked++
		}
		if s.Stalled {
			h.stalled++
		}
	}}
}

func (h *heard) soFar() (waited time.Duration, blocked, stalled int) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.waited, h.blocked, h.stalled
}

func ignore(Sight) {}

func nobody() string { return "worker" }

// watched runs a test with a monitor of a scene, in a bubble with a clock of its own.
func watched(t *testing.T, test func(*testing.T, *Monitor, *scene)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{named: "worker"}
		m := start(t.Context(), Config{
			Budget: 100 * time.Millisecond, Patience: time.Minute, Worker: s.current,
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
		require.Zero(t, s.looked())
		require.NoError(t, m.Begin(t.Context(), Step{Notify: ignore}))
		after(time.Second)
		require.InDelta(t, 50, s.looked(), 2)
		require.Equal(t, "worker", s.askedFor())
		s.at("another")
		after(time.Second)
		require.Equal(t, "another", s.askedFor())
		m.End()
		s.set()
		after(time.Hour)
		require.Zero(t, s.looked())
	})
}

func TestABatchIsLookedAtLessOftenAndAQueueMoreOften(t *testing.T) {
	watched(t, func(t *testing.T, m *Monitor, s *scene) {
		require.NoError(t, m.Begin(t.Context(), Step{Mode: Batches, Notify: ignore}))
		after(2 * time.Second)
		s.set()
		after(2 * time.Second)
		require.Equal(t, 10, s.looked())
		s.set(queue{worker: 7, Sight: Sight{Behind: []Session{{PID: 8}}}})
		after(2 * time.Second)
		require.Greater(t, s.looked(), 350)
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
					require.Empty(t, s.victims())
					return
				}
				require.Contains(t, s.victims(), 7)
				count := len(s.victims())
				after(2 * time.Second)
				require.Len(t, s.victims(), count, "nothing runs any more")
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
		waited, blocked, _ := h.soFar()
		require.Equal(t, 1, blocked)
		require.InDelta(t, 4*time.Second, waited, float64(interval))
		s.set(queue{worker: 7, waiting: true, Sight: Sight{Ahead: []Session{{PID: 6}}}})
		after(time.Second)
		_, blocked, _ = h.soFar()
		require.Equal(t, 2, blocked, "another blocker is told at once")
		after(5 * time.Second)
		waited, blocked, stalled := h.soFar()
		require.Equal(t, 3, blocked, "and the same again after a while")
		require.Zero(t, stalled)
		m.End()

		s.set(queue{worker: 7, Sight: Sight{Behind: []Session{{PID: 8, Age: time.Second}}}})
		require.NoError(t, m.Begin(t.Context(), h.step()))
		after(4 * time.Second)
		waitedSince, _, stalled := h.soFar()
		require.Equal(t, 1, stalled)
		require.Equal(t, waited, waitedSince, "who is at work does not wait")
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
		require.NotZero(t, s.looked(), "one of them still runs")
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
		var opened atomic.Int32
		m := start(t.Context(), Config{Worker: nobody}, func(context.Context) (server, error) {
			return servers[opened.Add(1)-1], nil
		})
		defer m.Stop()
		require.NoError(t, m.Begin(t.Context(), Step{Notify: ignore}))
		after(time.Second)
		servers[0].lose()
		after(time.Second)
		require.EqualValues(t, 2, opened.Load())
		require.NotZero(t, servers[1].looked())
	})
}
