package faults_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

const (
	// killsVariable asks for a longer test.
	killsVariable = "OPENHQM_TEST_KILLS"
	defaultKills  = 6

	slots = 8 // worker.count
)

// loadConfig leaves room for many kills: a request that is in flight at each of them is delivered once more each time.
// The breaker stays closed: after a pause all clients go on at once, and their flaky requests follow each other.
func loadConfig(backend *testkit.Backend) string {
	return oneLimited(backend, "breaker: {ratio: 0}") + `
worker: {count: 8, drain: 20s}
queue: {max_deliveries: 1000}
retry: {base: 20ms, max: 200ms}
`
}

func TestWhatWasAcceptedEndsOnceHoweverOftenTheProcessIsKilled(t *testing.T) {
	t.Parallel()
	kills := killCount(t)
	backend := testkit.NewBackend(t, answerLoad)
	gateway := testkit.NewGateway(t, loadConfig(backend))
	process := gateway.Start()
	load := startLoad(t, gateway)

	for kill := range kills {
		awaitMoment(t, load.ledger, backend)
		process.Kill()
		if kill%3 == 2 { // the next one dies while it starts
			process = gateway.Launch()
			if rand.N(2) == 0 {
				process.AwaitLog("worker started")
			}
			process.Kill()
		}
		process = gateway.Start()
		load.ledger.spotCheck(t, process.Client())
	}
	load.stop()

	load.ledger.await(t, process.Client())
	repeated := load.ledger.audit(t, backend)
	require.LessOrEqual(t, repeated, kills*slots, "only what was in flight at a kill may be called again")
	t.Logf("%d kills, %d requests, %d calls repeated", kills, len(load.ledger.entries()), repeated)
}

func killCount(t *testing.T) int {
	t.Helper()
	text := os.Getenv(killsVariable)
	if text == "" {
		return defaultKills
	}
	kills, err := strconv.Atoi(text)
	require.NoError(t, err, killsVariable)
	return kills
}

// awaitMoment waits for a moment to strike: some requests after now have been accepted, or some calls have been made.
func awaitMoment(t *testing.T, ledger *ledger, backend *testkit.Backend) {
	t.Helper()
	const atLeast, spread = 50, 200
	n := atLeast + rand.N(spread)
	if rand.N(2) == 0 {
		backend.Await(len(backend.Calls()) + n)
		return
	}
	awaitAccepted(t, ledger, n)
}
