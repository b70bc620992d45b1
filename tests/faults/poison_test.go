package faults_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// TestARequestThatKillsItsProcessEveryTimeIsADeadLetter has a call during which the process always dies, as one that
// makes it run out of memory would. It must not go on for ever.
func TestARequestThatKillsItsProcessEveryTimeIsADeadLetter(t *testing.T) {
	t.Parallel()
	const deliveries = 3 // from the third on it runs alone, so that its process dies of it and nothing else
	backend := testkit.NewBackend(t, testkit.Hold(t.Context().Done(), testkit.Echo()))
	config := testkit.OneBackend(backend.URL) + fmt.Sprintf("queue: {max_deliveries: %d}\n", deliveries)
	gateway := testkit.NewGateway(t, config)
	process := gateway.Start()
	id := process.Client().Submit(`{"payload": "poison"}`).CorrelationID
	for n := range deliveries {
		backend.Await(n + 1)
		process.Kill()
		process = gateway.Start()
	}

	result := process.Client().Result(id)

	require.Equal(t, "FAILED", result.Status)
	require.Zero(t, result.Attempts, "no attempt has ended")
	require.Len(t, backend.CallsOf(id), deliveries)
	letter := process.Client().Get("/api/v1/dead-letters/" + id)
	require.Equal(t, http.StatusOK, letter.Code)
	require.Contains(t, string(letter.Body), `"reason":"max_deliveries"`)
	require.Contains(t, string(letter.Body), `"poison"`)
}

// TestWhatIsInFlightWithARequestThatKillsItsProcessIsNotToBlame has a crowd in flight whenever the process dies of one
// of its requests.
func TestWhatIsInFlightWithARequestThatKillsItsProcessIsNotToBlame(t *testing.T) {
	t.Parallel()
	for _, queue := range []string{"embedded", "redis"} {
		t.Run(queue, func(t *testing.T) {
			t.Parallel()
			const crowd, deliveries = 40, 3
			deadly := make(chan struct{}, deliveries)
			innocent := testkit.Delay(200*time.Millisecond, testkit.Echo())
			backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
				if string(call.Body) != `"poison"` {
					innocent(w, r, call)
					return
				}
				deadly <- struct{}{}
				<-r.Context().Done()
			})
			config := testkit.OneBackend(backend.URL) +
				fmt.Sprintf("queue: {type: %s, lease: 1s, max_deliveries: %d}\n", queue, deliveries)
			variables := []string{}
			if queue == "redis" {
				variables = append(variables, "OPENHQM_REDIS_URL="+testkit.StartRedis(t).URL())
			}
			gateway := testkit.NewGateway(t, config, variables...)
			process := gateway.Start()
			ids := submitMany(t, process.Client(), crowd, func(number int) string {
				return fmt.Sprintf(`{"payload": %d}`, number)
			})
			poison := process.Client().Submit(`{"payload": "poison"}`).CorrelationID
			for range deliveries {
				ctx, cancel := testkit.Patiently(t)
				select {
				case <-deadly:
				case <-ctx.Done():
					require.Fail(t, "the deadly request is not called")
				}
				cancel()
				process.Kill()
				process = gateway.Start()
			}

			require.Equal(t, "FAILED", process.Client().Result(poison).Status)
			requireCompleted(t, process.Client(), ids)
			require.Len(t, backend.CallsOf(poison), deliveries)
		})
	}
}

// TestARequestIsNotBlamedForADeathWhileItWaitsToRunAlone has a request that two workers died with. When a third one
// gets it, another request is running there, and that worker dies of it.
func TestARequestIsNotBlamedForADeathWhileItWaitsToRunAlone(t *testing.T) {
	t.Parallel()
	innocent := testkit.InTurn(testkit.Hold(nil, testkit.Echo()), testkit.Hold(nil, testkit.Echo()), testkit.Echo())
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		if string(call.Body) == `"innocent"` {
			innocent(w, r, call)
			return
		}
		<-r.Context().Done()
	})
	config := testkit.OneBackend(backend.URL) + "queue: {type: redis, lease: 1s, max_deliveries: 3}\n"
	variables := []string{"OPENHQM_REDIS_URL=" + testkit.StartRedis(t).URL()}
	client := testkit.NewGateway(t, config, append(variables, "OPENHQM_ROLE=api")...).Start().Client()
	workers := testkit.NewGateway(t, config, append(variables, "OPENHQM_ROLE=worker")...)
	id := client.Submit(`{"payload": "innocent"}`).CorrelationID
	for n := range 2 {
		worker := workers.Start()
		backend.Await(n + 1)
		worker.Kill()
	}
	client.Submit(`{"payload": "deadly"}`)
	worker := workers.Start()
	backend.Await(3)
	testkit.Until(t, "it waits, and belongs to no worker", func() bool { return client.Status(id).Status == "PENDING" })
	worker.Kill()
	workers.Start()

	result := client.Result(id)

	require.Equalf(t, "COMPLETED", result.Status, "%s", result.Document)
	require.Len(t, backend.CallsOf(id), 3)
}
