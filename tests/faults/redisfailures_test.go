package faults_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// exitFailed is the exit code of a process that could not start.
const exitFailed = 1

// TestARedisThatCannotBeUsedFailsTheStart has all that an operator may find first. What may pass has its time.
func TestARedisThatCannotBeUsedFailsTheStart(t *testing.T) {
	t.Parallel()
	guarded := testkit.StartRedis(t, "--requirepass", "sesame")
	silent := testkit.NewPort(t)
	listener := silent.Listen()
	t.Cleanup(func() { _ = listener.Close() }) // nobody was accepted
	nobody, replica := testkit.NewPort(t).Address, testkit.StartRedis(t, "--replicaof", "127.0.0.1 1").Address
	for _, tt := range []struct {
		name    string
		address string // empty: of a server that does not get done with loading
		user    string // of the URL
		query   string
		want    string
		passes  bool
	}{
		{name: "nobody is there", address: nobody, want: "connection refused", passes: true},
		{name: "nobody answers", address: silent.Address, want: "timeout", passes: true},
		{name: "no password", address: guarded.Address, want: "asks for a password"},
		{name: "a wrong password", address: guarded.Address, user: ":open-sesame@", want: "user and password"},
		{name: "a database that it has not", address: guarded.Address, user: ":sesame@", query: "/99", want: "out of range"},
		{name: "a replica", address: replica, want: "replica", passes: true},
		{name: "still loading", want: "loading", passes: true},
		{name: "no Sentinel is there", address: nobody, query: "?master_name=main", want: "entinel", passes: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.address == "" {
				tt.address = loadingRedis(t).Address // not before it is this case's turn: it does get done in the end
			}
			url := "redis://" + tt.user + tt.address + tt.query
			gateway := testkit.NewGateway(t, "",
				"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL="+url, "OPENHQM_START_TIMEOUT=7s",
				"OPENHQM_SERVER_MAX_CONNECTIONS=100") // few enough for any limit of open files

			output := gateway.RunSoon(12 * time.Second)

			require.Equal(t, exitFailed, output.Code, output.Stderr)
			lines := []string{"openhqm stopped"}
			if tt.passes {
				lines = []string{"the start waits for it", "start_timeout is over"}
			}
			require.Equal(t, len(lines), strings.Count(output.Stderr, "\n"), output.Stderr)
			for _, line := range lines {
				require.Contains(t, output.Stderr, line)
			}
			require.Contains(t, output.Stderr, tt.want)
			require.Contains(t, output.Stderr, tt.address)
			require.NotContains(t, output.Stderr, "sesame")
		})
	}
}

// loadingRedis starts a server that does not get done with loading what it has.
func loadingRedis(t *testing.T) *testkit.Redis {
	t.Helper()
	redis := testkit.StartRedis(t, "--appendonly", "no")
	fill(redis)
	loadForever(redis)
	return redis
}

const fillScript = `for i = 1, 20000 do redis.call('SET', 'filler:' .. i, i) end`

// fill makes a server hold what takes time to load.
func fill(redis *testkit.Redis) { redis.Run("EVAL", fillScript, "0") }

// loadForever kills a server that holds much, and starts it so that it loads for long, until endLoading.
func loadForever(redis *testkit.Redis) {
	redis.Run("SAVE")
	redis.Kill()
	// Both options are for tests: microseconds for each key, and bytes between two looks at what clients want.
	redis.Reload("--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024")
}

func endLoading(redis *testkit.Redis) { redis.Run("CONFIG", "SET", "key-load-delay", "0") }

// TestWhatIsWrongWithRedisIsReported has a Redis that is there but takes nothing. That lasts for a while, and then all
// goes on.
func TestWhatIsWrongWithRedisIsReported(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		begin func(*testkit.Redis)
		end   func(*testkit.Redis)
		want  string // in what /health says of the queue
	}{
		{
			"it became a replica",
			func(r *testkit.Redis) { r.Run("REPLICAOF", "127.0.0.1", "1") },
			func(r *testkit.Redis) { r.Run("REPLICAOF", "NO", "ONE") },
			"replica",
		},
		{"it loads", loadForever, endLoading, "loading"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, testkit.StartRedis(t, "--appendonly", "no"), "")
			fill(f.redis)
			processes := f.start(1)
			client := processes[0].Client()
			id := client.Submit(`{"payload": "kept"}`).CorrelationID
			client.Result(id)

			tt.begin(f.redis)
			awaitReadiness(t, http.StatusServiceUnavailable, processes...)
			answer := client.Post(`{"payload": 1}`, nil)
			require.Equal(t, "QUEUE_UNAVAILABLE", answer.Problem(t, http.StatusServiceUnavailable).Code)
			for _, process := range processes {
				testkit.Until(t, "/health tells what is wrong", func() bool {
					return strings.Contains(queueFault(t, process.Client()), tt.want)
				})
			}
			tt.end(f.redis)
			awaitReadiness(t, http.StatusOK, processes...)

			require.Equal(t, "COMPLETED", client.Result(id).Status)
			requireCompleted(t, client, []string{client.Submit(`{"payload": 1}`).CorrelationID})
			requireFewComplaints(t, 2*fewComplaints, processes...)
		})
	}
}

// queueFault is what /health says is wrong with the queue; "" when nothing is.
func queueFault(t *testing.T, client *testkit.Client) string {
	t.Helper()
	var document struct {
		Components struct{ Queue struct{ Error string } }
	}
	require.NoError(t, json.Unmarshal(client.Get("/health").Body, &document))
	return document.Components.Queue.Error
}

func TestAFullRedisTakesNothingMoreAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	const accepted = 20
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	f := newFleet(t, testkit.StartRedis(t), fleetConfig(backend))
	processes := f.start(1)
	client := processes[0].Client()
	ids := submitMany(t, client, accepted, to("backend"))
	backend.Await(slots)

	f.redis.Run("CONFIG", "SET", "maxmemory", "1mb") // it has more already
	answer := client.Post(`{"payload": 1}`, nil)
	require.Equal(t, "QUEUE_FULL", answer.Problem(t, http.StatusServiceUnavailable).Code)
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
	testkit.Until(t, "/health tells what is wrong", func() bool {
		return strings.Contains(string(client.Get("/health").Body), "redis has reached maxmemory")
	})
	require.Equal(t, http.StatusOK, client.Get("/health/ready").Code, "what is there can be read")
	f.workers.Launch().AwaitLog("worker started") // only workers can make room
	close(release)
	requireCompleted(t, client, ids)
	require.Equal(t, testkit.Depth{}, client.Depth())

	f.redis.Run("CONFIG", "SET", "maxmemory", "0")
	requireCompleted(t, client, submitMany(t, client, accepted, to("backend")))
	require.Len(t, backend.Calls(), 2*accepted)
	requireFewComplaints(t, 2*fewComplaints, processes...)
}
