package testkit

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// Metrics are the samples of one scrape by series, as Prometheus text writes it: `openhqm_queue_depth{state="ready"}`.
type Metrics map[string]float64

// Metrics scrapes.
func (c *Client) Metrics() Metrics {
	c.tb.Helper()
	metrics, err := c.TryMetrics(c.tb.Context())
	require.NoError(c.tb, err)
	return metrics
}

// TryMetrics scrapes.
func (c *Client) TryMetrics(ctx context.Context) (Metrics, error) {
	answer, err := c.Call(ctx, http.MethodGet, "/metrics", nil, nil)
	if err != nil {
		return nil, err
	}
	if answer.Code != http.StatusOK {
		return nil, fmt.Errorf("a scrape was answered %d", answer.Code)
	}
	metrics := make(Metrics)
	for line := range strings.Lines(string(answer.Body)) {
		series, value, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || strings.HasPrefix(series, "#") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("read the metric %s: %w", series, err)
		}
		metrics[series] = number
	}
	return metrics, nil
}

// Depth is how many requests are in the queue.
type Depth struct{ Ready, Delayed, Leased float64 }

// Depth returns the depth of the queue in a scrape; false where it is missing.
func (m Metrics) Depth() (Depth, bool) {
	ready, isReady := m[`openhqm_queue_depth{state="ready"}`]
	delayed, isDelayed := m[`openhqm_queue_depth{state="delayed"}`]
	leased, isLeased := m[`openhqm_queue_depth{state="leased"}`]
	return Depth{ready, delayed, leased}, isReady && isDelayed && isLeased
}

// Depth returns the depth of the queue.
func (c *Client) Depth() Depth {
	c.tb.Helper()
	depth, found := c.Metrics().Depth()
	require.True(c.tb, found, "the metrics lack the depth of the queue")
	return depth
}

// approximate is 1 for a queue whose depth is not exact.
const approximate = "openhqm_queue_depth_approximate"

// RequireDepth checks that the queue is that deep. Where the metrics say that they are approximate it waits for that,
// and more may be ready, unless nothing is left: a broker may still have messages of what a worker has or had.
func (c *Client) RequireDepth(want Depth) {
	c.tb.Helper()
	metrics := c.Metrics()
	depth, _ := metrics.Depth()
	if metrics[approximate] == 0 {
		require.Equal(c.tb, want, depth)
		return
	}
	Until(c.tb, fmt.Sprintf("the depth is %+v, and not %+v", want, depth), func() bool {
		depth = c.Depth()
		more := want != Depth{} && depth.Ready > want.Ready
		return depth == want || more && depth.Delayed == want.Delayed && depth.Leased == want.Leased
	})
}
