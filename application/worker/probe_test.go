package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestTheProbeReportsWhetherThePoolWorks(t *testing.T) {
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

func TestTheDetailsAreTheBreakersThatAreNotClosed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	limit := worker.Limit{Failures: 1, Cooldown: time.Minute}
	gates := worker.NewGates(
		map[string]worker.Limit{"orders": limit, "billing": limit, "unguarded": {}},
		func() time.Time { return now },
	)
	o := options()
	o.Gates = gates
	pool := worker.New(o, newQueue(), newProcessor(atOnce))
	require.Empty(t, pool.Details())

	backend := gates.Backend(failing{})
	for _, endpoint := range []string{"orders", "unguarded"} {
		_, err := backend.Do(t.Context(), ports.Call{Request: &domain.Request{Endpoint: endpoint}})
		require.Error(t, err)
	}
	require.Equal(t, map[string]string{"orders": "breaker open"}, pool.Details())
	now = now.Add(time.Minute)
	require.Equal(t, map[string]string{"orders": "breaker half-open"}, pool.Details())
}

// failing is a backend that nobody reaches.
type failing struct{}

func (failing) Do(context.Context, ports.Call) (*domain.Response, error) {
	return nil, &domain.Failure{Kind: domain.FailureUnreachable, Err: errors.New("refused")}
}
