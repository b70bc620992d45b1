package e2e_test

import (
	"testing"

	"github.com/openhqm/openhqm/tests/testkit"
)

// processInstaller makes installations of one process that does everything.
type processInstaller func(t *testing.T, config string, variables ...string) *testkit.Gateway

// inOneProcess runs a test on each queue that one process has for itself: the embedded one, and the one of the test
// build, a carrier in memory. That shows that what ports/README.md lists is all that a new carrier needs.
func inOneProcess(t *testing.T, test func(*testing.T, processInstaller)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T, config string, variables ...string) *testkit.Gateway {
			t.Helper()
			return testkit.NewGateway(t, config, variables...)
		})
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T, config string, variables ...string) *testkit.Gateway {
			t.Helper()
			return testkit.NewTestQueueGateway(t, config, append(variables,
				"OPENHQM_QUEUE_TYPE=memory", "OPENHQM_REDIS_URL="+testkit.StartRedis(t).URL())...)
		})
	})
}
