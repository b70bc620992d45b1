package testkit

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Until asks again and again until the answer is yes, or nothing of the test moves for Patience. It is for what can
// neither be waited for nor be told by anybody. Unlike testify's Eventually it asks in the test's own goroutine, so the
// question may use helpers that end the test.
func Until(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	ctx, cancel := patiently(context.WithoutCancel(tb.Context()), Patience, Moves(tb).Load) // cleanups may wait too
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !yes() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			require.FailNowf(tb, "waited in vain", "%s: %v", what, context.Cause(ctx))
		}
	}
}
