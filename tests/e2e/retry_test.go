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

// quickRetries keeps the tests from waiting for the default delays.
const quickRetries = "retry: {base: 20ms, max: 200ms}\n"

func TestARequestIsTriedAgainUntilTheBackendAnswersWell(t *testing.T) {
	t.Parallel()
	inOneProcess(t, triedAgain)
}

func triedAgain(t *testing.T, install processInstaller) {
	t.Helper()
	refuse := testkit.Refuse(http.StatusServiceUnavailable)
	backend := testkit.NewBackend(t, testkit.InTurn(refuse, refuse, testkit.Echo()))
	client := install(t, testkit.OneBackend(backend.URL)+quickRetries).Start().Client()

	id := client.Submit(`{"payload": "third time lucky"}`).CorrelationID
	result := client.Result(id)

	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, http.StatusOK, result.StatusCode)
	require.Equal(t, `"third time lucky"`, string(result.Result))
	require.Equal(t, 3, result.Attempts)
	require.Equal(t, []int{1, 2, 3}, attempts(backend.CallsOf(id)))
}

func TestWhenTheAttemptsAreUsedUpTheLastResponseIsKept(t *testing.T) {
	t.Parallel()
	inOneProcess(t, attemptsUsedUp)
}

func attemptsUsedUp(t *testing.T, install processInstaller) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.InTurn(
		testkit.Refuse(http.StatusBadGateway),
		testkit.Respond(http.StatusServiceUnavailable, "application/json", `{"try": "tomorrow"}`),
	))
	client := install(t, testkit.OneBackend(backend.URL)+quickRetries).Start().Client()

	id := client.Submit(`{"payload": 1, "metadata": {"max_attempts": 2}}`).CorrelationID
	result := client.Result(id)

	require.Equal(t, "FAILED", result.Status)
	require.Equal(t, http.StatusServiceUnavailable, result.StatusCode)
	require.Equal(t, `{"try": "tomorrow"}`, string(result.Result))
	require.Contains(t, result.Error, "503")
	require.Equal(t, 2, result.Attempts)
	require.Equal(t, []int{1, 2}, attempts(backend.CallsOf(id)))
}

func TestAnAnswerThatNoRetryMendsIsFinal(t *testing.T) {
	t.Parallel()
	inOneProcess(t, finalAnswer)
}

func finalAnswer(t *testing.T, install processInstaller) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Refuse(http.StatusUnprocessableEntity))
	client := install(t, testkit.OneBackend(backend.URL)+quickRetries).Start().Client()

	id := client.Submit(`{"payload": 1}`).CorrelationID
	result := client.Result(id)

	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, http.StatusUnprocessableEntity, result.StatusCode)
	require.Len(t, backend.CallsOf(id), 1)
}

func TestARequestWaitsForABackendThatIsDown(t *testing.T) {
	t.Parallel()
	port := testkit.NewPort(t)
	config := testkit.OneBackend("http://"+port.Address) + "retry: {base: 20ms, max: 200ms, max_attempts: 1000}\n"
	gateway := testkit.NewGateway(t, config)
	process := gateway.Start()
	client := process.Client()

	id := client.Submit(`{"payload": "is anybody there"}`).CorrelationID
	refused := process.AwaitLog("attempt")
	require.Equal(t, "unreachable", refused["outcome"])
	backend := testkit.NewBackendAt(t, port.Listen(), testkit.Echo())
	result := client.Result(id)

	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, `"is anybody there"`, string(result.Result))
	require.Greater(t, result.Attempts, 1)
	require.Equal(t, []int{result.Attempts}, attempts(backend.CallsOf(id)))
}

func TestAConnectionThatBreaksIsAFailedAttempt(t *testing.T) {
	t.Parallel()
	inOneProcess(t, brokenConnection)
}

func brokenConnection(t *testing.T, install processInstaller) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.InTurn(testkit.Cut(), testkit.Echo()))
	client := install(t, testkit.OneBackend(backend.URL)+quickRetries).Start().Client()

	// Both have what makes net/http repeat a request by itself: an Idempotency-Key, or a method that is idempotent.
	post := client.Submit(`{"payload": 1}`).CorrelationID
	get := client.Submit(`{"metadata": {"method": "GET"}}`).CorrelationID

	for _, id := range []string{post, get} {
		require.Equal(t, 2, client.Result(id).Attempts)
		require.Equal(t, []int{1, 2}, attempts(backend.CallsOf(id)))
	}
}

func TestRetryAfterIsNeverCutShort(t *testing.T) {
	t.Parallel()
	inOneProcess(t, retryAfter)
}

func retryAfter(t *testing.T, install processInstaller) {
	t.Helper()
	later := testkit.With("Retry-After", "2", testkit.Refuse(http.StatusTooManyRequests))
	backend := testkit.NewBackend(t, testkit.InTurn(later, testkit.Echo()))
	client := install(t, testkit.OneBackend(backend.URL)+quickRetries).Start().Client()

	id := client.Submit(`{"payload": 1}`).CorrelationID
	require.Equal(t, "COMPLETED", client.Result(id).Status)

	calls := backend.CallsOf(id)
	require.Len(t, calls, 2)
	require.GreaterOrEqual(t, calls[1].At.Sub(calls[0].At), 2*time.Second)
}

