package worker_test

import (
	"context"
	"errors"
	"log/slog"
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
	limit := worker.Limit{Breaker: worker.BreakerRule{Failures: 1, Cooldown: time.Minute, Probes: 1}}
	gates := worker.NewGates(
		map[string]worker.Limit{"orders": limit, "billing": limit, "unguarded": {}},
		func() time.Time { return now }, slog.New(slog.DiscardHandler),
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

// TestEndpointsThatAreHeldBackAreADegradedPool holds that health never says ok while work stands still.
func TestEndpointsThatAreHeldBackAreADegradedPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limit := worker.Limit{Breaker: worker.BreakerRule{Failures: 1, Cooldown: time.Hour, Probes: 1}}
		gates := worker.NewGates(
			map[string]worker.Limit{"orders": limit, "billing": limit}, time.Now, slog.New(slog.DiscardHandler))
		o := options()
		o.Gates = gates
		pool := worker.New(o, newQueue(), newProcessor(atOnce))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- pool.Run(ctx) }()
		synctest.Wait()
		require.NoError(t, pool.Probe(t.Context()))

		_, err := gates.Backend(failing{}).Do(t.Context(), ports.Call{Request: &domain.Request{Endpoint: "orders"}})
		require.Error(t, err)
		_, err = gates.Backend(busy{}).Do(t.Context(), ports.Call{Request: &domain.Request{Endpoint: "billing"}})
		require.NoError(t, err)
		const want = "calls to 2 endpoints are held back: a breaker is open, or they are paused"
		require.Equal(t, ports.Degraded(want), pool.Probe(t.Context()), "without their names, which may be secret")
		require.Equal(t, map[string]string{"orders": "breaker open", "billing": "paused by Retry-After"}, pool.Details())
		<-time.After(time.Minute)
		require.Equal(t, map[string]string{"orders": "breaker open"}, pool.Details())
		stop()
		require.NoError(t, <-ended)
	})
}

// busy is a backend that wants to be left alone for a minute.
type busy struct{}

func (busy) Do(context.Context, ports.Call) (*domain.Response, error) {
	return &domain.Response{StatusCode: 503, Header: domain.Header{"Retry-After": {"60"}}}, nil
}

// failing is a backend that nobody reaches.
type failing struct{}

func (failing) Do(context.Context, ports.Call) (*domain.Response, error) {
	return nil, &domain.Failure{Kind: domain.FailureUnreachable, Err: errors.New("refused")}
}
