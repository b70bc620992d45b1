package worker_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/ports"
)

func TestTheProbeTellsWhetherThePoolWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		q := newQueue(delivery("a", 1))
		q.finish = func(_ context.Context, finishes []ports.Finish) []error {
			errs := make([]error, len(finishes))
			if away.Load() {
				errs[0] = ports.ErrUnavailable
			}
			return errs
		}
		pool := worker.New(options(), q, newProcessor(atOnce))
		require.Error(t, pool.Probe(t.Context()), "before it runs")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- pool.Run(ctx) }()
		synctest.Wait()
		require.ErrorIs(t, pool.Probe(t.Context()), ports.ErrUnavailable)

		away.Store(false)
		<-time.After(time.Minute) // of the bubble's clock: it has tried again
		synctest.Wait()
		require.NoError(t, pool.Probe(t.Context()))
		stop()
		require.NoError(t, <-ended)
		require.Error(t, pool.Probe(t.Context()), "after it ran")
	})
}
