package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestADelayedRequestIsNeverEarlyAndOutlivesACrash(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL))
	began := time.Now()
	process := gateway.Start()
	delay := 2500*time.Millisecond + 2*time.Since(began).Truncate(time.Millisecond) // a slow machine looks late
	client := process.Client()

	delayed := client.Submit(fmt.Sprintf(`{"payload": 1, "metadata": {"delay": %g}}`, delay.Seconds()))
	notBefore := time.Now().Add(delay + time.Second).Truncate(time.Millisecond)
	dated := client.Submit(fmt.Sprintf(`{"payload": 2, "metadata": {"not_before": %q}}`,
		notBefore.UTC().Format(time.RFC3339Nano)))
	require.Equal(t, testkit.Depth{Delayed: 2}, client.Depth())
	status := client.Status(dated.CorrelationID)
	require.Equal(t, "PENDING", status.Status)
	require.NotNil(t, status.NextAttemptAt)
	require.WithinDuration(t, notBefore, *status.NextAttemptAt, time.Millisecond)

	process.Kill()
	client = gateway.Start().Client()

	for _, receipt := range []testkit.Receipt{delayed, dated} {
		require.Equal(t, "COMPLETED", client.Result(receipt.CorrelationID).Status)
	}
	require.Len(t, backend.Calls(), 2)
	call := backend.CallsOf(delayed.CorrelationID)[0]
	require.False(t, call.At.Before(delayed.SubmittedAt.Add(delay)), "delay: called too early")
	call = backend.CallsOf(dated.CorrelationID)[0]
	require.False(t, call.At.Before(notBefore), "not_before: called too early")
	require.Equal(t, testkit.Depth{}, client.Depth())
}

func TestARetryIsNotForgottenByACrash(t *testing.T) {
	t.Parallel()
	later := testkit.With("Retry-After", "3", testkit.Refuse(http.StatusServiceUnavailable))
	backend := testkit.NewBackend(t, testkit.InTurn(later, testkit.Echo()))
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL))
	process := gateway.Start()
	id := process.Client().Submit(`{"payload": 1}`).CorrelationID
	testkit.Until(t, "the retry is on disk", func() bool { return process.Client().Status(id).NextAttemptAt != nil })

	process.Kill()
	result := gateway.Start().Client().Result(id)

	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, 2, result.Attempts)
	calls := backend.CallsOf(id)
	require.Equal(t, []int{1, 2}, attempts(calls))
	require.GreaterOrEqual(t, calls[1].At.Sub(calls[0].At), 3*time.Second)
}

func TestADelayBeyondTheDeadlineIsRefused(t *testing.T) {
	t.Parallel()
	client := testkit.NewGateway(t, "").Start().Client()

	problem := client.Post(`{"payload": 1, "metadata": {"delay": "10s", "timeout": 10}}`, nil).Problem(t,
		http.StatusBadRequest)

	require.Equal(t, "VALIDATION_ERROR", problem.Code)
	require.Equal(t, "metadata.delay", problem.Field)
	require.Equal(t, testkit.Depth{}, client.Depth())
}
