package faults_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// Redis is away for less and for more than a lease. Of the calls that run meanwhile, half end while it is away, and
// half once it is back: none is cut off or charged, and none is made again.
func TestAnOutageOfRedisRepeatsNoCall(t *testing.T) {
	t.Parallel()
	onEachBroker(t, func(t *testing.T, install installer) {
		t.Helper()
		for _, away := range []time.Duration{lease * 4 / 5, lease * 8 / 5} {
			t.Run(away.String(), func(t *testing.T) {
				t.Parallel()
				awayFor(t, install, away)
			})
		}
	})
}

func awayFor(t *testing.T, install installer, away time.Duration) {
	t.Helper()
	const workers = 2
	during, after := make(chan struct{}), make(chan struct{})
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		release := during
		if call.Target == "/after" {
			release = after
		}
		testkit.Hold(release, testkit.Echo())(w, r, call)
	})
	f := install(t, testkit.OneBackend(backend.URL)+fmt.Sprintf("worker: {count: %d}\n", slots), lease)
	processes := f.start(workers)
	client := processes[0].Client()
	ids := submitMany(t, client, slots, func(number int) string {
		return fmt.Sprintf(`{"payload": 1, "metadata": {"path": %q}}`, []string{"/during", "/after"}[number%2])
	})
	backend.Await(slots)

	f.redis.Freeze()
	clock := testkit.StartClock(t, client)
	close(during)
	testkit.Until(t, "Redis has been away for so long", func() bool { return clock.Elapsed() > away })
	f.redis.Thaw()
	awaitReadiness(t, http.StatusOK, processes...)
	back := clock.Elapsed()
	testkit.Until(t, "whatever is to be taken over has been", func() bool { return clock.Elapsed() > back+2*lease })
	close(after)

	for _, id := range ids {
		requireCompletedAt(t, client, id, 1, "it was charged once")
		require.Len(t, backend.CallsOf(id), 1)
	}
	client.RequireDepth(testkit.Depth{})
}
