package faults_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// installer makes an installation without any process yet. What a worker has begun goes to others when the lease is
// over, from its last sign of life on.
type installer func(t *testing.T, config string, lease time.Duration) *fleet

// brokers install on each broker that processes can share.
var brokers = map[string]installer{
	"redis": func(t *testing.T, config string, lease time.Duration) *fleet {
		t.Helper()
		return newFleet(t, testkit.StartRedis(t), config, "OPENHQM_QUEUE_LEASE="+lease.String())
	},
	"kafka": func(t *testing.T, config string, lease time.Duration) *fleet {
		t.Helper()
		f, _ := onKafka(t, testkit.SharedKafka(t), config, lease)
		return f
	},
}

// onEachBroker runs a test on each.
func onEachBroker(t *testing.T, test func(*testing.T, installer)) {
	t.Helper()
	for name, install := range brokers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, install)
		})
	}
}

// onKafka makes an installation on Kafka, with its records in a Redis of its own.
func onKafka(
	t *testing.T, kafka *testkit.Kafka, config string, lease time.Duration,
) (*fleet, testkit.KafkaQueue) {
	t.Helper()
	queue := kafka.NewQueue()
	variables := append(queue.Variables(), "OPENHQM_KAFKA_SESSION_TIMEOUT="+lease.String())
	return newFleet(t, testkit.StartRedis(t), config, variables...), queue
}

// busy is an installation on Kafka with a worker that is busy with calls, until they are released. Requests behind them
// wait for it, as long as the group takes it for a member.
type busy struct {
	*fleet

	backend      *testkit.Backend
	client       *testkit.Client
	worker       *testkit.Process
	held, behind []string
}

func startBusy(t *testing.T, release <-chan struct{}, session time.Duration) busy {
	t.Helper()
	const waiting = 40
	b := busy{backend: testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		reply := testkit.Echo()
		if call.Target == "/held" && call.Nth == 1 {
			reply = testkit.Hold(release, reply)
		}
		reply(w, r, call)
	})}
	b.fleet, _ = onKafka(t, testkit.SharedKafka(t),
		testkit.OneBackend(b.backend.URL)+fmt.Sprintf("worker: {count: %d, drain: 1h}\n", slots), session)
	b.client, b.worker = b.api.Start().Client(), b.workers.Start()
	b.held = submitMany(t, b.client, slots, func(int) string { return `{"payload": 1, "metadata": {"path": "/held"}}` })
	b.backend.Await(slots)
	b.behind = submitMany(t, b.client, waiting, to("backend"))
	return b
}

// requireCalls looks how often each request was called, and that nothing is left.
func (b *busy) requireCalls(t *testing.T, held int) {
	t.Helper()
	for _, id := range b.held {
		require.Len(t, b.backend.CallsOf(id), held)
	}
	for _, id := range b.behind {
		require.Len(t, b.backend.CallsOf(id), 1, "it was not running")
	}
	b.client.RequireDepth(testkit.Depth{})
}

func TestWhatADeadWorkerOfKafkaHeldAndWhatWaitedBehindGoesToOthers(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	b := startBusy(t, never, lease)
	b.workers.Start()
	b.backend.Await(slots + 1) // the other one has its part

	killed := time.Now()
	b.worker.Kill()
	requireCompleted(t, b.client, b.held)
	requireCompleted(t, b.client, b.behind)
	took := time.Since(killed)

	b.requireCalls(t, 2)
	t.Logf("taken over and final %s after the death, with sessions of %s", took, lease)
	require.Less(t, took, lease+15*time.Second, "the promise is 5 s after the session; the rest is for a busy machine")
}

func TestAWorkerOfKafkaThatDrainsLeavesToOthersWhatItHasNotBegun(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := startBusy(t, release, testkit.Patience) // nobody may have to wait for that
	b.workers.Start()

	told := time.Now()
	b.worker.Signal(syscall.SIGTERM)
	requireCompleted(t, b.client, b.behind)
	took := time.Since(told)
	require.False(t, b.worker.Ended(), "its calls still run")
	close(release)
	state := b.worker.Wait()
	require.True(t, state.Success(), "%s", state)

	for _, id := range b.held {
		requireCompletedAt(t, b.client, id, 1, "it had the time to end")
	}
	b.requireCalls(t, 1)
	t.Logf("%d requests were taken over and final after %s", len(b.behind), took)
	require.Less(t, took, testkit.Patience/2)
}

