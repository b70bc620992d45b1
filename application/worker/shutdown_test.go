package worker_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestPoolStopsAtOnceWhenItIsIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		require.Zero(t, start(t, options(), q, newProcessor(atOnce)).end(t))
		require.Empty(t, q.finished())
	})
}

func TestPoolStopsBeforeItHasBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		q := newQueue(delivery("a", 10))
		require.NoError(t, newPool(q, newProcessor(atOnce)).Run(ctx))
		require.Empty(t, q.asked())
	})
}

// TestPoolStopLetsRunningCallsEnd holds that a call which ends within the drain is not disturbed, and that its outcome
// is saved although the pool's context has ended.
func TestPoolStopLetsRunningCallsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(deliveries("", 10, 10)...)
		q.finish = func(ctx context.Context, finishes []ports.Finish) []error {
			require.NoError(t, ctx.Err())
			return make([]error, len(finishes))
		}
		p := newProcessor(after(20 * time.Second))
		r := start(t, options(), q, p)
		require.Equal(t, 20*time.Second, r.end(t))
		require.Len(t, p.calls(), 4)
		require.Len(t, q.asked(), 1, "nothing new is asked for")
		require.Len(t, q.outcomes(), 4)
		for id, status := range q.outcomes() {
			require.Equal(t, domain.Completed, status, id)
		}
		require.Empty(t, q.out)
	})
}

// TestPoolStopCutsOffCallsThatGoOn holds that Drain is what they get, that they get the reason, and that what becomes
// of them is saved.
func TestPoolStopCutsOffCallsThatGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(delivery("long", 10))
		r := start(t, options(), q, newProcessor(after(time.Hour)))
		<-time.After(time.Minute)
		require.Equal(t, 25*time.Second, r.end(t))
		require.Equal(t, [][]ports.Finish{{{ID: "long", Token: "token of long", Outcome: domain.Outcome{
			Status: domain.Pending, Attempts: 1, Error: ports.ErrInterrupted.Error(),
		}}}}, q.groups)
		require.Empty(t, q.out)
	})
}

// TestPoolStopHandsBackWhatItDidNotBegin has a queue that had begun deliveries when it was stopped.
func TestPoolStopHandsBackWhatItDidNotBegin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, p := newQueue(delivery("running", 10)), newProcessor(after(10*time.Second))
		q.late = []ports.Delivery{delivery("late", 10), delivery("later", 10)}
		opts := options()
		opts.Now = func() time.Time { return time.Now().In(time.FixedZone("", 3600)) }
		r := start(t, opts, q, p)
		r.stop()
		synctest.Wait()
		now := time.Now()
		for _, id := range []domain.ID{"late", "later"} {
			require.Equal(t, domain.Outcome{
				Status: domain.Pending, NextAttemptAt: now.UTC(), Attempts: 2, At: now.UTC(),
			}, q.outcome(id), "at once and uncharged")
		}
		require.Equal(t, 10*time.Second, r.wait(t))
		require.Equal(t, map[domain.ID]int{"running": 1}, p.calls())
		require.Empty(t, q.out)
	})
}

// TestPoolStopIsBounded has a store that does not come back: the pool ends all the same, and says what was left.
func TestPoolStopIsBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		finish func(ctx context.Context, finishes []ports.Finish) []error
	}{
		{"refuses at once", func(_ context.Context, finishes []ports.Finish) []error { return unavailable(finishes) }},
		{"does not answer", func(ctx context.Context, finishes []ports.Finish) []error {
			<-ctx.Done()
			return unavailable(finishes)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				q, p := newQueue(delivery("short", 10), delivery("long", 10)), newProcessor(
					func(ctx context.Context, d ports.Delivery) domain.Outcome {
						if d.Request.ID == "short" {
							return completed
						}
						return after(time.Hour)(ctx, d)
					})
				q.finish = tt.finish
				r := start(t, logTo(&log), q, p)
				require.Equal(t, 30*time.Second, r.end(t), "drain and save")
				require.Empty(t, q.outcomes())
				require.Equal(t, map[domain.ID]int{"short": 1, "long": 1}, p.calls())
				require.Contains(t, log.String(), "level=ERROR")
			})
		})
	}
}

// TestPoolStopSavesWhenTheStoreComesBack has a store that is back before the time for the last outcomes is over.
func TestPoolStopSavesWhenTheStoreComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away outage
		away.Store(true)
		q, p := newQueue(deliveries("", 4, 10)...), newProcessor(atOnce)
		q.finish = away.finish
		r := start(t, options(), q, p)
		r.stop()
		<-time.After(20 * time.Second)
		away.Store(false)
		require.LessOrEqual(t, r.wait(t), 25*time.Second)
		require.Len(t, q.outcomes(), 4)
		require.Empty(t, q.out)
	})
}

// TestPoolEndsWithAQueueThatEnds has a queue that ends by itself: Run returns its error when all outcomes are saved.
func TestPoolEndsWithAQueueThatEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the disk is gone")
		q := newQueue(delivery("short", 10))
		r := start(t, options(), q, newProcessor(after(10*time.Second)))
		began := time.Now()
		q.broken <- broken
		<-r.ended
		require.ErrorIs(t, r.err, broken)
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, map[domain.ID]domain.Status{"short": domain.Completed}, q.outcomes())
	})
}

// TestPoolEndsWithAQueueThatSavesNothingAnyMore holds that such a queue cannot keep the process from ending.
func TestPoolEndsWithAQueueThatSavesNothingAnyMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the disk is gone")
		q := newQueue(delivery("a", 10))
		q.finish = func(_ context.Context, finishes []ports.Finish) []error { return unavailable(finishes) }
		r := start(t, options(), q, newProcessor(atOnce))
		began := time.Now()
		q.broken <- broken
		<-r.ended
		require.ErrorIs(t, r.err, broken)
		require.Equal(t, 30*time.Second, time.Since(began))
	})
}
