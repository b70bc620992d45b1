package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// TestAPauseHoldsForEveryProcess has two workers. One of them is asked by the backend to come back later. Neither calls
// until then, not even for requests that only the other one fetched; afterwards both do, and no attempt was charged.
func TestAPauseHoldsForEveryProcess(t *testing.T) {
	t.Parallel()
	onEachBroker(t, pauseHoldsForEveryProcess)
}

func pauseHoldsForEveryProcess(t *testing.T, install installer) {
	t.Helper()
	const pause, requests = 10 * time.Second, 40
	first := true
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		if first {
			first = false
			testkit.With("Retry-After", "10", testkit.Refuse(http.StatusTooManyRequests))(w, r, call)
			return
		}
		testkit.Delay(20*time.Millisecond, testkit.Echo())(w, r, call)
	})
	config := fmt.Sprintf("worker: {count: 1}\n"+
		"proxy: {default_endpoint: a, endpoints: {a: {url: %q, headers: {X-Process: '${PROCESS}'}}}}\n", backend.URL)
	client := install(t, "api", config, "PROCESS=api").Start().Client()
	workers := map[string]*testkit.Process{}
	for _, name := range []string{"one", "two"} {
		workers[name] = install(t, "worker", config, "PROCESS="+name).Start()
	}
	refused := client.Submit(`{"payload": 0}`).CorrelationID
	call := backend.Await(1)[0]
	other := map[string]string{"one": "two", "two": "one"}[call.Header.Get("X-Process")]
	workers[other].AwaitLog("endpoint paused: its backend asked another process for it by Retry-After")
	require.Less(t, time.Since(call.At), pause/2, "about a second")
	testkit.Until(t, "health says so", func() bool {
		return strings.Contains(string(workers[other].Client().Get("/health").Body), "paused by Retry-After")
	})

	ids := []string{refused}
	for n := 1; n <= requests; n++ {
		ids = append(ids, client.Submit(fmt.Sprintf(`{"payload": %d}`, n)).CorrelationID)
	}
	for _, id := range ids {
		result := client.Result(id)
		require.Equal(t, "COMPLETED", result.Status)
		if id != refused {
			require.Equal(t, 1, result.Attempts)
		}
	}
	by := map[string]int{}
	for _, later := range backend.Calls()[1:] {
		by[later.Header.Get("X-Process")]++
		require.Greater(t, later.At.Sub(call.At), pause-100*time.Millisecond, "the clocks are compared in milliseconds")
	}
	require.Len(t, by, 2, by)
	require.NotContains(t, workers[call.Header.Get("X-Process")].Log.Text(), "asked another process")
}
