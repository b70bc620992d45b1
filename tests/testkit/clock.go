package testkit

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/openhqm/openhqm/tests/moving"
)

// StartClock starts a clock that measures time as the client's process has it, which must live. It ends with the test.
func StartClock(tb testing.TB, client *Client) *moving.Clock {
	tb.Helper()
	clock, stop := moving.StartClock(tb.Context(), func(ctx context.Context) {
		_, _ = client.Call(ctx, http.MethodGet, "/health/live", nil, nil) // a refusal is an answer too
	})
	tb.Cleanup(stop)
	return clock
}

// RunSoon is Run for a process that has promised to end by itself within some time. Where it takes longer than that and
// 10 s, the machine must be slow: the excess is at most 20 times what a run takes that does nothing.
func (g *Gateway) RunSoon(promised time.Duration) Output {
	g.tb.Helper()
	began := time.Now()
	g.Run("no-such-command")
	nothing := time.Since(began)

	began = time.Now()
	output := g.Run()
	took := time.Since(began)
	g.tb.Logf("ended after %s, and one that does nothing after %s: %s", took, nothing, output.Stderr)
	if most := promised + 10*time.Second + 20*nothing; took > most {
		g.tb.Errorf("the process ended after %s: %s were promised, and %s is the most for this machine", took, promised, most)
	}
	return output
}
