package moving_test

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/moving"
)

const idle = time.Minute

func TestAWaitGoesOnForAsLongAsSomethingMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var progress atomic.Int64
		began := time.Now()
		ctx, cancel := moving.While(t.Context(), idle, progress.Load)
		defer cancel()

		for range 100 {
			<-time.After(idle - time.Second)
			progress.Add(1)
			require.NoError(t, ctx.Err())
		}
		moved := time.Now()
		<-ctx.Done()

		require.Greater(t, moved.Sub(began), 90*idle)
		require.InDelta(t, idle, time.Since(moved), float64(idle/10))
		require.EqualError(t, context.Cause(ctx), "nothing has moved for 1m0s")
	})
}

func TestAWaitEndsWithItsParentAndWhenItIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nothing := func() int64 { return 0 }
		parent, end := context.WithCancel(t.Context())
		ended, cancelEnded := moving.While(parent, idle, nothing)
		cancelled, cancel := moving.While(t.Context(), idle, nothing)

		end()
		cancelEnded()
		cancel()
		cancel()

		require.ErrorIs(t, context.Cause(ended), context.Canceled)
		require.ErrorIs(t, context.Cause(cancelled), context.Canceled)
	})
}

func TestTheCPUTimeOfAProcessGrowsWhileItWorks(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc here")
	}
	ctx, cancel := moving.While(t.Context(), idle, func() int64 { return moving.CPU(os.Getpid()) })
	defer cancel()
	for before := moving.CPU(os.Getpid()); moving.CPU(os.Getpid()) == before; {
		require.NoError(t, ctx.Err())
	}
	require.Zero(t, moving.CPU(-1), "no such process")
}

func TestAClockGoesAtTheSpeedOfThoseWhoAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer time.Duration
		least  time.Duration // after a minute
		most   time.Duration
	}{
		{"at once", 0, 59 * time.Second, time.Minute},
		{"within a tick", 15 * time.Millisecond, 59 * time.Second, time.Minute},
		{"ten times too slowly", 200 * time.Millisecond, 5 * time.Second, 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				clock, stop := moving.StartClock(t.Context(), func(context.Context) { <-time.After(tt.answer) })
				<-time.After(time.Minute)
				stop()
				require.GreaterOrEqual(t, clock.Elapsed(), tt.least)
				require.LessOrEqual(t, clock.Elapsed(), tt.most)
			})
		})
	}
}
