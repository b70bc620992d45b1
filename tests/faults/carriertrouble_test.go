package faults_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestWhatKafkaHasConfirmedSurvivesItsDeath(t *testing.T) {
	t.Parallel()
	kafka := testkit.StartKafka(t, 1)
	carrierDies(t, func() { kafka.Kill(0) }, func() { kafka.Restart(t, 0) },
		func(t *testing.T, config string, lease time.Duration) *fleet {
			t.Helper()
			f, _ := onKafka(t, kafka, config, lease)
			return f
		})
}

func TestWhatSQSHasConfirmedSurvivesItsDeath(t *testing.T) {
	t.Parallel()
	server := testkit.StartSQS(t)
	carrierDies(t, server.Kill, func() { server.Restart(t) },
		func(t *testing.T, config string, lease time.Duration) *fleet {
			t.Helper()
			f, _ := onSQS(t, server, config, lease)
			return f
		})
}

func carrierDies(t *testing.T, kill, restart func(), install installer) {
	t.Helper()
	backend := testkit.NewBackend(t, answerLoad)
	f := install(t, fleetConfig(backend), lease)
	processes := f.start(2)
	client := processes[0].Client()
	load := startLoad(t, f.api)

	awaitMoment(t, load.ledger, backend)
	kill()
	refused := load.refused.Load()
	testkit.Until(t, "submits are refused", func() bool { return load.refused.Load() > refused })
	awaitReadiness(t, http.StatusServiceUnavailable, processes...)
	known := load.ledger.entries()[0].id
	require.Equal(t, http.StatusOK, client.Get("/api/v1/response/"+known).Code, "the records are in Redis")
	require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
	restart()
	fresh := f.api.Twin().Start() // which is ready as soon as the broker can be used
	clock := testkit.StartClock(t, fresh.Client())
	awaitAccepted(t, load.ledger, 1)
	accepting := clock.Elapsed()
	backend.Await(len(backend.Calls()) + 1)
	working := clock.Elapsed()
	awaitReadiness(t, http.StatusOK, processes...)
	awaitAccepted(t, load.ledger, 100)
	load.stop()

	load.ledger.settle(t, client)
	require.Zero(t, load.ledger.audit(t, backend), "every call could be saved")
	requireFewComplaints(t, fewComplaints, processes...)
	t.Logf("%d requests; accepting %s after a fresh process was ready, and working after %s",
		len(load.ledger.entries()), accepting, working)
	require.Less(t, accepting, 5*time.Second, "nobody waits for longer than two seconds before the next try")
}

func TestTopicsOfKafkaThatAreDeletedAreMadeAgain(t *testing.T) {
	t.Parallel()
	backend, kafka := testkit.NewBackend(t, testkit.Echo()), testkit.SharedKafka(t)
	f, queue := onKafka(t, kafka, testkit.OneBackend(backend.URL), lease)
	madeAgain(t, f, func(processes []*testkit.Process) {
		before := topicsMade(processes)
		kafka.DeleteTopics(t, queue)
		// Kafka deletes later than it says, and accepts messages until then, which go with the topic.
		testkit.Until(t, "both topics are made again", func() bool {
			processes[0].Client().Post(`{"payload": 1}`, nil)
			return topicsMade(processes) >= before+2
		})
	})
}

// topicsMade counts the topics that processes have made.
func topicsMade(processes []*testkit.Process) (n int) {
	for _, process := range processes {
		n += strings.Count(process.Log.Text(), `"topic made"`)
	}
	return n
}

func TestQueuesOfSQSThatAreDeletedAreMadeAgain(t *testing.T) {
	t.Parallel()
	backend, server := testkit.NewBackend(t, testkit.Echo()), testkit.SharedSQS(t)
	f, queue := onSQS(t, server, testkit.OneBackend(backend.URL), lease)
	madeAgain(t, f, func([]*testkit.Process) {
		server.DeleteQueue(t, queue.Name)
		server.DeleteQueue(t, queue.Name+"-high")
	})
}

func madeAgain(t *testing.T, f *fleet, remove func(processes []*testkit.Process)) {
	t.Helper()
	const some = 50
	processes := f.start(1)
	client := processes[0].Client()
	requireCompleted(t, client, submitMany(t, client, some, to("backend")))
	client.RequireDepth(testkit.Depth{})

	remove(processes)

	testkit.Until(t, "requests are accepted", func() bool {
		return client.Post(`{"payload": 1}`, nil).Code == http.StatusAccepted
	})
	requireCompleted(t, client, submitMany(t, client, some, to("backend")))
	awaitReadiness(t, http.StatusOK, processes...)
	requireFewComplaints(t, fewComplaints, processes...)
}

func TestWhatABrokerCarriesOutlivesARedisThatForgetsEverything(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, redisForgets)
}

func redisForgets(t *testing.T, install installer) {
	t.Helper()
	const some = 50
	backend := testkit.NewBackend(t, testkit.Echo())
	f := install(t, testkit.OneBackend(backend.URL), lease)
	client := f.api.Start().Client()
	ids := submitMany(t, client, some, to("backend"))

	f.redis.FlushAll()
	client.RequireDepth(testkit.Depth{Ready: some})
	f.workers.Start()
	backend.Await(some) // until then Redis knows nothing of them

	requireCompleted(t, client, ids)
	for _, id := range ids {
		require.Len(t, backend.CallsOf(id), 1)
	}
	client.RequireDepth(testkit.Depth{})
}
