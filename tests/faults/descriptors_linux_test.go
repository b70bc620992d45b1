package faults_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// connectIdle opens connections that say nothing until the test ends, or release is called.
func connectIdle(t *testing.T, address string, n int) (release func()) {
	t.Helper()
	connections := make([]net.Conn, n)
	for i := range connections {
		connection, err := net.Dial("tcp", address)
		require.NoError(t, err)
		connections[i] = connection
	}
	release = sync.OnceFunc(func() {
		for _, connection := range connections {
			_ = connection.Close()
		}
	})
	t.Cleanup(release)
	return release
}

func TestConnectionsNeverTakeTheFilesOfTheRest(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL))
	gateway.OpenFiles = 256
	process := gateway.Start()
	client := process.Client()
	release := connectIdle(t, client.Address, 400)

	document := fmt.Sprintf(`{"payload": %q}`, strings.Repeat("x", 60_000))
	var mutex sync.Mutex
	var ids []string
	var refused atomic.Int64
	crowd(t, 300, 100, func(int) error {
		answer, err := client.TryPost(t.Context(), document, nil)
		if err != nil {
			return err
		}
		if answer.Code == http.StatusServiceUnavailable {
			refused.Add(1)
			return nil
		}
		var receipt testkit.Receipt
		if err := json.Unmarshal(answer.Body, &receipt); err != nil || answer.Code != http.StatusAccepted {
			return fmt.Errorf("answered %d: %.500s", answer.Code, answer.Body)
		}
		mutex.Lock()
		defer mutex.Unlock()
		ids = append(ids, receipt.CorrelationID)
		return nil
	})
	require.NotEmpty(t, ids)
	require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
	release()
	requireCompleted(t, client, ids)
	t.Logf("%d accepted, %d refused", len(ids), refused.Load())

	process.AwaitLog(filesLowered)
	text := process.Log.Text()
	require.NotContains(t, text, `"level":"ERROR"`)
	require.LessOrEqual(t, strings.Count(text, `"level":"WARN"`), 3)
}

func TestHealthIsAnsweredWhileIdleConnectionsHaveAllPlaces(t *testing.T) {
	t.Parallel()
	process := testkit.NewGateway(t, "server: {max_connections: 60}\n").Start()
	connectIdle(t, process.Client().Address, 60)
	for _, path := range []string{"/health", "/health/live", "/health/ready"} {
		require.Equal(t, http.StatusOK, process.Client().Get(path).Code)
	}
}

func TestAStartWithTooFewFilesSaysSo(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "")
	gateway.OpenFiles = 100
	output := gateway.Run()
	require.Equal(t, 1, output.Code, output.Stderr)
	require.Contains(t, output.Stderr, "the limit of open files (RLIMIT_NOFILE) is 100 and must be ")
}

// TestAShortageOfFilesIsNobodysAttempt has a worker without a file descriptor for its calls.
func TestAShortageOfFilesIsNobodysAttempt(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	redis := testkit.StartRedis(t)
	config := fmt.Sprintf("queue: {type: redis}\nproxy: {endpoints: {backend: {url: %q}, other: {url: %q}}}\n",
		backend.URL, testkit.NewBackend(t, testkit.Echo()).URL)
	process := testkit.NewGateway(t, config+"retry: {max_attempts: 1}\n", "OPENHQM_REDIS_URL="+redis.URL()).Start()
	client := process.Client()
	requireCompleted(t, client, submitMany(t, client, 500, to("other"))) // it now has the connections to Redis it needs
	const few = 10                                                       // it has more open
	before := process.LimitFiles(few)

	ids := make([]string, 40)
	for i := range ids {
		ids[i] = client.Submit(to("backend")(i)).CorrelationID
	}
	const shortages = `openhqm_worker_attempts_total{endpoint="backend",outcome="shortage"}`
	testkit.Until(t, "calls cannot be made", func() bool { return client.Metrics()[shortages] > 0 })
	requireDegraded(t, client, `"backend":"paused: no file descriptors or local ports left"`)
	require.Zero(t, client.Metrics()[`openhqm_breaker_state{endpoint="backend"}`])
	for _, id := range ids {
		require.NotEqual(t, "FAILED", client.Status(id).Status)
	}

	process.LimitFiles(before)
	for _, id := range ids {
		result := client.Result(id)
		require.Equal(t, "COMPLETED", result.Status)
		require.Equal(t, 1, result.Attempts)
	}
	text := process.Log.Text()
	require.Equal(t, 1, strings.Count(text, "calls wait, uncharged"))
	require.NotContains(t, text, `"level":"ERROR"`)
}
