package faults_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// TestARequestThatKillsItsProcessEveryTimeIsADeadLetter has a call during which the process always dies, as one that
// makes it run out of memory would. It must not go on for ever.
func TestARequestThatKillsItsProcessEveryTimeIsADeadLetter(t *testing.T) {
	t.Parallel()
	const deliveries = 2
	backend := testkit.NewBackend(t, testkit.Hold(t.Context().Done(), testkit.Echo()))
	config := testkit.OneBackend(backend.URL) + fmt.Sprintf("queue: {max_deliveries: %d}\n", deliveries)
	gateway := testkit.NewGateway(t, config)
	process := gateway.Start()
	id := process.Client().Submit(`{"payload": "poison"}`).CorrelationID
	for n := range deliveries {
		backend.Await(n + 1)
		process.Kill()
		process = gateway.Start()
	}

	result := process.Client().Result(id)

	require.Equal(t, "FAILED", result.Status)
	require.Zero(t, result.Attempts, "no attempt has ended")
	require.Len(t, backend.CallsOf(id), deliveries)
	letter := process.Client().Get("/api/v1/dead-letters/" + id)
	require.Equal(t, http.StatusOK, letter.Code)
	require.Contains(t, string(letter.Body), `"reason":"max_deliveries"`)
	require.Contains(t, string(letter.Body), `"poison"`)
}