func TestWorkersOfKafkaThatComeAndGoUnderLoad(t *testing.T) {
	t.Parallel()
	const comings = 2
	backend := testkit.NewBackend(t, answerLoad)
	f, _ := onKafka(t, testkit.SharedKafka(t), fleetConfig(backend), lease)
	processes := f.start(2)
	load := startLoad(t, f.api)

	for range comings {
		leaves, dies := f.workers.Start(), f.workers.Start()
		awaitMoment(t, load.ledger, backend)
		leaves.Signal(syscall.SIGTERM)
		dies.Kill()
		state := leaves.Wait()
		require.True(t, state.Success(), "%s", state)
		awaitMoment(t, load.ledger, backend)
	}
	load.stop()

	load.ledger.settle(t, processes[0].Client())
	repeated := load.ledger.audit(t, backend)
	t.Logf("%d requests, %d calls repeated; the one that took longest took %s",
		len(load.ledger.entries()), repeated, load.ledger.longest(t))
	require.LessOrEqual(t, repeated, comings*slots, "only what was running at a death may be called again")
	requireFewComplaints(t, fewComplaints, processes...)
}

func TestWhatKafkaHasConfirmedSurvivesItsDeath(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, answerLoad)
	kafka := testkit.StartKafka(t, 1)
	f, _ := onKafka(t, kafka, fleetConfig(backend), lease)
	processes := f.start(2)
	client := processes[0].Client()
	load := startLoad(t, f.api)

	awaitMoment(t, load.ledger, backend)
	kafka.Kill(0)
	refused := load.refused.Load()
	testkit.Until(t, "submits are refused", func() bool { return load.refused.Load() > refused })
	awaitReadiness(t, http.StatusServiceUnavailable, processes...)
	known := load.ledger.entries()[0].id
	require.Equal(t, http.StatusOK, client.Get("/api/v1/response/"+known).Code, "the records are in Redis")
	require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
	kafka.Restart(t, 0)
	restarted := time.Now()
	awaitAccepted(t, load.ledger, 1)
	accepting := time.Since(restarted)
	backend.Await(len(backend.Calls()) + 1)
	working := time.Since(restarted)
	awaitReadiness(t, http.StatusOK, processes...)
	awaitAccepted(t, load.ledger, 100)
	load.stop()

	load.ledger.settle(t, client)
	require.Zero(t, load.ledger.audit(t, backend), "every call could be saved")
	requireFewComplaints(t, fewComplaints, processes...)
	t.Logf("%d requests; accepting %s after the restart, and working after %s",
		len(load.ledger.entries()), accepting, working)
	require.Less(t, accepting, 10*time.Second, "nobody waits for longer than two seconds before the next try")
}

// The broker that coordinates the group leads a part of the partitions too.
func TestOneOfThreeBrokersOfKafkaDiesUnderLoad(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, answerLoad)
	kafka := testkit.StartKafka(t, 3)
	f, _ := onKafka(t, kafka, fleetConfig(backend), lease)
	processes := f.start(2)
	load := startLoad(t, f.api)
	awaitMoment(t, load.ledger, backend)
	coordinator := kafka.Coordinator(t)

	kafka.Kill(coordinator)
	awaitAccepted(t, load.ledger, 500)
	backend.Await(len(backend.Calls()) + 500)
	awaitReadiness(t, http.StatusOK, processes...)
	load.stop()

	load.ledger.settle(t, processes[0].Client())
	require.Zero(t, load.ledger.audit(t, backend), "no worker died")
	requireFewComplaints(t, fewComplaints, processes...)
	t.Logf("%d requests, %d answers 503; the one that took longest took %s",
		len(load.ledger.entries()), load.refused.Load(), load.ledger.longest(t))
}

func TestTopicsOfKafkaThatAreDeletedAreMadeAgain(t *testing.T) {
	t.Parallel()
	const some = 50
	backend := testkit.NewBackend(t, testkit.Echo())
	kafka := testkit.SharedKafka(t)
	f, queue := onKafka(t, kafka, testkit.OneBackend(backend.URL), lease)
	processes := f.start(1)
	client := processes[0].Client()
	requireCompleted(t, client, submitMany(t, client, some, to("backend")))
	client.RequireDepth(testkit.Depth{})

	kafka.DeleteTopics(t, queue)

	testkit.Until(t, "requests are accepted", func() bool {
		return client.Post(`{"payload": 1}`, nil).Code == http.StatusAccepted
	})
	requireCompleted(t, client, submitMany(t, client, some, to("backend")))
	awaitReadiness(t, http.StatusOK, processes...)
	requireFewComplaints(t, fewComplaints, processes...)
}

func TestWhatKafkaCarriesOutlivesARedisThatForgetsEverything(t *testing.T) {
	t.Parallel()
	const some = 50
	backend := testkit.NewBackend(t, testkit.Echo())
	f, _ := onKafka(t, testkit.SharedKafka(t), testkit.OneBackend(backend.URL), lease)
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
