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

// lossPatience is how long tests wait for the end of what a broker has lost. The promise is two minutes; the rest is
// for a busy machine.
const lossPatience = 4 * time.Minute

// awaitFinal waits until all requests are final, and returns how many were lost. The others are completed.
func awaitFinal(t *testing.T, client *testkit.Client, ids []string) (lost int) {
	t.Helper()
	open := make(map[string]bool)
	for _, id := range ids {
		open[id] = true
	}
	require.Eventually(t, func() bool {
		for id := range open {
			switch status := client.Status(id).Status; status {
			case "COMPLETED":
				delete(open, id)
			case "FAILED":
				require.Equal(t, "lost_by_broker", deadLetter(t, client, id).Reason)
				delete(open, id)
				lost++
			default:
				require.Contains(t, []string{"PENDING", "PROCESSING"}, status)
			}
		}
		return len(open) == 0
	}, lossPatience, time.Second)
	return lost
}

// letter is what a dead letter says of itself.
type letter struct {
	Reason  string          `json:"reason"`
	Error   string          `json:"error"`
	Request json.RawMessage `json:"request"` // its original
}

func deadLetter(t *testing.T, client *testkit.Client, id string) (l letter) {
	t.Helper()
	answer := client.Get("/api/v1/dead-letters/" + id)
	require.Equal(t, http.StatusOK, answer.Code, "%s", answer.Body)
	require.NoError(t, json.Unmarshal(answer.Body, &l))
	return l
}

func TestWhatABrokerDeletesBeforeAWorkerReadsItEndsAsLost(t *testing.T) {
	t.Parallel()
	for _, carrier := range testkit.Carriers() {
		t.Run(carrier.Name, func(t *testing.T) {
			t.Parallel()
			deletedBeforeItWasRead(t, carrier, carrier.Shared(t))
		})
	}
}

// deletedBeforeItWasRead has a second queue beside the purged one, whose requests wait for just as long.
func deletedBeforeItWasRead(t *testing.T, carrier testkit.Carrier, broker testkit.Broker) {
	t.Helper()
	const some = 40
	backend, queue := testkit.NewBackend(t, testkit.Echo()), carrier.NewQueue(broker)
	document := func(n int) string {
		return fmt.Sprintf(`{"payload": %d, "metadata": {"endpoint": "backend", "priority": %d}}`, n, n%2*9)
	}
	purged := onQueue(t, queue, testkit.OneBackend(backend.URL), lease)
	waiting := onQueue(t, carrier.NewQueue(broker), testkit.OneBackend(backend.URL), lease)
	keptQueue := carrier.NewQueue(broker)
	keeping := newFleet(t, testkit.StartRedis(t), testkit.OneBackend(backend.URL),
		append(keptQueue.Variables(), keptQueue.Lease(lease), "OPENHQM_STORE_ORIGINALS=true")...)
	client, other, careful := purged.api.Start().Client(), waiting.api.Start().Client(), keeping.api.Start().Client()
	waits := submitMany(t, other, some, document)
	lost := submitMany(t, client, some, document)
	kept := submitMany(t, careful, some, document)

	broker.Purge(t, queue.Name, queue.High(), keptQueue.Name, keptQueue.High())
	clock := testkit.StartClock(t, client)
	require.Equal(t, some, awaitFinal(t, client, lost))
	t.Logf("found out after %s", clock.Elapsed())

	for _, id := range lost {
		require.Contains(t, client.Result(id).Error, "there is no original")
		require.Empty(t, deadLetter(t, client, id).Request)
	}
	require.Equal(t, some, awaitFinal(t, careful, kept))
	for _, id := range kept {
		require.NotContains(t, careful.Result(id).Error, "original")
		require.NotEmpty(t, deadLetter(t, careful, id).Request, "store.originals")
	}
	resent, err := careful.Call(t.Context(), http.MethodPost, "/api/v1/dead-letters/resend",
		http.Header{"Content-Type": {"application/json"}}, []byte(`{"reason": "lost_by_broker", "limit": 100, "rate": 1000}`))
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, resent.Code, "%s", resent.Body)
	client.RequireDepth(testkit.Depth{})
	other.RequireDepth(testkit.Depth{Ready: some})
	purged.workers.Start()
	keeping.workers.Start()
	waiting.workers.Start()
	requireCompleted(t, other, waits)
	requireCompleted(t, client, submitMany(t, client, some, document))
	testkit.Until(t, "what was sent again has been called", func() bool { return careful.Depth() == testkit.Depth{} })
	require.Len(t, backend.Calls(), 3*some, "what was lost was never called")
}
