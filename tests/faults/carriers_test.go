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

// installer makes an installation without any process yet. What a worker has begun goes to other workers when the lease
// is over, from its last sign of life on.
type installer func(t *testing.T, config string, lease time.Duration) *fleet

// onEachCarrier runs a test on each broker that only carries messages. All tests share it.
func onEachCarrier(t *testing.T, test func(*testing.T, installer)) {
	t.Helper()
	for _, carrier := range testkit.Carriers() {
		t.Run(carrier.Name, func(t *testing.T) {
			t.Parallel()
			test(t, installerOn(carrier, carrier.Shared(t)))
		})
	}
}

// installerOn makes installations on a broker, each with a queue of its own and its records in a Redis of its own.
func installerOn(carrier testkit.Carrier, broker testkit.Broker) installer {
	return func(t *testing.T, config string, lease time.Duration) *fleet {
		t.Helper()
		return onQueue(t, carrier.NewQueue(broker), config, lease)
	}
}

func onQueue(t *testing.T, queue testkit.Queue, config string, lease time.Duration) *fleet {
	t.Helper()
	return newFleet(t, testkit.StartRedis(t), config, append(queue.Variables(), queue.Lease(lease))...)
}

// onEachBroker runs a test on each broker that processes can share.
func onEachBroker(t *testing.T, test func(*testing.T, installer)) {
	t.Helper()
	onEachCarrier(t, test)
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T, config string, lease time.Duration) *fleet {
			t.Helper()
			return newFleet(t, testkit.StartRedis(t), config, "OPENHQM_QUEUE_LEASE="+lease.String())
		})
	})
}

// busy is an installation with a worker that is busy with calls, until they are released. Requests behind them wait for
// it, as long as the broker takes it for one that lives.
type busy struct {
	*fleet

	backend      *testkit.Backend
	client       *testkit.Client
	worker       *testkit.Process
	held, behind []string
}

func startBusy(t *testing.T, install installer, release <-chan struct{}, lease time.Duration) busy {
	t.Helper()
	const waiting = 40
	b := busy{backend: testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		reply := testkit.Echo()
		if call.Target == "/held" && call.Nth == 1 {
			reply = testkit.Hold(release, reply)
		}
		reply(w, r, call)
	})}
	b.fleet = install(t,
		testkit.OneBackend(b.backend.URL)+fmt.Sprintf("worker: {count: %d, drain: 1h}\n", slots), lease)
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

func TestWhatADeadWorkerHeldAndWhatWaitedBehindGoesToOtherWorkers(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, deadWorkerHeld)
}

func deadWorkerHeld(t *testing.T, install installer) {
	t.Helper()
	never := make(chan struct{})
	b := startBusy(t, install, never, lease)
	b.workers.Start()
	b.backend.Await(slots + 1) // the other one has its part

	clock := testkit.StartClock(t, b.client)
	b.worker.Kill()
	requireCompleted(t, b.client, b.held)
	requireCompleted(t, b.client, b.behind)
	took := clock.Elapsed()

	b.requireCalls(t, 2)
	t.Logf("taken over and final %s after the death, with leases of %s", took, lease)
	require.Less(t, took, lease+15*time.Second, "the promise is 5 s after the lease; the rest is for a busy machine")
}

func TestAWorkerThatDrainsLeavesToOtherWorkersWhatItHasNotBegun(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, leavesWhatItHasNotBegun)
}

func leavesWhatItHasNotBegun(t *testing.T, install installer) {
	t.Helper()
	release := make(chan struct{})
	b := startBusy(t, install, release, longLease)
	b.workers.Start()

	b.worker.Signal(syscall.SIGTERM)
	requireCompleted(t, b.client, b.behind)
	require.False(t, b.worker.Ended(), "its calls still run")
	close(release)
	state := b.worker.Wait()
	require.True(t, state.Success(), "%s", state)

	for _, id := range b.held {
		requireCompletedAt(t, b.client, id, 1, "it had the time to end")
	}
	b.requireCalls(t, 1)
}

func TestWorkersThatComeAndGoUnderLoad(t *testing.T) {
	t.Parallel()
	onEachCarrier(t, comeAndGo)
}

func comeAndGo(t *testing.T, install installer) {
	t.Helper()
	const comings = 2
	backend := testkit.NewBackend(t, answerLoad)
	f := install(t, fleetConfig(backend), lease)
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

	load.ledger.await(t, processes[0].Client())
	repeated := load.ledger.audit(t, backend)
	t.Logf("%d requests, %d calls repeated; the one that took longest took %s",
		len(load.ledger.entries()), repeated, load.ledger.longest(t))
	require.LessOrEqual(t, repeated, comings*slots, "only what was running at a death may be called again")
	requireFewComplaints(t, fewComplaints, processes...)
}
