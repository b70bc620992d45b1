package faults_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// fewComplaints is how many warnings and errors a process may write about one outage.
const fewComplaints = 10

func TestWhatRedisHasConfirmedSurvivesItsDeath(t *testing.T) {
	t.Parallel()
	onEachBroker(t, redisDies)
}

func redisDies(t *testing.T, install installer) {
	t.Helper()
	const outages, workers = 2, 2
	backend := testkit.NewBackend(t, answerLoad)
	f := install(t, fleetConfig(backend), lease)
	processes := f.start(workers)
	client := processes[0].Client()
	load := startLoad(t, f.api)

	for range outages {
		awaitMoment(t, load.ledger, backend)
		f.redis.Kill()
		requireUnavailable(t, client, load.ledger.entries()[0].id)
		awaitReadiness(t, http.StatusServiceUnavailable, processes...)
		f.redis.Restart()
		awaitReadiness(t, http.StatusOK, processes...)
	}
	awaitAccepted(t, load.ledger, 100)
	load.stop()

	load.ledger.await(t, client)
	repeated := load.ledger.audit(t, backend)
	require.LessOrEqual(t, repeated, outages*workers*slots, "only what was in flight at an outage may be called again")
	requireFewComplaints(t, outages*fewComplaints, processes...)
	t.Logf("%d requests, %d calls repeated", len(load.ledger.entries()), repeated)
}

// A server that hangs keeps its connections and says nothing, which no error tells.
func TestARedisThatHangsHoldsNobodyUpForEver(t *testing.T) {
	t.Parallel()
	const workers = 2
	backend := testkit.NewBackend(t, answerLoad)
	f := newFleet(t, testkit.StartRedis(t), fleetConfig(backend))
	processes := f.start(workers)
	client := processes[0].Client()
	load := startLoad(t, f.api)

	awaitMoment(t, load.ledger, backend)
	f.redis.Freeze()
	answer := client.Get("/api/v1/status/" + load.ledger.entries()[0].id)
	awaitReadiness(t, http.StatusServiceUnavailable, processes...)
	f.redis.Thaw()
	awaitReadiness(t, http.StatusOK, processes...)
	awaitAccepted(t, load.ledger, 100)
	load.stop()

	require.Equal(t, "QUEUE_UNAVAILABLE", answer.Problem(t, http.StatusServiceUnavailable).Code)
	load.ledger.await(t, client)
	repeated := load.ledger.audit(t, backend)
	require.LessOrEqual(t, repeated, workers*slots, "only what was in flight may be called again")
	requireFewComplaints(t, fewComplaints, processes...)
}

func TestAFailoverUnderLoadLosesNothingThatAReplicaConfirmed(t *testing.T) {
	t.Parallel()
	const replicas, workers = 2, 2
	master := testkit.StartRedis(t)
	for range replicas {
		testkit.StartReplica(t, master)
	}
	url := testkit.StartSentinel(t, master, replicas)
	backend := testkit.NewBackend(t, answerLoad)
	f := newFleet(t, master, fleetConfig(backend),
		"OPENHQM_REDIS_URL="+url, "OPENHQM_REDIS_WAIT_REPLICAS=1")
	processes := f.start(workers)
	load := startLoad(t, f.api)

	awaitMoment(t, load.ledger, backend)
	master.Kill()
	awaitReadiness(t, http.StatusServiceUnavailable, processes[0]) // soon there is another
	awaitReadiness(t, http.StatusOK, processes...)
	awaitAccepted(t, load.ledger, 100)
	load.stop()

	load.ledger.await(t, processes[0].Client())
	repeated := load.ledger.audit(t, backend)
	require.LessOrEqual(t, repeated, workers*slots, "only what was in flight at the failover may be called again")
	requireFewComplaints(t, fewComplaints, processes...)
	t.Logf("%d requests, %d calls repeated", len(load.ledger.entries()), repeated)
}

func TestARedisThatForgetsEverythingUnderLoadIsUsedAgain(t *testing.T) {
	t.Parallel()
	const workers, recovery = 2, 10 * time.Second
	backend := testkit.NewBackend(t, answerLoad)
	f := newFleet(t, testkit.StartRedis(t), fleetConfig(backend))
	processes := f.start(workers)
	client := processes[0].Client()
	lost := client.Submit(`{"payload": 1, "metadata": {"delay": "1h"}}`).CorrelationID
	load := startLoad(t, f.api)

	awaitMoment(t, load.ledger, backend)
	f.redis.FlushAll()
	clock, known := testkit.StartClock(t, client), len(load.ledger.entries())
	result := client.Result(client.Submit(`{"payload": "new"}`).CorrelationID)
	took := clock.Elapsed()
	awaitForeign(t, f.redis, client)
	awaitAccepted(t, load.ledger, 200)
	load.stop()

	require.Equal(t, "COMPLETED", result.Status)
	t.Logf("new work ended %s after the flush", took)
	require.Less(t, took, 2*recovery, "the promise is %s; the rest is for a busy machine", recovery)
	for _, path := range []string{"/api/v1/status/", "/api/v1/response/"} {
		require.Equal(t, "NOT_FOUND", client.Get(path+lost).Problem(t, http.StatusNotFound).Code)
	}
	entries := load.ledger.entries()
	for _, e := range entries[:known] {
		answer, err := client.Response(t.Context(), e.id, "")
		require.NoError(t, err)
		require.Containsf(t, []int{http.StatusOK, http.StatusAccepted, http.StatusNotFound}, answer.Code, "%s", answer.Body)
	}
	after := ledger{finals: make(map[string]string), accepted: begunAfter(entries, known)}
	require.NotEmpty(t, after.accepted)
	after.await(t, client)
	requireFewComplaints(t, fewComplaints, processes...)
	for _, process := range processes {
		said := strings.Count(strings.Join(process.Log.Lines(), "\n"), "redis has lost all of its data")
		require.Equal(t, 1, said, "every process says so, once")
	}
}

// awaitForeign writes a message as another program would, past the api, and waits until its request has been done.
func awaitForeign(t *testing.T, redis *testkit.Redis, client *testkit.Client) {
	t.Helper()
	redis.Run("XADD", "openhqm-requests", "*", "payload",
		`{"correlation_id": "foreign", "payload": 1, "metadata": {"endpoint": "backend"}}`)
	testkit.Until(t, "the foreign request is done", func() bool {
		return client.Get("/api/v1/response/foreign").Code == http.StatusOK
	})
}

// begunAfter leaves out the first n entries, and the next of every client: that one may have been on its way.
func begunAfter(entries []*entry, n int) []*entry {
	var begun []*entry
	seen := make(map[string]bool)
	for _, e := range entries[n:] {
		client := e.key[:strings.LastIndex(e.key, "-")]
		if seen[client] {
			begun = append(begun, e)
		}
		seen[client] = true
	}
	return begun
}
