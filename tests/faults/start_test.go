package faults_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// lateBroker is an installation of which something is away when a process starts.
type lateBroker struct {
	component string   // of /health that waits for it
	variables []string // where everything is
	arrive    func(*testing.T)
}

// TestAStartWaitsForItsBroker holds that a process whose broker is away at its start listens at once, says what it
// waits for, and begins to work when the broker is there, on the same listener.
func TestAStartWaitsForItsBroker(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*testing.T) lateBroker{
		"a Redis that is away": lateRedis,
		"a Redis that loads":   slowRedis,
	}
	for _, carrier := range testkit.Carriers() {
		cases["the broker of "+carrier.Name] = func(t *testing.T) lateBroker {
			t.Helper()
			broker := carrier.Start(t)
			broker.Kill()
			variables := append(carrier.NewQueue(broker).Variables(), "OPENHQM_REDIS_URL="+testkit.StartRedis(t).URL())
			return lateBroker{"queue", variables, func(t *testing.T) {
				t.Helper()
				broker.Restart(t)
			}}
		}
		cases["the store of "+carrier.Name] = func(t *testing.T) lateBroker {
			t.Helper()
			late := lateRedis(t)
			late.component = "store"
			late.variables = slices.Concat(late.variables, carrier.NewQueue(carrier.Shared(t)).Variables())
			return late
		}
	}
	for name, install := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireWaits(t, install(t))
		})
	}
}

func lateRedis(t *testing.T) lateBroker {
	t.Helper()
	redis := testkit.StartRedis(t)
	redis.Kill()
	variables := []string{"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL=" + redis.URL()}
	return lateBroker{"queue", variables, func(t *testing.T) {
		t.Helper()
		redis.Restart()
	}}
}

func slowRedis(t *testing.T) lateBroker {
	t.Helper()
	redis := loadingRedis(t)
	variables := []string{"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL=" + redis.URL()}
	return lateBroker{"queue", variables, func(t *testing.T) {
		t.Helper()
		endLoading(redis)
	}}
}

func requireWaits(t *testing.T, late lateBroker) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Echo())
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL),
		append(late.variables, "OPENHQM_QUEUE_RESPONSES=responses")...)
	process := gateway.StartWaiting()
	client := process.Client()
	for range 2 {
		require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
		answer := client.Get("/health/ready")
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
		var document struct {
			Components map[string]struct{ Status, Error string }
		}
		require.NoError(t, json.Unmarshal(answer.Body, &document))
		require.Equal(t, "unavailable", document.Components["queue"].Status)
		require.Equal(t, "unavailable", document.Components["store"].Status)
		require.Contains(t, document.Components[late.component].Error, "not open yet: open ")
		refused := client.Post(`{"payload": 1}`, nil)
		require.Equal(t, "QUEUE_UNAVAILABLE", refused.Problem(t, http.StatusServiceUnavailable).Code)
		require.NotEmpty(t, refused.Header.Get("Retry-After"))
	}
	require.NotContains(t, process.Log.Text(), `"msg":"listening"`)

	arrived := make(chan struct{})
	go func() {
		defer close(arrived)
		late.arrive(t)
	}()
	var receipt testkit.Receipt
	testkit.Until(t, "a submit is accepted, and none is refused otherwise", func() bool {
		answer := client.Post(`{"payload": 1}`, nil)
		if answer.Code == http.StatusServiceUnavailable {
			return false
		}
		require.Equal(t, http.StatusAccepted, answer.Code)
		require.NoError(t, json.Unmarshal(answer.Body, &receipt))
		return true
	})
	<-arrived
	require.Equal(t, "COMPLETED", client.Result(receipt.CorrelationID).Status)
	awaitReadiness(t, http.StatusOK, process)
	process.AwaitLog("broker available; the start goes on")
	require.Equal(t, 1, strings.Count(process.Log.Text(), "the start waits for it"), "once in a minute")
}
