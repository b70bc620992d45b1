package faults_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// oneLimited is a gateway with one endpoint that has further settings.
func oneLimited(backend *testkit.Backend, settings string) string {
	return "proxy: {default_endpoint: backend, endpoints: {backend: {url: '" + backend.URL + "', " + settings + "}}}\n"
}

func TestAnEndpointThatHangsTakesHalfOfTheSlotsAndLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	const hanging, good, half = 2000, 500, 32 // half of worker.count, which is 64 by default
	never := make(chan struct{})
	hangs, works := testkit.NewBackend(t, testkit.Hold(never, testkit.Echo())), testkit.NewBackend(t, testkit.Echo())
	config := "proxy: {endpoints: {hangs: {url: '" + hangs.URL + "'}, works: {url: '" + works.URL + "'}}}\n"
	client := testkit.NewGateway(t, config).Start().Client()

	submitMany(t, client, hanging, to("hangs"))
	hangs.Await(half)
	requireCompleted(t, client, submitMany(t, client, good, to("works")))

	require.Len(t, hangs.Calls(), half)
	require.Equal(t, testkit.Depth{Ready: hanging - half, Leased: half}, client.Depth())
}

func TestMaxInFlightHoldsExactly(t *testing.T) {
	t.Parallel()
	const limit, requests = 3, 300
	var now, tooMany atomic.Int64
	full := make(chan struct{})
	reply := func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		if now.Add(1) > limit {
			tooMany.Add(1)
		}
		defer now.Add(-1)
		testkit.Hold(full, testkit.Delay(time.Millisecond, testkit.Echo()))(w, r, call)
	}
	backend := testkit.NewBackend(t, reply)
	client := testkit.NewGateway(t, oneLimited(backend, "max_in_flight: 3")).Start().Client()

	ids := submitMany(t, client, requests, to("backend"))
	backend.Await(limit)
	require.Equal(t, testkit.Depth{Ready: requests - limit, Leased: limit}, client.Depth())
	close(full)
	requireCompleted(t, client, ids)

	require.Zero(t, tooMany.Load(), "calls that came while so many were under way")
	require.Len(t, backend.Calls(), requests)
}

// Only that calls come too fast is a fault: a machine may be slow.
func TestARateLimitIsNeverExceeded(t *testing.T) {
	t.Parallel()
	const rps, burst, requests = 50, 10, 120
	backend := testkit.NewBackend(t, testkit.Echo())
	client := testkit.NewGateway(t, oneLimited(backend, "rate_limit: {rps: 50, burst: 10}")).Start().Client()

	began := time.Now()
	ids := submitMany(t, client, requests, to("backend"))
	requireCompleted(t, client, ids)

	calls := backend.Calls()
	require.Len(t, calls, requests)
	slices.SortFunc(calls, func(a, b *testkit.Call) int { return a.At.Compare(b.At) })
	for i, call := range calls {
		// It arrived after it was begun, and the first was begun after all of this began.
		passed := call.At.Sub(began)
		require.LessOrEqualf(t, float64(i+1), burst+rps*passed.Seconds(), "calls within %s", passed)
	}
}

func TestAnOpenBreakerCallsAndChargesNothing(t *testing.T) {
	t.Parallel()
	const requests, failures, trials, cooldown = 200, 5, 2, time.Second
	var healed atomic.Bool
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		reply := testkit.Refuse(http.StatusServiceUnavailable)
		if healed.Load() {
			reply = testkit.Echo()
		}
		reply(w, r, call)
	})
	// One call at a time: of several that are under way when the breaker opens, all may fail.
	client := testkit.NewGateway(t, oneLimited(backend, `max_in_flight: 1,
		breaker: {ratio: 0, failures: 5, cooldown: 1s, probes: 1},
		retry: {max_attempts: 1000, base: 1ms, max: 1ms}`)).Start().Client()

	ids := submitMany(t, client, requests, to("backend"))
	backend.Await(failures)
	testkit.Until(t, "the breaker is open", func() bool {
		return client.Metrics()[`openhqm_breaker_state{endpoint="backend"}`] == 2
	})
	backend.Await(failures + trials)
	healed.Store(true)
	for _, id := range ids {
		result := client.Result(id)
		require.Equalf(t, "COMPLETED", result.Status, "%s", result.Document)
		require.Equal(t, len(backend.CallsOf(id)), result.Attempts, "charged is what was called")
	}

	calls := backend.Calls()
	for i := failures; i < failures+trials; i++ {
		pause := calls[i].At.Sub(calls[i-1].At)
		require.GreaterOrEqualf(t, pause, cooldown, "call %d, after a failure that opened the breaker", i+1)
	}
	require.Zero(t, client.Metrics()[`openhqm_breaker_state{endpoint="backend"}`])
}
