package testkit

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Until calls yes again and again until it reports true, or nothing of the test moves for Patience. It is for what
// offers no way to wait for it. Unlike testify's Eventually it calls yes in the test's own goroutine, so yes may use
// helpers that end the test.
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