func TestABackendThatIsTooSlowForTheDeadlineIsATimeout(t *testing.T) {
	t.Parallel()
	inOneProcess(t, tooSlowForTheDeadline)
}

func tooSlowForTheDeadline(t *testing.T, install processInstaller) {
	t.Helper()
	never := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(never, testkit.Echo()))
	client := install(t, testkit.OneBackend(backend.URL)+quickRetries).Start().Client()

	receipt := client.Submit(`{"payload": 1, "metadata": {"timeout": "2s"}}`)
	result := client.Result(receipt.CorrelationID)

	require.Equal(t, "TIMEOUT", result.Status)
	require.Zero(t, result.StatusCode)
	require.Nil(t, result.Result)
	require.NotEmpty(t, result.Error)
	require.False(t, result.CompletedAt.Before(receipt.SubmittedAt.Add(2*time.Second)), "ended too early")
	require.Len(t, backend.CallsOf(receipt.CorrelationID), 1)
}

func TestAnAttemptThatTakesTooLongIsRepeatedWithinTheDeadline(t *testing.T) {
	t.Parallel()
	inOneProcess(t, slowAttempt)
}

func slowAttempt(t *testing.T, install processInstaller) {
	t.Helper()
	never := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.InTurn(testkit.Hold(never, testkit.Echo()), testkit.Echo()))
	config := testkit.OneBackend(backend.URL) + quickRetries + "worker: {timeout: 2s}\n"
	client := install(t, config).Start().Client()

	id := client.Submit(`{"payload": 1}`).CorrelationID
	result := client.Result(id)

	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, 2, result.Attempts)
	require.Equal(t, []int{1, 2}, attempts(backend.CallsOf(id)))
}

func attempts(calls []*testkit.Call) []int {
	numbers := make([]int, 0, len(calls))
	for _, call := range calls {
		numbers = append(numbers, call.Attempt)
	}
	return numbers
}

// TestOneKindOfBadRequestDoesNotStopItsEndpoint has a hundred requests that their backend answers with an error each
// time, and one good request behind them. With a 500 the breaker stays closed; with a 503 it opens, and its probes are
// chosen among those that were tried least often.
func TestOneKindOfBadRequestDoesNotStopItsEndpoint(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusInternalServerError, http.StatusServiceUnavailable} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
				reply := testkit.Refuse(status)
				if r.URL.Path == "/good" {
					reply = testkit.Echo()
				}
				reply(w, r, call)
			})
			process := testkit.NewGateway(t, fmt.Sprintf(`
proxy:
  default_endpoint: backend
  endpoints: {backend: {url: %q, breaker: {cooldown: 200ms}}}
retry: {base: 50ms, max: 50ms, max_attempts: 1000}
`, backend.URL)).Start()
			client := process.Client()
			for range 100 {
				client.Submit(`{"payload": 1, "metadata": {"path": "/bad"}}`)
			}
			backend.Await(100)

			result := client.Result(client.Submit(`{"payload": 1, "metadata": {"path": "/good"}}`).CorrelationID)

			require.Equal(t, "COMPLETED", result.Status)
			require.Equal(t, http.StatusOK, result.StatusCode)
			opened := strings.Contains(process.Log.Text(), "circuit breaker open")
			require.Equal(t, status == http.StatusServiceUnavailable, opened)
		})
	}
}

// TestHastyRequestsDoNotStopTheirEndpoint has a backend that takes longer than many clients allow.
func TestHastyRequestsDoNotStopTheirEndpoint(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Delay(1500*time.Millisecond, testkit.Echo()))
	process := testkit.NewGateway(t, testkit.OneBackend(backend.URL)).Start()
	client := process.Client()
	var hasty []string
	for range 12 {
		hasty = append(hasty, client.Submit(`{"payload": 1, "metadata": {"timeout": 1}}`).CorrelationID)
	}
	for _, id := range hasty {
		require.Equal(t, "TIMEOUT", client.Result(id).Status)
	}

	result := client.Result(client.Submit(`{"payload": 1}`).CorrelationID)

	require.Equal(t, "COMPLETED", result.Status)
	require.NotContains(t, process.Log.Text(), "circuit breaker open")
	require.Zero(t, client.Metrics()[`openhqm_breaker_state{endpoint="backend"}`])
}

// TestRetryAfterPausesTheWholeEndpoint: a backend that is overloaded and says so gets no other request until then.
func TestRetryAfterPausesTheWholeEndpoint(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.InTurn(
		testkit.With("Retry-After", "2", testkit.Refuse(http.StatusTooManyRequests)), testkit.Echo(),
	))
	client := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+quickRetries).Start().Client()
	first := client.Submit(`{"payload": 1}`).CorrelationID
	refused := backend.Await(1)[0].At
	second := client.Submit(`{"payload": 2}`).CorrelationID
	for _, id := range []string{first, second} {
		require.Equal(t, "COMPLETED", client.Result(id).Status)
	}
	for _, call := range backend.Calls()[1:] {
		require.GreaterOrEqual(t, call.At.Sub(refused), 2*time.Second-100*time.Millisecond)
	}
}
