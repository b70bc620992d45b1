package telemetry

import "github.com/prometheus/client_golang/prometheus"

// WatchBreakers adds the state of the endpoints' circuit breakers to the metrics, read at every scrape: 0 closed,
// 1 half-open, 2 open. It is called once; states gives them by endpoint and does not block.
func (m *Metrics) WatchBreakers(states func() map[string]int) {
	m.registry.MustRegister(&breakerCollector{
		states: states,
		state: prometheus.NewDesc(namespace+"_breaker_state",
			"Circuit breaker of an endpoint: 0 closed, 1 half-open, 2 open.", []string{"endpoint"}, nil),
	})
}

type breakerCollector struct {
	states func() map[string]int
	state  *prometheus.Desc
}

// Describe names the metric.
func (c *breakerCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.state }

// Collect reads the breakers.
func (c *breakerCollector) Collect(ch chan<- prometheus.Metric) {
	for endpoint, state := range c.states() {
		ch <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, float64(state), endpoint)
	}
}
