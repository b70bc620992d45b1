package faults_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestWhatACarrierHasConfirmedSurvivesItsDeath(t *testing.T) {
	t.Parallel()
	for _, carrier := range testkit.Carriers() {
		t.Run(carrier.Name, func(t *testing.T) {
			t.Parallel()
			broker := carrier.Start(t)
			carrierDies(t, broker, installerOn(carrier, broker))
		})
	}
}

func carrierDies(t *testing.T, broker testkit.Broker, install installer) {
	t.Helper()
	backend := testkit.NewBackend(t, answerLoad)
	f := install(t, fleetConfig(backend), lease)
	processes := f.start(2)
	client := processes[0].Client()
	load := startLoad(t, f.api)

	awaitMoment(t, load.ledger, backend)
	broker.Kill()
	refused := load.refused.Load()
	testkit.Until(t, "submits are refused", func() bool { return load.refused.Load() > refused })
	awaitReadiness(t, http.StatusServiceUnavailable, processes...)
	known := load.ledger.entries()[0].id
	require.Equal(t, http.StatusOK, client.Get("/api/v1/response/"+known).Code, "the records are in Redis")
	require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
	broker.Restart(t)
	fresh := f.api.Twin().Start() // which is ready as soon as the broker can be used
	clock := testkit.StartClock(t, fresh.Client())
	awaitAccepted(t, load.ledger, 1)
	accepting := clock.Elapsed()
	backend.Await(len(backend.Calls()) + 1)
	working := clock.Elapsed()
	awaitReadiness(t, http.StatusOK, processes...)
	awaitAccepted(t, load.ledger, 100)
	load.stop()

	load.ledger.await(t, client)
	require.Zero(t, load.ledger.audit(t, backend), "every call could be saved")
	requireFewComplaints(t, fewComplaints, processes...)
	t.Logf("%d requests; accepting %s after a fresh process was ready, and working after %s",
		len(load.ledger.entries()), accepting, working)
	require.Less(t, accepting, 5*time.Second, "nobody waits for longer than two seconds before the next try")
}

func TestTopicsAndQueuesThatAreDeletedAreCreatedAgain(t *testing.T) {
	t.Parallel()
	for _, carrier := range testkit.Carriers() {
		t.Run(carrier.Name, func(t *testing.T) {
			t.Parallel()
			createdAgain(t, carrier, carrier.Shared(t))
		})
	}
}

// created counts the topics that processes have created.
func created(processes []*testkit.Process, carrier testkit.Carrier) (n int) {
	for _, process := range processes {
		n += strings.Count(process.Log.Text(), `"`+carrier.Created+`"`)
	}
	return n
}

func createdAgain(t *testing.T, carrier testkit.Carrier, broker testkit.Broker) {
	t.Helper()
	backend, queue := testkit.NewBackend(t, testkit.Echo()), carrier.NewQueue(broker)
	f := onQueue(t, queue, testkit.OneBackend(backend.URL), lease)
	const some = 50
	processes := f.start(1)
	client := processes[0].Client()
	requireCompleted(t, client, submitMany(t, client, some, to("backend")))
	client.RequireDepth(testkit.Depth{})
	nameless := make([]testkit.Message, 12)
	for i := range nameless {
		nameless[i].Value = fmt.Sprintf(`{"payload": %d, "metadata": {"path": "/nameless"}}`, i)
	}
	broker.Send(t, queue.Name, nameless...)
	awaitNameless(t, backend, len(nameless))

	before := created(processes, carrier)
	broker.Delete(t, queue.Name, queue.High())
	var accepted []string
	submits := func() bool {
		receipt, err := client.TrySubmit(t.Context(), `{"payload": 1}`, nil)
		if err == nil {
			accepted = append(accepted, receipt.CorrelationID)
		}
		return err == nil
	}
	if carrier.Created != "" { // until then the broker accepts messages, which go with the topic
		testkit.Until(t, "both topics are created again", func() bool {
			submits()
			return created(processes, carrier) >= before+2
		})
	}

	testkit.Until(t, "requests are accepted", submits)
	requireCompleted(t, client, submitMany(t, client, some, to("backend")))
	awaitReadiness(t, http.StatusOK, processes...)
	broker.Send(t, queue.Name, nameless...) // they may lie where the first ones lay
	awaitNameless(t, backend, 2*len(nameless))
	t.Logf("%d of %d requests went with the topic", awaitFinal(t, client, accepted), len(accepted))
	requireFewComplaints(t, fewComplaints+1, processes...) // about what was lost
}

// awaitNameless waits for so many calls that messages without ids have caused.
func awaitNameless(t *testing.T, backend *testkit.Backend, n int) {
	t.Helper()
	testkit.Until(t, fmt.Sprintf("%d messages without ids have run", n), func() bool {
		calls := 0
		for _, call := range backend.Calls() {
			if call.Target == "/nameless" {
				calls++
			}
		}
		return calls == n
	})
}

func TestWhatACarrierHoldsOutlivesARedisThatForgetsEverything(t *testing.T) {
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
