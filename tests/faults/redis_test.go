package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// fleet is an installation for more than one machine: any number of processes of each role, with their records in a
// Redis.
type fleet struct {
	redis        *testkit.Redis
	api, workers *testkit.Gateway
}

// newFleet makes an installation on Redis alone, without any process yet. Variables are for all of them.
func newFleet(t *testing.T, redis *testkit.Redis, config string, variables ...string) *fleet {
	t.Helper()
	variables = append([]string{"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL=" + redis.URL()}, variables...)
	role := func(name string) *testkit.Gateway {
		return testkit.NewGateway(t, config, append([]string{"OPENHQM_ROLE=" + name}, variables...)...)
	}
	return &fleet{redis: redis, api: role("api"), workers: role("worker")}
}

// fleetConfig is for load on several workers. What is begun while its worker dies, or cannot be confirmed, is taken
// over when the lease is over. The breaker stays closed: after an outage all clients go on at once, and their flaky
// requests follow each other.
func fleetConfig(backend *testkit.Backend) string {
	return oneLimited(backend, "breaker: {ratio: 0}") + fmt.Sprintf(`
worker: {count: 8, drain: 20s}
queue: {max_deliveries: 1000, lease: %s}
retry: {base: 20ms, max: 200ms}
`, lease)
}

// lease is short, and long enough for a busy machine to tell that a worker lives.
const lease = 5 * time.Second

// longLease is longer than testkit waits: whoever has to wait until it is over fails the test.
const longLease = 10 * time.Minute

// start starts one api and so many workers, and returns all of them, the api first.
func (f *fleet) start(workers int) []*testkit.Process {
	processes := []*testkit.Process{f.api.Start()}
	for range workers {
		processes = append(processes, f.workers.Start())
	}
	return processes
}

// awaitReadiness waits until all processes say so: 200, or 503.
func awaitReadiness(t *testing.T, code int, processes ...*testkit.Process) {
	t.Helper()
	for _, process := range processes {
		testkit.Until(t, "readiness is "+http.StatusText(code), func() bool {
			return process.Client().Get("/health/ready").Code == code
		})
	}
}

// awaitAccepted waits until n more requests have been accepted.
func awaitAccepted(t *testing.T, ledger *ledger, n int) {
	t.Helper()
	ctx, cancel := testkit.WhileMoving(t, func() int64 { return int64(len(ledger.entries())) })
	defer cancel()
	select {
	case <-ledger.after(n):
	case <-ctx.Done():
		require.FailNow(t, "nothing is accepted any more")
	}
}

// requireUnavailable submits and reads while nothing can be confirmed.
func requireUnavailable(t *testing.T, client *testkit.Client, known string) {
	t.Helper()
	for range 5 {
		answer := client.Post(`{"payload": 1}`, nil)
		require.Equal(t, "QUEUE_UNAVAILABLE", answer.Problem(t, http.StatusServiceUnavailable).Code)
		require.NotEmpty(t, answer.Header.Get("Retry-After"))
	}
	for _, path := range []string{"/api/v1/status/", "/api/v1/response/"} {
		answer := client.Get(path + known)
		require.Equal(t, "QUEUE_UNAVAILABLE", answer.Problem(t, http.StatusServiceUnavailable).Code)
	}
	require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
}

// filesLowered is what a process logs that may open fewer files than server.max_connections needs.
const filesLowered = "server.max_connections lowered to what the limit of open files (RLIMIT_NOFILE) allows"

// warnings returns the warnings and errors of a process, without those that belong to one attempt each, or to the
// machine that the test runs on.
func warnings(t *testing.T, process *testkit.Process) []string {
	t.Helper()
	var found []string
	for _, line := range process.Log.Lines() {
		var fields struct{ Level, Msg string }
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		if (fields.Level == "WARN" || fields.Level == "ERROR") && fields.Msg != "attempt" && fields.Msg != filesLowered {
			found = append(found, line)
		}
	}
	return found
}

// requireFewComplaints looks for a storm in the logs.
func requireFewComplaints(t *testing.T, most int, processes ...*testkit.Process) {
	t.Helper()
	for _, process := range processes {
		found := warnings(t, process)
		t.Logf("%d warnings: %.3000q", len(found), found)
		require.LessOrEqual(t, len(found), most, "a storm in the log: %.3000q", found)
	}
}
