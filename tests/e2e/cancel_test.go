package e2e_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestADelayedRequestCanBeCancelled(t *testing.T) {
	t.Parallel()
	inOneProcess(t, cancelDelayed)
}

func cancelDelayed(t *testing.T, install processInstaller) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Echo())
	client := install(t, testkit.OneBackend(backend.URL)).Start().Client()
	id := client.Submit(`{"payload": 1, "metadata": {"delay": "3s"}}`).CorrelationID
	marker := client.Submit(`{"payload": 2, "metadata": {"delay": "4s"}}`).CorrelationID

	for range 2 { // again it is answered the same
		answer := cancel(t, client, id)
		require.Equal(t, http.StatusOK, answer.Code)
		require.Equal(t, "CANCELLED", answer.Header.Get("X-Openhqm-Status"))
		require.Equal(t, id, answer.Header.Get("X-Correlation-Id"))
	}

	result := client.Result(id)
	require.Equal(t, "CANCELLED", result.Status)
	require.Zero(t, result.Attempts)
	// When a later one has been called, the time of the cancelled one has passed.
	require.Equal(t, "COMPLETED", client.Result(marker).Status)
	require.Empty(t, backend.CallsOf(id))
	require.Equal(t, testkit.Depth{}, client.Depth())
}

func TestARequestThatWaitsForARetryCanBeCancelled(t *testing.T) {
	t.Parallel()
	inOneProcess(t, cancelBeforeRetry)
}

func cancelBeforeRetry(t *testing.T, install processInstaller) {
	t.Helper()
	later := testkit.With("Retry-After", "3600", testkit.Refuse(http.StatusServiceUnavailable))
	backend := testkit.NewBackend(t, later)
	client := install(t, testkit.OneBackend(backend.URL)).Start().Client()
	id := client.Submit(`{"payload": 1}`).CorrelationID
	testkit.Until(t, "it waits for a retry", func() bool { return client.Status(id).NextAttemptAt != nil })

	require.Equal(t, http.StatusOK, cancel(t, client, id).Code)

	require.Equal(t, "CANCELLED", client.Result(id).Status)
	require.Len(t, backend.CallsOf(id), 1)
	require.Equal(t, testkit.Depth{}, client.Depth())
}

func TestWhatIsBegunOrDoneCannotBeCancelled(t *testing.T) {
	t.Parallel()
	inOneProcess(t, cancelTooLate)
}

func cancelTooLate(t *testing.T, install processInstaller) {
	t.Helper()
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	client := install(t, testkit.OneBackend(backend.URL)).Start().Client()
	id := client.Submit(`{"payload": 1}`).CorrelationID
	backend.Await(1)

	answer := cancel(t, client, id)

	problem := answer.Problem(t, http.StatusConflict)
	require.Equal(t, "CONFLICT", problem.Code)
	require.Equal(t, id, problem.CorrelationID)
	require.Equal(t, "PROCESSING", answer.Header.Get("X-Openhqm-Status"))
	close(release)
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	answer = cancel(t, client, id)
	require.Equal(t, "CONFLICT", answer.Problem(t, http.StatusConflict).Code)
	require.Equal(t, "COMPLETED", answer.Header.Get("X-Openhqm-Status"))
	require.Equal(t, "NOT_FOUND", cancel(t, client, "no-such-request").Problem(t, http.StatusNotFound).Code)
}

// Slots that were held are freed at the same moment as many cancels come: each request is either called or cancelled.
func TestACancelledRequestIsNeverCalledAndACalledOneNeverCancelled(t *testing.T) {
	t.Parallel()
	inOneProcess(t, cancelledOrCalled)
}

func cancelledOrCalled(t *testing.T, install processInstaller) {
	t.Helper()
	const requests, slots, cancellers = 400, 4, 8
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	client := install(t, testkit.OneBackend(backend.URL)+"worker: {count: 4}\n").Start().Client()
	ids := make([]string, requests)
	for i := range ids {
		ids[i] = client.Submit(`{"payload": 1}`).CorrelationID
	}
	begun := backend.Await(slots)
	last := ids[requests-1]
	require.Equal(t, http.StatusOK, cancel(t, client, last).Code, "while all slots are held")

	codes := cancelAll(t, client, cancellers, ids, func() { close(release) })

	for i, id := range ids {
		result := client.Result(id)
		switch codes[i] {
		case http.StatusOK:
			require.Equalf(t, "CANCELLED", result.Status, "request %d", i)
			require.Emptyf(t, backend.CallsOf(id), "request %d was cancelled and called", i)
		case http.StatusConflict:
			require.Equalf(t, "COMPLETED", result.Status, "request %d", i)
			require.Lenf(t, backend.CallsOf(id), 1, "request %d", i)
		default:
			require.Failf(t, "a cancel must be answered 200 or 409", "request %d: %d", i, codes[i])
		}
	}
	require.Contains(t, codes, http.StatusOK)
	for _, call := range begun {
		require.Equal(t, "COMPLETED", client.Result(call.ID).Status, "was begun before anybody cancelled")
	}
	require.Equal(t, testkit.Depth{}, client.Depth())
}

// cancelAll cancels all requests from several goroutines, after start, and returns the codes of the answers.
func cancelAll(t *testing.T, client *testkit.Client, cancellers int, ids []string, start func()) []int {
	t.Helper()
	codes := make([]int, len(ids))
	ready := make(chan struct{})
	var group sync.WaitGroup
	for first := range cancellers {
		group.Go(func() {
			<-ready
			for i := first; i < len(ids); i += cancellers {
				answer, err := client.Cancel(t.Context(), ids[i])
				if err != nil {
					t.Errorf("cancel: %v", err)
					return
				}
				codes[i] = answer.Code
			}
		})
	}
	start()
	close(ready)
	group.Wait()
	return codes
}

func cancel(t *testing.T, client *testkit.Client, id string) *testkit.Answer {
	t.Helper()
	answer, err := client.Cancel(t.Context(), id)
	require.NoError(t, err)
	return answer
}
