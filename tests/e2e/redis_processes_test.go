package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// TestAWaitingClientGetsItsAnswerWhenAWorkerFinishes has many clients wait at an api for what a worker is doing. That
// nobody asks Redis over and over is part of the promise.
func TestAWaitingClientGetsItsAnswerWhenAWorkerFinishes(t *testing.T) {
	t.Parallel()
	const waiters = 300
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	server := testkit.StartRedis(t)
	config := testkit.OneBackend(backend.URL)
	client := onRedis(t, server, "api", config).Start().Client()
	onRedis(t, server, "worker", config).Start()
	id := client.Submit(`{"payload": "patience"}`).CorrelationID
	backend.Await(1)
	require.Equal(t, "PROCESSING", client.Status(id).Status)
	require.Equal(t, testkit.Depth{Leased: 1}, client.Depth())
	require.Equal(t, "CONFLICT", cancel(t, client, id).Problem(t, http.StatusConflict).Code)

	answers := make(chan string, waiters)
	var group sync.WaitGroup
	for range waiters {
		group.Go(func() { answers <- waitFor(t.Context(), client, id) })
	}
	testkit.Until(t, "Redis has been left alone for two seconds", func() bool {
		before := server.Calls()
		server.Run("BLPOP", "nobody-pushes-to-it", "2") // by the clock of Redis
		return server.Calls()-before < waiters/2
	})
	require.Empty(t, answers, "nobody is answered too early")
	close(release)
	group.Wait()

	for range waiters {
		require.Equal(t, `200 "patience"`, <-answers)
	}
}

// waitFor asks once for a result, and returns what the answer was.
func waitFor(ctx context.Context, client *testkit.Client, id string) string {
	answer, err := client.Response(ctx, id, "60s")
	if err != nil {
		return err.Error()
	}
	var result testkit.Result
	if err := json.Unmarshal(answer.Body, &result); err != nil {
		return err.Error()
	}
	return strconv.Itoa(answer.Code) + " " + string(result.Result)
}

func TestDelayAndRetryOutliveARestartOfBothRoles(t *testing.T) {
	t.Parallel()
	onEachBroker(t, delayAndRetryOutliveARestart)
}

func delayAndRetryOutliveARestart(t *testing.T, install installer) {
	t.Helper()
	later := testkit.With("Retry-After", "3", testkit.Refuse(http.StatusServiceUnavailable))
	backend := testkit.NewBackend(t, testkit.InTurn(later, testkit.Echo()))
	config := testkit.OneBackend(backend.URL)
	apis, workers := install(t, "api", config), install(t, "worker", config)
	api, worker := apis.Start(), workers.Start()
	client := api.Client()
	retried := client.Submit(`{"payload": 1}`)
	delayed := client.Submit(`{"payload": 2, "metadata": {"delay": 2.5, "max_attempts": 1}}`)
	testkit.Until(t, "one waits for its retry", func() bool {
		return client.Status(retried.CorrelationID).NextAttemptAt != nil
	})
	client.RequireDepth(testkit.Depth{Delayed: 2})

	worker.Kill()
	api.Kill()
	workers.Start()
	client = apis.Start().Client()

	result := client.Result(retried.CorrelationID)
	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, 2, result.Attempts)
	calls := backend.CallsOf(retried.CorrelationID)
	require.Equal(t, []int{1, 2}, attempts(calls))
	require.GreaterOrEqual(t, calls[1].At.Sub(calls[0].At), 3*time.Second)
	require.Equal(t, "FAILED", client.Result(delayed.CorrelationID).Status, "its only attempt was refused")
	calls = backend.CallsOf(delayed.CorrelationID)
	require.Len(t, calls, 1)
	require.False(t, calls[0].At.Before(delayed.SubmittedAt.Add(2500*time.Millisecond)), "called too early")
	client.RequireDepth(testkit.Depth{})
}

func TestAWorkerReceivesTheHighLaneFirst(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	server := testkit.StartRedis(t)
	config := testkit.OneBackend(backend.URL) + "worker: {count: 1}\n"
	client := onRedis(t, server, "api", config).Start().Client()
	for _, priority := range []int{0, 4, 0, 9, 5, 9} {
		client.Submit(fmt.Sprintf(`{"payload": %d, "metadata": {"priority": %d}}`, priority, priority))
	}

	onRedis(t, server, "worker", config).Start()

	for n, call := range backend.Await(6) {
		high := string(call.Body) >= "5"
		require.Equal(t, n < 3, high, "call %d had priority %s", n+1, call.Body)
	}
}

func TestInstallationsWithNamesOfTheirOwnShareARedis(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	server := testkit.StartRedis(t)
	config := testkit.OneBackend(backend.URL)
	shop := onRedis(t, server, "api", config, "OPENHQM_QUEUE_REQUESTS=shop").Start().Client()
	other := onRedis(t, server, "all", "", "OPENHQM_QUEUE_REQUESTS=other").Start().Client()
	key := http.Header{"Idempotency-Key": {"1"}}
	id := shop.Post(`{"payload": "shop"}`, key).Header.Get("X-Correlation-Id")
	otherID := other.Post(`{"payload": "other"}`, key).Header.Get("X-Correlation-Id")

	require.Equal(t, "COMPLETED", other.Result(otherID).Status)
	require.Equal(t, http.StatusNotFound, other.Get("/api/v1/status/"+id).Code)
	require.Equal(t, testkit.Depth{Ready: 1}, shop.Depth(), "it waits for a worker of its own")
	require.Equal(t, testkit.Depth{}, other.Depth())
	for name := range strings.SplitSeq(server.Run("KEYS", "*"), "\n") {
		require.Regexp(t, `^\{?(shop|other)\b`, name)
	}
}
