package testkit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Until asks again and again until the answer is yes. It is for what cannot be waited for in a better way.
// Unlike testify's Eventually it asks in the test's own goroutine, so the question may use helpers that end the test.
func Until(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !yes() {
		select {
		case <-ticker.C:
		case <-timer.C:
			require.FailNowf(tb, "waited in vain", "%s: not within %s", what, Patience)
		}
	}
}
